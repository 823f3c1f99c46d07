"""Every reward term in one table: name, unit, meaning, function, and its weight in the default rewards.

A reward is the weighted sum of some terms. A term is a function of a `View` that gives (n,) numbers; larger is better,
except for costs, whose weights are negative. The arithmetic is in `tasks.terms`. The order of the
table is the order of the default rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from gait_envs.constants import GRAVITY
from gait_envs.rotations import Array, quat_conj, quat_mul, quat_to_rotvec
from gait_envs.tasks import terms
from gait_envs.tasks.view import View, gravity, heading_error, steered_command, velocity, velocity_error, yaw_rate

SHORT_SWING, LONG_SWING = 0.2, 0.4  # s; a shorter swing than the first costs; beyond the second it earns no more
SLOW = 0.5  # m/s; lower speeds are raised to it in the cost of transport, which standing still would make infinite
# Sharpness of each tracked quantity's kernel, exp(-k·|error|²), summed over its components; the joints' are options.
ROOT, ROOT_VELOCITY, TURN, ENDS, MASSES = 30.0, 6.0, 8.0, 40.0, 10.0
# The same of PHC (Luo et al. 2023), of mean squares: bodies' positions and velocities, turns and rates of turning.
PHC_POSITION, PHC_ROTATION, PHC_VELOCITY, PHC_SPIN = 100.0, 10.0, 0.1, 0.1
UNWEIGHTED: Mapping[str, float] = MappingProxyType({})


class Term(NamedTuple):
    """One reward term."""

    name: str
    unit: str
    meaning: str
    of: Callable[[View], Array]  # (n,)
    weights: Mapping[str, float] = UNWEIGHTED  # in the default reward of these tasks, by their short names


def table(rows: Iterable[Term]) -> dict[str, Term]:
    """Terms by name."""
    return {row.name: row for row in rows}


def default_weights(task: str) -> dict[str, float]:
    """The default reward of a task, by its short name."""
    return {name: term.weights[task] for name, term in ALL.items() if task in term.weights}


def kernel(error: Array, sharpness: float) -> Array:
    """exp(-sharpness·|error|²), (n, k) to (n,)."""
    return np.exp(-sharpness * terms.squared(error))


def _turn(view: View) -> Array:
    """Rotation vector (n, 3) rad from the root to the reference's."""
    return quat_to_rotvec(quat_mul(quat_conj(view.state.qpos[:, 3:7]), view.memory.reference_qpos[:, 3:7]))


def _centre(view: View) -> Array:
    """Distance of the centre of mass from the reference's, (n, 3) m."""
    masses = view.task.robot.model.body_mass[view.task.robot.pelvis :]
    return (view.memory.error * (masses / masses.sum())[:, None]).sum(axis=1)


def _ends(view: View) -> Array:
    """Position errors of the end effectors relative to the root, in its heading frame, flattened, m."""
    return view.quantity("end_error").reshape(len(view), -1)


def _reference(view: View, what: slice) -> Array:
    return view.state.qpos[:, what] - view.memory.reference_qpos[:, what]


def _reference_rate(view: View, what: slice) -> Array:
    return view.state.qvel[:, what] - view.memory.reference_qvel[:, what]


def _heading(view: View) -> Array:
    return terms.tracking(heading_error(view), np.zeros(len(view)), 0.5 * view.options.tracking_sharpness)


def _turning(view: View) -> Array:
    return terms.tracking(yaw_rate(view), steered_command(view)[:, 2], 0.5 * view.options.tracking_sharpness)


def _follow(view: View, axis: int) -> Array:
    return np.exp(-view.options.tracking_sharpness * velocity_error(view)[:, axis])


def _pace(view: View) -> Array:
    x, y = view.memory.mean_miss[:, 0], view.memory.mean_miss[:, 1]
    return np.exp(-2 * view.options.tracking_sharpness * np.sqrt(x * x + y * y))


def _transport(view: View) -> Array:
    state, weight = view.state, GRAVITY * view.task.robot.mass
    return terms.cost_of_transport(state.torque, state.qvel[:, 6:], state.qvel[:, :2], weight, SLOW)


def _height(view: View) -> Array:
    return terms.near_height(view.state.qpos[:, 2], view.options.target_height, view.task.robot.traits.height_width)


def _slip(view: View) -> Array:
    return terms.stance_slip(view.state.foot_force, view.state.foot_vel, view.task.robot.traits.loaded)


def _scuff(view: View) -> Array:
    return terms.scuff(view.state.foot_force, view.quantity("planned_load"), view.task.robot.traits.loaded)


def _effort(view: View) -> Array:
    return np.zeros(len(view)) if view.state.muscles is None else view.state.muscles.effort


def _turns(view: View) -> Array:
    """Mean square of the root's turn (as an angle) and of the joints' angle errors, (n,) rad²."""
    joints = _reference(view, JOINTS)
    return (terms.squared(_turn(view)) + terms.squared(joints)) / (1 + joints.shape[1])


def _power(view: View) -> Array:
    return np.abs(view.state.torque * view.state.qvel[:, 6:]).sum(axis=-1)


JOINTS, RATES = slice(7, None), slice(6, None)

