"""What a gait laboratory measures, sampled at every physics step: motion, joint moments, ground reactions, muscles."""

from __future__ import annotations

from dataclasses import dataclass, fields

import mujoco
import numpy as np

from gait_envs.models.robot import FEET
from gait_envs.simulation.base import Simulation
from gait_envs.simulation.batch import BatchSimulation


@dataclass(frozen=True)
class Samples:
    """T moments of n walkers, each of the arrays (T, n, ...), or (T, ...) of one of them."""

    qpos: np.ndarray  # (..., nq) m, quaternion, rad
    qvel: np.ndarray  # (..., nv) m/s, rad/s
    moment: np.ndarray  # (..., joints) N·m about each joint of what the body itself does: muscles or servos, passive
    # stiffness and damping, and the joint's limits; servos beside muscles as they begin a step
    ground: np.ndarray  # (..., 2, 3) N of the floor on the left and the right foot, world
    activation: np.ndarray  # (..., muscles) in [0, 1]; none where servos move the body

    def walker(self, i: int, first: int, stop: int) -> Samples:
        """One walker's moments from `first` to before `stop`."""
        return Samples(**{f.name: getattr(self, f.name)[first:stop, i] for f in fields(self)})


class Instruments:
    """Samples a `BatchSimulation` before each of its physics steps from now on, without touching it.

    Parameters of the walkers are those of the first step that is sampled.
    """

    def __init__(self, physics: Simulation) -> None:
        """Raises TypeError for a backend that is not MuJoCo's batch: nothing else shows what happens within a step."""
        if not isinstance(physics, BatchSimulation):
            raise TypeError(f"instruments sample a BatchSimulation, got {type(physics).__name__}")
        robot = physics.robot
        self.physics = physics
        self.rate = 1.0 / robot.model.opt.timestep  # Hz
        self._side = np.full(robot.model.ngeom, -1)
        for geom in robot.soles:
            self._side[geom] = FEET.index(robot.model.geom(geom).name.split("_")[0])
        self._data = mujoco.MjData(robot.model)
        self._rows: list[Samples] = []
        physics.watch = self._look

    def samples(self) -> Samples:
        """Everything sampled so far."""
        return _stacked(self._rows)

    def _look(self) -> None:
        batch = self.physics.batch
        if not self._rows:
            own = len(self.physics.fields) > 0
            self._models = [batch.get_model(i) if own else batch.model for i in range(batch.nsim)]
        self._rows.append(_stacked([self._sample(i) for i in range(batch.nsim)]))

    def _sample(self, i: int) -> Samples:
        """One walker now: what the step to come begins with, solved once more."""
        physics, data = self.physics, self._data
        model = self._models[i]
        physics.batch.get_data(i, data)
        if not physics.diverged[i]:
            mujoco.mj_forward(model, data)
        moment = data.qfrc_actuator + data.qfrc_passive + _of_limits(model, data)
        if physics.robot.muscles is None and physics.robot.traits.gains is not None:
            moment[6 + physics.robot.servos] -= _gives_way(model, data, physics.robot.servo_actuators)
        muscles = physics.robot.muscles
        return Samples(
            qpos=data.qpos.copy(),
            qvel=data.qvel.copy(),
            moment=moment[6:],
            ground=self._ground(model, data),
            activation=np.zeros(0) if muscles is None else data.act[muscles.activations].copy(),
        )

    def _ground(self, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
        """Forces of the floor on each foot (2, 3) N, world."""
        ground, force, robot = np.zeros((2, 3)), np.zeros(6), self.physics.robot
        floor = {robot.floor, *robot.bumps.tolist()}
        for c in range(data.ncon):
            contact = data.contact[c]
            side = self._side[contact.geom].max()
            if side >= 0 and not floor.isdisjoint(contact.geom.tolist()):
                mujoco.mj_contactForce(model, data, c, force)
                # From the first geom to the second, by the contact's axes in rows.
                sign = 1.0 if contact.geom[0] in floor else -1.0
                ground[side] += sign * contact.frame.reshape(3, 3).T @ force[:3]
        return ground


def _stacked(rows: list[Samples]) -> Samples:
    return Samples(**{f.name: np.stack([getattr(row, f.name) for row in rows]) for f in fields(Samples)})


def _of_limits(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """What the joints' limits do about each dof, (nv,) N·m."""
    moment = np.zeros(model.nv)
    for row in np.flatnonzero(data.efc_type == mujoco.mjtConstraint.mjCNSTR_LIMIT_JOINT):
        joint = data.efc_id[row]
        upper = data.qpos[model.jnt_qposadr[joint]] > model.jnt_range[joint].mean()
        moment[model.jnt_dofadr[joint]] += -data.efc_force[row] if upper else data.efc_force[row]
    return moment


def _gives_way(model: mujoco.MjModel, data: mujoco.MjData, servos: np.ndarray) -> np.ndarray:
    """How much less than at its start the stable PD servos apply over a step, N·m: see `BatchSimulation.read`."""
    h, dofs = model.opt.timestep, model.jnt_dofadr[model.actuator_trnid[servos, 0]]
    kp, kd = model.actuator_gainprm[servos, 0], -model.actuator_biasprm[servos, 2]
    return h * (kp * data.qvel[dofs] + kd * data.qacc[dofs])
