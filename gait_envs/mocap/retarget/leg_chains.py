"""Legs identified by the shape of a skeleton, for rigs with unknown joint names: other languages, codes, unusual words.

A leg is a chain hip, knee, ankle with a twin of the same lengths that hangs on the same joint. Of all such twins (arms,
fingers, straps) the legs are the longest whose two bones are about as long as each other and that end in a foot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from gait_envs.mocap.capture import Skeleton

SIDES = ("left", "right")
_ALIKE = 0.08  # by what share bones of twins may differ
_BONES = (0.6, 1.67)  # shank over thigh
_SHARE = 0.25  # of the skeleton's longest chain: what is shorter is a finger
_SIDE_WORDS = {"left": r"left|links|gauche|izq|sinistr|左", "right": r"right|rechts|droit|derech|destr|右"}
_SIDE_LETTERS = {"left": r"(?:^|[^a-z])l(?:$|[^a-z])", "right": r"(?:^|[^a-z])r(?:$|[^a-z])"}


def find_legs(skeleton: Skeleton) -> dict[str, int]:
    """Nodes of both hips, knees, ankles and toes (where there are any) by role; empty where no legs stand out."""
    lengths = np.linalg.norm(skeleton.offsets, axis=1)
    limbs = [limb for node in range(len(skeleton.names)) for limb in _limbs(skeleton, lengths, node)]
    best: tuple[float, tuple[int, ...], tuple[int, ...]] | None = None
    for i, a in enumerate(limbs):
        for b in limbs[i + 1 :]:
            size = float(lengths[list(a[1:3])].sum())
            if _twins(skeleton, lengths, a, b) and (best is None or size > best[0]):
                best = size, a, b
    if best is None or best[0] < _SHARE * _reach(skeleton, lengths):
        return {}
    sides = _sides(skeleton, best[1], best[2])
    if sides is None:
        return {}
    parts = ("hip", "knee", "ankle", "toe")
    return {f"{side}_{part}": node for side, leg in zip(SIDES, sides, strict=True)
            for part, node in zip(parts, leg, strict=False)}  # fmt: skip


def _limbs(skeleton: Skeleton, lengths: np.ndarray, hip: int) -> Iterator[tuple[int, ...]]:
    """Chains hip, knee, ankle and toe that begin at a node; joints within a bone (twists) are passed over."""
    if skeleton.parents[hip] < 0:
        return
    for knee in _next(skeleton, lengths, hip):
        for ankle in _next(skeleton, lengths, knee):
            if _BONES[0] <= lengths[ankle] / lengths[knee] <= _BONES[1]:
                for toe in _next(skeleton, lengths, ankle):
                    if lengths[toe] < 0.75 * lengths[ankle]:
                        yield hip, knee, ankle, toe


def _next(skeleton: Skeleton, lengths: np.ndarray, node: int) -> list[int]:
    """Children that are elsewhere than the node."""
    return [child for child in skeleton.children(node) if lengths[child] > 1e-9]


def _twins(skeleton: Skeleton, lengths: np.ndarray, a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Do two limbs hang on one joint, apart from each other, with the same lengths?"""
    if set(a) & set(b) or skeleton.parents[a[0]] != skeleton.parents[b[0]]:
        return False
    mine, theirs = lengths[list(a)], lengths[list(b)]
    apart = float(np.linalg.norm(skeleton.offsets[a[0]] - skeleton.offsets[b[0]]))
    return bool((np.abs(mine - theirs) <= _ALIKE * np.maximum(mine, theirs)).all()) and apart > 0.05 * mine[1]


def _reach(skeleton: Skeleton, lengths: np.ndarray) -> float:
    """How far the bones lead from the root at most."""
    far = np.zeros(len(lengths))
    for node, parent in enumerate(skeleton.parents):
        far[node] = far[parent] + lengths[node] if parent >= 0 else 0.0
    return float(far.max())


def _sides(
    skeleton: Skeleton, a: tuple[int, ...], b: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The left and the right of two legs: by words for the sides in their names, else by where the toes point."""
    named = [_named_side([skeleton.names[node] for node in leg]) for leg in (a, b)]
    if set(named) == set(SIDES):
        return (a, b) if named[0] == "left" else (b, a)
    if any(named):
        return None  # only one of them says it, or both say the same
    # At rest, without rotations: up is from the ankles to the hips, ahead where the toes are from the ankles.
    up = -sum(skeleton.offsets[list(leg[1:3])].sum(axis=0) for leg in (a, b))
    ahead = skeleton.offsets[a[3]] + skeleton.offsets[b[3]]
    left = np.cross(up, ahead)
    side = float((skeleton.offsets[a[0]] - skeleton.offsets[b[0]]) @ left)
    scale = float(np.linalg.norm(left) * np.linalg.norm(skeleton.offsets[a[0]] - skeleton.offsets[b[0]]))
    if abs(side) <= 0.5 * scale:
        return None  # the rest pose does not tell
    return (a, b) if side > 0 else (b, a)


def _named_side(names: list[str]) -> str | None:
    """The side that most of a leg's names tell; None where they do not, or not alike."""
    for patterns in (_SIDE_WORDS, _SIDE_LETTERS):
        votes = {
            side: sum(bool(re.search(pattern, name.lower())) for name in names) for side, pattern in patterns.items()
        }
        if votes["left"] != votes["right"]:
            return max(votes, key=lambda side: votes[side])
    return None
