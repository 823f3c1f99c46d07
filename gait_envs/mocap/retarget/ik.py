"""Inverse kinematics: joint positions within the limits that bring a body's parts to where they should be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mink
import mujoco
import numpy as np
from scipy.ndimage import maximum_filter1d

from gait_envs.mocap.cleaning.signal import envelope, smooth, smooth_quaternions
from gait_envs.mocap.quality import robot_poses
from gait_envs.mocap.retarget.footholds import SoleTarget
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.retarget_config import Task
from gait_envs.mocap.retarget.target_body import Body, Bone
from gait_envs.rotations import quat_from_rotvec, quat_mul, quat_rotate, yaw_quat

_LIFT = 0.1  # s over which the robot rises where a sole would dip below the floor
_BLEND = 0.03  # s, spread of the change between a swinging sole's weights and a standing one's, outside the stance
_HELD = (2.0, 5.0)  # the smoothed pelvis's weights, position and orientation, over the soles'
_ITERATIONS, _FIRST_ITERATIONS = 12, 100
_CONVERGED = 1e-4  # m and rad moved in one iteration


@dataclass(frozen=True)
class Targets:
    """Targets for the robot over T frames, at its own size and rate."""

    pelvis: np.ndarray  # (T, 3) m, the pelvis body's origin
    pelvis_quat: np.ndarray  # (T, 4)
    chest_quat: np.ndarray  # (T, 4)
    soles: tuple[SoleTarget, ...]  # left, right
    bones: np.ndarray  # (T, bones, 3) unit vectors along the body's bones; zero where the capture has no such bone
    captured: np.ndarray  # (T, 2, 3) m, the captured ankles scaled and set apart, before they were made to stand

    @property
    def contact(self) -> np.ndarray:
        """(T, 4) bool in the clip's order: left toe, left heel, right toe, right heel."""
        return np.concatenate([sole.contact for sole in self.soles], axis=1)


class BoneTask(mink.Task):
    """Point a bone, the way from one body or site to another, along a unit vector of the world."""

    def __init__(self, bone: Bone) -> None:
        super().__init__(cost=np.full(3, bone.weight))
        self.bone = bone
        self.direction = np.zeros(3)

    def compute_error(self, configuration: mink.Configuration) -> np.ndarray:
        """Direction of the bone less the wanted one (3,), about radians."""
        data = configuration.data
        start, end = ((data.site_xpos if kind == "site" else data.xpos)[i] for kind, i in self.bone.ends)
        return (end - start) / self.bone.length - self.direction

    def compute_jacobian(self, configuration: mink.Configuration) -> np.ndarray:
        """Derivative of the error (3, nv)."""
        start, end = (_jacobian(configuration, kind, i) for kind, i in self.bone.ends)
        return (end - start) / self.bone.length


def _jacobian(configuration: mink.Configuration, kind: str, index: int) -> np.ndarray:
    """Position Jacobian of a body or a site, (3, nv)."""
    out = np.zeros((3, configuration.nv))
    of = mujoco.mj_jacSite if kind == "site" else mujoco.mj_jacBody
    of(configuration.model, configuration.data, out, None, index)
    return out


def solve(targets: Targets, body: Body, fps: float) -> np.ndarray:
    """Joint positions (T, nq) within the limits: once for the pelvis, and again with its path smoothed.

    The pelvis is what a body's whole mass moves with: it is found first, where pelvis and soles may pull at
    each other; then its path is smoothed and held, and what the joints cannot reach is lost at the soles.
    """
    qpos = _follow(targets, body, body.tasks["pelvis"], fps)
    if body.smoothing > 0:
        smoothed = replace(
            targets,
            pelvis=smooth(qpos[:, :3], fps, body.smoothing),
            pelvis_quat=smooth_quaternions(qpos[:, 3:7], fps, body.smoothing),
            chest_quat=smooth_quaternions(targets.chest_quat, fps, body.smoothing),
        )
        sole = body.tasks["soles"]
        held = Task(_HELD[0] * np.max(sole.position), _HELD[1] * np.max(sole.orientation))
        qpos = _follow(smoothed, body, held, fps)
    # A sole that the joints cannot level dips an edge below the floor; the whole robot rises by as much.
    dip = -robot_poses(qpos, body).corners[..., 2].min(axis=(1, 2))
    qpos[:, 2] += envelope(np.maximum(dip, 0.0), round(_LIFT * fps))
    return qpos


