"""Similarity of a policy's gait to its reference: a linear classifier, and the mean cycle of each joint.

*Gap* is the cross-validated accuracy of a logistic regression that tells windows of the policy's motion from windows
of the reference (a classifier two-sample test; D. Lopez-Paz and M. Oquab, ICLR 2017): 0.5 is indistinguishable. It
has no part in training, so that no policy can have learned to please it. The other figures say where the difference
lies: trunk lean, cadence, and each joint's mean cycle against the reference's at the same speed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gait_envs.constants import GRAVITY
from gait_envs.reference.amp_features import amp_features, clip_features
from gait_envs.reference.clip import Clip
from gait_envs.rotations import heading_frame, quat_rotate_inverse
from gait_trainers.evaluation.gait_metrics import STANCE_LOAD, Rollout, after_warmup, stance

WINDOW = 2  # frames
WINDOWS = 4000  # of each kind that the judge sees
FOLDS = 5
CYCLE_POINTS = 50  # of a mean cycle, from a left touchdown to the next
NEAR = 0.051  # m/s, largest difference of the speeds at which gaits are compared


class Windows(NamedTuple):
    """Windows of consecutive feature frames, oldest first, and the episode or clip that each is from."""

    values: np.ndarray  # (m, frames · d)
    group: np.ndarray  # (m,) int


# -- the judge -----------------------------------------------------------------------------------------


def linear_gap(policy: Windows, reference: Windows, seed: int = 0) -> float:
    """Cross-validated balanced accuracy of a logistic regression (L2, C = 1), folds by episode and clip, 0.5 … 1.

    Windows are standardised by the training folds' own mean and deviation. NaN with fewer than two groups of a kind.
    """
    rng = np.random.default_rng(seed)
    policy, reference = (_thinned(windows, WINDOWS, rng) for windows in (policy, reference))
    folds = [_folds(windows.group, rng) for windows in (policy, reference)]
    if any(len(np.unique(windows.group)) < 2 for windows in (policy, reference)):
        return float("nan")
    x = np.concatenate([policy.values, reference.values]).astype(float)
    y = np.concatenate([-np.ones(len(policy.values)), np.ones(len(reference.values))])
    fold = np.concatenate(folds)
    right = np.zeros(len(y), dtype=bool)
    for k in range(FOLDS):
        test = fold == k
        if not test.any() or test.all():
            continue
        mean, std = x[~test].mean(axis=0), np.maximum(x[~test].std(axis=0), 1e-6)
        weights, bias = logistic_regression((x[~test] - mean) / std, y[~test])
        right[test] = (((x[test] - mean) / std) @ weights + bias > 0) == (y[test] > 0)
    return 0.5 * float(right[y > 0].mean() + right[y < 0].mean())


def logistic_regression(x: np.ndarray, y: np.ndarray, c: float = 1.0) -> tuple[np.ndarray, float]:
    """Minimise ½ |w|² + c Σ log(1 + exp(−y (x·w + b))) by Newton's method: x (m, d), y (m,) of ±1 -> w (d,), b."""
    a = np.column_stack([x, np.ones(len(x))])
    penalty = np.append(np.ones(x.shape[1]), 0.0)
    theta = np.zeros(a.shape[1])

    def cost(theta: np.ndarray) -> float:
        return float(c * np.logaddexp(0.0, -y * (a @ theta)).sum() + 0.5 * (penalty * theta**2).sum())

    now = cost(theta)
    for _ in range(100):
        p = 0.5 * (1.0 - np.tanh(0.5 * y * (a @ theta)))  # 1 / (1 + exp(margin)), without overflow
        gradient = penalty * theta - c * a.T @ (y * p)
        hessian = c * (a * (p * (1 - p))[:, None]).T @ a + np.diag(penalty + 1e-9)
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while size > 1e-4 and cost(theta - size * step) > now - 1e-4 * size * float(gradient @ step):
            size /= 2
        theta = theta - size * step
        before, now = now, cost(theta)
        if before - now < 1e-7 * max(1.0, now):
            break
    return theta[:-1], float(theta[-1])


