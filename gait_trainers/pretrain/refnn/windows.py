"""Windows of two seconds from walks, with what is measured of them: what Backward GaitNet sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gait_envs.reference.pose_features import POSE_LAYOUT, pose_to_six_dof
from gait_envs.reference.refnn.walks import Walks, from_coordinates
from gait_envs.rotations import quat_mul, wrap_angle, yaw_quat
from gait_trainers.models.backward import FPS, FRAMES
from gait_trainers.pretrain.refnn.data import DEFAULTS

EVERY = 10  # frames from one window to the next
TURN = np.radians(20.0)  # of the path, from the first second to the second
SLOWEST = 0.3  # m/s


class Windows(NamedTuple):
    """n windows."""

    poses: np.ndarray  # (n, 60, 101) float32, along x
    params: np.ndarray  # (n, P), stride and cadence measured in the window
    phase: np.ndarray  # (n,) cycles, of the first frame
    walkers: tuple[str, ...]

    def take(self, mask: np.ndarray) -> Windows:
        """Those of a boolean mask (n,)."""
        walkers = tuple(walker for walker, kept in zip(self.walkers, mask, strict=True) if kept)
        return Windows(self.poses[mask], self.params[mask], self.phase[mask], walkers)


def windows_of(recordings: Sequence[Walks], names: Sequence[str], stretch: Sequence[float] = (1.0,)) -> Windows:
    """Windows of straight walking; `stretch`: factors at which each walk is played, 1 is as it was.

    Frames must be at 30 Hz. A parameter that a recording does not have is at its default.
    """
    poses, params, phases, walkers = [], [], [], []
    for walks in recordings:
        if abs(walks.fps - FPS) > 1e-6:
            raise ValueError(f"walks at {walks.fps:g} Hz, expected {FPS:g}")
        for i, walker in enumerate(walks.walkers):
            own = dict(zip(walks.names, walks.params[i].tolist(), strict=True))
            coordinates, phase = walks.walk(i)
            for factor in stretch:
                at = np.arange(0.0, len(phase) - 1, factor)
                moved = played(from_coordinates(coordinates), at)
                when = np.interp(at, np.arange(len(phase)), np.unwrap(phase, period=1.0))
                for start in range(1, len(at) - FRAMES + 1, EVERY):
                    found = _window(moved[start - 1 : start + FRAMES])
                    if found is None:
                        continue
                    pose, speed = found
                    rate = (when[start + FRAMES - 1] - when[start - 1]) * FPS / FRAMES  # cycles a second
                    measured = {"stride": speed / rate, "cadence": 120.0 * rate}
                    poses.append(pose)
                    params.append([(own | measured).get(name, DEFAULTS.get(name, 1.0)) for name in names])
                    phases.append(when[start] % 1.0)
                    walkers.append(walker)
    empty = np.zeros((0, FRAMES, POSE_LAYOUT.size), np.float32)
    return Windows(
        np.stack(poses).astype(np.float32) if poses else empty,
        np.array(params).reshape(len(poses), len(names)),
        np.array(phases),
        tuple(walkers),
    )


def played(qpos: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Poses at fractional frames (k,), linearly; the root's quaternion is normalised after it."""
    whole = np.minimum(at.astype(int), len(qpos) - 2)
    share = (at - whole)[:, None]
    after = qpos[whole + 1]
    sign = np.where((qpos[whole, 3:7] * after[:, 3:7]).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    after = np.concatenate([after[:, :3], sign * after[:, 3:7], after[:, 7:]], axis=1)
    out = qpos[whole] * (1 - share) + after * share
    out[:, 3:7] /= np.linalg.norm(out[:, 3:7], axis=1, keepdims=True)
    return out


def _window(qpos: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Poses (60, 101) and the speed (m/s) of 61 frames (61, 57), the first of which only gives the first displacement;
    None where they turn or hardly move."""
    ways = qpos[[FRAMES // 2, FRAMES], :2] - qpos[[0, FRAMES // 2], :2]
    way = ways.sum(axis=0)
    speed = float(np.linalg.norm(way)) * FPS / FRAMES
    path = np.arctan2(ways[:, 1], ways[:, 0])
    if speed < SLOWEST or abs(float(wrap_angle(path[1] - path[0]))) > TURN:
        return None
    angle = -np.arctan2(way[1], way[0])
    c, s = np.cos(angle), np.sin(angle)
    place = qpos[:, :2] @ np.array([[c, s], [-s, c]])
    root = quat_mul(yaw_quat(np.full(len(qpos), angle)), qpos[:, 3:7])
    straight = np.concatenate([place, qpos[:, 2:3], root, qpos[:, 7:]], axis=1)
    return pose_to_six_dof(straight[1:], before=straight[0, :2]), speed
