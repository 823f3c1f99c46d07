"""From a trained policy to a bundle: one ONNX graph, compared with torch before anything is written."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode

from gait_envs.errors import GaitNetError
from gait_envs.files import replacing_folder
from gait_envs.reading.text import read_json
from gait_trainers.config.schema import TrainConfig
from gait_trainers.models.discriminator import Discriminator
from gait_trainers.policies.base import GaussianPolicy, Network, Policy
from gait_trainers.policies.bundle import MANIFEST, MUSCLES, NETWORK, STYLE, describe_memory, write_checksums
from gait_trainers.policies.environment import in_environment, make_env
from gait_trainers.policies.loading import refuse_sb3_model, to_stderr
from gait_trainers.policies.manifest import describe, readable_json
from gait_trainers.policies.onnx_graph import write_policy, write_style
from gait_trainers.policies.onnx_policy import OnnxNetwork
from gait_trainers.policies.torch_policy import PolicyNetwork, TrainerNetwork, policy_from_run
from gait_trainers.runs.checkpoint import load_artefacts, read_networks
from gait_trainers.runs.loggers import read_metrics
from gait_trainers.runs.provenance import licenses_of
from gait_trainers.runs.run_folder import RunError, open_run

TOLERANCE = 1e-5  # largest difference between onnxruntime and torch, in units of the action range
OBSERVATIONS = 1000  # real ones, on which they are compared
WALKERS = 10  # environments that they come from


class ExportError(GaitNetError, RuntimeError):
    """An export that was refused; nothing has been written."""


@dataclass(frozen=True)
class Trained:
    """Everything that goes into a bundle."""

    acting: GaussianPolicy  # in the environment that the bundle is for
    network: PolicyNetwork  # what becomes the graph
    expected: Network  # the same by the trainer's own arithmetic, with which the graph is compared
    training: dict[str, Any]  # section of the manifest: where it came from
    discriminator: Discriminator | None = None


def export(run: str | Path, out: str | Path, *, force: bool = False, env_id: str | None = None) -> Path:
    """Write the bundle of a run's latest checkpoint (or of a checkpoint) to `out`, whole or not at all.

    With `env_id` it is a bundle for that environment, which must show the policy what it was trained on. ExportError
    where something else is at `out`, or where the graph does not act as the trained policy does.
    """
    check_out(Path(out), force)
    refuse_sb3_model(Path(run))
    run = open_run(run)[1] or run  # one checkpoint for all of it, though the run may still be training
    policy, normalizer, config = read_networks(run)
    acting = policy_from_run(run)
    if env_id is not None:
        acting = in_environment(acting, env_id, to_stderr)
    scorers = [left.scorer for left in load_artefacts(run) if left.scorer is not None]
    scorer = scorers[0] if scorers else None
    frames = config.networks.frames
    network, expected = PolicyNetwork(policy, normalizer, frames), TrainerNetwork(policy, normalizer, frames)
    return write_bundle(Trained(acting, network, expected, _run_training(run, config), scorer), Path(out))


def write_bundle(trained: Trained, out: Path) -> Path:
    """The folder `out`, whole or not at all; ExportError where a graph differs from torch."""
    network = trained.network.eval()
    observed = observe(trained.acting)
    with replacing_folder(out) as temporary:
        write_policy(network, temporary / NETWORK, observed.obs.shape[-1])
        difference = parity(temporary / NETWORK, trained.expected, observed)
        if trained.discriminator is not None:
            _check(write_style(trained.discriminator, temporary / STYLE), 10 * TOLERANCE, "the discriminator's scores")
        if "muscle_network" in trained.acting.env_kwargs:
            shutil.copyfile(trained.acting.env_kwargs["muscle_network"], temporary / MUSCLES)
        compared = {"observations": OBSERVATIONS, "largest_difference": difference, "tolerance": TOLERANCE}
        memory = describe_memory({spec.name: spec.shape for spec in network.state})
        manifest = describe(trained.acting, trained.training, compared, memory)
        (temporary / MANIFEST).write_text(readable_json(manifest))
        write_checksums(temporary)
    return out


def check_out(out: Path, force: bool) -> None:
    """ExportError unless a bundle may be written there: nothing is there, or with `force` another bundle."""
    if out.exists() and not force:
        raise ExportError(f"{out} exists already; choose another --out, or replace it with --force")
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).exists():
        raise ExportError(f"{out} is not a bundle (it has no {MANIFEST}); --force replaces bundles only")


# -- parity --------------------------------------------------------------------------------------------


class Observed(NamedTuple):
    """What n walkers observed over T steps, one episode after another."""

    obs: np.ndarray  # (T, n, d) float32
    starts: np.ndarray  # (T, n) bool, the first observation of an episode


def observe(policy: Policy, count: int = OBSERVATIONS, seed: int = 0) -> Observed:
    """At least `count` observations that the policy meets, sampling its actions, commands across its range."""
    n = WALKERS
    env = make_env(policy.env_id, num_envs=n, threads=1, autoreset_mode=AutoresetMode.NEXT_STEP, **policy.env_kwargs)
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    state, begin, ended = policy.initial_state(n), np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    seen, starts = [obs], [begin]
    while len(seen) * n < count:
        action, state = policy.act(obs, state, begin, deterministic=False, rng=rng)
        obs, _, fell, over, _ = env.step(action)
        begin, ended = ended, fell | over  # the step after an end is the reset
        seen.append(obs)
        starts.append(begin)
    env.close()
    return Observed(np.stack(seen), np.stack(starts))


def parity(path: Path, expected: Network, observed: Observed) -> float:
    """Largest difference between the graph's outputs and those expected along the same episodes, each with its own
    state; ExportError beyond TOLERANCE."""
    graph = OnnxNetwork(path)
    n = observed.obs.shape[1]
    ours, theirs, difference = graph.initial_state(n), expected.initial_state(n), 0.0
    for obs, starts in zip(*observed, strict=True):
        (action,) = graph.run(["action"], obs, ours, starts)
        mean, std, ours = graph(obs, ours, starts)
        right_mean, right_std, theirs = expected(obs, theirs, starts)
        pairs = (mean, right_mean), (std, right_std), (action, np.clip(right_mean, -1.0, 1.0))
        difference = np.maximum(difference, max(np.abs(a - b).max() for a, b in pairs))  # NaN stays
    _check(float(difference), TOLERANCE, f"actions on {observed.starts.size} observations")
    return float(difference)


def _check(difference: float, allowed: float, of: str) -> None:
    if not difference <= allowed:  # NaN is refused too
        raise ExportError(
            f"onnxruntime and torch differ by {difference:.2g} in {of}, allowed is {allowed:g}; nothing was written"
        )


# -- where a run came from -----------------------------------------------------------------------------


def _run_training(path: str | Path, config: TrainConfig) -> dict[str, Any]:
    """Section `training` of the manifest."""
    run, file = open_run(path)
    if file is None:
        raise RunError(f"{run.path} has no checkpoint yet")
    return {
        "algorithm": config.algorithm,
        "checkpoint": file.name,
        "steps": int(file.stem.removeprefix("step_")),
        "seed": config.run.seed,
        **_provenance(run.path),
        "last_quarter": last_quarter(run.metrics_file),
        "config": config.model_dump(mode="json"),
    }


def _provenance(run: Path) -> dict[str, Any]:
    """The command, commit and versions that the run recorded when it began, and licences of clips behind it."""
    file = run / "provenance.json"
    recorded = read_json(file, RunError) if file.is_file() else {}
    if not isinstance(recorded, dict):
        raise RunError(f"{file}: expected an object; remove it to export without it")
    if "command" in recorded:
        if not _is_command(recorded["command"]):
            raise RunError(f"{file}: command is not a list of words; remove the file to export without it")
        program, *arguments = recorded["command"]
        name = "gait-train" if Path(program).name == "cli.py" else Path(program).name  # python -m gait_trainers.cli
        recorded["command"] = shlex.join([name, *arguments])
    known = {key: recorded[key] for key in ("command", "commit", "time", "versions") if key in recorded}
    licenses = licenses_of(recorded)
    return known | ({"licenses": licenses} if licenses else {})


def _is_command(words: Any) -> bool:
    return isinstance(words, list) and bool(words) and all(isinstance(word, str) for word in words)


def last_quarter(metrics_file: Path) -> dict[str, float]:
    """Means of every figure in metrics.csv over the last quarter of its rows."""
    rows = read_metrics(metrics_file) if metrics_file.is_file() else []
    late = rows[-max(1, len(rows) // 4) :]
    columns = {key: [float(row[key]) for row in late if row.get(key)] for row in late[:1] for key in row}
    return {key: round(float(np.mean(values)), 6) for key, values in columns.items() if values}
