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
from gait_envs.mocap.retarget.toes import bend_toes
from gait_envs.mocap.retarget.trajectory import settle
from gait_envs.rotations import quat_from_rotvec, quat_mul, quat_rotate, yaw_quat

_LIFT = 0.1  # s over which the robot rises where a sole would dip below the floor
_BLEND = 0.03  # s, spread of the change between a swinging sole's weights and a standing one's, outside the stance
_HELD = (2.0, 5.0)  # the smoothed pelvis's weights, position and orientation, over the soles'
_ITERATIONS, _FIRST_ITERATIONS = 12, 100
_CONVERGED = 1e-3  # m and rad moved in one iteration


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
    aims = Aims(targets, body, body.tasks["pelvis"], fps)
    qpos = _follow(targets, body, aims)
    if body.smoothing > 0:
        smoothed = replace(
            targets,
            pelvis=smooth(qpos[:, :3], fps, body.smoothing),
            pelvis_quat=smooth_quaternions(qpos[:, 3:7], fps, body.smoothing),
            chest_quat=smooth_quaternions(targets.chest_quat, fps, body.smoothing),
        )
        sole = body.tasks["soles"]
        held = Task(_HELD[0] * np.max(sole.position), _HELD[1] * np.max(sole.orientation))
        aims = Aims(smoothed, body, held, fps)
    qpos = _settled(qpos, body, aims, fps)
    # A sole that the joints cannot level dips an edge below the floor; the whole robot rises by as much.
    dip = -robot_poses(qpos, body).corners[..., 2].min(axis=(1, 2))
    qpos[:, 2] += envelope(np.maximum(dip, 0.0), round(_LIFT * fps))
    return bend_toes(qpos, body.model, body.toes, body.limit_margin, fps)


class Aims:
    """The tasks of inverse kinematics, aimed at one frame's targets after another."""

    def __init__(self, targets: Targets, body: Body, pelvis_weights: Task, fps: float) -> None:
        frames = len(targets.pelvis)
        sole = body.tasks["soles"]
        everywhere = np.ones(frames)
        pelvis_task, chest_task = body.tasks["pelvis"], body.tasks["chest"]
        self._frames = [
            _aimed(pelvis_task.body, "body", pelvis_weights, everywhere, targets.pelvis_quat, targets.pelvis),
            _aimed(chest_task.body, "body", chest_task, everywhere, targets.chest_quat, targets.pelvis),
        ]
        for i, side in enumerate(SIDES):
            share = _sole_share(targets.soles[i].contact, body.swing_weight, fps)
            self._frames.append(_aimed(body.legs[side].sole, "site", sole, share, *_sole_pose(targets, body, i)))
        told = [i for i in range(len(body.bones)) if targets.bones[:, i].any()]
        self._bones = [(BoneTask(body.bones[i]), targets.bones[:, i]) for i in told]
        self.tasks = [*(task for task, _, _ in self._frames), *(task for task, _ in self._bones)]

    def at(self, t: int) -> list[mink.Task]:
        """The tasks, aimed at frame t."""
        for task, poses, costs in self._frames:
            task.transform_target_to_world = poses[t]
            task.cost = costs[t]
        for bone_task, direction in self._bones:
            bone_task.direction = direction[t]
        return self.tasks


def _aimed(
    name: str, kind: str, weights: Task, share: np.ndarray, quat: np.ndarray, place: np.ndarray
) -> tuple[mink.FrameTask, list[mink.SE3], np.ndarray]:
    """A frame's task, its poses, and its costs (T, 6): the `share` (T,) of its weights that counts."""
    task = mink.FrameTask(name, kind, weights.position, weights.orientation)
    return task, [mink.SE3(pose) for pose in np.hstack([quat, place])], share[:, None] * task.cost


def _follow(targets: Targets, body: Body, aims: Aims) -> np.ndarray:
    """Inverse kinematics frame after frame, each from the last one's solution."""
    configuration = mink.Configuration(body.bent, body.home)
    limits = [mink.ConfigurationLimit(body.bent, min_distance_from_limits=body.limit_margin)]
    posture = mink.PostureTask(body.model, cost=np.r_[np.zeros(6), np.full(body.model.nv - 6, body.posture)])
    posture.set_target(body.home)
    qpos = np.empty((len(targets.pelvis), body.model.nq))

    def solve_frame(t: int, iterations: int) -> None:
        tasks = [*aims.at(t), posture]
        for _ in range(iterations):
            step = mink.solve_ik(configuration, tasks, 1.0, "daqp", damping=1e-6, limits=limits)
            configuration.integrate_inplace(step, 1.0)
            if np.abs(step).max() < _CONVERGED:
                break
        qpos[t] = configuration.q

    configuration.update(np.r_[targets.pelvis[0], targets.pelvis_quat[0], body.home[7:]])
    solve_frame(0, _FIRST_ITERATIONS)
    for t in range(1, len(qpos)):
        solve_frame(t, _ITERATIONS)
    return qpos


def _settled(qpos: np.ndarray, body: Body, aims: Aims, fps: float) -> np.ndarray:
    """The same for all frames at once, from a solution (T, nq) of each by itself."""
    configuration = mink.Configuration(body.bent, body.home)
    posture = body.posture**2
    hinges = np.arange(6, body.model.nv)

    def linearised(t: int, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        configuration.update(q)
        parts = [task.compute_qp_residual(configuration) for task in aims.at(t)]
        jacobian, missed = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        hessian, gradient = jacobian.T @ jacobian, -missed @ jacobian
        hessian[hinges, hinges] += posture
        gradient[hinges] += posture * (q[7:] - body.home[7:])
        return hessian, gradient

    limited, reach = body.bent.jnt_limited[1:].astype(bool), body.bent.jnt_range[1:]
    lower = np.where(limited, reach[:, 0] + body.limit_margin, -np.inf)
    upper = np.where(limited, reach[:, 1] - body.limit_margin, np.inf)
    return settle(qpos, linearised, body.model, lower, upper, body.acceleration * fps**2)


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
