"""What every test shares: quiet threads, the registered ids, and a reference that needs no asset."""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before anything imports NumPy or torch

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gait_envs import IDS
from gait_envs.assets import asset_root
from gait_envs.motion.clip import Clip, save_clip
from gait_envs.motion.gait import natural_gait, walk_clip
from gait_envs.motion.library import EMBEDDED


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of two looping procedural walks, drawn here, with a foot's weight shared by toe and heel."""
    from gait_envs.models.robot import wildrobot

    folder = tmp_path_factory.mktemp("reference")
    for speed in (0.3, 0.6):
        clip = walk_clip(natural_gait(speed), wildrobot().joint_names)
        fields = {name: getattr(clip, name) for name in Clip.__dataclass_fields__}
        fields["contacts"] = np.full((clip.frames, 4), 8.0)
        save_clip(folder / f"{clip.name}.npz", Clip(**fields))
    return str(folder)


@pytest.fixture(scope="session")
def config_of(reference: str) -> Callable[[str], dict[str, Any]]:
    """Keyword arguments with which an id can be made where its embedded reference is missing."""
    embedded = Path(asset_root(), "motions", EMBEDDED).exists()
    return lambda env_id: {} if embedded or IDS[env_id] == "walk" else {"reference": reference}
