"""A procedural walk: foot paths from a handful of gait parameters, leg angles by plane inverse kinematics.

It is a drawing of a walk, not a walk: nothing here knows about balance. `scripts/make_motions.py` has it
tracked in simulation and keeps what the physics made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gait_envs.constants import GRAVITY
from gait_envs.reference.clip import Clip, velocities
from gait_envs.rotations import quat_from_rotvec
from gait_envs.synthesis.easing import ease

# WildRobot's leg, m (assets/wildrobot/wildrobot.xml).
THIGH, SHANK, ANKLE_HEIGHT, HIP_DROP, HIP_WIDTH = 0.193, 0.180, 0.064, 0.04, 0.09
WEIGHT = 3.375 * GRAVITY  # N


@dataclass(frozen=True)
class GaitParameters:
    """One steady walk. Phase 0 is the left heel strike; the right leg is half a cycle later."""

    speed: float  # m/s
    cycle: float  # s, two steps
    duty: float = 0.62  # share of the cycle that a foot is on the ground
    height: float = 0.445  # m, mean height of the pelvis
    bob: float = 0.006  # m, rise of the pelvis in mid-stance
    sway: float = 0.018  # m, shift of the pelvis over the standing foot
    lean: float = 0.06  # rad, forward
    lift: float = 0.050  # m, of the swinging ankle
    strike_pitch: float = 0.12  # rad, toes up at the heel strike
    push_pitch: float = 0.40  # rad, heel up at toe-off
    ahead: float = 0.02  # m, how far the foot path's middle lies before the hip
    waist: float = 0.10  # rad, counter-turn of the chest
    sideways: float = 0.0  # m/s, leftwards


def natural_gait(speed: float, sideways: float = 0.0, rate: float = 50.0) -> GaitParameters:
    """Gait parameters of a walk at `speed` m/s ahead and `sideways` m/s to the left, its cycle a whole even number of
    frames at `rate`.

    The step rate is 2.4 to 3.4 steps/s. Equal Froude numbers give 2.75 at 1 m/s for people's preferred gait;
    slow walks are quicker-footed than that here, because a biped without ankle roll must not stand long on
    one leg: the time constant of its sideways fall is sqrt(height / g), a fifth of a second.
    """
    steps = 2.2 + 1.2 * speed
    frames = 2 * round(rate / steps)
    effort = min(speed / 0.8, 1.2)
    # Sideways the pelvis swings as an inverted pendulum between feet half a hip's width either side.
    rate_of_fall = np.sqrt(GRAVITY / 0.35)
    sway = HIP_WIDTH * (1 - 1 / np.cosh(rate_of_fall * frames / rate / 4))
    return GaitParameters(
        speed=speed,
        sideways=sideways,
        cycle=frames / rate,
        sway=float(sway),
        duty=0.62 - 0.04 * effort,
        lean=0.03 + 0.05 * effort,
        push_pitch=0.08 + 0.12 * effort,
        strike_pitch=0.03 + 0.03 * effort,
        waist=0.05 + 0.08 * effort,
        height=0.446 - 0.028 * effort,
        ahead=0.015 + 0.010 * effort,
    )


def leg_angles(x: np.ndarray, z: np.ndarray, pitch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hip, knee and ankle angles (rad) of an ankle at (x, z) m from the hip (z < 0) with the sole at `pitch`.

    Plane two-link inverse kinematics, knee bending backwards; a target out of reach is pulled in.
    """
    reach = np.clip(np.hypot(x, z), abs(THIGH - SHANK) + 1e-6, 0.9995 * (THIGH + SHANK))
    knee = np.pi - np.arccos((THIGH**2 + SHANK**2 - reach**2) / (2 * THIGH * SHANK))
    # Angle at the hip between the thigh and the line to the ankle.
    inner = np.arccos((THIGH**2 + reach**2 - SHANK**2) / (2 * THIGH * reach))
    hip = np.arctan2(x, -z) + inner
    return hip, knee, pitch - hip + knee


def foot_travel(phase: np.ndarray, speed: float, gait: GaitParameters) -> np.ndarray:
    """(T,) m, where a foot is along an axis on which the body moves at `speed` m/s, relative to the body.

    It drifts back at that speed in stance, and swings forward by a quintic whose end velocities are those of stance.
    """
    travel = speed * gait.duty * gait.cycle
    drift = -speed * (1 - gait.duty) * gait.cycle  # m a unit of `swing`, at both ends
    swing = _swing(phase, gait)
    forward = -0.5 * travel + drift * swing + (travel - drift) * ease(swing)
    return np.where(phase < gait.duty, 0.5 * travel - travel * phase / gait.duty, forward)


