"""Similarity of a policy's gait to its reference: a linear classifier, and the mean cycle of each joint.

*Gap* is the cross-validated accuracy of a logistic regression that tells windows of the policy's motion from windows
of the reference (a classifier two-sample test; D. Lopez-Paz and M. Oquab, ICLR 2017): 0.5 is indistinguishable. It
has no part in training, so that no policy can have learned to please it. The other figures say where the difference
lies: trunk lean, cadence, and each joint's mean cycle against the reference's at the same speed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gait_envs.biomechanics.events import stance, touchdowns
from gait_envs.constants import GRAVITY
from gait_envs.models.robot import Robot
from gait_envs.reference.amp_features import amp_features, clip_features
from gait_envs.reference.clip import Clip
from gait_envs.reference.library import EMBEDDED_SETS, load_clips
from gait_envs.rotations import heading_frame, quat_rotate_inverse
from gait_trainers.evaluation.gait_metrics import STANCE_LOAD, Rollout, after_warmup

WINDOW = 2  # frames
WINDOWS = 4000  # of each kind that the judge sees
FOLDS = 5
CYCLE_POINTS = 50  # of a mean cycle, from a left touchdown to the next
NEAR = 0.05 + 1e-3  # m/s, largest difference of the speeds at which gaits are compared
SPEEDS = (0.2 - 1e-6, 0.6 + 1e-6)  # m/s, commanded, of the windows that the judge sees
ASIDE, STANDING = 0.03, 0.05  # m/s, a clip that drifts aside faster, or walks slower, is no walk straight ahead
HARDLY = 1e-3  # rad, standard deviation of a joint below which its correlation says nothing


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


def rollout_windows(rollout: Rollout, contact_scale: float, episodes: np.ndarray, frames: int = WINDOW) -> Windows:
    """Windows of the measured frames, after the first second, of those of the rollout's n episodes: (k,) indices."""
    features = amp_features(rollout.qpos, rollout.qvel, rollout.foot_force, contact_scale)
    measured = after_warmup(rollout.valid, rollout.dt)
    return _grouped([features[measured[:, i], i] for i in episodes], frames)


def clip_windows(clips: Sequence[Clip], contact_scale: float, frames: int = WINDOW) -> Windows:
    """Windows of reference clips, each a group."""
    return _grouped([clip_features(clip, contact_scale) for clip in clips], frames)


def _grouped(sequences: Sequence[np.ndarray], length: int) -> Windows:
    """Every window of `length` frames in each of the sequences (T_i, d)."""
    parts = []
    for frames in sequences:
        count = max(0, len(frames) - length + 1)
        parts.append(np.concatenate([frames[i : i + count] for i in range(length)], axis=1))
    return Windows(np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]))


# -- the mean cycle ------------------------------------------------------------------------------------


class Cycle(NamedTuple):
    """A gait's mean over its cycles, from a left touchdown to the next."""

    joints: np.ndarray  # (CYCLE_POINTS, nu) rad
    lean: float  # rad, mean forward pitch of the trunk
    cadence: float  # steps/min


def mean_cycle(qpos: np.ndarray, foot_force: np.ndarray, dt: float, mass: float) -> Cycle | None:
    """The mean cycle of one walk, qpos (T, nq), foot_force (T, 4) N; None with fewer than two whole cycles."""
    contact = stance(foot_force[:, None], STANCE_LOAD * mass * GRAVITY, np.ones((len(qpos), 1), bool))
    landed = touchdowns(contact, np.ones((len(qpos), 1), bool))[:, 0]
    left = np.flatnonzero(landed[:, 0])
    if len(left) < 3:
        return None
    grid = np.linspace(0.0, 1.0, CYCLE_POINTS, endpoint=False)
    times, frames = np.arange(len(qpos)), np.concatenate([a + grid * (b - a) for a, b in itertools.pairwise(left)])
    joints = np.stack([np.interp(frames, times, angle) for angle in qpos[:, 7:].T], axis=1)
    cycle = joints.reshape(len(left) - 1, CYCLE_POINTS, -1).mean(axis=0)
    steps = landed[left[0] + 1 : left[-1] + 1].sum()  # of whole cycles, or a short clip loses one at its ends
    return Cycle(cycle, float(trunk_lean(qpos[:, 3:7]).mean()), 60.0 * steps / ((left[-1] - left[0]) * dt))


def clip_cycle(clip: Clip, mass: float) -> Cycle | None:
    """The mean cycle of a clip with contacts; a loop, which may be a single cycle, is played three times."""
    assert clip.contacts is not None
    rows = np.arange(len(clip.qpos))
    if clip.loop:
        rows = np.tile(rows[:-1], 3)  # its last frame is its first
    return mean_cycle(clip.qpos[rows], clip.contacts[rows], 1.0 / clip.fps, mass)


def trunk_lean(quat: np.ndarray) -> np.ndarray:
    """Forward pitch of the root, (..., 4) wxyz -> (...,) rad; positive leans forward."""
    down = quat_rotate_inverse(quat, np.broadcast_to([0.0, 0.0, -1.0], (*quat.shape[:-1], 3)))
    return np.arctan2(down[..., 0], -down[..., 2])


