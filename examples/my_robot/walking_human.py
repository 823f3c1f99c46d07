"""Write a walking human as BVH: drawn by formulas, so that this example needs no captured data.

    python examples/my_robot/walking_human.py walk.bvh

A body of 1.7 m in centimetres, y up, x to its left, walking along z: the ankles follow a step cycle, hips and
knees bend as two links must, the pelvis turns with each step and the arms swing against it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from gait_envs.mocap.capture import Skeleton, SkeletonMotion
from gait_envs.mocap.formats.bvh_writer import write_bvh
from gait_envs.rotations import quat_from_rotvec, quat_mul

THIGH, SHANK, ANKLE_HEIGHT = 42.0, 40.0, 8.0  # cm
HIP_HEIGHT = 75.0  # cm above the ankles
SPEED, PERIOD, DUTY = 80.0, 1.15, 0.62  # cm/s, s, the part of its cycle in which a foot stands
SIDES = ("Left", "Right")
# Joint, its parent, and where it is from there at rest (cm): arms and legs hang.
TRUNK = [
    ("Hips", None, (0, 0, 0)),
    ("Spine", "Hips", (0, 12, 0)),
    ("Spine1", "Spine", (0, 18, 0)),
    ("Neck", "Spine1", (0, 24, 0)),
    ("Head", "Neck", (0, 9, 0)),
    ("Head_end", "Head", (0, 18, 0)),
]
LIMBS = [  # of the left side; x is the other way on the right
    ("Shoulder", "Spine1", (4, 20, 0)),
    ("Arm", "Shoulder", (14, 0, 0)),
    ("ForeArm", "Arm", (0, -28, 0)),
    ("Hand", "ForeArm", (0, -25, 0)),
    ("Hand_end", "Hand", (0, -16, 0)),
    ("UpLeg", "Hips", (9, -3, 0)),
    ("Leg", "UpLeg", (0, -THIGH, 0)),
    ("Foot", "Leg", (0, -SHANK, 0)),
    ("ToeBase", "Foot", (0, -6, 13)),
    ("ToeBase_end", "ToeBase", (0, 0, 6)),
]


def skeleton() -> Skeleton:
    """The tree above, with both sides."""
    rows = list(TRUNK)
    for side, sign in zip(SIDES, (1, -1), strict=True):
        own = {name for name, _, _ in LIMBS}
        rows += [(side + name, side + parent if parent in own else parent, (sign * x, y, z))
                 for name, parent, (x, y, z) in LIMBS]  # fmt: skip
    names = tuple(name for name, _, _ in rows)
    parents = np.array([-1 if parent is None else names.index(parent) for _, parent, _ in rows])
    return Skeleton(names, parents, np.array([offset for _, _, offset in rows], dtype=float))


def leg_angles(phase: np.ndarray, body: np.ndarray, hip_height: np.ndarray) -> tuple[np.ndarray, ...]:
    """Turns (T,) rad about x of hip, knee and ankle whose foot stands while its phase is under `DUTY`.

    A positive turn swings a hanging bone backwards. `body` (T,) cm is how far the hips have come, with the
    foot's own share of the cycle already taken off.
    """
    cycle = np.floor(phase)
    swing = np.clip((phase - cycle - DUTY) / (1 - DUTY), 0, 1)
    lifted = 16 * (swing * (1 - swing)) ** 2
    ahead = SPEED * PERIOD * (cycle + 0.5 * DUTY + swing**2 * (3 - 2 * swing)) - body
    down = hip_height - 10.0 * lifted
    reach = np.hypot(ahead, down)
    knee = np.pi - np.arccos((THIGH**2 + SHANK**2 - reach**2) / (2 * THIGH * SHANK))
    above = np.arccos((THIGH**2 + reach**2 - SHANK**2) / (2 * THIGH * reach))
    hip = -np.arctan2(ahead, down) - above
    return hip, knee, -hip - knee + 0.3 * lifted


def walk(seconds: float, fps: float) -> SkeletonMotion:
    """The motion; one pose of rest stands in front, as in many captures."""
    body = skeleton()
    time = np.arange(round(seconds * fps)) / fps
    cycle = time / PERIOD
    turns = {name: np.zeros((len(time), 3)) for name in body.names}  # rotation vectors
    hip_height = HIP_HEIGHT + 1.0 * np.cos(4 * np.pi * cycle)
    for side, offset in zip(SIDES, (0.0, 0.5), strict=True):
        legs = leg_angles(cycle + offset, SPEED * time + offset * SPEED * PERIOD, hip_height)
        for joint, angle in zip(("UpLeg", "Leg", "Foot"), legs, strict=True):
            turns[side + joint][:, 0] = angle
        turns[side + "Foot"][:, 1] = np.radians(8.0 if side == "Left" else -8.0)  # toes out
        back = np.cos(2 * np.pi * (cycle + offset))  # this side's leg is ahead where it is 1: the arm is back
        turns[side + "Arm"][:, 0] = 0.35 * back
        turns[side + "ForeArm"][:, 0] = -0.35 + 0.15 * back
    turns["Hips"][:, 1] = -0.07 * np.cos(2 * np.pi * cycle)  # the side whose leg is ahead comes forward
    turns["Spine1"][:, 1] = 0.12 * np.cos(2 * np.pi * cycle)
    rotations = np.stack([quat_from_rotvec(turns[name]) for name in body.names], axis=1)
    for side in SIDES:  # legs swing along the way, however the pelvis is turned
        hip = body.index(side + "UpLeg")
        rotations[:, hip] = quat_mul(quat_from_rotvec(-turns["Hips"]), rotations[:, hip])
    translations = np.tile(body.offsets, (len(time), 1, 1))
    sway = 2.0 * np.sin(2 * np.pi * (cycle - 0.06))
    translations[:, 0] = np.stack([sway, hip_height + ANKLE_HEIGHT + 3.0, SPEED * time], axis=1)
    rest = np.zeros_like(rotations[:1])
    rest[..., 0] = 1.0
    return SkeletonMotion(
        body, np.concatenate([rest, rotations]), np.concatenate([body.offsets[None], translations]), fps, "walk"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="BVH file to write")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the walk (default: 6)")
    parser.add_argument("--fps", type=float, default=60.0, help="frames per second (default: 60)")
    args = parser.parse_args()
    print(write_bvh(args.path, walk(args.seconds, args.fps), decimals=4))


if __name__ == "__main__":
    main()
