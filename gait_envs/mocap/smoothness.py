"""How much of a motion's speed is shaking: the share of its power above what walking needs.

People's leg joints walk and run below about 6 Hz, foot strikes apart. Joints that were found frame by frame shake above
it although every frame looks right, and a policy that is rewarded for them learns to shake.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gait_envs.mocap.capture import SkeletonMotion
from gait_envs.mocap.cleaning.signal import continuous_signs, resample
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.rotations import normalize, quat_conj, quat_mul, quat_to_rotvec

CUTOFF = 6.0  # Hz
PARTS = ("hip", "knee", "ankle")
_STILL = 0.1  # rad/s, root mean square: below it there is no motion whose share could be measured
_FEW = 12  # frames, too few for a spectrum


def speed_power(speed: np.ndarray, fps: float, cutoff: float = CUTOFF) -> np.ndarray:
    """Mean squares (2, k) of speeds (T, k): of what is quicker than `cutoff` (Hz), and of all.

    The means are left out and a Hann window fades both ends, whose step from the last frame to the first would count
    as quick otherwise.
    """
    window = np.hanning(len(speed) + 2)[1:-1, None]
    spectrum = np.fft.rfft((speed - speed.mean(axis=0)) * window, axis=0)
    power = np.abs(spectrum) ** 2
    power[1 : (len(speed) + 1) // 2] *= 2  # the negative frequencies
    power /= len(speed) * np.sum(window**2)
    quick = np.fft.rfftfreq(len(speed), 1 / fps) > cutoff
    return np.stack([power[quick].sum(axis=0), power.sum(axis=0)])


def share_percent(power: np.ndarray) -> float:
    """Share of `speed_power` (2, k) that is quick, of all k together; 0 where next to nothing moves."""
    quick, whole = power.sum(axis=1)
    return 100.0 * float(quick / whole) if whole > power.shape[1] * _STILL**2 else 0.0


def leg_joints(body: Body) -> dict[str, list[int]]:
    """Indices of the joints of hips, knees and ankles, both sides': those that move thigh, shank or foot."""
    model = body.model
    found: dict[str, list[int]] = {part: [] for part in PARTS}
    for leg in body.legs.values():
        above = model.body(body.tasks["pelvis"].body).id
        for part, name in zip(PARTS, (leg.knee, leg.ankle, None), strict=True):
            # The hip's joints are all those between pelvis and thigh, on however many bodies.
            end = model.body(leg.ankle).id if name is None else int(model.body(name).parentid[0])
            at = end
            while at not in (above, 0):
                first = int(model.body_jntadr[at])
                found[part] += [first - 1 + k for k in range(int(model.body_jntnum[at]))]
                at = int(model.body_parentid[at])
            above = end
    return {part: sorted(joints) for part, joints in found.items()}


def joint_shares(qpos: np.ndarray, fps: float, body: Body) -> dict[str, float]:
    """Quick share (percent) of every leg joint of positions (T, nq), by its name; empty for a few frames."""
    if len(qpos) <= _FEW:
        return {}
    power = speed_power(np.diff(qpos[:, 7:], axis=0) * fps, fps)
    joints = sorted(joint for part in leg_joints(body).values() for joint in part)
    return {body.joint_names[j]: round(share_percent(power[:, j : j + 1]), 2) for j in joints}


def smoothness(qpos: np.ndarray, fps: float, body: Body) -> dict[str, float]:
    """Quick shares of hips, knees, ankles and legs of positions (T, nq), percent; and the worst leap of a joint.

    A leap is how much a joint's speed changes from one frame to the next, rad/s; toes, which the floor bends at once,
    are left out.
    """
    speed = np.diff(qpos[:, 7:], axis=0) * fps
    toes = [toe.joint - 1 for toe in body.toes]
    leap = float(np.abs(np.diff(np.delete(speed, toes, axis=1), axis=0)).max(initial=0.0))
    if len(speed) < _FEW:
        return {"joint_leap_max": leap}
    power = speed_power(speed, fps)
    shares = {part: power[:, joints] for part, joints in leg_joints(body).items()}
    shares["legs"] = np.concatenate([*shares.values()], axis=1)
    return {f"quick_{part}_percent": share_percent(of) for part, of in shares.items()} | {"joint_leap_max": leap}


def captured_smoothness(
    motion: SkeletonMotion, roles: Mapping[str, int], frames: slice, pace: float, fps: float
) -> dict[str, float]:
    """The same shares of the capture's own joints, read at `fps` after stretching time by `pace`.

    `roles` names the nodes of the legs. Empty where the capture has positions alone, or too few frames.
    """
    parts: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for part in PARTS:
        for side in SIDES:
            turns = motion.rotations[frames, roles[f"{side}_{part}"]]
            read = normalize(resample(continuous_signs(turns), motion.fps / pace, fps))
            if len(read) <= _FEW or np.ptp(read, axis=0).max() < 1e-6:
                return {}
            step = quat_to_rotvec(quat_mul(quat_conj(read[:-1]), read[1:]))
            parts[part].append(speed_power(step * fps, fps))
    shares = {part: np.concatenate(power, axis=1) for part, power in parts.items()}
    shares["legs"] = np.concatenate([*shares.values()], axis=1)
    return {f"captured_quick_{part}_percent": share_percent(of) for part, of in shares.items()}
