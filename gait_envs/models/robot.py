"""A biped driven by servos, or by muscles too, its names resolved to indices once at construction."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from gait_envs.assets import asset_path
from gait_envs.errors import one_line
from gait_envs.models.bumps import COUNT, with_bumps
from gait_envs.models.muscles import REFRESH, Muscles, find_muscles
from gait_envs.models.segments import Segments, find_segments, stretched_body_pos
from gait_envs.models.servos import use_stable_pd_servos
from gait_envs.models.traits import TRAITS, Traits

FEET = ("left", "right")
SOLES = ("left_toe", "left_heel", "right_toe", "right_heel")
TOES = ("left_big_toe", "left_small_toes", "right_big_toe", "right_small_toes")  # of a foot that bends


_ROUNDED = 1e-3  # rad; how far a home angle may be out of its range, as written in a file
_SPARE = 1.05  # of the armature that stable PD takes off, so that some is left


@dataclass(frozen=True, eq=False)
class Robot:
    """A compiled model with its names resolved to indices; arrays are in joint order, nu is the number of joints.

    The model must have a free root joint first, one position servo a joint (or motor, where the traits have gains; a
    joint that muscles move needs none), an `imu` site with a `gyro`, geoms and touch sensors named as `SOLES` (and
    `TOES`, or none of these), `<side>_sole_pos` and `<side>_sole_vel` sensors and a `home` keyframe.
    """

    name: str
    file: Path  # the MJCF file that the model was compiled from, before anything was changed in it
    model: mujoco.MjModel
    traits: Traits
    joint_names: tuple[str, ...]
    lower: np.ndarray  # (nu,) rad
    upper: np.ndarray  # (nu,) rad
    target_lower: np.ndarray  # (nu,) rad, of a servo's target
    target_upper: np.ndarray  # (nu,) rad
    servos: np.ndarray  # (k,) which of the joints have a servo; all of them, but where muscles move them
    servo_actuators: np.ndarray  # (k,) ids of these
    muscles: Muscles | None
    segments: Segments
    kp: np.ndarray  # (nu,) N·m/rad, of the servos, or of the stable PD that says what muscles shall do
    lead: np.ndarray  # (nu,) s, kd / kp: lead of a target that compensates the lag due to damping
    home: np.ndarray  # (nu,) rad
    home_qpos: np.ndarray  # (nq,)
    armature: np.ndarray  # (nv,) kg·m², that the model's derived constants were computed with
    half_range: np.ndarray  # (nu,) rad, half a joint's range: unit of observed angles, of actions at scale 1
    mass: float  # kg
    pelvis: int  # body id of the root
    ends: np.ndarray  # (k,) body ids of the traits' `ends`
    floor: int  # geom id
    bumps: np.ndarray  # (k,) geom ids of the bumps on the floor; of a model without them, none
    soles: np.ndarray  # (4 or 8,) geom ids in `SOLES` order, then `TOES`
    gyro: slice  # in sensordata
    touch: slice  # (4,) N
    toe_touch: slice | None  # (4,) N, of the toes before the ball of the foot
    foot_pos: slice  # (2·3,) m
    foot_vel: slice  # (2·3,) m/s
    substeps: int  # physics steps per control step
    dt: float  # s per control step

    @property
    def control_rate(self) -> float:
        """Control rate, Hz."""
        return 1.0 / self.dt

    def copy(self) -> Robot:
        """The same robot with its own copy of the model, which may be edited without affecting others."""
        return dataclasses.replace(self, model=copy.copy(self.model))

    def body_positions(self, qpos: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
        """Origins (T, bodies, 3) of the robot's bodies, the root first, in poses (T, nq): forward kinematics.

        scale: (T, segments) of a body of other lengths in each pose
        """
        if scale is not None and (scale != 1.0).any():
            return self._scaled_positions(qpos, scale)
        data = mujoco.MjData(self.model)
        positions = np.empty((len(qpos), self.model.nbody - self.pelvis, 3))
        for pose, row in zip(qpos, positions, strict=True):
            data.qpos[:] = pose
            mujoco.mj_kinematics(self.model, data)
            row[:] = data.xpos[self.pelvis :]
        return positions

    def _scaled_positions(self, qpos: np.ndarray, scale: np.ndarray) -> np.ndarray:
        model, data = self._scratch
        joints = stretched_body_pos(self.model, self.segments.factors(scale))
        positions = np.empty((len(qpos), model.nbody - self.pelvis, 3))
        for pose, row, body_pos in zip(qpos, positions, joints, strict=True):
            data.qpos[:], model.body_pos[:] = pose, body_pos
            mujoco.mj_kinematics(model, data)
            row[:] = data.xpos[self.pelvis :]
        return positions

    @functools.cached_property
    def _scratch(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """A copy of the model whose lengths may be modified, and an `MjData` for it."""
        return copy.copy(self.model), mujoco.MjData(self.model)


def _sensor_run(model: mujoco.MjModel, names: tuple[str, ...]) -> slice:
    """The slice of sensordata of these sensors, which must be consecutive and in this order."""
    starts = [int(model.sensor(name).adr[0]) for name in names]
    ends = [start + int(model.sensor(name).dim[0]) for start, name in zip(starts, names, strict=True)]
    if starts[1:] != ends[:-1]:
        raise ValueError(f"sensors {names} must follow one another in the model")
    return slice(starts[0], ends[-1])


def load_robot(
    file: str | os.PathLike[str],
    control_rate: float | None = None,
    traits: Traits | None = None,
    *,
    bumps: bool = False,
    physics_rate: float | None = None,
) -> Robot:
    """Compile a model and resolve its names; raises ValueError if it lacks what `Robot` requires.

    file: among the assets (cached, as compiling takes a while); with `traits`, any MJCF file
    control_rate: Hz, None for the robot's own
    traits: what the file does not say of the robot; None for a body of the assets
    bumps: whether the floor gets the bumps that `randomize` can draw
    physics_rate: Hz, a multiple of control_rate; None for that of the file. See `set_physics_rate`
    """
    control_rate = None if control_rate is None else float(control_rate)
    physics_rate = None if physics_rate is None else float(physics_rate)
    if traits is None:
        return _load(os.fspath(file), control_rate, bumps, physics_rate)
    return _compile(Path(file), Path(file).stem, traits, control_rate, bumps, physics_rate)


@functools.lru_cache(maxsize=8)
def _load(asset: str, control_rate: float | None, bumps: bool, physics_rate: float | None) -> Robot:
    name = asset.split("/")[0]
    return _compile(asset_path(asset), name, TRAITS[name], control_rate, bumps, physics_rate)


def _compile(
    file: Path, name: str, traits: Traits, control_rate: float | None, bumps: bool, physics_rate: float | None
) -> Robot:
    model = with_bumps(file) if bumps else mujoco.MjModel.from_xml_path(str(file))
    control_rate = control_rate or traits.control_rate
    # MuJoCo would silently reset a diverging simulation to its defaults; we end the episode instead.
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    if physics_rate is not None:
        set_physics_rate(model, physics_rate, control_rate, traits)
    substeps = round(1.0 / (control_rate * model.opt.timestep))
    if substeps < 1 or abs(substeps * model.opt.timestep * control_rate - 1.0) > 1e-9:
        raise ValueError(f"{control_rate} Hz control is no whole number of {model.opt.timestep} s physics steps")
    home = model.key("home").qpos.copy()
    _check_joints(model, home, file.name)
    names = tuple(model.joint(j).name for j in range(1, model.njnt))
    servos = np.flatnonzero(model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT)
    driven = model.actuator_trnid[servos, 0] - 1
    muscles = find_muscles(model) if len(servos) < model.nactuator else None
    if muscles is not None and substeps % REFRESH:
        raise ValueError(
            f"{1.0 / model.opt.timestep:g} Hz physics: muscles are updated every {REFRESH} physics steps, so that "
            f"their rate is a multiple of {REFRESH * control_rate:g} Hz"
        )
    pulled = np.zeros(0, dtype=int) if muscles is None else muscles.dofs - 6
    if np.sort(np.concatenate([driven, pulled])).tolist() != list(range(len(names))) or (np.diff(driven) < 0).any():
        raise ValueError(f"{file.name}: servos, in joint order, and muscles must drive every joint after the root once")
    lower, upper = model.jnt_range[1:].T.copy()
    armature = model.dof_armature.copy()
    if traits.gains is None:
        kp, lead = model.actuator_gainprm[:, 0].copy(), np.zeros(len(names))
    else:
        kp, lead = _give_servos(model, names, driven, traits)
        # The servos took some off the armature. Constants stay those of all of it where their integrator puts it back.
        if len(driven) < len(names):
            mujoco.mj_setConst(model, mujoco.MjData(model))
            armature = model.dof_armature.copy()
    toes = TOES if any(model.sensor(i).name == TOES[0] for i in range(model.nsensor)) else ()
    return Robot(
        name=name,
        file=file,
        model=model,
        traits=traits,
        joint_names=names,
        lower=lower,
        upper=upper,
        target_lower=lower - traits.reach,
        target_upper=upper + traits.reach,
        servos=driven,
        servo_actuators=servos,
        muscles=muscles,
        segments=find_segments(model, traits),
        kp=kp,
        lead=lead,
        home=home[7:].copy(),
        home_qpos=home,
        armature=armature,
        half_range=0.5 * (upper - lower),
        mass=float(model.body_subtreemass[1]),
        pelvis=1,
        ends=np.array([model.body(name).id for name in traits.ends]),
        floor=model.geom("floor").id,
        bumps=np.array([model.geom(f"bump_{i}").id for i in range(COUNT if bumps else 0)], dtype=int),
        soles=np.array([model.geom(name).id for name in (*SOLES, *toes)]),
        gyro=_sensor_run(model, ("gyro",)),
        touch=_sensor_run(model, SOLES),
        toe_touch=_sensor_run(model, toes) if toes else None,
        foot_pos=_sensor_run(model, tuple(f"{side}_sole_pos" for side in FEET)),
        foot_vel=_sensor_run(model, tuple(f"{side}_sole_vel" for side in FEET)),
        substeps=substeps,
        dt=substeps * model.opt.timestep,
    )


def set_physics_rate(model: mujoco.MjModel, rate: float, control_rate: float, traits: Traits) -> None:
    """Have a compiled model take `rate` physics steps a second, in place; ValueError for no multiple of control_rate.

    Stable PD over a step of h takes h² kp off the armature of a joint with a motor. Where a longer step would take more
    than there is, the joint gets that much: 0.09 kg·m² at the ankles of the humanoid at 120 Hz, the most of all.
    """
    steps = round(rate / control_rate)
    if steps < 1 or abs(steps * control_rate - rate) > 1e-9 * rate:
        raise ValueError(f"physics_rate is {rate:g} Hz, allowed are multiples of the {control_rate:g} Hz of control")
    model.opt.timestep = 1.0 / rate
    if traits.gains is None:
        return
    for joint in model.actuator_trnid[model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT, 0]:
        kp, _ = traits.gains[_unsided(model.joint(joint).name)]
        dof = model.jnt_dofadr[joint]
        model.dof_armature[dof] = max(model.dof_armature[dof], _SPARE * kp / rate**2)
    mujoco.mj_setConst(model, mujoco.MjData(model))


def _unsided(joint: str) -> str:
    return joint.removeprefix("left_").removeprefix("right_")


def _check_joints(model: mujoco.MjModel, home: np.ndarray, where: str) -> None:
    """Raise ValueError unless a free root comes first, and each joint has a range that its home angle lies in."""
    if model.njnt == 0 or model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(f"{where}: the first joint must be the root's, a free one")
    names = np.array([model.joint(j).name for j in range(1, model.njnt)])
    if not model.jnt_limited[1:].all():  # targets and observations are shares of the range
        raise ValueError(f"{where}: joints without a range: {', '.join(names[model.jnt_limited[1:] == 0])}")
    low, high = model.jnt_range[1:].T
    outside = (home[7:] < low - _ROUNDED) | (home[7:] > high + _ROUNDED)
    if outside.any():
        raise ValueError(f"{where}: the keyframe home is outside of the range of {', '.join(names[outside])}")


def _give_servos(
    model: mujoco.MjModel, names: tuple[str, ...], driven: np.ndarray, traits: Traits
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the motors of a model, at the joints `driven`, into stable PD servos with the traits' gains.

    Returns every joint's kp, (nu,) N·m/rad, and kd / kp, (nu,) s.

    The motors' limits stay readable in `actuator_forcerange`, as the joints' strength, and are not enforced: they would
    cut the force at the start of a physics step, not the one that acts over it (see `gait_envs.models.servos`).
    """
    assert traits.gains is not None
    gains = np.array([traits.gains[_unsided(name)] for name in names])
    kp, kd = np.zeros((2, model.nv))
    kp[6 + driven], kd[6 + driven] = gains[driven].T
    use_stable_pd_servos(model, kp, kd, "discrete" if len(driven) == len(names) else "implicitfast")
    model.actuator_forcelimited[model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT] = False
    return gains[:, 0].copy(), gains[:, 1] / gains[:, 0]


