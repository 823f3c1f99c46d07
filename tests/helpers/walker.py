"""A walking human written as BVH text, so that tests need no captured data.

Legs of 0.42 + 0.40 m, planar: the ankles follow a step cycle, hips and knees bend as two links must.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

THIGH, SHANK, ANKLE_HEIGHT, HIP_HALF_WIDTH = 0.42, 0.40, 0.08, 0.09  # m
LEG = THIGH + SHANK
HIP_HEIGHT = 0.93  # leg lengths above the ankle, low enough for both feet to reach the floor
SPEED, PERIOD, DUTY = 0.7, 1.2, 0.62  # m/s, s, part of the cycle a foot stands

_NAMES = ("UpLeg", "Leg", "Foot", "ToeBase")


def _hierarchy(unit: float, leg_names: tuple[str, ...]) -> str:
    def leg(side: str, x: float) -> str:
        hip, knee, ankle, toe = (side + name for name in leg_names)
        turn = "CHANNELS 3 Zrotation Xrotation Yrotation"
        return (
            f"JOINT {hip}\n{{\nOFFSET {x / unit} 0 0\n{turn}\n"
            f"JOINT {knee}\n{{\nOFFSET 0 {-THIGH / unit} 0\n{turn}\n"
            f"JOINT {ankle}\n{{\nOFFSET 0 {-SHANK / unit} 0\n{turn}\n"
            f"JOINT {toe}\n{{\nOFFSET 0 {-0.06 / unit} {0.13 / unit}\n{turn}\n"
            f"End Site\n{{\nOFFSET 0 0 {0.05 / unit}\n}}\n}}\n}}\n}}\n}}\n"
        )

    def arm(side: str, x: float) -> str:
        return (
            f"JOINT {side}Arm\n{{\nOFFSET {x / unit} {0.5 / unit} 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
            f"End Site\n{{\nOFFSET {x / unit} 0 0\n}}\n}}\n"
        )

    root = "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    body = leg("Left", HIP_HALF_WIDTH) + leg("Right", -HIP_HALF_WIDTH) + arm("Left", 0.18) + arm("Right", -0.18)
    return f"HIERARCHY\nROOT Hips\n{{\nOFFSET 0 0 0\n{root}\n{body}}}\n"


def _leg_angles(forward: np.ndarray, down: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """X rotations (T, 3), rad, of hip, knee and ankle that put the ankle `forward` and `down` of the hip.

    In the file x is left, y up, z forward, so a positive turn about x swings a hanging bone backwards.
    """
    reach = np.sqrt(forward**2 + down**2)
    knee = np.pi - np.arccos((THIGH**2 + SHANK**2 - reach**2) / (2 * THIGH * SHANK))
    above = np.arccos((THIGH**2 + reach**2 - SHANK**2) / (2 * THIGH * reach))
    hip = -np.arctan2(forward, down) - above
    return np.stack([hip, knee, -hip - knee - pitch], axis=1)


def _foot(phase: np.ndarray, offset: float) -> tuple[np.ndarray, ...]:
    """Forward position, rise (m) and pitch (rad, toe up) of an ankle that stands while its phase is under DUTY."""
    cycle = np.floor(phase)
    u = phase - cycle
    stride = SPEED * PERIOD
    start = (cycle - offset) * stride + 0.5 * DUTY * stride  # where the ankle stands in this cycle
    w = np.clip((u - DUTY) / (1 - DUTY), 0, 1)
    swing = w**2 * (3 - 2 * w)
    bump = 16 * (w * (1 - w)) ** 2
    return start + stride * swing, 0.12 * bump, -0.3 * bump


def walker_bvh(
    path: Path,
    seconds: float = 4.0,
    fps: float = 60.0,
    unit: float = 0.01,
    up: str = "y",
    yaw: float = 0.0,
    rest_frame: bool = True,
    leg_names: tuple[str, ...] = _NAMES,
) -> Path:
    """Write a walk of 0.7 m/s heading along the file's z (y up) turned by `yaw` degrees about the vertical."""
    time = np.arange(round(seconds * fps)) / fps
    hip_height = ANKLE_HEIGHT + HIP_HEIGHT * LEG + 0.01 * np.cos(4 * np.pi * time / PERIOD)
    forward = SPEED * time
    sway = 0.02 * np.sin(2 * np.pi * time / PERIOD)
    angles = []
    for offset in (0.0, 0.5):
        ankle, rise, pitch = _foot(time / PERIOD + offset, offset)
        angles.append(_leg_angles(ankle - forward, hip_height - ANKLE_HEIGHT - rise, pitch))
    rows = np.zeros((len(time), 6 + 2 * 4 * 3 + 2 * 3))
    a = np.radians(yaw)
    rows[:, 0] = (sway * np.cos(a) + forward * np.sin(a)) / unit
    rows[:, 1] = hip_height / unit
    rows[:, 2] = (-sway * np.sin(a) + forward * np.cos(a)) / unit
    rows[:, 5] = yaw
    for leg, x_turns in enumerate(angles):
        for joint in range(3):
            rows[:, 6 + 12 * leg + 3 * joint + 1] = np.degrees(x_turns[:, joint])
    if rest_frame:
        rows = np.concatenate([np.zeros((1, rows.shape[1])), rows])
    text = _hierarchy(unit, leg_names)
    if up == "z":  # stand the whole file up: the root turns by 90 degrees about x before anything else
        rows[:, :3] = rows[:, [0, 2, 1]] * [1, -1, 1]
        # Z·X·Y with X = 90°: upright first, and the yaw, about the body's own vertical, last as before.
        rows[:, 4] = 90.0
    lines = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in rows)
    path.write_text(f"{text}MOTION\nFrames: {len(rows)}\nFrame Time: {1 / fps:.7f}\n{lines}\n")
    return path
