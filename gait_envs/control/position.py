"""Position targets: from an action to servo targets."""

from __future__ import annotations

from gait_envs.rotations import Array, array_namespace


def low_pass(action: Array, previous: Array, alpha: float) -> Array:
    """First-order low-pass filter: alpha · new + (1 - alpha) · old; alpha = 1 passes everything."""
    return alpha * action + (1.0 - alpha) * previous


def servo_target(action: Array, home: Array, scale: Array, lower: Array, upper: Array) -> Array:
    """Action (n, nu) in [-1, 1] about the home pose, `scale` rad a unit, kept within the limits."""
    xp = array_namespace(action)
    return xp.minimum(xp.maximum(home + scale * action, lower), upper)


def action_holding(joints: Array, home: Array, scale: Array) -> Array:
    """The action whose target is the pose `joints` (rad), as near as [-1, 1] allows."""
    xp = array_namespace(joints)
    return xp.clip((joints - home) / scale, -1.0, 1.0)
