"""When a robot's soles stand in a clip that does not say so, such as one that was edited."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gait_envs.biomechanics.events import stance_by_motion
from gait_envs.mocap.cleaning.signal import derivative
from gait_envs.mocap.quality import Poses, carry, robot_poses
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.reference.clip import Clip

# A box of a sole stands while it is lower and slower than this, in leg lengths and leg lengths per second.
_LOW, _SLOW = 0.02, 0.5
_SHORTEST = 0.06  # s, briefer contacts and gaps are noise


def standing(poses: Poses, fps: float, body: Body) -> np.ndarray:
    """Which boxes of the soles stand on the floor at z = 0: (T, contacts) bool."""
    height = poses.corners[..., 2].min(axis=2)
    speed = np.linalg.norm(derivative(poses.patches, fps), axis=-1)
    low, slow = _LOW * body.leg_length, _SLOW * body.leg_length
    boxes = zip(height.T, speed.T, strict=True)
    return np.stack([stance_by_motion(z, v, low, slow, round(_SHORTEST * fps)) for z, v in boxes], axis=1)


def with_contacts(clip: Clip, body: Body) -> Clip:
    """The clip with the forces under its soles: its own, or else, torques too, estimated as retargeting does."""
    if clip.contacts is not None:
        return clip
    contact = standing(robot_poses(clip.qpos, body), clip.fps, body)
    load = carry(clip.qpos, clip.fps, contact, body)
    meta = clip.meta | {"contacts": "estimated by inverse dynamics"}
    return replace(clip, contacts=load.contact_force, torque=load.torque, meta=meta)