def _folds(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fold for each window, whole groups together."""
    names, member = np.unique(group, return_inverse=True)
    return (rng.permutation(len(names)) % FOLDS)[member]


def _thinned(windows: Windows, most: int, rng: np.random.Generator) -> Windows:
    if len(windows.values) <= most:
        return windows
    picks = np.sort(rng.choice(len(windows.values), most, replace=False))
    return Windows(windows.values[picks], windows.group[picks])


def rollout_windows(rollout: Rollout, contact_scale: float, frames: int = WINDOW) -> Windows:
    """Windows of the measured frames of every episode, after the first second."""
    features = amp_features(rollout.qpos, rollout.qvel, rollout.foot_force, contact_scale)
    measured = after_warmup(rollout.valid, rollout.dt)
    parts, groups = [], []
    for i in range(features.shape[1]):
        own = _consecutive(features[measured[:, i], i], frames)
        parts.append(own)
        groups.append(np.full(len(own), i))
    return Windows(np.concatenate(parts), np.concatenate(groups))


def clip_windows(clips: Sequence[Clip], contact_scale: float, frames: int = WINDOW) -> Windows:
    """Windows of reference clips; clips of one speed and kind are near-copies, so a group is a speed."""
    parts = [_consecutive(clip_features(clip, contact_scale), frames) for clip in clips]
    speeds = np.array([round(mean_speed(clip), 1) for clip in clips])
    _, group = np.unique(speeds, return_inverse=True)
    return Windows(np.concatenate(parts), np.repeat(group, [len(part) for part in parts]))


def _consecutive(frames: np.ndarray, length: int) -> np.ndarray:
    count = max(0, len(frames) - length + 1)
    return np.concatenate([frames[i : i + count] for i in range(length)], axis=1)


# -- the mean cycle ------------------------------------------------------------------------------------


class Cycle(NamedTuple):
    """A gait's mean over its cycles, from a left touchdown to the next."""

    joints: np.ndarray  # (CYCLE_POINTS, nu) rad
    lean: float  # rad, mean forward pitch of the trunk
    cadence: float  # steps/min


def mean_cycle(qpos: np.ndarray, foot_force: np.ndarray, dt: float, mass: float) -> Cycle | None:
    """The mean cycle of one walk, qpos (T, nq), foot_force (T, 4) N; None with fewer than two whole cycles."""
    contact = stance(foot_force[:, None], STANCE_LOAD * mass * GRAVITY, np.ones((len(qpos), 1), bool))[:, 0]
    landed = [np.flatnonzero(contact[1:, side] & ~contact[:-1, side]) + 1 for side in (0, 1)]
    left = landed[0]
    if len(left) < 3:
        return None
    grid = np.linspace(0.0, 1.0, CYCLE_POINTS, endpoint=False)
    joints = qpos[:, 7:]
    cycles = []
    for first, last in itertools.pairwise(left):
        at = first + grid * (last - first)
        low = np.floor(at).astype(int)
        share = (at - low)[:, None]
        cycles.append((1 - share) * joints[low] + share * joints[np.minimum(low + 1, len(joints) - 1)])
    return Cycle(
        np.mean(cycles, axis=0), float(trunk_lean(qpos[:, 3:7]).mean()), 60.0 * sum(map(len, landed)) / (len(qpos) * dt)
    )


def trunk_lean(quat: np.ndarray) -> np.ndarray:
    """Forward pitch of the root, (..., 4) wxyz -> (...,) rad; positive leans forward."""
    down = quat_rotate_inverse(quat, np.broadcast_to([0.0, 0.0, -1.0], (*quat.shape[:-1], 3)))
    return np.arctan2(down[..., 0], -down[..., 2])


def compare_cycles(ours: Cycle, theirs: Cycle, joint_names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per joint: correlation (NaN where one hardly moves) and RMS difference, rad, of the mean cycles."""
    out = {}
    for j, name in enumerate(joint_names):
        a, b = ours.joints[:, j], theirs.joints[:, j]
        moving = min(a.std(), b.std()) > 1e-3
        out[name] = {
            "correlation": float(np.corrcoef(a, b)[0, 1]) if moving else float("nan"),
            "rms": float(np.sqrt(np.mean((a - b) ** 2))),
        }
    return out


def mean_speed(clip: Clip) -> float:
    """Mean forward speed of a clip in its own heading, m/s."""
    return float(heading_frame(clip.qpos[:, 3:7], clip.qvel[:, :3])[:, 0].mean())