# For tasks that follow a reference.
TRACKING = table((
    Term("track_pose", "1", "kernel of the joint angle errors",
         lambda v: kernel(_reference(v, JOINTS), v.options.pose_sharpness), {"track": 1.0, "humanoid_track": 1.0}),
    Term("track_velocity", "1", "kernel of the joint velocity errors",
         lambda v: kernel(_reference_rate(v, RATES), v.options.rate_sharpness), {"track": 0.2, "humanoid_track": 0.2}),
    Term("track_end_effector", "1", "kernel of the position errors of feet (hands, head) relative to the root",
         lambda v: kernel(_ends(v), ENDS), {"track": 0.2, "humanoid_track": 0.4}),
    Term("track_com", "1", "kernel of the error of the centre of mass",
         lambda v: kernel(_centre(v), MASSES), {"humanoid_track": 0.4}),
    Term("track_root", "1", "kernel of the root position error",
         lambda v: kernel(_reference(v, slice(3)), ROOT), {"track": 0.8, "humanoid_track": 0.6}),
    Term("track_root_velocity", "1", "kernel of the root velocity error",
         lambda v: kernel(_reference_rate(v, slice(3)), ROOT_VELOCITY), {"track": 0.6, "humanoid_track": 0.4}),
    Term("track_turn", "1", "kernel of the root orientation error",
         lambda v: kernel(_turn(v), TURN), {"track": 0.6, "humanoid_track": 0.6}),
    Term("scuff", "feet", "feet in contact with the floor while the reference is in swing (a cost)", _scuff,
         {"track": -0.5}),
    Term("phc_position", "1", "exp(-100·mean square) of the bodies' position errors",
         lambda v: np.exp(-PHC_POSITION * terms.mean_square(v.memory.error))),
    Term("phc_rotation", "1", "exp(-10·mean square) of the turns of root and joints", lambda v: np.exp(
        -PHC_ROTATION * _turns(v))),
    Term("phc_velocity", "1", "exp(-0.1·mean square) of the bodies' velocity errors",
         lambda v: np.exp(-PHC_VELOCITY * v.memory.velocity_error_squared)),
    Term("phc_angular_velocity", "1", "exp(-0.1·mean square) of the angular velocity errors of root and joints",
         lambda v: np.exp(-PHC_SPIN * terms.mean_square(_reference_rate(v, slice(3, None))))),
))  # fmt: skip

# Of every task. The humanoid is charged for power instead of torque: squared, a human's torques are a thousand
# times WildRobot's. The four weights of "walk" are those of the WildRobot design document.
WALKING = table((
    Term("tracking_lin_vel", "1", "exp(-k·|vx - command|), heading frame", lambda v: _follow(v, 0),
         {"walk": 5.0, "humanoid_walk": 1.5}),
    Term("tracking_lateral", "1", "exp(-k·|vy - command|), heading frame", lambda v: _follow(v, 1),
         {"humanoid_walk": 0.3}),
    Term("tracking_yaw_rate", "1", "exp(-k/2·|yaw rate - steered command|)", _turning),
    Term("tracking_heading", "1", "exp(-k/2·|heading - commanded heading|)", _heading, {"humanoid_walk": 0.5}),
    Term("air_time", "s", "at each touchdown, swing time of the foot, at most 0.4 s, minus 0.2 s",
         lambda v: terms.swing(v.memory.swing_time, SHORT_SWING, LONG_SWING)),
    Term("progress", "1", "forward speed / commanded speed, within [-1, 1]",
         lambda v: terms.progress(velocity(v)[:, 0], v.memory.command[:, 0])),
    Term("base_height", "1", "kernel of the root height error", _height, {"walk": 0.3}),
    Term("upright", "1", "cosine of the root's tilt", lambda v: terms.upright(gravity(v))),
    Term("alive", "1", "1 per step", lambda v: np.ones(len(v)), {"humanoid_walk": 0.5}),
    Term("cost_of_transport", "1", "servo power Σ|τ q̇| / (weight · speed), speed at least 0.5 m/s (a cost)",
         _transport, {"humanoid_walk": -0.05}),
    Term("action_rate", "1", "squared change of the action (a cost)",
         lambda v: terms.squared(v.memory.action - v.memory.previous_action),
         {"walk": -0.01, "track": -0.1, "humanoid_walk": -0.005, "humanoid_track": -0.005}),
    Term("power", "W", "servo power Σ|τ q̇| (a cost)", _power),
    Term("torque", "N²·m²", "squared servo torque (a cost)", lambda v: terms.squared(v.state.torque),
         {"walk": -0.001, "track": -0.002}),
    Term("slip", "m/s", "horizontal speed of the soles in stance (a cost)", _slip, {"track": -1.0}),
    Term("vertical_velocity", "m²/s²", "squared vertical speed of the root (a cost)",
         lambda v: v.state.qvel[:, 2] ** 2),
    Term("roll_pitch_rate", "rad²/s²", "squared roll and pitch rate of the root (a cost)",
         lambda v: terms.squared(v.state.gyro[:, :2])),
    Term("activation", "1", "squared activation, averaged over muscles and step (a cost; 0 without muscles)",
         _effort, {"muscle": -0.5}),
))  # fmt: skip

# Of tasks with commands, see `tasks.body.pace_part`.
PACE = table((
    Term("tracking_mean_velocity", "1", "exp(-2k·|mean of velocity - command over about a stride|), planar",
         _pace),
))  # fmt: skip

ALL = TRACKING | WALKING | PACE
