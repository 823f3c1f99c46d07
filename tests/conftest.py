"""What every test shares: quiet threads, repeatable examples, and a small reference."""

from __future__ import annotations

import os

import hypothesis
import pytest

from gait_envs.models.robot import wildrobot
from gait_envs.motion.clip import save_clip
from gait_envs.motion.gait import natural_gait, walk_clip

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

# The same examples on every machine, however slow it is.
hypothesis.settings.register_profile("gaitnet", derandomize=True, deadline=None)
hypothesis.settings.load_profile("gaitnet")


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of two looping walks, drawn here: 0.3 and 0.6 m/s."""
    folder = tmp_path_factory.mktemp("reference")
    for speed in (0.3, 0.6):
        clip = walk_clip(natural_gait(speed), wildrobot().joint_names)
        save_clip(folder / f"{clip.name}.npz", clip)
    return str(folder)
