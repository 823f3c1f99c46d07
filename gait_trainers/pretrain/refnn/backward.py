"""Training Backward GaitNet, and what it recovers: on walkers that it never saw, simulated, generated and captured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gait_envs.files import write_durably
from gait_envs.reading.loaders import loader
from gait_envs.reading.outputs import something_else
from gait_envs.reading.text import read_bytes
from gait_trainers.config.section import Section
from gait_trainers.models.backward import FRAMES, LATENT, BackwardNet, Inferred, seen
from gait_trainers.models.ref_nn import RefNN
from gait_trainers.pretrain.refnn.windows import Windows
from gait_trainers.runs.checkpoint_format import Damaged, decode, encode
from gait_trainers.runs.run_folder import RunError

MAX_BYTES = 64 << 20
LOOKED_AT = 6  # frames of a window that are compared with what the RefNN makes, drawn anew at each step


class BackwardConfig(Section):
    """Settings of Backward GaitNet."""

    learning_rate: float = Field(default=1e-3, gt=0, description="Adam's learning rate at the start; it falls to 0.")
    batch_size: int = Field(default=128, ge=1, description="Windows of one gradient step.")
    steps: int = Field(default=2000, ge=1, description="Number of gradient steps.")
    generated: int = Field(default=2000, ge=0, description="Windows that the RefNN itself makes, to learn from.")
    reconstruction: float = Field(default=0.05, ge=0, description="Weight of the difference of poses.")
    known: float = Field(
        default=10.0, ge=0, description="Weight of the difference of parameters where these are known."
    )
    divergence: float = Field(default=1e-4, ge=0, description="Weight of the latent vector's divergence from normal.")
    noise: float = Field(default=0.02, ge=0, description="Noise on the windows, in deviations of each number.")
    seed: int = Field(default=0, ge=0, description="Seed of weights and draws.")


def generated_windows(network: RefNN, params: np.ndarray, count: int, rng: np.random.Generator) -> Windows:
    """Windows (count, 60, 101) that the network makes near parameters (n, P) of its data, at random phases.

    Each is that of two walkers mixed at random, so that the data's own relations are kept.
    """
    a, b = params[rng.integers(len(params), size=(2, count))]
    share = rng.uniform(size=(count, 1))
    mixed = share * a + (1 - share) * b
    phase = rng.uniform(size=count)
    frames = torch.arange(FRAMES, dtype=torch.float32)
    poses = []
    with torch.no_grad():
        for rows in np.array_split(np.arange(count), max(1, count // 100)):
            made = seen(network, _tensor(mixed[rows]), _tensor(phase[rows]), frames)
            poses.append(made.numpy())
    return Windows(np.concatenate(poses), mixed, phase, tuple(f"generated/{i}" for i in range(count)))


def joined(parts: Sequence[Windows]) -> Windows:
    """Windows one after the other."""
    poses, params, phase = (np.concatenate([part[k] for part in parts]) for k in range(3))  # type: ignore[misc]
    return Windows(poses, params, phase, tuple(walker for part in parts for walker in part.walkers))


def train_backward(
    network: RefNN, windows: Windows, config: BackwardConfig, say: Callable[[str], None] = lambda _: None
) -> BackwardNet:
    """A Backward GaitNet of this RefNN, which is frozen, from windows whose parameters are known."""
    generator = torch.Generator().manual_seed(config.seed)
    poses, params, phase = _tensor(windows.poses), _tensor(windows.params), _tensor(windows.phase)
    mean, deviation = poses.mean(dim=(0, 1)), poses.std(dim=(0, 1)).clamp(min=0.005)
    model = BackwardNet(network, mean, deviation, generator)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    span = network.high[: params.shape[1]] - network.low[: params.shape[1]]
    weights = 1.0 / deviation
    for step in range(config.steps):
        rows = torch.randint(len(poses), (config.batch_size,), generator=generator)
        window = poses[rows]
        noisy = window + config.noise * deviation * torch.randn(window.shape, generator=generator)
        found = model.infer(noisy, torch.randn(len(rows), LATENT, generator=generator))
        losses = {
            "known": config.known * ((found.params - params[rows]) / span).square().mean(),
            "phase": 1.0 - torch.cos(2 * torch.pi * (found.phase - phase[rows])).mean(),
            "divergence": config.divergence * _divergence(found),
        }
        if config.reconstruction > 0:
            frames = torch.randint(FRAMES, (LOOKED_AT,), generator=generator)
            made = seen(network, found.params, found.phase, frames.float())
            losses["poses"] = config.reconstruction * (weights * (made - window[:, frames])).square().mean()
        loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % max(1, config.steps // 10) == 0:
            say(
                f"{step + 1}/{config.steps}: " + ", ".join(f"{key} {value.item():.3g}" for key, value in losses.items())
            )
    return model.eval()


def _divergence(found: Inferred) -> Tensor:
    """Kullback-Leibler divergence of the latent vector's distribution from the standard normal one."""
    return 0.5 * (found.mean.square() + found.log_variance.exp() - 1.0 - found.log_variance).sum(dim=1).mean()