def mean_of(cycles: Sequence[Cycle]) -> Cycle:
    """The mean of several walks' cycles, each counted once."""
    joints, lean, cadence = zip(*cycles, strict=True)
    return Cycle(np.mean(joints, axis=0), float(np.mean(lean)), float(np.mean(cadence)))


def compare_cycles(ours: Cycle, theirs: Cycle, joint_names: Sequence[str]) -> dict[str, Any]:
    """How a mean cycle differs from the reference's: per joint correlation (None where one hardly moves) and RMS, rad;
    trunk lean, rad; cadence, as a share of the reference's.
    """
    correlation: dict[str, float | None] = {}
    for j, name in enumerate(joint_names):
        a, b = ours.joints[:, j], theirs.joints[:, j]
        moving = min(a.std(), b.std()) > HARDLY
        correlation[name] = float(np.corrcoef(a, b)[0, 1]) if moving else None
    rms = np.sqrt(np.mean((ours.joints - theirs.joints) ** 2, axis=0))
    return {
        "trunk_lean_off": ours.lean - theirs.lean,
        "cadence_off": ours.cadence / theirs.cadence - 1.0,
        "joint_correlation": correlation,
        "joint_rms": dict(zip(joint_names, rms.tolist(), strict=True)),
    }


# -- a policy against its robot's reference ------------------------------------------------------------


class StyleJudge:
    """Compares walks with clips of the same robot, of which those straight ahead count."""

    def __init__(self, robot: Robot, clips: Sequence[Clip]) -> None:
        """`clips` need contacts. Windows are those at the judged speeds or, where there are none, of all speeds."""
        self.robot, self.scale = robot, robot.traits.contact_scale
        straight = [clip for clip in clips if walks_straight(clip)]
        judged = [clip for clip in straight if SPEEDS[0] - NEAR <= mean_velocity(clip)[0] <= SPEEDS[1] + NEAR]
        self.reference = clip_windows(judged or straight, self.scale)
        cycles = [clip_cycle(clip, robot.mass) for clip in straight]
        self._cycles = [(mean_velocity(clip)[0], cycle) for clip, cycle in zip(straight, cycles, strict=True) if cycle]
        self._walks: list[Windows] = []

    @classmethod
    def of(cls, robot: Robot) -> StyleJudge | None:
        """With the embedded set of this robot; None where there is none with contacts."""
        if robot.name not in EMBEDDED_SETS:
            return None
        clips = list(load_clips(EMBEDDED_SETS[robot.name]))
        return cls(robot, clips) if all(clip.contacts is not None for clip in clips) else None

    def watch(self, rollout: Rollout) -> None:
        """Keep the windows of the episodes that were commanded to walk straight ahead at a judged speed."""
        vx, vy, rate = rollout.command.T
        judged = (vx >= SPEEDS[0]) & (vx <= SPEEDS[1]) & (vy == 0) & (rate == 0)
        if judged.any():
            self._walks.append(rollout_windows(rollout, self.scale, np.flatnonzero(judged)))

    def gap(self) -> float | None:
        """`linear_gap` of what was watched; None where too little was."""
        if not self._walks:
            return None
        groups = np.cumsum([0, *(walk.group.max(initial=-1) + 1 for walk in self._walks)])
        values = np.concatenate([walk.values for walk in self._walks])
        group = np.concatenate([walk.group + first for walk, first in zip(self._walks, groups[:-1], strict=True)])
        found = linear_gap(Windows(values, group), self.reference)
        return found if np.isfinite(found) else None

    def compare(self, cycles: Sequence[Cycle], speed: float) -> dict[str, Any] | None:
        """Walks at a commanded speed against the reference's clips of that speed; None where one has none."""
        theirs = self.reference_cycle(speed)
        return compare_cycles(mean_of(cycles), theirs, self.robot.joint_names) if cycles and theirs else None

    def reference_cycle(self, speed: float) -> Cycle | None:
        """The mean cycle of the reference's clips of a speed, m/s; None where it has none."""
        theirs = [cycle for known, cycle in self._cycles if abs(known - speed) <= NEAR]
        return mean_of(theirs) if theirs else None

    def cycles(self, rollout: Rollout) -> list[Cycle | None]:
        """The mean cycle of each of the rollout's episodes, its first second left out."""
        measured = after_warmup(rollout.valid, rollout.dt)
        return [
            mean_cycle(rollout.qpos[m, i], rollout.foot_force[m, i], rollout.dt, float(rollout.mass[i]))
            for i, m in enumerate(measured.T)
        ]


def mean_velocity(clip: Clip) -> np.ndarray:
    """Mean forward and leftward velocity (2,) of a clip in its heading, m/s."""
    return np.asarray(heading_frame(clip.qpos[:, 3:7], clip.qvel[:, :3])[:, :2].mean(axis=0))


def walks_straight(clip: Clip) -> bool:
    """Whether a clip is a walk straight ahead, neither standing nor stepping aside."""
    ahead, aside = mean_velocity(clip)
    return bool(ahead >= STANDING and abs(aside) <= ASIDE)
