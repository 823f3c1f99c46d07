"""Checkpoint files of a run, whatever trains: written durably, the newest kept, read back to the bit or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from gait_envs.errors import one_line
from gait_envs.files import write_durably
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import read_bytes
from gait_trainers.runs.checkpoint_format import MAX_CHECKPOINT, Damaged, decode, encode
from gait_trainers.runs.run_folder import Run, RunError, remove_checkpoint, steps_of


def save_checkpoint(run: Run, state: Mapping[str, Any], steps: int, keep: int) -> Path:
    """Write the state after `steps` environment steps, or updates; only the last `keep` checkpoints stay."""
    file = run.checkpoint_file(steps)
    data = encode(state)
    if len(data) > MAX_CHECKPOINT:
        raise RunError(f"{file}: the state of the training takes {len(data)} bytes, at most {MAX_CHECKPOINT} are read")
    write_durably(file, data)
    for old in run.checkpoints()[:-keep]:
        remove_checkpoint(old)
    return file


@loader("checkpoint", ".pt")
def load_checkpoint(file: Path, limit: int = MAX_CHECKPOINT) -> dict[str, Any]:
    """The training state in a checkpoint of at most `limit` bytes, as it was written to the bit.

    RunError names the file if it is damaged, and the newest one before it that is whole.
    """
    try:
        return decode(read_bytes(file, RunError, limit))
    except Damaged as error:
        older = _whole_before(file, limit)
        advice = f"the latest intact one before it is {older}" if older else "no earlier one is intact"
        raise RunError(f"{file} cannot be read as a checkpoint: {error}; {advice}") from error


def _whole_before(file: Path, limit: int) -> Path | None:
    """The newest checkpoint before `file` that can be read."""
    at = steps_of(file)
    for other in reversed(Run(file.parent.parent).checkpoints()):
        steps = steps_of(other)
        if at is not None and steps is not None and steps < at:
            try:
                decode(read_bytes(other, RunError, limit))
            except (Damaged, RunError, OSError):
                continue
            return other
    return None


@contextmanager
def fitting(file: Path) -> Iterator[None]:
    """RunError, which names the checkpoint, for whatever goes wrong with what is in it."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # torch raises many kinds for what does not fit
        told = f"it has no {error}" if isinstance(error, KeyError) else one_line(error, 300)
        raise RunError(f"{file}: it does not fit its configuration: {told}") from None


def restore_weights(module: torch.nn.Module, weights: Mapping[str, Any]) -> None:
    """Put stored parameters and buffers into a network; ValueError or RuntimeError unless they are its own, finite."""
    for name, value in weights.items():
        if not isinstance(value, torch.Tensor) or not bool(value.isfinite().all()):
            raise ValueError(f"{one_line(name)} is no tensor of finite numbers")
    module.load_state_dict(weights)


def restore_optimizer(optimizer: torch.optim.Optimizer, stored: Mapping[str, Any]) -> None:
    """Put the stored moments into Adam or AdamW; its settings stay those of the configuration.

    ValueError unless there are moments of the right shape for every parameter, or for none yet.
    """
    own = optimizer.state_dict()
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    state = stored["state"]
    if set(state) not in (set(), set(range(len(parameters)))):
        raise ValueError("the optimiser's state is not that of so many parameters")
    for number, moments in state.items():
        shapes = {"step": torch.Size(), **dict.fromkeys(("exp_avg", "exp_avg_sq"), parameters[number].shape)}
        found = {key: value.shape if isinstance(value, torch.Tensor) else None for key, value in moments.items()}
        if found != shapes or not all(bool(value.isfinite().all()) for value in moments.values()):
            raise ValueError(f"the optimiser's moments of parameter {number} do not fit")
        if float(moments["step"]) < 0 or not bool((moments["exp_avg_sq"] >= 0).all()):
            raise ValueError(f"the optimiser's moments of parameter {number} are negative")
    optimizer.load_state_dict({"state": state, "param_groups": own["param_groups"]})
