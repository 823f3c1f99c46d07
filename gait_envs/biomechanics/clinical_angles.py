"""Published figures of walking as angles of the humanoid's joints, and of what the figures leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gait_envs.biomechanics.published_gait import Figures
from gait_envs.euler import euler_from_quat
from gait_envs.rotations import wrap_angle

LEG = (
    *("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion"),
    *("ankle_dorsiflexion", "ankle_inversion", "ankle_rotation", "big_toe_extension", "small_toes_extension"),
)
STANDING_TILT = np.radians(12.0)  # of the clinic's pelvis, between its spines, where this body's is level
_FLAT = np.radians(3.0)  # a foot stands flat while its published pitch is within this
# Ours from here on: the foot's side to side, toes that stay on the floor as the heel rises, an upright trunk, and
# arms that swing against the legs, more with longer steps.
_LOOSE = {"ankle_inversion": np.radians(5.0)} | dict.fromkeys(LEG[-2:], np.radians(12.0))  # rad of spread
_ANKLE_TURN, _TOES = np.radians(13.0), np.radians([50.0, 36.0])  # within the joints' limits
_TOES_FALL = 0.15  # of the cycle, until toes that have left the floor are straight
_TRUNK_LEAN = np.radians(3.0)
_IN_SPINE = 0.4  # share of the trunk's turns that the lower trunk do, the chest the rest
_ARM_SWING, _ELBOW_SWING = np.radians(15.0), np.radians(10.0)  # to either side of the mean, at the step below
_ARM_MEAN, _ELBOW_MEAN, _ARM_OUT = np.radians(-5.0), np.radians(22.0), np.radians(7.0)
_ARM_STEP = 0.76  # leg lengths of a step at the preferred speed


@dataclass(frozen=True)
class Stance:
    """Phases of the right foot, which lands at 0 with its heel."""

    flat: float
    heel_off: float
    foot_off: float

    def soles(self, phase: np.ndarray) -> np.ndarray:
        """(T, 2) bool, ball and heel on the floor at phases (T,) in cycles."""
        phase = phase % 1.0
        return np.stack([(phase >= self.flat) & (phase < self.foot_off), phase < self.heel_off], axis=-1)


def stance_of(figures: Figures) -> Stance:
    """When the published foot lies flat, raises its heel and leaves."""
    phase = np.arange(1000) / 1000
    flat = phase[(phase < figures.foot_off) & (np.abs(foot_pitch(figures, phase)) < _FLAT)]
    return Stance(float(flat[0]), float(flat[-1]), figures.foot_off)


def foot_pitch(figures: Figures, phase: np.ndarray) -> np.ndarray:
    """Pitch (T,) rad of the foot against the floor, toes up, that the published angles add up to."""
    hip, tilt, knee, ankle = (
        figures.angle(name, phase) for name in ("hip_flexion", "pelvis_tilt", "knee_flexion", "ankle_dorsiflexion")
    )
    return hip - tilt - knee + ankle


def wanted_angles(figures: Figures, phase: np.ndarray) -> dict[str, np.ndarray]:
    """Angles (T,) rad of the pelvis (roll, pitch, yaw) and of the right leg's joints at phases (T,) of that leg."""
    angle = {name: figures.angle(name, phase) for name in figures.curves}
    turn = angle["foot_progression"] - angle["pelvis_rotation"] - angle["hip_rotation"]
    since_off = (phase % 1.0 - figures.foot_off) / _TOES_FALL
    fall = 0.5 + 0.5 * np.cos(np.pi * np.clip(since_off, 0.0, 1.0))
    heel_up = np.maximum(-foot_pitch(figures, phase), 0.0)
    toes = [fall * np.minimum(heel_up, most) for most in _TOES]
    return {
        "roll": -angle["pelvis_obliquity"],
        "pitch": angle["pelvis_tilt"] - STANDING_TILT,
        "yaw": angle["pelvis_rotation"],
        "hip_flexion": angle["hip_flexion"] - STANDING_TILT,
        "hip_abduction": -angle["hip_adduction"],
        "hip_rotation": angle["hip_rotation"],
        "knee_flexion": angle["knee_flexion"],
        "ankle_dorsiflexion": angle["ankle_dorsiflexion"],
        "ankle_inversion": np.zeros(len(phase)),
        "ankle_rotation": np.clip(turn, -_ANKLE_TURN, _ANKLE_TURN),
        "big_toe_extension": toes[0],
        "small_toes_extension": toes[1],
    }


