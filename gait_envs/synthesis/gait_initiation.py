"""Gait initiation, from standing to walking: drawn from a walk that loops, whose pose and cadence set in together.

The supporting foot stays where it is, and so the root gains speed as the pose sets in. A body that stands cannot do
that at once: it first leans ahead and over one foot. How far, the linear inverted pendulum says (Kajita et al. 2001):
the hips are moved until the ground pushes within the soles that stand.
"""

from __future__ import annotations

import mujoco
import numpy as np

from gait_envs.constants import GRAVITY
from gait_envs.mocap.quality import Poses, carry, faults, measure, robot_poses
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.pelvis_sway import pendulum
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.mocap.retarget.toes import bend_toes
from gait_envs.reference.clip import Clip, ClipError, velocities
from gait_envs.reference.library import MotionLibrary
from gait_envs.rotations import quat_slerp
from gait_envs.synthesis.easing import ease

SPEEDS = (0.6, 0.8, 1.0, 1.2, 1.4)  # m/s, of the embedded clips
SECONDS = 4.0  # of a clip: the start, and two to three strides
WAIT = 0.5  # s from the command to the first movement of the feet, for the anticipatory shift of weight
RAMP = 1.8  # s until pose and cadence are those of the walk
CADENCE = 0.6  # of the walk, at first
PHASE = 0.78  # of the walk, at first: the middle of the right leg's swing, whose pose is the nearest to standing
TOUCHING, STILL = 0.01, 0.2  # m and m/s; a sole that is nearer to the floor and slower than these stands

LIFT = 0.6  # rad by which a swinging knee is bent more at first: half a swing's pose leaves the toes on the floor
EDGE = 0.02  # m from the sides of the soles within which the ground does not push
ROUNDS = 3  # of moving the hips; the third moves them by less than 4 mm


def gait_initiation(body: Body, walk: Clip) -> Clip:
    """`SECONDS` s that begin with `body` at rest in its home pose and go over into `walk`, the right foot first.

    `walk` is one of `human_walk`: it loops, begins with the right heel's landing, and says its speed. The clip says the
    command that it obeys from its first frame on (`meta["command"]`, m/s, m/s, rad/s): that speed. Another clip is a
    ClipError.
    """
    if not walk.loop or walk.contacts is None or not {"speed", "foot_off"} <= walk.meta.keys():
        raise ClipError(
            f"{walk.name}: a start is drawn from a walk that loops and knows its contacts, speed and foot_off"
        )
    time = np.arange(round(SECONDS * walk.fps) + 1) / walk.fps
    cadence = np.where(time < WAIT, 0.0, CADENCE + (1.0 - CADENCE) * ease((time - WAIT) / RAMP))
    seconds = PHASE * walk.duration + np.concatenate([[0.0], np.cumsum(cadence[:-1])]) / walk.fps
    share = ease((time - 0.5 * WAIT) / RAMP)
    qpos = _set_in(body.home, walk, seconds, share)
    cycles = seconds / walk.duration
    for side, landing in (("right", 1.0), ("left", 0.5)):  # of the first step, and of the second
        hump = _hump(cycles - landing, walk.meta["foot_off"] - 1.0)
        _lift(qpos, side, LIFT * (1.0 - share) * hump, body)
    _stand(qpos, _supporting(walk, seconds), body)

    for _ in range(ROUNDS):
        _lean(qpos, walk.fps, body)
    qpos = bend_toes(qpos, body.model, body.toes, body.limit_margin, walk.fps)
    contact = _contacts(robot_poses(qpos, body), walk.fps)
    load = carry(qpos, walk.fps, contact, body)
    quality = measure(qpos, walk.fps, contact, load, body)
    return Clip(
        qpos=qpos,
        qvel=velocities(qpos, walk.fps),
        fps=walk.fps,
        joint_names=body.joint_names,
        loop=False,
        model=body.name,
        source=f"{walk.source}; start drawn",
        license=walk.license,
        name=walk.name.replace("walk", "start"),
        contacts=load.contact_force,
        torque=load.torque,
        meta={
            "activity": "start walking",
            "command": [walk.meta["speed"], 0.0, 0.0],
            "contacts": "estimated by inverse dynamics",
            "quality": quality,
            "faults": faults(quality, body),
        },
    )


