"""From a run to a bundle: the trained policy as one ONNX graph, compared with torch before it is written."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import re
import shlex
import shutil
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import torch
import typer
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from gait_envs.errors import GaitNetError
from gait_envs.files import replacing_folder
from gait_envs.tasks.base import Task
from gait_envs.tasks.config import TrackConfig, WalkConfig
from gait_trainers.commands.options import EnvOption
from gait_trainers.config.schema import TrainConfig
from gait_trainers.models.discriminator import Discriminator
from gait_trainers.policies.bundle import (
    FORMAT_VERSION,
    MANIFEST,
    MUSCLES,
    NETWORK,
    OUTPUTS,
    STYLE,
    Policy,
    in_environment,
    make_env,
    onnx_forward,
    open_session,
    write_checksums,
)
from gait_trainers.policies.torch_policy import PolicyNetwork, policy_from_run
from gait_trainers.runs.checkpoint import load_artefacts, read_networks
from gait_trainers.runs.loggers import read_metrics
from gait_trainers.runs.normalizer import ObsNormalizer
from gait_trainers.runs.run_folder import RunError, open_run

TOLERANCE = 1e-5  # largest difference between onnxruntime and torch, in units of the action range
OBSERVATIONS = 1000  # real ones, on which they are compared
OPSET = 20


class ExportError(GaitNetError, RuntimeError):
    """An export that was refused; nothing has been written."""


def export(run: str | Path, out: str | Path, *, force: bool = False, env_id: str | None = None) -> Path:
    """Write the bundle of a run's latest checkpoint (or of a checkpoint) to `out`, whole or not at all.

    With `env_id` it is a bundle for that environment, which must show the policy what it was trained on.
    """
    out = Path(out)
    if out.exists() and not force:
        raise ExportError(f"{out} exists already; choose another --out, or replace it with --force")
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).exists():
        raise ExportError(f"{out} is not a bundle (it has no {MANIFEST}); --force replaces bundles only")
    policy, normalizer, config = read_networks(run)
    network = PolicyNetwork(policy, normalizer).eval()
    acting = policy_from_run(run)
    if env_id is not None:
        acting = in_environment(acting, env_id, lambda text: typer.echo(text, err=True))
    observations = real_observations(acting)
    with replacing_folder(out) as temporary:
        write_onnx(network, temporary / NETWORK, "observation", OUTPUTS, observations.shape[1])
        difference = parity(temporary / NETWORK, policy, normalizer, observations)
        style_frames = None
        for left in load_artefacts(run):
            if left.scorer is not None:
                write_style(left.scorer, temporary / STYLE)
                style_frames = left.frames
        if "muscle_network" in acting.env_kwargs:
            shutil.copyfile(acting.env_kwargs["muscle_network"], temporary / MUSCLES)
        manifest = describe(run, acting, config, difference, style_frames)
        (temporary / MANIFEST).write_text(readable_json(manifest))
        write_checksums(temporary)
    return out


def real_observations(policy: Policy, count: int = OBSERVATIONS, seed: int = 0) -> np.ndarray:
    """(count, d) observations the policy itself meets, sampling its actions, commands across its range."""
    n = 10
    env = make_env(policy.env_id, num_envs=n, threads=1, autoreset_mode=AutoresetMode.NEXT_STEP, **policy.env_kwargs)
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    seen = [obs]
    while len(seen) * n < count:
        obs, *_ = env.step(policy.act(obs, deterministic=False, rng=rng))
        seen.append(obs)
    env.close()
    return np.concatenate(seen)[:count]


def parity(path: Path, policy: ActorCriticPolicy, normalizer: ObsNormalizer, observations: np.ndarray) -> float:
    """Largest difference between the graph's outputs and the trainer's; ExportError beyond TOLERANCE."""
    with torch.no_grad():
        normal: Any = policy.get_distribution(torch.from_numpy(normalizer(observations))).distribution
    expected = normal.mean.numpy(), normal.stddev.numpy()
    found = onnx_forward(path)(observations)
    (action,) = open_session(path).run(["action"], {"observation": observations})
    pairs = [*zip(found, expected, strict=True), (action, np.clip(expected[0], -1.0, 1.0))]
    difference = float(max(np.abs(a - b).max() for a, b in pairs))
    if not difference <= TOLERANCE:  # NaN is refused too
        raise ExportError(
            f"onnxruntime and torch differ by {difference:.2g} on {len(observations)} observations, "
            f"allowed is {TOLERANCE:g}; nothing was written"
        )
    return difference


def write_style(discriminator: Discriminator, path: Path) -> None:
    """The discriminator with its normaliser as a graph; spectral normalisation becomes plain weights."""
    linear = [layer for layer in discriminator.layers if isinstance(layer, nn.Linear)]
    size = linear[0].in_features
    plain = Discriminator(np.zeros((1, size)), 1, [x.out_features for x in linear[:-1]], use_spectral_norm=False)
    plain.mean, plain.std = discriminator.mean, discriminator.std
    for ours, theirs in zip(plain.layers, discriminator.layers, strict=True):
        if isinstance(ours, nn.Linear) and isinstance(theirs, nn.Linear):
            ours.weight.data, ours.bias.data = theirs.weight.detach(), theirs.bias.detach()
    write_onnx(plain, path, "features", ("score",), size)
    windows = plain.mean.numpy() + plain.std.numpy() * np.random.default_rng(0).normal(size=(100, size))
    windows = windows.astype(np.float32)
    found = open_session(path).run(["score"], {"features": windows})[0]
    with torch.no_grad():
        difference = float(np.abs(found - discriminator(torch.from_numpy(windows)).numpy()).max())
    if not difference <= 10 * TOLERANCE:
        raise ExportError(f"the exported discriminator differs from torch by {difference:.2g}; nothing was written")


def write_onnx(module: nn.Module, path: Path, input_name: str, outputs: Sequence[str], size: int) -> None:
    """One self-contained file with a named input (batch, size) and named outputs; any batch size."""
    module = copy.deepcopy(module).cpu().eval()
    with _quiet_exporter():
        torch.onnx.export(
            module,
            (torch.zeros(2, size),),
            str(path),
            dynamo=True,
            opset_version=OPSET,
            input_names=[input_name],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    onnx.save(without_traces(onnx.load(path)), path)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes on each node, which name files of the machine that it ran on."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    return model


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without the exporter's notes on its own deprecated parts and on packages it could also have used."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def describe(
    run_path: str | Path, policy: Policy, config: TrainConfig, difference: float, style_frames: int | None
) -> dict[str, Any]:
    """policy.json: everything needed to run the network on a robot, and where it came from."""
    run, file = open_run(run_path)
    if file is None:
        raise RunError(f"{run.path} has no checkpoint yet")
    env = make_env(policy.env_id, threads=1, **policy.env_kwargs)
    robot, task = env.core.robot, env.core.task
    env.close()
    kwargs = policy.env_kwargs | ({"muscle_network": MUSCLES} if "muscle_network" in policy.env_kwargs else {})
    manifest: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "license": "MIT",
        "environment": {
            "id": policy.env_id,
            "kwargs": kwargs,
            "robot": robot.name,
            "control_rate_hz": round(1.0 / robot.dt, 6),
            "physics_rate_hz": round(1.0 / robot.model.opt.timestep, 6),
        },
        "observation": {
            "input": "observation",
            "dtype": "float32",
            "size": task.layout.size,
            "normalized_by": "the network; feed raw values",
            "layout": task.layout.table(),
        },
        "command": describe_command(task),
        "action": describe_action(task),
        "training": {
            "algorithm": config.algorithm,
            "checkpoint": file.name,
            "steps": int(file.stem.removeprefix("step_")),
            "seed": config.run.seed,
            **_provenance(run.path),
            "last_quarter": last_quarter(run.metrics_file),
            "config": config.model_dump(mode="json"),
        },
        "parity": {"observations": OBSERVATIONS, "largest_difference": difference, "tolerance": TOLERANCE},
        "exported_with": {name: version(name) for name in ("gaitnet", "torch", "onnx", "onnxruntime")},
    }
    if style_frames is not None:
        manifest["style"] = {"input": "features", "output": "score", "frames": style_frames}
        manifest["style"]["layout"] = task.amp_layout.table()
    return manifest


def describe_command(task: Task) -> dict[str, Any]:
    """The command that is observed, and its range where it is given rather than read off a clip."""
    layout = {"layout": ["forward m/s", "leftward m/s", "yaw rate rad/s"]}
    if isinstance(task.config, WalkConfig):
        return layout | {"low": list(task.config.command_low), "high": list(task.config.command_high)}
    return layout | {"from": "the reference clip"}


def describe_action(task: Task) -> dict[str, Any]:
    """What becomes of the network's action: how it is filtered, and the servo targets it asks for."""
    robot, config = task.robot, task.config
    base, scale = "home_rad", robot.action_scale
    if isinstance(config, TrackConfig) and config.action_base == "reference":
        base, scale = "reference_rad", config.action_gain * robot.action_scale  # of the clip's next frame
        if robot.lead.any():
            base = "reference_rad + lead_s * reference_rad_s"
        if config.feed_forward:
            base += " + reference_torque_nm / kp_nm_rad"
    return {
        "outputs": dict(zip(OUTPUTS, ("clipped to [-1, 1]; use this", "before clipping", "exploration"), strict=True)),
        "joints": list(robot.joint_names),
        "home_rad": robot.home.tolist(),
        "scale_rad": scale.tolist(),
        "lower_rad": robot.target_lower.tolist(),
        "upper_rad": robot.target_upper.tolist(),
        **({"lead_s": robot.lead.tolist()} if robot.lead.any() else {}),
        **({"kp_nm_rad": robot.kp.tolist()} if "kp_nm_rad" in base else {}),
        "filter_alpha": config.action_filter,
        "filter": "filtered = filter_alpha * action + (1 - filter_alpha) * filtered",
        "target_rad": f"clip({base} + scale_rad * filtered, lower_rad, upper_rad)",
    }


