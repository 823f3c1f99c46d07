"""Walking to a commanded velocity: observation, reward and failure of `GaitNet/WildRobot-v0` and `Humanoid-v0`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.constants import GRAVITY
from gait_envs.control.muscle_network import load_muscle_network
from gait_envs.control.position import action_holding, low_pass, servo_target
from gait_envs.models.robot import Robot
from gait_envs.reference.amp_features import amp_features, amp_layout
from gait_envs.reference.library import MotionLibrary, load_clips
from gait_envs.rotations import heading_frame, quat_rotate_inverse, quat_yaw, wrap_angle
from gait_envs.simulation.base import Simulation, State
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.simulation.muscles import MuscleSimulation
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.tasks import terms
from gait_envs.tasks.config import Actuation, TaskConfig, WalkConfig
from gait_envs.tasks.layouts import acting_muscles, action_names, held_actions, observation_layout

SHORT_SWING, LONG_SWING = 0.2, 0.4  # s; a swing shorter than the first costs, longer than the second earns no more
MUSCLE_NETWORK = "policies/muscle_humanoid_imitation/muscle_nn.npz"  # among the assets
SLOW = 0.5  # m/s, below which a cost of transport counts as at this speed: standing has none
DOWN = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True)
class WalkMemory:
    """All that the task remembers between steps; every array has a row for each sub-environment."""

    command: np.ndarray  # (n, 3) vx, vy m/s, yaw rate rad/s
    heading: np.ndarray  # (n,) rad, where the commanded yaw rate has turned to by now
    action: np.ndarray  # (n, actions) the latest
    previous_action: np.ndarray  # (n, actions) the one before
    filtered: np.ndarray  # (n, actions) after the low-pass filter
    delayed: np.ndarray  # (n, lags + 1, controls) what the physics is asked for, on its way, newest first
    lag: np.ndarray  # (n,) int, control steps until a target acts
    level: np.ndarray  # (n,) in [0, 1], how much of the command range the curriculum has opened
    steps: np.ndarray  # (n,) int, control steps since the reset
    air_time: np.ndarray  # (n, 2) s since each foot last bore load; 0 while it does
    swing_time: np.ndarray  # (n, 2) s in the air of a foot that has just landed, else 0


@dataclass(frozen=True)
class Start:
    """One sub-environment's beginning, drawn from its own generator."""

    qpos: np.ndarray  # (nq,)
    qvel: np.ndarray  # (nv,)
    command: np.ndarray  # (3,)
    on_floor: bool  # True: the pose is to be lifted or lowered until its lowest sole touches
    clip: int = 0  # the reference frame it was taken from, where there is one
    frame: int = 0
    walker: np.ndarray = field(default_factory=lambda: np.ones(0))  # of whom follows a clip: see `TrackMemory`