def _set_in(home: np.ndarray, walk: Clip, seconds: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Poses (T, nq) between standing and the walk at these times (T,) of its clip; the root stays over the origin."""
    library = MotionLibrary([walk], walk.joint_names, walk.fps)
    walking, _ = library.sample(np.zeros(len(seconds), dtype=int), seconds)
    qpos = home + share[:, None] * (walking - home)
    qpos[:, 3:7] = quat_slerp(np.tile(home[3:7], (len(seconds), 1)), walking[:, 3:7], share)
    qpos[:, :2] = 0.0
    return qpos


def _hump(cycles: np.ndarray, foot_off: float) -> np.ndarray:
    """From 0 to 1 and back in each swing, (T,): a foot leaves the floor at `foot_off`, below 0, and lands at 0, and so
    in every cycle. A swing that has begun before the first time begins with it."""
    within = cycles - np.ceil(cycles)  # above -1, at most 0
    begin = np.where(np.ceil(cycles) == np.ceil(cycles[0]), max(foot_off, within[0]), foot_off)
    return np.where(within >= begin, np.sin(np.pi * (within - begin) / -begin) ** 2, 0.0)


def _lift(qpos: np.ndarray, side: str, bend: np.ndarray, body: Body) -> None:
    """Bend a knee by (T,) rad more, below the hip and with the sole as it was."""
    for joint, angle in (("hip_flexion", 0.5 * bend), ("knee_flexion", bend), ("ankle_dorsiflexion", 0.5 * bend)):
        qpos[:, 7 + body.joint_names.index(f"{side}_{joint}")] += angle


def _supporting(walk: Clip, seconds: np.ndarray) -> np.ndarray:
    """Which foot (T,) bears more of the weight at these times: 0 left, 1 right."""
    assert walk.contacts is not None
    feet = walk.contacts.reshape(walk.frames, 2, -1).sum(axis=2)
    return np.argmax(feet[np.rint(seconds * walk.fps).astype(int) % (walk.frames - 1)], axis=1)


def _stand(qpos: np.ndarray, supporting: np.ndarray, body: Body) -> None:
    """Move the roots of poses about the origin so that the supporting foot (T,) stays put and the lower one touches."""
    poses, rows = robot_poses(qpos, body), np.arange(len(qpos) - 1)
    feet = poses.patches.reshape(len(qpos), 2, -1, 3).mean(axis=2)[..., :2]
    moved = np.diff(feet, axis=0)[rows, supporting[1:]]
    qpos[1:, :2] -= np.cumsum(moved, axis=0)
    qpos[:, 2] -= poses.corners[..., 2].min(axis=(1, 2))


def _lean(qpos: np.ndarray, fps: float, body: Body) -> None:
    """Move the hips over feet that stay, by legs that turn about the ankles, to where the pendulum wants them."""
    poses, centre = robot_poses(qpos, body), _centre_of_mass(qpos, body)
    height = float(centre[:, 2].mean())
    acceleration = np.gradient(np.gradient(centre[:, :2], 1.0 / fps, axis=0), 1.0 / fps, axis=0)
    push = centre[:, :2] - height / GRAVITY * acceleration
    wanted = _within(push, poses, _contacts(poses, fps))
    shift = np.stack([pendulum((wanted - push)[:, axis], height, fps) for axis in (0, 1)], axis=1)
    leg = poses.joints[:, :, 0, 2].mean(axis=1)  # from the floor to the hip
    column = {name: 7 + i for i, name in enumerate(body.joint_names)}
    qpos[:, :2] += shift
    for side, outward in zip(SIDES, (1.0, -1.0), strict=True):
        ahead, aside = shift[:, 0] / leg, outward * shift[:, 1] / leg
        for joint, angle in (("hip_flexion", -ahead), ("ankle_dorsiflexion", ahead), ("hip_abduction", -aside),
                             ("ankle_inversion", aside)):  # fmt: skip
            qpos[:, column[f"{side}_{joint}"]] += angle
    qpos[:, 2] -= robot_poses(qpos, body).corners[..., 2].min(axis=(1, 2))


def _within(push: np.ndarray, poses: Poses, contact: np.ndarray) -> np.ndarray:
    """The nearest places to these (T, 2) m in a rectangle about the soles that stand; unchanged where none does."""
    stands, soles, margin = contact[..., None, None], poses.corners[..., :2], np.array([0.0, EDGE])
    low = np.where(stands, soles, np.inf).min(axis=(1, 2)) + margin
    high = np.where(stands, soles, -np.inf).max(axis=(1, 2)) - margin
    some = np.asarray(contact.any(axis=1))
    return np.where(some[:, None], np.clip(push, low, high), push)


def _centre_of_mass(qpos: np.ndarray, body: Body) -> np.ndarray:
    """(T, 3) m."""
    data, centre = mujoco.MjData(body.model), np.empty((len(qpos), 3))
    for t, pose in enumerate(qpos):
        data.qpos[:] = pose
        mujoco.mj_kinematics(body.model, data)
        mujoco.mj_comPos(body.model, data)
        centre[t] = data.subtree_com[1]
    return centre


def _contacts(poses: Poses, fps: float) -> np.ndarray:
    """Which contact boxes stand, (T, contacts)."""
    speed = np.linalg.norm(np.gradient(poses.patches[..., :2], 1.0 / fps, axis=0), axis=-1)
    return np.asarray((poses.corners[..., 2].min(axis=2) < TOUCHING) & (speed < STILL))