def readable_json(tree: Any) -> str:
    """Indented, with lists of plain values on one line each."""
    text = json.dumps(tree, indent=2, ensure_ascii=False)
    return re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda m: "[" + re.sub(r",\n\s+", ", ", m[1]) + "]", text) + "\n"


def _provenance(run: Path) -> dict[str, Any]:
    """The command, commit and versions that the run recorded when it began."""
    file = run / "provenance.json"
    recorded = json.loads(file.read_text()) if file.is_file() else {}
    if "command" in recorded:
        program, *arguments = recorded["command"]
        name = "gait-train" if Path(program).name == "cli.py" else Path(program).name  # python -m gait_trainers.cli
        recorded["command"] = shlex.join([name, *arguments])
    return {key: recorded[key] for key in ("command", "commit", "time", "versions") if key in recorded}


def last_quarter(metrics_file: Path) -> dict[str, float]:
    """Means of every figure in metrics.csv over the last quarter of its rows."""
    rows = read_metrics(metrics_file) if metrics_file.is_file() else []
    late = rows[-max(1, len(rows) // 4) :]
    columns = {key: [float(row[key]) for row in late if row.get(key)] for row in late[:1] for key in row}
    return {key: round(float(np.mean(values)), 6) for key, values in columns.items() if values}


def command(
    run: Annotated[Path, typer.Argument(help="Run folder, whose latest checkpoint is exported, or checkpoint file.")],
    out: Annotated[Path, typer.Option(help="Folder to write the bundle to.")],
    force: Annotated[bool, typer.Option(help="Replace a bundle that already exists.")] = False,
    env: EnvOption = None,
) -> None:
    """Export a policy bundle: policy.onnx, policy.json and checksums, once onnxruntime agrees with torch."""
    folder = export(run, out, force=force, env_id=env)
    manifest = json.loads((folder / MANIFEST).read_text())
    print(f"{folder}: largest difference from torch {manifest['parity']['largest_difference']:.1e}")
