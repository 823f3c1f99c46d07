"""What the reference's joints do beside what actions can ask of them: no training finds a pose that they cannot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RARE = 0.5  # percent of the reference's frames at either end that do not count
NEARLY = 0.1  # rad, by which a limb swings beyond the target of its servo


def beyond_reach(
    joints: np.ndarray, targets: np.ndarray, limits: np.ndarray, scale: float, joint_names: Sequence[str]
) -> list[str]:
    """Warnings for joints that the reference moves farther than actions move their targets.

    joints (T, J) rad, of the reference; targets (2, J) rad, the least and the greatest of actions within [-1, 1] about
    the home pose with `env.kwargs.action_scale` `scale`; limits (2, J) rad, of the targets, beyond which no scale
    helps.
    """
    shown = np.percentile(joints, [RARE, 100.0 - RARE], axis=0)
    outward = np.array([[-1.0], [1.0]])
    missing = outward * (np.clip(shown, *limits) - targets)
    found = []
    for j in np.flatnonzero((missing > NEARLY).any(axis=0)).tolist():
        end = int(np.argmax(missing[:, j]))
        found.append(
            f"the reference moves {joint_names[j]} to {shown[end, j]:.2f} rad, actions to {targets[end, j]:.2f}: raise "
            f"env.kwargs.action_scale, which is {scale:g}, or no training finds that pose"
        )
    return found
