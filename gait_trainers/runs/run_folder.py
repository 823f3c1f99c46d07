"""Run folders: what a run is made of on disk, and how it is read back.

runs/<name>/config.yaml       the whole configuration
            provenance.json   versions, command, machine, commit
            metrics.csv       a row per iteration
            tb/               TensorBoard
            checkpoints/step_<steps>.pt
                        step_<steps>.npz of algorithm muscle: the muscles' network of then
"""

from __future__ import annotations

from gait_envs.files import write_durably
from gait_envs.errors import GaitNetError

import datetime
import io
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from gait_envs.loaders import loader
from gait_trainers.config.schema import TrainConfig, dump_yaml, load_config
from gait_trainers.models.actor_critic import build_policy

FORMAT_VERSION = 1
_PACKAGES = ("gaitnet", "gymnasium", "mujoco", "numpy", "stable-baselines3", "torch")


class RunError(GaitNetError, RuntimeError):
    """A run folder or checkpoint that cannot be used, and what to use instead."""


@dataclass(frozen=True)
class Run:
    """A run folder."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def provenance_file(self) -> Path:
        return self.path / "provenance.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tb"

    def checkpoints(self) -> list[Path]:
        """Oldest first. A checkpoint appears whole or not at all, so the last one is the one to use."""
        files = [file for file in (self.path / "checkpoints").glob("step_*.pt") if _steps(file) is not None]
        return sorted(files, key=lambda file: _steps(file) or 0)

    def save_checkpoint(self, state: Mapping[str, Any], steps: int, keep: int) -> Path:
        """Write the state after `steps` environment steps; only the last `keep` checkpoints stay."""
        file = self.checkpoint_file(steps)
        buffer = io.BytesIO()
        torch.save({"format_version": FORMAT_VERSION, "state": to_tensors(state)}, buffer)
        write_durably(file, buffer.getvalue())
        for old in self.checkpoints()[:-keep]:
            _remove(old)
        return file

    def checkpoint_file(self, steps: int) -> Path:
        return self.path / "checkpoints" / f"step_{steps:012d}.pt"

    def note_resumption(self, config: TrainConfig) -> None:
        """Add to the provenance, and keep what the continuation changed (how long, on what)."""
        origin = json.loads(self.provenance_file.read_text())
        origin.setdefault("resumed", []).append(provenance(config.run.seed))
        write_durably(self.provenance_file, json.dumps(origin, indent=2).encode())
        write_durably(self.config_file, dump_yaml(config).encode())

    def drop_checkpoints_after(self, steps: int) -> None:
        """Remove the checkpoints of a future that will be lived again."""
        for file in self.checkpoints():
            if (_steps(file) or 0) > steps:
                _remove(file)


def create_run(config: TrainConfig, init: Mapping[str, Any] | None = None) -> Run:
    """A new folder with the configuration and where it came from; `init` says what its networks began from."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = config.run.name or f"{config.algorithm}-{stamp}-seed{config.run.seed}"
    run = Run(Path(config.run.out) / name)
    if run.path.exists() and any(run.path.iterdir()):
        raise RunError(f"{run.path} exists already; choose another --name, or continue it with --resume {run.path}")
    (run.path / "checkpoints").mkdir(parents=True, exist_ok=True)
    origin = provenance(config.run.seed) | ({} if init is None else {"init": dict(init)})
    write_durably(run.provenance_file, json.dumps(origin, indent=2).encode())
    write_durably(run.config_file, dump_yaml(config).encode())
    return run


def network_file(checkpoint: Path) -> Path:
    """Where the muscles' network of a checkpoint lies, if it has one."""
    return checkpoint.with_suffix(".npz")


def open_run(path: str | Path) -> tuple[Run, Path | None]:
    """The run of a folder or of one of its checkpoints, and the checkpoint to start from (none: none yet)."""
    path = Path(path)
    if path.is_file():
        return open_run(path.parent.parent)[0], path
    run = Run(path)
    if not run.config_file.is_file():
        raise RunError(f"{path} is not a run folder: it has no config.yaml")
    checkpoints = run.checkpoints()
    return run, checkpoints[-1] if checkpoints else None


