"""Simulations of a body that muscles move: a target pose becomes torques, and these become activations.

A control step is a few blocks of `REFRESH` physics steps. Before each, stable PD says which torque would bring the
joints to the target pose, the muscles' map says what torque activations give in this state, and a controller
(`gait_envs.control.muscle_control`) finds the activations. Joints without muscles have servos, as in `BatchSimulation`.

Activations are what the muscles do at once: `act` and `ctrl` are written together, which leaves MuJoCo's activation
dynamics at rest. A controller solves for the torque of this moment, and a lag of 10 to 40 ms would make every answer
that of another one; so did those whose way of training we follow (S. Lee et al., "Scalable Muscle-Actuated Human
Simulation and Control", ACM Transactions on Graphics 38(4), 2019).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from gait_envs.control.muscle import Curves, TorqueMap, muscle_curves, torque_map
from gait_envs.control.muscle_control import make_muscle_controller
from gait_envs.control.stable_pd import StablePD
from gait_envs.models.muscles import REFRESH
from gait_envs.models.robot import Robot
from gait_envs.simulation.base import MuscleReadings, State, renamed
from gait_envs.simulation.batch import BatchSimulation

SHARE = 16  # least number of simulations per thread; below it, threads cost more than they save
SAVED = ("memory", "effort", "desired", "residual", "acceleration", "held")  # beside what MuJoCo keeps


class Refresh(NamedTuple):
    """What a controller was asked, and its answer: what a network learns from."""

    ids: np.ndarray  # (k,) simulations
    state: TorqueMap
    demand: np.ndarray  # (k, d) N·m on the muscles' dofs, or (k, m) activations
    activations: np.ndarray  # (k, m)


class MuscleSimulation(BatchSimulation):
    """n simulations of a robot with muscles; a control step takes target poses, or activations and poses."""

    def __init__(self, robot: Robot, n: int, threads: int = 0, *, controller: str = "qp", **options: Any) -> None:
        """`controller` and its options as in `make_muscle_controller`."""
        if robot.muscles is None:
            raise ValueError(f"{robot.name} has no muscles")
        self.muscles = robot.muscles
        model, dofs = robot.model, np.arange(6, robot.model.nv)
        kp, kd = np.zeros((2, model.nv))
        kp[dofs], kd[dofs] = robot.kp, robot.kp * robot.lead
        self._spd = StablePD(model, kp, kd, steps=REFRESH)
        # What the servos' own law took off the armature (`gait_envs.models.servos`) still resists acceleration.
        h, servos = float(model.opt.timestep), dofs[robot.servos]
        self._spd.damping[servos] += h**2 * kp[servos] / self._spd.dt
        self._effort, self._desired, self._residual = np.zeros((3, n))
        self._acceleration = np.zeros((n, len(servos)))  # rad/s² of the joints with servos over the last block
        self._held = np.zeros((n, model.nv))  # N·m of contacts and limits over the last physics step
        self.last: list[Refresh] = []  # those of the last control step, in order
        super().__init__(robot, n, threads)
        self._parts = min(threads or os.cpu_count() or 1, n // SHARE)
        self._pool = ThreadPoolExecutor(self._parts) if self._parts > 1 else None
        self.use_controller(controller, **options)
        bind = self.batch.bind
        self._mass, self._bias, self._passive = bind("M"), bind("qfrc_bias"), bind("qfrc_passive")
        self._constraint, self._joint_torque = bind("qfrc_constraint"), bind("qfrc_actuator")
        self._moment, self._length, self._speed = (
            bind(f"actuator_{name}") for name in ("moment", "length", "velocity")
        )
        self._act = bind("act")
        self._curves: Curves = self._own_curves()
        self.batch.forward()

    def use_controller(self, name: str, sims: np.ndarray | None = None, **options: Any) -> None:
        """Another controller from the next step on, its memory blank where another one drove; in training, say.

        sims: ids of the simulations that it shall drive, the others keep theirs; None: all
        """
        new = make_muscle_controller(name, self.muscles, **options)
        if sims is None:
            self.controllers, self._driver = {name: new}, np.zeros(self.batch.nsim, dtype=int)
            self._memory = np.zeros((self.batch.nsim, new.memory_size))
            return
        if new.takes_torque != next(iter(self.controllers.values())).takes_torque:
            raise ValueError(f"muscle controller {name!r} wants other actions than those it would drive beside")
        self.controllers[name] = new
        number = list(self.controllers).index(name)
        changed = sims[self._driver[sims] != number]
        self._driver[changed] = number
        missing = max(0, new.memory_size - self._memory.shape[1])
        self._memory = np.pad(self._memory, ((0, 0), (0, missing)))
        self._memory[changed] = 0.0

    @property
    def stable_pd(self) -> StablePD:
        """The law that says which torques would bring the joints to a pose."""
        return self._spd

    @property
    def curves(self) -> Curves:
        """What the muscles' forces depend on beside length and speed."""
        return self._curves

    def _own_curves(self) -> Curves:
        """The muscles' curves, with one row per simulation where their parameters differ."""
        muscles, own = self.muscles, self.fields
        gain, bias, lengthrange = muscles.gainprm, muscles.biasprm, muscles.lengthrange
        if "actuator_gainprm" in own:
            gain, bias = (own.values(f"actuator_{name}")[:, muscles.actuators] for name in ("gainprm", "biasprm"))
        if "actuator_lengthrange" in own:
            lengthrange = own.values("actuator_lengthrange")[:, muscles.outputs]
        return muscle_curves(gain, bias, lengthrange, muscles.acc0)

    def reset(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """As any body's, muscles at rest; parameters of muscles that were changed before it hold from here on."""
        super().reset(ids, qpos, qvel)
        self._curves = self._own_curves()
        for rows in (self._memory, self._effort, self._desired, self._residual, self._acceleration):
            rows[ids] = 0.0
        self._held[ids] = self._constraint[ids]

    def step(self, target: np.ndarray, ids: np.ndarray | None = None) -> None:
        """One control step of target poses (n, nu) rad, or of activations and poses (n, m + nu) for `direct`.

        The diverged are marked, not repaired, and not stepped on.
        """
        rows = np.arange(len(target)) if ids is None else ids
        driven = 6 + self.robot.servos
        joints = len(self.robot.joint_names)
        self.aim(target[rows, -joints:], rows)
        blocks = self.robot.substeps // REFRESH
        sums = np.zeros((3, len(target)))
        self.last = []
        self.diverged = np.zeros(len(target), dtype=bool)
        for _ in range(blocks):
            sums[:, rows] += self._refresh(target, rows)
            before = self._qvel[:, driven]
            self.diverged |= self.advance(rows, REFRESH)
            self._held[rows] = self._constraint[rows]
            self._acceleration[rows] = ((self._qvel[:, driven] - before) / self._spd.dt)[rows]
            rows = rows[~self.diverged[rows]]
            if not len(rows):
                break
        rows = np.arange(len(target)) if ids is None else ids
        means = sums[:, rows] / blocks
        self._effort[rows] = means[0]
        self._desired[rows], self._residual[rows] = np.sqrt(means[1:])

    def _refresh(self, target: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """New activations; their mean square and those of the desired and the missing torques, (3, k)."""
        if self._pool is None or len(rows) < 2 * SHARE:
            answers = [self._answer(target, rows)]
        else:
            answers = list(self._pool.map(self._answer, repeat(target), np.array_split(rows, self._parts)))
        refreshes, means = zip(*answers, strict=True)
        self.last.append(_joined(refreshes))
        return np.concatenate(means, axis=1)

    def _answer(self, target: np.ndarray, rows: np.ndarray) -> tuple[Refresh, np.ndarray]:
        """What `_refresh` does, for some simulations; each one's answer depends on it alone."""
        state = self._torque_map(rows)
        first = next(iter(self.controllers.values()))
        demand = self._desired_torque(target[rows], rows) if first.takes_torque else target[rows, : first.demand_size]
        activations = self._activations(state, demand, rows)
        muscles = self.muscles
        self._ctrl[rows[:, None], muscles.controls] = activations
        self._act[rows[:, None], muscles.activations] = activations
        effort = (activations**2).mean(axis=1)
        desired, missed = np.zeros((2, len(rows)))
        if first.takes_torque:
            desired, missed = (demand**2).mean(axis=1), ((demand - state.torque(activations)) ** 2).mean(axis=1)
        return Refresh(rows, state, demand, activations), np.stack([effort, desired, missed])

    def _activations(self, state: TorqueMap, demand: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Each simulation's, by the controller that drives it."""
        activations = np.empty((len(rows), len(self.muscles.names)))
        for number, controller in enumerate(self.controllers.values()):
            mine = np.flatnonzero(self._driver[rows] == number)
            if len(mine):
                own = state if len(mine) == len(rows) else TorqueMap(state.jta[mine], state.passive[mine])
                at, size = rows[mine], controller.memory_size
                activations[mine], self._memory[at, :size] = controller(own, demand[mine], self._memory[at, :size])
        return activations

    def _torque_map(self, rows: np.ndarray) -> TorqueMap:
        """What activations do in the current state."""
        return torque_map(
            self.muscles, self._moment[rows], self._length[rows], self._speed[rows], _rows(self._curves, rows)
        )

    def _desired_torque(self, pose: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Stable PD's torques (k, d) N·m on the muscles' dofs, towards poses (k, nu) rad."""
        force = self._passive[rows] - self._bias[rows] + self._held[rows]
        torque = self._spd.torque(pose, self._qpos[rows], self._qvel[rows], self._mass[rows], force)
        return np.ascontiguousarray(torque[:, self.muscles.dofs])  # sums round by the order in memory

    def read(self) -> State:
        muscles = MuscleReadings(
            activation=self._act[:, self.muscles.activations].copy(),
            effort=self._effort.copy(),
            desired=self._desired.copy(),
            residual=self._residual.copy(),
        )
        return dataclasses.replace(super().read(), muscles=muscles)

    def _gave_way(self) -> np.ndarray:
        # MuJoCo keeps no acceleration that its damping has acted on: that of the last block stands for it.
        robot = self.robot
        damping = -self.fields.values("actuator_biasprm")[:, robot.servo_actuators, 2]
        stiffness = self.fields.values("actuator_gainprm")[:, robot.servo_actuators, 0]
        h = robot.model.opt.timestep
        return h * (damping - h * stiffness) * self._acceleration

    def _torque(self) -> np.ndarray:
        torque = self._joint_torque[:, 6:].copy()
        torque[:, self.robot.servos] -= self._gave_way()
        return torque

    def get_state(self) -> dict[str, Any]:
        own = {name: getattr(self, f"_{name}").copy() for name in SAVED}
        return super().get_state() | own

    def set_state(self, state: Mapping[str, Any]) -> None:
        state = renamed(state)
        super().set_state(state)
        for name in SAVED:
            setattr(self, f"_{name}", np.array(state[name]))
        self._curves = self._own_curves()


def _rows(curves: Curves, rows: np.ndarray) -> Curves:
    """The curves of some simulations; what they share stays as it is."""
    return Curves(**{name: value[rows] if value.ndim == 2 else value for name, value in vars(curves).items()})


def _joined(parts: Sequence[Refresh]) -> Refresh:
    """One refresh of several groups of simulations."""
    if len(parts) == 1:
        return parts[0]
    ids, states, demands, activations = zip(*parts, strict=True)
    state = TorqueMap(np.concatenate([s.jta for s in states]), np.concatenate([s.passive for s in states]))
    return Refresh(np.concatenate(ids), state, np.concatenate(demands), np.concatenate(activations))
