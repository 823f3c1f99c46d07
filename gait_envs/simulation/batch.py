"""Simulations of one robot on MuJoCo's native batch, bit-identical to a plain loop."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError

from gait_envs.models.robot import Robot
from gait_envs.simulation import process
from gait_envs.simulation.base import State
from gait_envs.simulation.fields import OwnFields, model_field

process.write_no_log()

MAX_SPEED = 1e3  # m/s or rad/s in any coordinate; beyond it a simulation has diverged
MAX_WAY = 1e6  # m or rad in any coordinate
# What is computed after a step: nothing, or all that follows from the new state.
NOTHING, VELOCITIES = int(mujoco.mjtStage.mjSTAGE_NONE), int(mujoco.mjtStage.mjSTAGE_VEL)
MANY = 5  # physics steps whose sensors take longer than a second call
WITHOUT_SENSORS = int(mujoco.mjtDisableBit.mjDSBL_SENSOR)


class BatchSimulation:
    """n simulations of a robot, stepped on `threads` threads (0: every processor)."""

    def __init__(self, robot: Robot, n: int, threads: int = 0) -> None:
        self.robot = robot
        # Many simulations share an `MjData` a thread, which stays in the processor's cache; one alone keeps its
        # own, so that `get_data` shows all of it.
        self.batch = Batch(robot.model, n, threads, persistent=n == 1)
        # The batch steps a copy of the model. This has it read the robot's own, so that an edit acts from the next step
        # on; until simulations get fields of their own, of which the copy is the base.
        self.batch.set_models(robot.model)
        self.fields = OwnFields(self.batch, robot.model)
        bind = self.batch.bind
        self._qpos, self._qvel, self._ctrl = bind("qpos"), bind("qvel"), bind("ctrl")
        self._sensors, self._force, self._xpos = bind("sensordata"), bind("actuator_force"), bind("xpos")
        self._qacc = bind("qacc") if robot.traits.gains is not None else None
        self._servo_controls = as_slice(robot.model.actuator_ctrladr[robot.servo_actuators])
        self._servos, self._servo_dofs = as_slice(robot.servos), as_slice(6 + robot.servos)
        self._servo_actuators = as_slice(robot.servo_actuators)
        self.diverged = np.zeros(n, dtype=bool)
        # Called before every single physics step, its controls in place; must not change anything. See `instruments`.
        self.watch: Callable[[], None] | None = None
        self.batch.reset()
        process.guard(self)

    def reset(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Start simulations afresh: no controls, no warm start, sensors at the new state."""
        self.batch.reset(ids, stage=mujoco.mjtStage.mjSTAGE_NONE)
        self._qpos[ids], self._qvel[ids] = qpos, qvel
        # The servos hold the starting pose, so that the first contact forces are those of standing in it.
        self.aim(np.clip(qpos[:, 7:], self.robot.lower, self.robot.upper), ids)
        self.batch.forward(ids)
        self.diverged[ids] = False

    def aim(self, pose: np.ndarray, ids: np.ndarray | None) -> None:
        """Servo targets (k, nu) rad of the simulations `ids` (None: all), for those joints that have a servo."""
        rows = slice(None) if ids is None else ids if isinstance(self._servo_controls, slice) else ids[:, None]
        self._ctrl[rows, self._servo_controls] = pose[:, self._servos]

    def step(self, target: np.ndarray, ids: np.ndarray | None = None) -> None:
        """One control step of servo targets (n, nu) rad; the diverged are marked, not repaired."""
        self.aim(target if ids is None else target[ids], ids)
        self.diverged = self.advance(ids, self.robot.substeps)

    def advance(self, ids: np.ndarray | None, steps: int) -> np.ndarray:
        """Some physics steps of the simulations `ids` (None: all); which of all simulations have diverged, (n,)."""
        failed: list[int] = []
        if self.watch is not None:
            for _ in range(steps):
                self.watch()
                failed += self._steps(ids, 1)
        elif steps >= MANY and len(self.fields) == 0:
            # Sensors are read after the last physics step only, and no step depends on them.
            option = self.robot.model.opt
            flags = option.disableflags
            option.disableflags = flags | WITHOUT_SENSORS
            try:
                failed += self._steps(ids, steps - 1, NOTHING)
            finally:
                option.disableflags = flags
            failed += self._steps(ids, 1)
        else:
            failed += self._steps(ids, steps)
        # No coordinate is beyond the root of the sum of all squares. NaN fails the comparison, so one test finds both
        # runaway and undefined states.
        speed, way = np.vdot(self._qvel, self._qvel), np.vdot(self._qpos, self._qpos)
        if not failed and speed < MAX_SPEED**2 and way < MAX_WAY**2:
            return np.zeros(len(self._qvel), dtype=bool)
        diverged = ~((np.abs(self._qvel).max(axis=1) < MAX_SPEED) & (np.abs(self._qpos).max(axis=1) < MAX_WAY))
        diverged[failed] = True
        return diverged

    def _steps(self, ids: np.ndarray | None, steps: int, stage: int = VELOCITIES) -> list[int]:
        """Physics steps of `ids` (None: all), then the new state's `stage`; which of all simulations MuJoCo gave up."""
        try:
            self.batch.step(ids, steps, stage)
        except SimulationError as error:
            return error.ids.tolist()
        return []

    def push(self, ids: np.ndarray, velocity: np.ndarray) -> None:
        """Add a horizontal velocity (k, 2) m/s to the root: a push of m·v newton seconds."""
        self._qvel[ids, :2] += velocity

    def read(self) -> State:
        """A copy of the current state."""
        robot, sensors = self.robot, self._sensors.copy()
        n = len(sensors)
        return State(
            qpos=self._qpos.copy(),
            qvel=self._qvel.copy(),
            gyro=sensors[:, robot.gyro],
            foot_force=self._foot_force(sensors),
            foot_pos=sensors[:, robot.foot_pos].reshape(n, 2, 3),
            foot_vel=sensors[:, robot.foot_vel].reshape(n, 2, 3),
            torque=self._torque(),
            body_pos=self._xpos.reshape(n, -1, 3)[:, robot.pelvis :].copy(),
        )

    def _foot_force(self, sensors: np.ndarray) -> np.ndarray:
        """Loads on the soles, (n, 4) N; toes that bend bear with the ball of their foot. Adds to `sensors` in place."""
        force = sensors[:, self.robot.touch]
        if self.robot.toe_touch is not None:
            toes = sensors[:, self.robot.toe_touch]
            force[:, ::2] += toes[:, ::2] + toes[:, 1::2]
        return force

    def _torque(self) -> np.ndarray:
        """What the servos applied, (n, nu) N·m.

        MuJoCo reports the force at the start of a step; stable PD's is that less what follows from moving on, h kp q̇
        + h kd q̈ (`StablePD.torque_at`).
        """
        return self._force.copy() if self._qacc is None else self._force - self._gave_way()

    def _gave_way(self) -> np.ndarray:
        """How much less than at its start the stable PD servos applied over the last physics step, (n, k) N·m."""
        assert self._qacc is not None
        h = self.robot.model.opt.timestep
        kp = self.fields.values("actuator_gainprm")[:, self._servo_actuators, 0]
        kd = -self.fields.values("actuator_biasprm")[:, self._servo_actuators, 2]
        acceleration = self._qacc[:, self._servo_dofs]
        before = self._qvel[:, self._servo_dofs] - h * acceleration
        return h * (kp * before + kd * acceleration)

    def set_const(self, ids: np.ndarray | None = None) -> None:
        """Compute what follows from fields of `ids` (None: all) that were written, such as contacts' inverse weights.

        For unmodified fields the result equals the robot's model bit for bit.
        """
        model, armature = self.robot.model, self.robot.armature
        if (armature == model.dof_armature).all():
            self.batch.set_const(ids)
            return
        own, rows = self.fields.own("dof_armature"), slice(None) if ids is None else ids
        own[rows] = armature
        self.batch.set_const(ids)
        own[rows] = model.dof_armature

    def masses(self) -> np.ndarray:
        """Total mass of each simulation's body, (n,) kg."""
        return np.broadcast_to(self.fields.values("body_mass").sum(axis=1), self.diverged.shape)

    @property
    def _shaped(self) -> bool:
        """Whether simulations look different: lengths of bodies, or bumps on the floor."""
        return "body_pos" in self.fields or "geom_pos" in self.fields

    def own_model(self, sim: int) -> mujoco.MjModel:
        """The model of one simulation, whose lengths and bumps may be its own; until the next call."""
        if not self._shaped:
            return self.robot.model
        self.write_model(sim, self._scratch_model)
        return self._scratch_model

    def write_model(self, sim: int, model: mujoco.MjModel) -> None:
        """Give a copy of the robot's model the lengths and bumps of one simulation, where any has its own."""
        if self._shaped:
            self.batch.get_model(sim, model)

    def get_data(self, sim: int, data: mujoco.MjData | None = None) -> mujoco.MjData:
        """The state of one simulation as an `MjData`; of one alone, all of what its last step computed."""
        return self.batch.get_data(sim, data)

    def write_data(self, sim: int, data: mujoco.MjData) -> bool:
        """Take over the state in an `MjData` that `get_data` gave; whether somebody has changed it since."""
        row = np.empty(self.batch.state.shape[1])
        mujoco.mj_getState(self.robot.model, data, row, mujoco.mjtState.mjSTATE_INTEGRATION)
        if row.tobytes() == self.batch.state[sim].tobytes():
            return False
        self.batch.state[sim] = row
        self.batch.forward(np.array([sim]), stage=mujoco.mjtStage.mjSTAGE_VEL)
        return True

    def lowest_sole(self, qpos: np.ndarray, sim: int | None = None) -> float:
        """Height of the lowest point of the soles in a pose (nq,), m; negative is inside the floor.

        sim: the simulation whose body it is, None for the robot's own
        """
        model, data = self.robot.model if sim is None else self.own_model(sim), self._scratch
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        rotation = data.geom_xmat[self.robot.soles].reshape(-1, 3, 3)
        # The lowest corner of a box lies its half sizes' shadow on the vertical below its centre; a capsule is a box
        # without width, its radius thick.
        round_ = model.geom_type[self.robot.soles, None] == mujoco.mjtGeom.mjGEOM_CAPSULE
        size = model.geom_size[self.robot.soles]
        half = np.where(round_, size[:, 1:2] * [0.0, 0.0, 1.0], size)
        shadow = (np.abs(rotation[:, 2, :]) * half).sum(axis=1) + np.where(round_[:, 0], size[:, 0], 0.0)
        return float((data.geom_xpos[self.robot.soles, 2] - shadow).min())

    @functools.cached_property
    def _scratch(self) -> mujoco.MjData:
        return mujoco.MjData(self.robot.model)

    @functools.cached_property
    def _scratch_model(self) -> mujoco.MjModel:
        return copy.copy(self.robot.model)

    def get_state(self) -> dict[str, Any]:
        """Everything the next step depends on."""
        state = {"rows": self.batch.state.copy(), "diverged": self.diverged.copy()}
        return state | {f"model.{name}": self.fields.values(name).copy() for name in self.fields}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `get_state`, bit for bit."""
        for key, value in state.items():
            if key.startswith("model."):
                self.fields.own(key.removeprefix("model."))[:] = value
        for name in self.fields:
            if f"model.{name}" not in state:  # of a time before any simulation had a body of its own
                values = self.fields.own(name)
                values[:] = model_field(self.robot.model, name)[: values.shape[1]]
        if len(self.fields):
            self.set_const()
        self.batch.state[:] = state["rows"]
        self.diverged = np.asarray(state["diverged"], dtype=bool).copy()
        self.batch.forward(stage=mujoco.mjtStage.mjSTAGE_VEL)


def as_slice(index: np.ndarray) -> np.ndarray | slice:
    """Consecutive indices as a slice, which NumPy takes several times faster; others unchanged."""
    if len(index) and (np.diff(index) == 1).all():
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