def _swing(phase: np.ndarray, gait: GaitParameters) -> np.ndarray:
    """Share of the swing that is over, 0 in stance."""
    return np.clip((phase - gait.duty) / (1 - gait.duty), 0, 1)


def foot_path(phase: np.ndarray, gait: GaitParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ankle x and height (m) relative to the point of the floor under the hip, and sole pitch (rad).

    phase (T,) in [0, 1): [0, duty) the foot stands and drifts back at walking speed; then it swings.
    """
    stance, swing = phase / gait.duty, _swing(phase, gait)
    standing, blend = phase < gait.duty, ease(swing)
    x = gait.ahead + foot_travel(phase, gait.speed, gait)
    # Toes come down in the first 15 % of stance, the heel rises in the last 25 %.
    land = gait.strike_pitch * np.clip(1 - stance / 0.15, 0, 1) ** 2
    push = -gait.push_pitch * np.clip((stance - 0.75) / 0.25, 0, 1) ** 2
    recover = -gait.push_pitch * (1 - blend) ** 2 + gait.strike_pitch * blend
    pitch = np.where(standing, land + push, recover)
    # A pitched sole turns about its toe (0.1 m ahead of the ankle) or its heel (0.05 m behind).
    pivot = np.where(pitch < 0, 0.10 * np.sin(-pitch), 0.05 * np.sin(pitch))
    lift = np.where(standing, 0.0, gait.lift * np.sin(np.pi * swing) ** 2)
    return x, ANKLE_HEIGHT + pivot + lift, pitch


def walk_clip(gait: GaitParameters, joint_names: tuple[str, ...], rate: float = 50.0) -> Clip:
    """One looping cycle on WildRobot at `rate` Hz; the last frame is the first, one stride on."""
    frames = round(gait.cycle * rate) + 1
    phase = np.arange(frames) / (frames - 1)
    left, right = phase % 1.0, (phase + 0.5) % 1.0
    # Each leg's middle of stance is at duty / 2; the pelvis is highest and furthest over that leg there.
    turn = 2 * np.pi * (phase - gait.duty / 2)
    height = gait.height + gait.bob * np.cos(2 * turn)
    shift = gait.sway * np.cos(turn)
    qpos = np.zeros((frames, 7 + len(joint_names)))
    qpos[:, 0] = gait.speed * phase * gait.cycle
    qpos[:, 1] = gait.sideways * phase * gait.cycle + shift
    qpos[:, 2] = height
    qpos[:, 3:7] = quat_from_rotvec(np.tile([0.0, gait.lean, 0.0], (frames, 1)))
    column = {name: 7 + i for i, name in enumerate(joint_names)}
    qpos[:, column["waist_yaw"]] = -gait.waist * np.cos(2 * np.pi * left)
    standing = np.stack([left < gait.duty, right < gait.duty], axis=1)
    for side, own, outward in (("left", left, 1.0), ("right", right, -1.0)):
        x, z, pitch = foot_path(own, gait)
        drop = height - HIP_DROP - z
        aside = foot_travel(own, gait.sideways, gait) - shift
        roll = outward * aside / drop  # the sole stays where it is while the hip moves sideways
        hip, knee, ankle = leg_angles(x, -drop, pitch)
        for joint, angle in (("hip_pitch", hip + gait.lean), ("hip_roll", roll), ("knee_pitch", knee)):
            qpos[:, column[f"{side}_{joint}"]] = angle
        qpos[:, column[f"{side}_ankle_pitch"]] = ankle
    return Clip(
        qpos=qpos,
        qvel=_periodic_velocities(qpos, rate),
        fps=rate,
        joint_names=joint_names,
        loop=True,
        model="wildrobot",
        source="GaitNet procedural gait",
        license="MIT",
        contacts=_planned_load(standing),
        name=f"procedural_{round(100 * gait.speed):03d}",
        meta={"speed": gait.speed, "sideways": gait.sideways, "cycle": gait.cycle},
    )


def _planned_load(standing: np.ndarray) -> np.ndarray:
    """Normal forces (T, 4) N that the drawing has in mind: the weight shared by the soles that stand, (T, 2)."""
    share = standing / standing.sum(axis=1, keepdims=True)
    return WEIGHT * np.repeat(0.5 * share, 2, axis=1)


def _periodic_velocities(qpos: np.ndarray, rate: float) -> np.ndarray:
    """Central differences that wrap over the cycle's seam."""
    stride = np.zeros(qpos.shape[1])
    stride[:2] = qpos[-1, :2] - qpos[0, :2]
    padded = np.concatenate([qpos[-2:-1] - stride, qpos, qpos[1:2] + stride])
    return velocities(padded, rate)[1:-1]
