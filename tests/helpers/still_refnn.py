"""RefNNs whose poses are known without a calculation, and sequences to train tiny ones on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.reference.clip import load_clip
from gait_envs.reference.pose_features import POSE_LAYOUT, pose_to_six_dof
from gait_envs.reference.refnn.network import NETWORK, Facts, ReferenceNetwork, save_network
from gait_envs.reference.refnn.walks import CYCLE, SEQUENCE, Sequences

STEP = POSE_LAYOUT.slices()["root_displacement"]
NAMES = ("stride", "cadence", "scale.thigh")


def facts(names: tuple[str, ...] = NAMES) -> Facts:
    """Strides of 0.8 to 1.6 m at 80 to 130 steps/min; other factors from 0.8 to 1.2."""
    low = np.array([{"stride": 0.8, "cadence": 80.0}.get(name, 0.8) for name in names])
    high = np.array([{"stride": 1.6, "cadence": 130.0}.get(name, 1.2) for name in names])
    default = np.array([{"stride": 1.2, "cadence": 100.0}.get(name, 1.0) for name in names])
    units = tuple({"stride": "m", "cadence": "steps/min"}.get(name, "1") for name in names)
    size = POSE_LAYOUT.size
    natural = np.array([0.6, 0.6, 0.0])  # 1.2 m at 1.0 m/s
    return Facts(
        names,
        units,
        low,
        high,
        default,
        natural,
        np.array([0.8, 1.2]),
        np.zeros(size),
        np.ones(size),
        np.full(50, np.inf),
    )


def standing_pose() -> np.ndarray:
    """The 101 numbers of the first pose of a bundled walk, facing straight ahead, without displacement."""
    clip = load_clip(asset_path("motions/human_walk/walk_100.npz"))
    pose = pose_to_six_dof(clip.qpos[:1])[0]
    pose[:6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return pose


def gliding(names: tuple[str, ...] = NAMES) -> ReferenceNetwork:
    """Holds one pose and glides ahead by the stride it is asked for: a step is (0.8 + 0.8 · share) / 30 m."""
    weight = np.zeros((len(names) + 2, POSE_LAYOUT.size))
    bias = standing_pose()
    weight[names.index("stride"), STEP.start] = 0.8 / CYCLE
    bias[STEP.start] = 0.8 / CYCLE
    return ReferenceNetwork([(weight, bias)], facts(names), "gliding")


def write_model(folder: Path, network: ReferenceNetwork) -> Path:
    """The folder of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    save_network(folder / NETWORK, network.layers, network.facts)
    digest = hashlib.sha256((folder / NETWORK).read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {NETWORK}\n")
    return folder


def sequences(count: int = 8, seed: int = 0) -> Sequences:
    """Sequences of one pose that glides by its stride, of `count` walkers, with a knee that swings with the phase."""
    rng = np.random.default_rng(seed)
    params = np.column_stack([rng.uniform(0.9, 1.5, count), rng.uniform(90, 120, count)])
    motions = np.tile(standing_pose(), (count, SEQUENCE, 1))
    motions[:, :, STEP] = 0.0
    motions[:, :, STEP.start] = params[:, :1] / CYCLE
    motions[:, :, POSE_LAYOUT.slices()["right_knee"]] = np.sin(2 * np.pi * np.arange(SEQUENCE) / CYCLE)[:, None]
    walkers = tuple(f"walker {seed}/{i}" for i in range(count))
    return Sequences(params, ("stride", "cadence"), motions.astype(np.float32), walkers, "made for a test", "MIT")
