"""What a model does not say about its robot: names, rates, gains and thresholds, a table for each body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Gains = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Traits:
    """Facts about one body that its model file has no place for."""

    control_rate: float  # Hz
    feet: tuple[str, str]  # bodies that carry the soles, left and right
    ends: tuple[str, ...]  # bodies whose place relative to the root is tracked
    legs: tuple[str, ...]  # parts of the joint names whose last action `previous_action="legs"` shows
    legs_in_words: str
    loaded: float  # N, a foot that bears more is in stance
    contact_scale: float  # N, the force at which a contact reads tanh(1) = 0.76 among the AMP features
    height_width: float  # m, of the kernel around the target height
    reach: float = 0.0  # rad, how far beyond a joint's range its servo's target may lie
    # What can be stretched: its name -> the axis along it, and its bodies (without their side).
    segments: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    gains: Gains | None = None  # stable PD, joint (without its side) -> N·m/rad, N·m·s/rad; None: the model's servos


WILDROBOT = Traits(
    control_rate=50.0,
    feet=("left_foot", "right_foot"),
    ends=("left_foot", "right_foot"),
    legs=("waist", "hip", "knee"),
    legs_in_words="waist, hips and knees",
    loaded=3.0,
    contact_scale=10.0,  # a sole bears 33 N at rest
    height_width=0.1,
)

# N·m/rad. A torque of the joint's strength (`joints.csv`) takes 0.1 to 0.6 rad between joint and target. The ankles
# are the stiffest of the legs: a standing body falls where both together, with knees and hips in series, are softer
# than m·g·h = 650 N·m/rad. kd is kp · 0.1 s, as in DeepMimic (Peng et al. 2018); what follows a moving reference leads
# it by as much, see `Robot.lead`. h² kp stays below every joint's armature, as the discrete scheme asks.
_STIFFNESS = {
    "hip_flexion": 1000.0,
    "hip_abduction": 1000.0,
    "hip_rotation": 300.0,
    "knee_flexion": 1000.0,
    "ankle_dorsiflexion": 1300.0,
    "ankle_inversion": 600.0,
    "ankle_rotation": 200.0,
    "big_toe_extension": 100.0,
    "small_toes_extension": 100.0,
    **{f"{part}_{way}": 1000.0 for part in ("spine", "torso") for way in ("flexion", "bending", "rotation")},
    **{f"{part}_{way}": 100.0 for part in ("neck", "head") for way in ("flexion", "bending", "rotation")},
    **{f"shoulder_{way}": 300.0 for way in ("protraction", "elevation", "rotation")},
    "arm_flexion": 250.0,
    "arm_abduction": 250.0,
    "arm_rotation": 100.0,
    "elbow_flexion": 200.0,
    **{f"hand_{way}": 40.0 for way in ("pronation", "deviation", "flexion")},
}

HUMANOID = Traits(
    control_rate=30.0,
    feet=("left_talus", "right_talus"),
    ends=("left_talus", "right_talus", "left_hand", "right_hand", "head"),
    legs=("spine", "hip", "knee", "ankle"),
    legs_in_words="spine, hips, knees and ankles",
    loaded=20.0,  # the usual threshold of a force plate
    contact_scale=200.0,  # a sole bears 716 N at rest, as 33 N are to WildRobot's 10 N
    height_width=0.2,
    reach=0.4,
    segments=MappingProxyType(
        {
            "thigh": ("z", ("femur",)),
            "shank": ("z", ("tibia",)),
            "foot": ("x", ("talus", "big_toe", "small_toes")),
            "trunk": ("z", ("pelvis", "spine", "torso")),
            "arm": ("z", ("arm", "forearm", "hand")),
        }
    ),
    gains=MappingProxyType({name: (kp, 0.1 * kp) for name, kp in _STIFFNESS.items()}),
)

TRAITS = {"wildrobot": WILDROBOT, "humanoid": HUMANOID}  # by the folder of the assets
