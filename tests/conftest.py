"""What every test shares: quiet threads, and a small reference of which the tests know everything."""

from __future__ import annotations

import os

import numpy as np
import pytest

from gait_envs.models.robot import wildrobot
from gait_envs.motion.clip import Clip, save_clip
from gait_envs.motion.gait import natural_gait, walk_clip

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of two looping procedural walks, drawn here, with a foot's weight shared by toe and heel."""
    folder = tmp_path_factory.mktemp("reference")
    for speed in (0.3, 0.6):
        clip = walk_clip(natural_gait(speed), wildrobot().joint_names)
        fields = {name: getattr(clip, name) for name in Clip.__dataclass_fields__}
        fields["contacts"] = np.full((clip.frames, 4), 8.0)
        save_clip(folder / f"{clip.name}.npz", Clip(**fields))
    return str(folder)
