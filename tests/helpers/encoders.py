"""Small motion models with made-up weights, as encoders of policies."""

from __future__ import annotations

from pathlib import Path

import torch

from gait_envs.models.robot import wildrobot
from gait_trainers.models.motion import MotionModel, save_motion_model, spec_of


def small_model(network: str = "mlp", encoding: str = "observable", seed: int = 0) -> MotionModel:
    """A model of WildRobot with 6 features, whose normaliser is not the identity."""
    settings = {"hidden": [8, 6]} if network == "mlp" else {"width": 6}
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MotionModel(spec_of(wildrobot(), network, encoding, (), settings))
    model.mean.copy_(0.1 * torch.randn(model.mean.shape, generator=generator))
    model.std.copy_(0.5 + torch.rand(model.std.shape, generator=generator))
    return model.eval()


def small_model_file(folder: Path, network: str = "mlp") -> Path:
    """Its file."""
    return save_motion_model(folder / "model.npz", small_model(network))
