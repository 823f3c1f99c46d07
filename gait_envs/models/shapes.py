"""How a robot is drawn: its visible geoms as primitive shapes with colours, for renderers other than MuJoCo's."""

from __future__ import annotations

from typing import NamedTuple

import mujoco

from gait_envs.errors import GaitNetError
from gait_envs.models.robot import Robot

GROUPS = (0, 1, 2)  # those that MuJoCo's viewer shows
KINDS = {
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: "ellipsoid",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_BOX: "box",
}


class ShapeError(GaitNetError, ValueError):
    """A geom that is no primitive shape."""


class Shape(NamedTuple):
    """A visible geom of the robot; its place is row `geom` of `geom_xpos` and `geom_xmat`."""

    geom: int  # id
    body: int  # id
    kind: str  # of KINDS
    size: tuple[float, float, float]  # m: MuJoCo's, as radius and half length, or half sizes
    rgba: tuple[float, float, float, float]  # in [0, 1]
    emission: float  # in [0, 1], light of its own


def shapes(robot: Robot) -> list[Shape]:
    """Every visible geom of the robot's bodies, without the floor; ShapeError for one that is no primitive."""
    model = robot.model
    found = []
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        material = int(model.geom_matid[geom])
        rgba = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
        if body < robot.pelvis or model.geom_group[geom] not in GROUPS or rgba[3] == 0.0:
            continue
        kind = KINDS.get(mujoco.mjtGeom(int(model.geom_type[geom])))
        if kind is None:
            name = mujoco.mjtGeom(int(model.geom_type[geom])).name.removeprefix("mjGEOM_").lower()
            raise ShapeError(
                f"{robot.file}: geom {model.geom(geom).name!r} is a {name}; drawn can be {', '.join(KINDS.values())}"
            )
        emission = 0.0 if material < 0 else float(model.mat_emission[material])
        size, colour = (tuple(round(float(x), 6) for x in values) for values in (model.geom_size[geom], rgba))
        found.append(Shape(geom, body, kind, size, colour, emission))  # type: ignore[arg-type]
    return found