def clinical_angles(
    qpos: np.ndarray, joint_names: Sequence[str], side: str, heading: np.ndarray
) -> dict[str, np.ndarray]:
    """What `wanted_angles` turns into joint angles, back from poses: angles (T,) rad as the clinic counts them, of the
    leg on `side`, by the names of `Figures.curves`.

    `heading` (T,) rad is the way walked, from which the pelvis is turned.
    """
    joint = {name: qpos[:, 7 + joint_names.index(f"{side}_{name}")] for name in LEG}
    yaw, pitch, roll = euler_from_quat(qpos[:, 3:7], "zyx").T
    own = 1.0 if side == "right" else -1.0  # a turn to the left brings the right side forward, positive roll lowers it
    rotation = own * wrap_angle(yaw - heading)
    return {
        "pelvis_tilt": pitch + STANDING_TILT,
        "pelvis_obliquity": -own * roll,
        "pelvis_rotation": rotation,
        "hip_flexion": joint["hip_flexion"] + STANDING_TILT,
        "hip_adduction": -joint["hip_abduction"],
        "hip_rotation": joint["hip_rotation"],
        "knee_flexion": joint["knee_flexion"],
        "ankle_dorsiflexion": joint["ankle_dorsiflexion"],
        "foot_progression": joint["ankle_rotation"] + rotation + joint["hip_rotation"],
    }


def spreads(figures: Figures) -> dict[str, float]:
    """How far, rad, people are from each of `wanted_angles` as a rule: one standard deviation."""
    of = {name: name for name in ("hip_flexion", "hip_rotation", "knee_flexion", "ankle_dorsiflexion")}
    of |= {"roll": "pelvis_obliquity", "pitch": "pelvis_tilt", "yaw": "pelvis_rotation"}
    of |= {"hip_abduction": "hip_adduction", "ankle_rotation": "foot_progression"}
    return {track: figures.spread[name] for track, name in of.items()} | _LOOSE


def upper_body(figures: Figures, phase: np.ndarray, step: float) -> dict[str, np.ndarray]:
    """Angles (T,) rad of trunk, head and arms; `step` is a step's length in leg lengths."""
    pelvis = wanted_angles(figures, phase)
    trunk = {
        "flexion": _TRUNK_LEAN - pelvis["pitch"],
        "bending": -figures.angle("trunk_obliquity", phase),
        "rotation": figures.angle("trunk_rotation", phase),
    }
    out = {}
    for (axis, angle), below in zip(trunk.items(), (pelvis["pitch"], pelvis["roll"], pelvis["yaw"]), strict=True):
        out[f"spine_{axis}"], out[f"torso_{axis}"] = _IN_SPINE * angle, (1 - _IN_SPINE) * angle
        out[f"neck_{axis}"] = out[f"head_{axis}"] = -(below + angle) / 2  # the head is level and looks ahead
    for side, late in (("right", 0.0), ("left", 0.5)):
        # Furthest back as the foot of its own side lands; the elbow bends as the arm comes forward.
        swing = step / _ARM_STEP * np.cos(2 * np.pi * (phase + late))
        out[f"{side}_arm_flexion"] = _ARM_MEAN - _ARM_SWING * swing
        out[f"{side}_elbow_flexion"] = _ELBOW_MEAN - _ELBOW_SWING * swing
        out[f"{side}_arm_abduction"] = np.full(len(phase), _ARM_OUT)
    return out
