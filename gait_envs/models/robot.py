"""A servo-driven biped, its names resolved to indices once at construction."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import mujoco
import numpy as np

from gait_envs.assets import asset_path

FEET = ("left", "right")
SOLES = ("left_toe", "left_heel", "right_toe", "right_heel")


@dataclass(frozen=True, eq=False)
class Robot:
    """What the rest of the code needs to know of a model; arrays are in actuator order.

    The model must have a free root joint first, one position servo a joint, an `imu` site with a `gyro`,
    touch sensors named as `SOLES`, `<side>_sole_pos` and `<side>_sole_vel` sensors and a `home` keyframe.
    """

    name: str
    model: mujoco.MjModel
    joint_names: tuple[str, ...]
    lower: np.ndarray  # (nu,) rad
    upper: np.ndarray  # (nu,) rad
    home: np.ndarray  # (nu,) rad
    home_qpos: np.ndarray  # (nq,)
    action_scale: np.ndarray  # (nu,) rad a unit of action moves the target: half the joint's range
    mass: float  # kg
    pelvis: int  # body id of the root
    floor: int  # geom id
    soles: np.ndarray  # (4,) geom ids in `SOLES` order
    gyro: slice  # in sensordata
    touch: slice  # (4,) N
    foot_pos: slice  # (2·3,) m
    foot_vel: slice  # (2·3,) m/s
    substeps: int  # physics steps a control step
    dt: float  # s a control step

    @property
    def control_rate(self) -> float:
        """Control steps a second."""
        return 1.0 / self.dt

    def body_positions(self, qpos: np.ndarray) -> np.ndarray:
        """Origins (T, bodies, 3) of the robot's bodies, the root first, in poses (T, nq): forward kinematics."""
        data = mujoco.MjData(self.model)
        positions = np.empty((len(qpos), self.model.nbody - self.pelvis, 3))
        for pose, row in zip(qpos, positions, strict=True):
            data.qpos[:] = pose
            mujoco.mj_kinematics(self.model, data)
            row[:] = data.xpos[self.pelvis :]
        return positions


def _sensor_run(model: mujoco.MjModel, names: tuple[str, ...]) -> slice:
    """The run of sensordata that these sensors fill; they must lie together, in order."""
    starts = [int(model.sensor(name).adr[0]) for name in names]
    ends = [start + int(model.sensor(name).dim[0]) for start, name in zip(starts, names, strict=True)]
    if starts[1:] != ends[:-1]:
        raise ValueError(f"sensors {names} must follow one another in the model")
    return slice(starts[0], ends[-1])


def load_robot(asset: str, control_rate: float = 50.0) -> Robot:
    """Compile a model from the assets and resolve its names; cached, as compiling takes a while."""
    return _load(asset, float(control_rate))


@functools.lru_cache(maxsize=8)
def _load(asset: str, control_rate: float) -> Robot:
    model = mujoco.MjModel.from_xml_path(str(asset_path(asset)))
    # MuJoCo would put a diverging simulation back to its defaults and say nothing; we end the episode instead.
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    substeps = round(1.0 / (control_rate * model.opt.timestep))
    if substeps < 1 or abs(substeps * model.opt.timestep * control_rate - 1.0) > 1e-9:
        raise ValueError(f"{control_rate} Hz control is no whole number of {model.opt.timestep} s physics steps")
    joints = [int(j) for j in model.actuator_trnid[:, 0]]
    if [int(model.jnt_qposadr[j]) for j in joints] != list(range(7, model.nq)):
        raise ValueError(f"{asset}: actuators must drive every joint after the root, in joint order")
    lower, upper = model.jnt_range[joints].T.copy()
    home = model.key("home")
    return Robot(
        name=asset.split("/")[0],
        model=model,
        joint_names=tuple(model.joint(j).name for j in joints),
        lower=lower,
        upper=upper,
        home=home.ctrl.copy(),
        home_qpos=home.qpos.copy(),
        action_scale=0.5 * (upper - lower),
        mass=float(model.body_subtreemass[1]),
        pelvis=1,
        floor=model.geom("floor").id,
        soles=np.array([model.geom(name).id for name in SOLES]),
        gyro=_sensor_run(model, ("gyro",)),
        touch=_sensor_run(model, SOLES),
        foot_pos=_sensor_run(model, tuple(f"{side}_sole_pos" for side in FEET)),
        foot_vel=_sensor_run(model, tuple(f"{side}_sole_vel" for side in FEET)),
        substeps=substeps,
        dt=substeps * model.opt.timestep,
    )


def wildrobot() -> Robot:
    """The 3.4 kg, nine-servo biped."""
    return load_robot("wildrobot/scene.xml")