def refined(model: BackwardNet, windows: Windows, steps: int = 60, learning_rate: float = 0.02) -> np.ndarray:
    """Parameters (n, P) of windows, improved by gradient steps on what the frozen RefNN makes of them.

    Every third frame is looked at, in deviations of each number; parameters stay within the RefNN's range.
    """
    poses, network = _tensor(windows.poses), model.forward_net
    with torch.no_grad():
        start = model.infer(poses)
    count = start.params.shape[1]
    low, high = network.low[:count], network.high[:count]
    share = ((start.params - low) / (high - low)).clamp(0.0, 1.0).requires_grad_()
    phase = start.phase.clone().requires_grad_()
    optimizer = torch.optim.Adam([share, phase], lr=learning_rate)
    frames = torch.arange(0, FRAMES, 3)
    for _ in range(steps):
        made = seen(network, low + (high - low) * share, phase, frames.float())
        loss = ((made - poses[:, frames]) / model.deviation).square().mean(dim=(1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            share.clamp_(0.0, 1.0)
    return (low + (high - low) * share).detach().numpy()


@torch.no_grad()
def inferred(model: BackwardNet, windows: Windows) -> np.ndarray:
    """Parameters (n, P) that the network alone reads from windows."""
    return model.infer(_tensor(windows.poses)).params.numpy()


def recovery(names: Sequence[str], found: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    """How well parameters (n, P) are recovered: mean and median absolute error in percent of speed, stride and cadence,
    and R² of every parameter (1: all of its change is seen; 0 or less: none), None where it does not change."""
    at = {key: list(names).index(key) for key in ("stride", "cadence")}
    values = {key: (found[:, i], wanted[:, i]) for key, i in at.items()}
    values["speed"] = tuple(table[:, at["stride"]] * table[:, at["cadence"]] / 120.0 for table in (found, wanted))  # type: ignore[assignment]
    percent = {key: 100.0 * np.abs(a / b - 1.0) for key, (a, b) in values.items()}
    out: dict[str, Any] = {"windows": len(found)}
    for key in ("speed", "stride", "cadence"):
        out[f"{key}_percent"] = float(percent[key].mean())
        out[f"{key}_percent_median"] = float(np.median(percent[key]))
    spread = ((wanted - wanted.mean(axis=0)) ** 2).sum(axis=0)
    missed = ((found - wanted) ** 2).sum(axis=0)
    r2 = {name: None if spread[i] < 1e-9 else float(1 - missed[i] / spread[i]) for i, name in enumerate(names)}
    return out | {"r2": r2}


# -- files ------------------------------------------------------------------------------------------------


def save_backward(path: Path, model: BackwardNet) -> None:
    """Write the network; the RefNN that it is of is not part of the file, but its parameters' names are."""
    weights = {key: value for key, value in model.state_dict().items() if not key.startswith("forward_net.")}
    write_durably(path, encode({"names": list(model.forward_net.facts.names), "weights": weights}))


def check_backward(path: Path) -> None:
    """OutputError if what lies at `path`, if anything, is no network that `save_backward` wrote."""
    if not (path.is_file() and path.stat().st_size):
        return
    try:
        same = set(decode(read_bytes(path, RunError, MAX_BYTES))) == {"names", "weights"}
    except (Damaged, RunError, TypeError):
        same = False
    if not same:
        raise something_else(path)


@loader("backward network", ".pt")
def load_backward(path: str | Path, network: RefNN, limit: int = MAX_BYTES) -> BackwardNet:
    """The Backward GaitNet of this RefNN, of a file of at most `limit` bytes; RunError for a damaged one, and for one
    of other parameters."""
    try:
        state: Mapping[str, Any] = decode(read_bytes(path, RunError, limit))
        if list(state["names"]) != list(network.facts.names):
            raise RunError(f"{path}: was trained for other parameters than {', '.join(network.facts.names)}")
        weights = dict(state["weights"])
        model = BackwardNet(network, weights["mean"], weights["deviation"], None)
        own = {f"forward_net.{key}": value for key, value in network.state_dict().items()}
        model.load_state_dict(weights | own)
    except Damaged as error:
        raise RunError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path}: is no Backward GaitNet: {str(error).splitlines()[0]}") from None
    return model.eval()


def _tensor(array: np.ndarray) -> Tensor:
    return torch.as_tensor(array, dtype=torch.float32)