def _follow(targets: Targets, body: Body, pelvis_weights: Task, fps: float) -> np.ndarray:
    """Inverse kinematics frame after frame, each from the last one's solution."""
    configuration = mink.Configuration(body.bent, body.home)
    sole = body.tasks["soles"]
    parts = [
        (body.tasks["pelvis"].body, "body", pelvis_weights),
        (body.tasks["chest"].body, "body", body.tasks["chest"]),
        *((body.legs[side].sole, "site", sole) for side in SIDES),
    ]
    frames = [mink.FrameTask(name, kind, weights.position, weights.orientation) for name, kind, weights in parts]
    poses = [(targets.pelvis_quat, targets.pelvis), (targets.chest_quat, targets.pelvis)]
    poses += [_sole_pose(targets, body, i) for i in range(len(SIDES))]
    shares = [_sole_share(target.contact, body.swing_weight, fps) for target in targets.soles]
    position, orientation = (np.broadcast_to(np.asarray(w, float), 3) for w in (sole.position, sole.orientation))
    bones = [(BoneTask(bone), targets.bones[:, i]) for i, bone in enumerate(body.bones) if targets.bones[:, i].any()]
    posture = mink.PostureTask(body.model, cost=np.r_[np.zeros(6), np.full(body.model.nv - 6, body.posture)])
    posture.set_target(body.home)
    tasks = [*frames, *(task for task, _ in bones), posture]
    limits = [mink.ConfigurationLimit(body.bent, min_distance_from_limits=body.limit_margin)]
    configuration.update(np.r_[targets.pelvis[0], targets.pelvis_quat[0], body.home[7:]])
    qpos = np.empty((len(targets.pelvis), body.model.nq))
    for t in range(len(qpos)):
        for task, (quat, place) in zip(frames, poses, strict=True):
            task.set_target(mink.SE3(np.concatenate([quat[t], place[t]])))
        for task, share in zip(frames[2:], shares, strict=True):
            task.set_position_cost(position * share[t])
            task.set_orientation_cost(orientation * share[t])
        for bone_task, direction in bones:
            bone_task.direction = direction[t]
        for _ in range(_ITERATIONS if t else _FIRST_ITERATIONS):
            step = mink.solve_ik(configuration, tasks, 1.0, "daqp", damping=1e-6, limits=limits)
            configuration.integrate_inplace(step, 1.0)
            if np.abs(step).max() < _CONVERGED:
                break
        qpos[t] = configuration.q
    return qpos


def _sole_share(contact: np.ndarray, swinging: float, fps: float) -> np.ndarray:
    """Share (T,) of its weights that a sole has: 1 while any of it stands, `swinging` in the air, smooth between.

    A swinging foot that the legs cannot quite take where it was must not push the pelvis about.
    """
    spread = 2 * round(2 * _BLEND * fps) + 1
    near = maximum_filter1d(np.any(contact, axis=1).astype(float), spread, mode="nearest")
    return swinging + (1.0 - swinging) * smooth(near, fps, _BLEND)


def _sole_pose(targets: Targets, body: Body, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Orientation (T, 4) and position (T, 3) of the i-th sole's site."""
    sole = targets.soles[i]
    zero = np.zeros_like(sole.pitch)
    pitched = quat_mul(yaw_quat(sole.yaw), quat_from_rotvec(np.stack([zero, -sole.pitch, zero], axis=1)))
    turn = quat_mul(pitched, quat_from_rotvec(np.stack([sole.roll, zero, zero], axis=1)))
    return quat_mul(turn, body.turns[f"{SIDES[i]}_sole"]), sole.ankle + quat_rotate(turn, body.soles[i])