@loader("checkpoint", ".pt")
def load_checkpoint(file: Path) -> dict[str, Any]:
    """The training state in a checkpoint; RunError names the file and an earlier one if it is damaged."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        found = content["format_version"]
        state = from_tensors(content["state"])
    except Exception as error:  # torch raises many kinds for a damaged file
        others = Run(file.parent.parent).checkpoints()
        earlier = [other for other in others if (_steps(other) or 0) < (_steps(file) or 0)]
        advice = f"continue from an earlier one with --resume {earlier[-1]}" if earlier else "there is no earlier one"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"{file} cannot be read as a checkpoint ({reason}); {advice}") from error
    if found != FORMAT_VERSION:
        raise RunError(f"{file} has format version {found}, this version reads {FORMAT_VERSION}")
    return state


@dataclass(frozen=True)
class ObsNormalizer:
    """The running statistics of a run's observations, as they were at a checkpoint."""

    mean: np.ndarray  # (d,) float64
    var: np.ndarray  # (d,) float64
    clip: float
    epsilon: float

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, d) float32; the arithmetic of SB3's VecNormalize."""
        scaled = (obs - self.mean) / np.sqrt(self.var + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def load_policy(run_or_checkpoint: str | Path) -> tuple[ActorCriticPolicy, ObsNormalizer, TrainConfig]:
    """Policy, observation normaliser and configuration of a run's last checkpoint, or of a given one."""
    run, file = open_run(run_or_checkpoint)
    if file is None:
        raise RunError(f"{run.path} has no checkpoint yet")
    state = load_checkpoint(file)
    config = load_config(run.config_file)
    policy = build_policy(config.networks, **state["spaces"])
    policy.load_state_dict(state["policy"])
    policy.set_training_mode(False)
    norm = state["vec_normalize"] if config.ppo.normalize_obs else None
    return policy, obs_normalizer(norm, state["spaces"]["obs_size"]), config


def obs_normalizer(norm: Mapping[str, Any] | None, size: int) -> ObsNormalizer:
    """From the statistics that a checkpoint holds; None leaves observations of this size as they are."""
    if norm is None:
        return ObsNormalizer(np.zeros(size), np.ones(size), clip=np.inf, epsilon=0.0)
    return ObsNormalizer(norm["mean"], norm["var"], norm["clip_obs"], norm["epsilon"])


def provenance(seed: int) -> dict[str, Any]:
    """Where a run came from."""
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "commit": _git_commit(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


# Checkpoints are read with weights_only=True: tensors, containers and plain scalars. An array is kept as a
# tensor with a tag, so that it comes back as an array.
_ARRAY = "__ndarray__"


def to_tensors(tree: Any) -> Any:
    if isinstance(tree, np.ndarray):
        return {_ARRAY: torch.from_numpy(np.array(tree, order="C"))}
    if isinstance(tree, np.generic):
        return tree.item()
    if isinstance(tree, Mapping):
        return {key: to_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(to_tensors(value) for value in tree)
    return tree


def from_tensors(tree: Any) -> Any:
    if isinstance(tree, dict):
        if set(tree) == {_ARRAY}:
            return tree[_ARRAY].numpy()
        return {key: from_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(from_tensors(value) for value in tree)
    return tree


def _remove(checkpoint: Path) -> None:
    checkpoint.unlink()
    network_file(checkpoint).unlink(missing_ok=True)


def _steps(file: Path) -> int | None:
    match = re.fullmatch(r"step_(\d+)\.pt", file.name)
    return int(match[1]) if match else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the source tree this package runs from, with a + if it has been changed."""
    folder = Path(__file__).resolve().parent

    def git(*args: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if git("ls-files", "--error-unmatch", __file__) == "":
            return None
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