def robot_named(name: str) -> Robot:
    """The bundled body of that name, as clips and models say it; ValueError for any other name, such as a path."""
    if name not in TRAITS:
        raise ValueError(f"unknown robot {one_line(repr(name))}; known are {', '.join(sorted(TRAITS))}")
    return load_robot(f"{name}/scene.xml")


def wildrobot() -> Robot:
    """The 3.4 kg, nine-servo biped."""
    return load_robot("wildrobot/scene.xml")


def humanoid() -> Robot:
    """The 73 kg human body, its 50 motors made stable PD servos."""
    return load_robot("humanoid/scene.xml")


def muscle_humanoid() -> Robot:
    """The same body with 92 muscles on the legs and the lower trunk, and 29 stable PD servos above."""
    return load_robot("humanoid/muscle_scene.xml")


def for_wildrobot(options: Any) -> Robot:
    """The body of WildRobot's environments, whatever their options."""
    return load_robot("wildrobot/scene.xml", bumps=options.randomize.bumpy, physics_rate=options.physics_rate)


def for_human(options: Any) -> Robot:
    """The body of the human environments: muscles only where the option `actuation` uses them."""
    scene = "scene" if options.actuation == "torque" else "muscle_scene"
    return load_robot(f"humanoid/{scene}.xml", bumps=options.randomize.bumpy, physics_rate=options.physics_rate)
