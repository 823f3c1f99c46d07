"""The features that a discriminator sees: one extractor for policy and reference motion.

A simulated state and a clip's frame both pass through `amp_features` with the same five quantities, so
the discriminator can only tell them apart by how they move.
"""

from __future__ import annotations

import numpy as np

from gait_envs.layout import Layout, Row
from gait_envs.reference.clip import Clip
from gait_envs.rotations import dot, half_turn_to_heading, quat_rotate, rotate_about_z

MOVING = 0.1  # m/s, below which the direction of travel is noise and is set to zero
CONTACT_SCALE = 10.0  # N, the force at which WildRobot's contacts read tanh(1) = 0.76; a sole bears 33 N at rest


def amp_layout(joints: int, contact_scale: float = CONTACT_SCALE) -> Layout:
    """The table of the AMP features of a body with this many joints."""
    sides = "left toe, left heel, right toe, right heel"
    return Layout(
        (
            Row("joint_position", joints, "rad", "all servos, absolute"),
            Row("joint_velocity", joints, "rad/s", "all servos"),
            Row(
                "velocity_direction",
                3,
                "1",
                "unit vector of the root's velocity, heading frame; zero below 0.1 m/s",
            ),
            Row("angular_velocity", 3, "rad/s", "of the root, heading frame"),
            Row("height", 1, "m", "of the root above the floor"),
            Row("foot_contact", 4, "1", f"tanh(force / {contact_scale:g} N): {sides}"),
        )
    )


AMP_LAYOUT = amp_layout(9)  # WildRobot's


def amp_features(
    qpos: np.ndarray,
    qvel: np.ndarray,
    foot_force: np.ndarray,
    contact_scale: float = CONTACT_SCALE,
    heading: tuple[tuple[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """AMP features of states with k joints: (n, 7 + k), (n, 6 + k), (n, 4) N in, (n, 11 + 2 k) float32 out.

    Directions are in the heading frame, so that turning the whole motion changes nothing; speed is left
    out on purpose (only its direction is in), so that one style serves every commanded speed. `heading`: where they
    are known already, what `half_turn_to_heading` gives, and the root's velocity (n, 3) m/s in the heading frame.
    """
    quat = qpos[..., 3:7]
    if heading is None:
        turn = half_turn_to_heading(quat)
        velocity = rotate_about_z(turn, qvel[..., :3])
    else:
        turn, velocity = heading
    speed = np.sqrt(dot(velocity, velocity))[..., None]
    direction = np.where(speed > MOVING, velocity / (speed + 1e-8), 0.0)
    angular = rotate_about_z(turn, quat_rotate(quat, qvel[..., 3:6]))
    contact = np.tanh(foot_force / contact_scale)
    parts = [qpos[..., 7:], qvel[..., 6:], direction, angular, qpos[..., 2:3], contact]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def clip_features(clip: Clip, contact_scale: float = CONTACT_SCALE) -> np.ndarray:
    """AMP features of every frame of a clip, (T, 11 + 2 joints) float32."""
    if clip.contacts is None:
        raise ValueError(f"clip {clip.name!r} has no contacts; record it in simulation (see docs/amp.md)")
    return amp_features(clip.qpos, clip.qvel, clip.contacts, contact_scale)
