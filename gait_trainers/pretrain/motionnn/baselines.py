"""Predictions that need no network: what any model of motion must beat. States (n, K, 2 C) as in `figures`."""

from __future__ import annotations

import numpy as np
import torch

from gait_trainers.data.motion_frames import MotionFrames
from gait_trainers.data.motion_state import YAW
from gait_trainers.data.windows import cut_windows
from gait_trainers.models.motion.encodings import Encoding
from gait_trainers.pretrain.motionnn.mean_cycle import MeanCycle


def repeat(last: np.ndarray, steps: int) -> np.ndarray:
    """The last state (n, 2 C) stands still."""
    out = np.repeat(last[:, None], steps, 1)
    out[..., last.shape[1] // 2 :] = 0.0
    return out


def constant_velocity(last: np.ndarray, steps: int, fps: float) -> np.ndarray:
    """The last state (n, 2 C) goes on at its rates."""
    size = last.shape[1] // 2
    out = np.repeat(last[:, None], steps, 1)
    time = np.arange(1, steps + 1)[:, None] / fps
    out[..., :size] += time * last[:, None, size:]
    return out


def mean_pose(last: np.ndarray, steps: int, pose: np.ndarray) -> np.ndarray:
    """The mean pose (C,) of the training frames, where the body is, facing where it faces."""
    out = repeat(last, steps)
    size = last.shape[1] // 2
    kept = [0, 1, YAW]
    place = out[..., kept].copy()
    out[..., :size] = pose
    out[..., kept] = place
    return out


def mean_cycle(cycle: MeanCycle, phase: np.ndarray, speed: np.ndarray, path: np.ndarray, fps: float) -> np.ndarray:
    """The mean cycle at phases (n, K + 1, 2) as sine and cosine, speeds (n, K + 1, 1) and on a path (n, K + 1, 3), of
    which the first frame is the last given one."""
    q = cycle.coordinates(np.arctan2(phase[..., 0], phase[..., 1]), speed[..., 0], path)
    return np.concatenate([q[:, 1:], np.diff(q, axis=1) * fps], axis=-1)


def nearest_window(
    last: np.ndarray, steps: int, frames: MotionFrames, ends: np.ndarray, encoding: Encoding
) -> np.ndarray | None:
    """What followed the most similar training frame, moved to where the body is. frames: training clips end to end;
    ends (clips,): the row after each one's last. None where no training clip is as long."""
    starts = np.concatenate([[0], ends[:-1]])
    rows = np.concatenate([np.arange(a, max(b - steps, a)) for a, b in zip(starts, ends, strict=True)])
    if not len(rows):
        return None
    with torch.no_grad():
        database = encoding(torch.from_numpy(frames.state[rows])).numpy()
        asked = encoding(torch.from_numpy(last)).numpy()
    scale = np.maximum(database.std(0), 1e-3)
    database, asked = database / scale, asked / scale
    distance = (asked**2).sum(1)[:, None] - 2 * asked @ database.T + (database**2).sum(1)
    found = cut_windows(frames, rows[distance.argmin(1)], steps + 1).state[:, 1:]
    return placed(found, last)


def placed(windows: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Windows (n, K, 2 C) that begin over the origin facing +x, moved to where states (n, 2 C) stand and face."""
    size = last.shape[1] // 2
    out = windows.copy()
    cos, sin = np.cos(last[:, None, YAW]), np.sin(last[:, None, YAW])
    for at in (0, size):
        x, y = windows[..., at], windows[..., at + 1]
        out[..., at], out[..., at + 1] = cos * x - sin * y, sin * x + cos * y
    out[..., :2] += last[:, None, :2]
    out[..., YAW] += last[:, None, YAW]
    return out
