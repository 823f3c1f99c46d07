"""How much a low-pass filter blunts foot strikes, the fastest events of a walk."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.signal import find_peaks

from gait_envs.mocap.capture import Skeleton, SkeletonMotion, forward_kinematics
from gait_envs.mocap.cleaning.signal import derivative

# A strike: the ankle came down at this speed, and is stopped this hard, m/s and m/s²; from walks at 120 Hz.
_DOWN, _HARD = 0.3, 10.0
_BEFORE, _ABOUT = 0.15, 0.05  # s before a strike in which the foot falls; s about it in which the peak may move
_APART = 0.25  # s between strikes of one foot
_TOLD = 0.1  # a mean loss above this is worth a warning
_LISTED = 3


@dataclass
class Strikes:
    """Foot strikes of a capture and what a filter leaves of them, collected window by window."""

    feet: dict[str, int]  # side -> node of the ankle
    # Time (s), side, upward acceleration before and after (m/s²), downward speed before and after (m/s).
    found: list[tuple[float, str, float, float, float, float]] = field(default_factory=list)
    _most: int = 10_000

    def add(self, skeleton: Skeleton, fps: float, raw, filtered, first: int, start: int, stop: int) -> None:
        """Compare `raw` and `filtered` (each rotations, translations; m, z up), frames from `first` on.

        Strikes in the frames [start, stop) of the capture count.
        """
        heights = [_heights(skeleton, self.feet, fps, *motion) for motion in (raw, filtered)]
        for side in self.feet:
            speed = [derivative(height[side], fps) for height in heights]
            push = [derivative(v, fps) for v in speed]
            for at in _strikes(push[0], speed[0], fps):
                if start <= at + first < stop and len(self.found) < self._most:
                    about = slice(max(at - round(_ABOUT * fps), 0), at + round(_ABOUT * fps) + 1)
                    fall = slice(max(at - round(_BEFORE * fps), 0), at + 1)
                    pushes, falls = [p[about].max() for p in push], [-v[fall].min() for v in speed]
                    self.found.append(((at + first) / fps, side, pushes[0], pushes[1], falls[0], falls[1]))

    def notes(self, what: str) -> list[str]:
        """A warning in words if the filter, called `what`, blunts the strikes; else nothing."""
        if not self.found:
            return []
        figures = np.maximum([row[2:] for row in self.found], 0.0)  # (strikes, 4)
        before, after = figures.sum(axis=0).reshape(2, 2).T  # acceleration, speed
        lost = np.maximum(1 - after / before, 0.0)
        if lost.max() <= _TOLD:
            return []
        worst = np.argsort(figures[:, 1] - figures[:, 0])[:_LISTED]
        listed = ", ".join(
            f"{self.found[i][0]:.2f} s ({self.found[i][1]}, {figures[i, 0]:.0f} to {figures[i, 1]:.0f} m/s²)"
            for i in sorted(worst)
        )
        return [
            f"{what} blunts foot strikes: over {len(figures)} of them the ankles' upward acceleration loses "
            f"{100 * lost[0]:.0f} % and their speed before {100 * lost[1]:.0f} %, most at {listed}"
        ]


def _heights(
    skeleton: Skeleton, feet: dict[str, int], fps: float, rotations: np.ndarray, translations: np.ndarray
) -> dict[str, np.ndarray]:
    """Height (T,) of each ankle, by the joints above it alone."""
    chain: set[int] = set()
    for node in feet.values():
        while node >= 0:
            chain.add(node)
            node = int(skeleton.parents[node])
    kept = sorted(chain)
    place = {node: i for i, node in enumerate(kept)}
    parents = np.array([place.get(int(skeleton.parents[node]), -1) for node in kept])
    part = Skeleton(tuple(skeleton.names[node] for node in kept), parents, skeleton.offsets[kept])
    position, _ = forward_kinematics(SkeletonMotion(part, rotations[:, kept], translations[:, kept], fps))
    return {side: position[:, place[node], 2] for side, node in feet.items()}


def _strikes(push: np.ndarray, speed: np.ndarray, fps: float) -> list[int]:
    """Frames at which a falling foot is stopped, by its vertical acceleration and speed (T,)."""
    peaks, _ = find_peaks(push, height=_HARD, distance=max(1, round(_APART * fps)))
    before = round(_BEFORE * fps)
    return [int(at) for at in peaks if -speed[max(at - before, 0) : at + 1].min() > _DOWN]