class WalkTask:
    """Pure batched functions of (state, memory) for one robot and one configuration."""

    option_keys: Mapping[str, int] = {"command": 1, "qpos": 1, "qvel": 1}  # of reset, and each value's dimensions
    follows: bool = False  # a reference, step by step
    later_memory: tuple[str, ...] = ()  # fields of the memory that older saved states do not have

    def __init__(self, robot: Robot, config: TaskConfig) -> None:
        self.robot, self.config = robot, config
        if isinstance(config, Actuation):
            self.option_keys = {**self.option_keys, "params": 0}
        self.param_space = ParamSpace(robot, follows=self.follows)
        self._usual = self.param_space.values(getattr(config, "params", {}))
        self.reweight(config.reward_weights)
        self.layout = observation_layout(robot, config)
        self.amp_layout = amp_layout(len(robot.joint_names), robot.traits.contact_scale)
        self.action_names = action_names(robot, config)
        self._activations = len(acting_muscles(robot, config))
        self._held = held_actions(robot, config)
        self.library: MotionLibrary | None = None
        if config.reference is not None:
            self.library = MotionLibrary(load_clips(config.reference), robot.joint_names, robot.control_rate)

    def param_values(self, options: Mapping[str, Any]) -> np.ndarray:
        """The walker's parameters (P,) under these options of reset: theirs, or those of every episode."""
        return self.param_space.values(options["params"]) if "params" in options else self._usual

    def make_physics(self, n: int, threads: int) -> Simulation:
        """n simulations of the body, moved as the configuration says."""
        config = self.config
        if self.robot.muscles is None or not isinstance(config, Actuation):
            return BatchSimulation(self.robot, n, threads)
        if self._activations:
            return MuscleSimulation(self.robot, n, threads, controller="direct")
        options = {}
        if config.muscle_controller == "nn":
            file = config.muscle_network or asset_path(MUSCLE_NETWORK)
            options["network"] = load_muscle_network(file, self.robot.muscles)
        return MuscleSimulation(self.robot, n, threads, controller=config.muscle_controller, **options)

    def reweight(self, weights: Mapping[str, float]) -> None:
        """From now on the reward is the sum of these terms; a schedule may change them between rollouts."""
        unknown = [name for name in weights if name not in self.reward_terms]
        if unknown:
            raise ValueError(f"unknown reward term {unknown}; known are {list(self.reward_terms)}")
        self.weights = dict(weights)

    # -- memory -----------------------------------------------------------------------------------------

    def blank_memory(self, n: int) -> WalkMemory:
        """Memory of n sub-environments that have not been reset yet."""
        nu = len(self.action_names)
        controls = self._activations + len(self.robot.joint_names)
        lags = self.config.randomize.latency[1] if self.config.randomize.enabled else 0
        zeros = np.zeros
        return WalkMemory(
            command=zeros((n, 3)),
            heading=zeros(n),
            action=zeros((n, nu)),
            previous_action=zeros((n, nu)),
            filtered=zeros((n, nu)),
            delayed=zeros((n, lags + 1, controls)),
            lag=zeros(n, dtype=np.int64),
            level=zeros(n),
            steps=zeros(n, dtype=np.int64),
            air_time=zeros((n, 2)),
            swing_time=zeros((n, 2)),
        )

    def draw_start(self, rng: np.random.Generator, level: float, options: Mapping[str, Any]) -> Start:
        """Where one episode begins; `options` of reset override the draw."""
        config = self.config
        command = numbers_option(options, "command", 3) if "command" in options else self.draw_command(rng, level)
        from_reference = self.library is not None and rng.random() < config.rsi_probability
        clip = frame = 0
        if from_reference:
            assert self.library is not None
            clip = self.library.nearest_speed(float(command[0]))
            frame = int(rng.integers(self.library.lengths[clip]))
            qpos, qvel = self.library.frame(clip, frame)
        else:
            qpos, qvel = self.standing(rng)
        if "qpos" in options:
            qvel[:] = 0.0  # the drawn velocities belong to the drawn pose
        for key, value in (("qpos", qpos), ("qvel", qvel)):
            if key in options:
                value[:] = numbers_option(options, key, value.size)
        if abs(np.linalg.norm(qpos[3:7]) - 1) > 1e-3:
            raise ValueError(f"options['qpos'] has the root quaternion {qpos[3:7]}, which is not of length 1")
        return Start(qpos, qvel, command, not from_reference and "qpos" not in options, clip, frame)

    def standing(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The home pose and its velocities, with a little noise on the joints."""
        robot, noise = self.robot, self.config.reset_noise
        qpos, qvel = robot.home_qpos.copy(), np.zeros(robot.model.nv)
        joints = qpos[7:] + noise * rng.uniform(-1, 1, len(robot.home))
        qpos[7:] = np.clip(joints, robot.lower, robot.upper)
        qvel[6:] = 10 * noise * rng.uniform(-1, 1, len(robot.home))
        return qpos, qvel

    def draw_command(self, rng: np.random.Generator, level: float) -> np.ndarray:
        """A command within the range; with a curriculum, the forward range opens with the level."""
        config = self._walk_config
        low, high = np.array(config.command_low), np.array(config.command_high)
        if config.curriculum:
            high[0] = low[0] + (high[0] - low[0]) * (0.3 + 0.7 * level)
        return rng.uniform(low, high)

    @property
    def _walk_config(self) -> WalkConfig:
        assert isinstance(self.config, WalkConfig)
        return self.config

    def begin(self, memory: WalkMemory, ids: np.ndarray, starts: list[Start], lag: np.ndarray) -> None:
        """Write the rows of the freshly reset sub-environments."""
        robot = self.robot
        qpos = np.stack([start.qpos for start in starts])
        hold = action_holding(qpos[:, 7:], robot.home, robot.action_scale)
        muscles = self._activations  # at rest
        for rows in (memory.action, memory.previous_action, memory.filtered):
            rows[ids, :muscles] = 0.0
            rows[ids, muscles:] = hold[:, robot.servos] if muscles else hold
        memory.delayed[ids, :, :muscles] = 0.0
        memory.delayed[ids, :, muscles:] = qpos[:, None, 7:]
        memory.command[ids] = [start.command for start in starts]
        memory.heading[ids] = quat_yaw(qpos[:, 3:7])
        memory.lag[ids] = lag
        memory.steps[ids] = 0
        memory.air_time[ids] = memory.swing_time[ids] = 0.0

    def finish(self, memory: WalkMemory, ids: np.ndarray, survived: np.ndarray) -> None:
        """Move the curriculum of the sub-environments whose episode ended: up a tenth, or down."""
        memory.level[ids] = np.clip(memory.level[ids] + np.where(survived, 0.1, -0.05), 0.0, 1.0)

    def resample(self, memory: WalkMemory, rows: np.ndarray, rngs: list[np.random.Generator]) -> None:
        """Draw new commands where one is due, among the sub-environments `rows`."""
        interval = self._walk_config.command_interval
        if interval <= 0:
            return
        period = max(1, round(interval / self.robot.dt))
        for i in rows[memory.steps[rows] % period == 0]:
            memory.command[i] = self.draw_command(rngs[i], float(memory.level[i]))

    # -- one step ---------------------------------------------------------------------------------------

    def act(self, memory: WalkMemory, action: np.ndarray) -> tuple[np.ndarray, WalkMemory]:
        """What the physics is asked for in this step (n, controls), and the memory with the action in it."""
        action = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        filtered = low_pass(action, memory.filtered, self.config.action_filter)
        delayed = np.concatenate([self.controls(filtered, memory)[:, None, :], memory.delayed[:, :-1]], axis=1)
        memory = dataclasses.replace(
            memory,
            action=action,
            previous_action=memory.action,
            filtered=filtered,
            delayed=delayed,
            heading=memory.heading + memory.command[:, 2] * self.robot.dt,
            steps=memory.steps + 1,
        )
        return delayed[np.arange(len(action)), memory.lag], memory

    def advance(self, memory: WalkMemory, state: State) -> WalkMemory:
        """The memory after the simulation: how long each foot has been, or was, in the air."""
        loaded = terms.foot_load(state.foot_force) > self.robot.traits.loaded
        return dataclasses.replace(
            memory,
            air_time=np.where(loaded, 0.0, memory.air_time + self.robot.dt),
            swing_time=np.where(loaded, memory.air_time, 0.0),
        )

    def controls(self, action: np.ndarray, memory: WalkMemory) -> np.ndarray:
        """Target poses (n, nu) rad of a filtered action, before them activations (n, m) where it gives these.

        A muscle cannot push: its number below 0 is an activation of 0.
        """
        if not self._activations:
            return self.target(action, memory)
        joints = np.zeros((len(action), len(self.robot.joint_names)))
        joints[:, self.robot.servos] = action[:, self._activations :]
        activations = np.maximum(action[:, : self._activations], 0.0)
        return np.concatenate([activations, self.target(joints, memory)], axis=1)

    def target(self, action: np.ndarray, memory: WalkMemory) -> np.ndarray:
        """Servo targets (n, nu) rad of a filtered action: about the home pose."""
        robot = self.robot
        return servo_target(action, robot.home, robot.action_scale, robot.target_lower, robot.target_upper)

    def observe(self, state: State, memory: WalkMemory) -> np.ndarray:
        """The observation, (n, layout.size) float32."""
        return self.layout.pack(self.observation_parts(state, memory))

    def observation_parts(self, state: State, memory: WalkMemory) -> dict[str, np.ndarray]:
        """The observation's rows by name, before their limits."""
        robot, quat = self.robot, state.qpos[:, 3:7]
        velocity = state.qvel[:, :3]
        if self.config.velocity_frame == "heading":
            velocity = heading_frame(quat, velocity)
        return {
            "joint_position": (state.qpos[:, 7:] - robot.home) / robot.action_scale,
            "joint_velocity": state.qvel[:, 6:],
            "linear_velocity": velocity,
            "angular_velocity": state.gyro,
            "gravity": gravity_direction(state),
            "command": self.steered_command(state, memory),
            "previous_action": memory.filtered[:, self._held],
        }

    def steered_command(self, state: State, memory: WalkMemory) -> np.ndarray:
        """The command with its yaw rate corrected towards the heading it should have by now, (n, 3).

        A walker that only feels its yaw rate drifts with the sum of its errors; the correction is the
        usual outer loop (at most 0.5 rad/s), and `heading_gain=0` turns it off.
        """
        correction = np.clip(self.config.heading_gain * self.heading_error(state, memory), -0.5, 0.5)
        rate = memory.command[:, 2] + correction
        return np.concatenate([memory.command[:, :2], rate[:, None]], axis=1)

    def heading_error(self, state: State, memory: WalkMemory) -> np.ndarray:
        """How far the commanded heading lies to the left of the robot's, (n,) rad in [-π, π)."""
        return wrap_angle(memory.heading - quat_yaw(state.qpos[:, 3:7]))

    # Names, meanings and functions of every reward term; weights pick among them.
    reward_terms: Mapping[str, str] = {
        "tracking_lin_vel": "exp(-k·|vx - command|), heading frame",
        "tracking_lateral": "exp(-k·|vy - command|), heading frame",
        "tracking_yaw_rate": "exp(-k/2·|yaw rate - steered command|)",
        "tracking_heading": "exp(-k/2·|heading - commanded heading|)",
        "air_time": "at each landing, seconds the foot was in the air, at most 0.4, less 0.2",
        "progress": "forward speed / commanded speed, within [-1, 1]",
        "base_height": "kernel of the root's height about the target",
        "upright": "cosine of the root's tilt",
        "alive": "1 a step",
        "action_rate": "squared change of the action (a cost)",
        "torque": "squared servo torque, N²·m² (a cost)",
        "cost_of_transport": "servo power Σ|τ q̇| / (weight · speed), speed at least 0.5 m/s (a cost)",
        "activation": "squared activation, mean over the muscles and the step (a cost; 0 without muscles)",
        "slip": "speed of the soles that bear load, m/s (a cost)",
        "vertical_velocity": "squared vertical speed of the root (a cost)",
        "roll_pitch_rate": "squared roll and pitch rate of the root (a cost)",
    }

    def reward(self, state: State, memory: WalkMemory) -> dict[str, np.ndarray]:
        """Weighted terms (n,), in the order of the weights; their sum is the reward."""
        functions = self.reward_functions(state, memory)
        return {name: weight * functions[name]() for name, weight in self.weights.items()}

    def reward_functions(self, state: State, memory: WalkMemory) -> dict[str, Callable[[], np.ndarray]]:
        """Every term by name, computed only when it is called for."""
        velocity = heading_frame(state.qpos[:, 3:7], state.qvel[:, :3])
        gravity = gravity_direction(state)
        command, k = memory.command, self.config.tracking_sharpness
        return {
            "tracking_lin_vel": lambda: terms.tracking(velocity[:, 0], command[:, 0], k),
            "tracking_lateral": lambda: terms.tracking(velocity[:, 1], command[:, 1], k),
            "tracking_yaw_rate": lambda: terms.tracking(
                yaw_rate(state), self.steered_command(state, memory)[:, 2], 0.5 * k
            ),
            "tracking_heading": lambda: terms.tracking(
                self.heading_error(state, memory), np.zeros(len(velocity)), 0.5 * k
            ),
            "air_time": lambda: terms.swing(memory.swing_time, SHORT_SWING, LONG_SWING),
            "progress": lambda: terms.progress(velocity[:, 0], command[:, 0]),
            "base_height": lambda: terms.near_height(
                state.qpos[:, 2], self.config.target_height, self.robot.traits.height_width
            ),
            "upright": lambda: terms.upright(gravity),
            "alive": lambda: np.ones(len(velocity)),
            "action_rate": lambda: terms.squared(memory.action - memory.previous_action),
            "torque": lambda: terms.squared(state.torque),
            "cost_of_transport": lambda: terms.cost_of_transport(
                state.torque, state.qvel[:, 6:], state.qvel[:, :2], GRAVITY * self.robot.mass, SLOW
            ),
            "activation": lambda: np.zeros(len(velocity)) if state.muscles is None else state.muscles.effort,
            "slip": lambda: terms.stance_slip(state.foot_force, state.foot_vel, self.robot.traits.loaded),
            "vertical_velocity": lambda: state.qvel[:, 2] ** 2,
            "roll_pitch_rate": lambda: terms.squared(state.gyro[:, :2]),
        }

    def fallen(self, state: State, memory: WalkMemory) -> np.ndarray:
        """Failure (n,): too low, too high or tilted over."""
        height, config = state.qpos[:, 2], self.config
        tilted = -gravity_direction(state)[:, 2] < np.cos(config.max_tilt)
        return (height < config.min_height) | (height > config.max_height) | tilted

    def finished(self, memory: WalkMemory) -> np.ndarray:
        """Whether the episode has come to its own end, other than by a failure (n,); walking has none."""
        return np.zeros(len(memory.steps), dtype=bool)

    def info(self, state: State, memory: WalkMemory) -> dict[str, np.ndarray]:
        """What one may want to log; constant keys and shapes."""
        velocity = heading_frame(state.qpos[:, 3:7], state.qvel[:, :3])
        rate = yaw_rate(state)
        muscles = {}
        if state.muscles is not None:
            muscles = {
                "activation_energy": state.muscles.effort.copy(),
                "torque_desired": state.muscles.desired.copy(),
                "torque_residual": state.muscles.residual.copy(),
            }
        return muscles | {
            "x_position": state.qpos[:, 0].copy(),
            "y_position": state.qpos[:, 1].copy(),
            "x_velocity": velocity[:, 0],
            "y_velocity": velocity[:, 1],
            "yaw_rate": rate,
            "command": memory.command.copy(),
            "speed_error": np.abs(velocity[:, 0] - memory.command[:, 0]),
            "lateral_error": np.abs(velocity[:, 1] - memory.command[:, 1]),
            "yaw_rate_error": np.abs(rate - memory.command[:, 2]),
            "amp_obs": amp_features(state.qpos, state.qvel, state.foot_force, self.robot.traits.contact_scale),
        }


def numbers_option(options: Mapping[str, Any], key: str, size: int) -> np.ndarray:
    """A reset option of `size` finite numbers."""
    value = np.array(options[key], dtype=float)
    if value.shape != (size,) or not np.isfinite(value).all():
        raise ValueError(f"options[{key!r}] must be {size} finite numbers, got {value.tolist()}")
    return value


def gravity_direction(state: State) -> np.ndarray:
    """Unit vector of gravity in the body frame, (n, 3); upright is (0, 0, -1)."""
    return quat_rotate_inverse(state.qpos[:, 3:7], np.broadcast_to(DOWN, (len(state.qpos), 3)))


def yaw_rate(state: State) -> np.ndarray:
    """Turning rate about the vertical, (n,) rad/s: the body rate's share along -gravity."""
    return -np.sum(state.qvel[:, 3:6] * gravity_direction(state), axis=1)
