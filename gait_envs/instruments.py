"""What a gait laboratory measures, of simulated walkers: force plates, joint moments, electrodes, at a higher rate than
that of control."""

from __future__ import annotations

from dataclasses import dataclass, fields

import mujoco
import numpy as np

from gait_envs.models.robot import FEET
from gait_envs.muscle_physics import MusclePhysics
from gait_envs.physics import Physics

RATE = 240.0  # Hz; a force plate is read faster than cameras


@dataclass(frozen=True)
class Samples:
    """T moments of n walkers, each of the arrays (T, n, ...), or (T, ...) of one of them."""

    qpos: np.ndarray  # (..., nq) m, quaternion, rad
    qvel: np.ndarray  # (..., nv) m/s, rad/s
    moment: np.ndarray  # (..., joints) N·m about each joint of what the body itself does: muscles or servos, passive
    # stiffness and damping, and the joint's limits
    ground: np.ndarray  # (..., 2, 3) N of the floor on the left and the right foot, world
    activation: np.ndarray  # (..., muscles) in [0, 1]; none where servos move the body

    def walker(self, i: int, first: int, stop: int) -> Samples:
        """One walker's moments from `first` to before `stop`."""
        return Samples(**{f.name: getattr(self, f.name)[first:stop, i] for f in fields(self)})


class Instruments:
    """Samples a `Physics` from now on, in the midst of its control steps, without touching it."""

    def __init__(self, physics: Physics, rate: float = RATE) -> None:
        robot = physics.robot
        self.physics = physics
        self.every = max(1, round(1.0 / (rate * robot.model.opt.timestep)))
        if robot.substeps % self.every:
            raise ValueError(f"{robot.substeps} physics steps a control step are no whole number of {self.every}")
        self.rate = 1.0 / (self.every * robot.model.opt.timestep)  # Hz
        self.per_step = robot.substeps // self.every  # samples a control step
        side = np.full(robot.model.ngeom, -1)
        for geom in robot.soles:
            side[geom] = FEET.index(robot.model.geom(geom).name.split("_")[0])
        self._side, self._floor = side, robot.floor
        self._data = mujoco.MjData(robot.model)
        self._passive = physics.batch.bind("qfrc_passive")
        self._rows: list[Samples] = []
        physics.watch(self.every, self._look)

    def samples(self) -> Samples:
        """Everything sampled so far."""
        return Samples(**{f.name: np.stack([getattr(row, f.name) for row in self._rows]) for f in fields(Samples)})

    def _look(self) -> None:
        physics, n = self.physics, self.physics.batch.nsim
        ground, limits = np.zeros((n, 2, 3)), np.zeros((n, len(physics.robot.joint_names)))
        for i in range(n):
            if not physics.diverged[i]:
                ground[i], limits[i] = self._constraints(i)
        muscles = physics.muscles.activations if isinstance(physics, MusclePhysics) else np.zeros(0, dtype=int)
        state = physics.read()
        self._rows.append(
            Samples(
                qpos=state.qpos,
                qvel=state.qvel,
                moment=state.torque + self._passive[:, 6:] + limits,
                ground=ground,
                activation=physics.batch.bind("act")[:, muscles].copy(),
            )
        )

    def _constraints(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Forces of the floor on each foot (2, 3) N, world, and of the joints' limits (joints,) N·m, at this moment.

        A step leaves contacts of the new state and forces of the old one; solved anew they belong together.
        """
        batch, data = self.physics.batch, self._data
        model = batch.get_model(i) if batch._expanded else self.physics.robot.model
        batch.get_data(i, data)
        mujoco.mj_forward(model, data)
        ground, limits, force = np.zeros((2, 3)), np.zeros(model.nv), np.zeros(6)
        for c in range(data.ncon):
            contact = data.contact[c]
            side = self._side[contact.geom].max()
            if self._floor in contact.geom and side >= 0:
                mujoco.mj_contactForce(model, data, c, force)
                # From the first geom to the second, by the contact's axes in rows.
                sign = 1.0 if contact.geom[0] == self._floor else -1.0
                ground[side] += sign * contact.frame.reshape(3, 3).T @ force[:3]
        for row in np.flatnonzero(data.efc_type == mujoco.mjtConstraint.mjCNSTR_LIMIT_JOINT):
            joint = data.efc_id[row]
            upper = data.qpos[model.jnt_qposadr[joint]] > model.jnt_range[joint].mean()
            limits[model.jnt_dofadr[joint]] += -data.efc_force[row] if upper else data.efc_force[row]
        return ground, limits[6:]
