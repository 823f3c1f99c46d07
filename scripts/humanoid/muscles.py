"""The muscle-driven body: 92 units on the legs and the lower trunk, motors above them."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from humanoid.body import BodyTables, add_home, add_motor, add_sensors, joints_in_order, skeleton, to_text
from humanoid.tables import SIDES, Row, axis_column, full_name, mirrored, numbers_text, read_table

# MuJoCo's muscle made like Thelen 2003's: active force exp(-(L - 1)^2 / 0.45), passive force that reaches the peak
# force at 1.6 fibre lengths, 1.4 times the peak force in fast lengthening, activation in 10 and 40 ms.
CURVES = {"timeconst": "0.01 0.04", "lmin": "0", "lmax": "2", "vmax": "10", "fpmax": "1.15", "fvmax": "1.4"}
REST = (0.42, 0.16, 0.16, 1.0)  # colour of a slack muscle
WIDTH = 0.00027  # m per square root of a newton: thickness that a unit is drawn with
SHORTEST = 0.05  # fibre length, in best lengths, below which a unit counts as slack; it gives no force there
FARTHEST = 1.0  # m of a path's point from the origin of its frame, along each axis
SAMPLES = 7  # joint angles a degree of freedom, when lengths are looked for
# What muscles do not reach is left to motors.
MOTORS = ("torso", "neck", "head", "shoulder", "arm", "forearm", "hand")

UNIT_COLUMNS = ["unit", "max_force", "fibre_length", "slack_length", "pennation", "neutral_length"]
FRAME_COLUMNS = ["frame", "body", *axis_column("origin"), *axis_column("scale"), "note"]
PATH_COLUMNS = ["unit", "frame", "x", "y", "z", "role", "note"]
WRAP_COLUMNS = ["wrap", "frame", "shape", "x", "y", "z", "radius", "half_length", *axis_column("side"), "note"]


@dataclass(frozen=True)
class MuscleTables:
    """Units, the frames their points are given in, their paths, and what they bend around."""

    units: list[Row]
    frames: dict[str, Row]
    wraps: dict[str, Row]
    paths: dict[str, list[Row]]  # unit to its points in order


def read_muscle_tables(folder: Path, body: BodyTables) -> MuscleTables:
    """Read `muscles.csv`, `frames.csv`, `wraps.csv` and `paths.csv`."""
    units = read_table(folder / "muscles.csv", UNIT_COLUMNS, key="unit")
    for row in units:
        for name in ("max_force", "fibre_length", "slack_length", "neutral_length"):
            row.number(name, low=1e-4)
        row.number("pennation", 0.0, math.pi / 2)
    frames = {row.text("frame"): row for row in read_table(folder / "frames.csv", FRAME_COLUMNS, key="frame")}
    for row in frames.values():
        row.text("body", body.sides)
        for name in axis_column("scale"):
            row.number(name, low=0.1, high=10.0)
    wraps = {row.text("wrap"): row for row in read_table(folder / "wraps.csv", WRAP_COLUMNS, key="wrap")}
    for row in wraps.values():
        row.text("frame", frames)
        row.text("shape", ("cylinder", "sphere"))
        row.number("radius", low=1e-3)
    paths: dict[str, list[Row]] = {row.text("unit"): [] for row in units}
    for row in read_table(folder / "paths.csv", PATH_COLUMNS):
        path = paths[row.text("unit", paths)]
        if row.text("role", ("site", "wrap")) == "wrap":
            row.text("frame", wraps)
            if not path or path[-1].text("role") == "wrap":
                raise row.fault("a path goes around a shape between two sites")
        else:
            row.text("frame", frames)
            for name in "xyz":
                row.number(name, -FARTHEST, FARTHEST)
            if path and all(row.values[name] == path[-1].values[name] for name in ("frame", "x", "y", "z")):
                raise row.fault(f"{row.text('unit')!r} goes through the same point twice in a row")
        path.append(row)
    for unit, path in paths.items():
        if len(path) < 2 or path[-1].text("role") == "wrap":
            raise next(row for row in units if row.text("unit") == unit).fault(f"{unit!r} has no path of two sites")
    return MuscleTables(units, frames, wraps, paths)


def muscle_model(body: BodyTables, muscles: MuscleTables) -> ET.Element:
    """The MJCF of the body with muscles, and motors where there are none."""
    root = skeleton("muscle_humanoid", body, glass={row.text("body") for row in body.segments} - set(MOTORS))
    _add_muscle_defaults(root)
    for side in SIDES:
        _add_paths(root, body, muscles, side)
    lengths = _lengths(root, muscles)
    actuators = ET.SubElement(root, "actuator")
    for side in SIDES:
        for row in muscles.units:
            _add_muscle(actuators, row, side, *lengths[row.text("unit")])
    for row, name, _ in joints_in_order(body):
        if row.text("body") in MOTORS:
            add_motor(actuators, row, name, group="3")  # hidden where muscles are shown
    add_sensors(root)
    add_home(root, body)
    return root


def _add_muscle_defaults(root: ET.Element) -> None:
    defaults = root.find("default/default")
    assert defaults is not None
    wrap = ET.SubElement(defaults, "default", {"class": "wrap"})
    ET.SubElement(wrap, "geom", contype="0", conaffinity="0", group="3", rgba="0.3 0.6 0.9 0.3")
    site = ET.SubElement(defaults, "default", {"class": "path"})
    ET.SubElement(site, "site", size="0.003", group="4", rgba="0.8 0.3 0.3 1")
    muscle = ET.SubElement(defaults, "default", {"class": "muscle"})
    ET.SubElement(muscle, "tendon", rgba=numbers_text(REST))
    ET.SubElement(muscle, "muscle", ctrlrange="0 1", **CURVES)
    visual = ET.Element("visual")
    # With the viewer's flags "actuator" and "activation" a unit glows from the first colour to the second.
    ET.SubElement(visual, "rgba", actuator=numbers_text(REST), actuatornegative=numbers_text(REST),
                  actuatorpositive="1 0.25 0.1 1")  # fmt: skip
    root.insert(2, visual)


def place(frame: Row, point: list[float], side: str | None) -> list[float]:
    """A point of the published frame, on the left, as a point of our segment on a side."""
    origin, scale = frame.numbers(*axis_column("origin")), frame.numbers(*axis_column("scale"))
    return mirrored([s * (p - o) for p, o, s in zip(point, origin, scale, strict=True)], side)


def _add_paths(root: ET.Element, body: BodyTables, muscles: MuscleTables, side: str) -> None:
    bodies = {element.get("name"): element for element in root.iter("body")}

    def holder(frame: Row) -> ET.Element:
        name = frame.text("body")
        return bodies[full_name(name, side if body.sides[name] == SIDES else None)]

    def add_site(frame: Row, point: list[float], name: str) -> None:
        ET.SubElement(holder(frame), "site", {"name": name, "class": "path",
                                              "pos": numbers_text(place(frame, point, side))})  # fmt: skip

    for name, wrap in muscles.wraps.items():
        frame = muscles.frames[wrap.text("frame")]
        size = [wrap.number("radius")]
        turn = {}
        if wrap.text("shape") == "cylinder":  # across the body: MuJoCo's lie along z
            size.append(wrap.number("half_length", low=1e-3))
            turn = {"quat": "0.70711 0.70711 0 0"}
        ET.SubElement(holder(frame), "geom", {
            "name": f"{side}_{name}", "class": "wrap", "type": wrap.text("shape"), "size": numbers_text(size),
            "pos": numbers_text(place(frame, wrap.numbers("x", "y", "z"), side)), **turn,
        })  # fmt: skip
        add_site(frame, wrap.numbers(*axis_column("side")), f"{side}_{name}_side")
    tendons = root.find("tendon")
    tendons = ET.SubElement(root, "tendon") if tendons is None else tendons
    for row in muscles.units:
        unit = row.text("unit")
        width = WIDTH * math.sqrt(row.number("max_force"))
        tendon = ET.SubElement(tendons, "spatial", {"name": f"{side}_{unit}", "class": "muscle",
                                                    "width": numbers_text([width])})  # fmt: skip
        for number, point in enumerate(muscles.paths[unit]):
            if point.text("role") == "wrap":
                wrap_name = f"{side}_{point.text('frame')}"
                ET.SubElement(tendon, "geom", geom=wrap_name, sidesite=f"{wrap_name}_side")
            else:
                name = f"{side}_{unit}_{number}"
                add_site(muscles.frames[point.text("frame")], point.numbers("x", "y", "z"), name)
                ET.SubElement(tendon, "site", site=name)


def _lengths(root: ET.Element, muscles: MuscleTables) -> dict[str, tuple[float, float, float]]:
    """Length of every path in the neutral pose, and the shortest and longest over the joints' ranges, m.

    Looked for on a grid of the joints that a path crosses, limits included.
    """
    model = mujoco.MjModel.from_xml_string(to_text(root))
    data = mujoco.MjData(model)

    def measure(angles: dict[int, float]) -> np.ndarray:
        data.qpos[:] = model.qpos0
        for joint, angle in angles.items():
            data.qpos[model.jnt_qposadr[joint]] = angle
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_tendon(model, data)
        return data.ten_length.copy()

    neutral = measure({})
    groups: dict[tuple[int, ...], list[int]] = {}
    for row in muscles.units:
        tendon = model.tendon(f"left_{row.text('unit')}").id
        groups.setdefault(crossed_joints(model, tendon), []).append(tendon)
    found = {}
    for joints, tendons in groups.items():
        grids = [np.linspace(*model.jnt_range[joint], SAMPLES) for joint in joints]
        poses = itertools.product(*grids)
        seen = np.array([measure(dict(zip(joints, pose, strict=True)))[tendons] for pose in poses])
        for tendon, shortest, longest in zip(tendons, seen.min(axis=0), seen.max(axis=0), strict=True):
            name = model.tendon(tendon).name.removeprefix("left_")
            found[name] = (float(neutral[tendon]), float(shortest), float(longest))
    return found


def crossed_joints(model: mujoco.MjModel, tendon: int) -> tuple[int, ...]:
    """Hinges between the bodies that a path is fixed to."""
    start = model.tendon_adr[tendon]
    wraps = range(start, start + model.tendon_num[tendon])
    bodies = {int(model.site_bodyid[model.wrap_objid[i]]) for i in wraps
              if model.wrap_type[i] == mujoco.mjtWrap.mjWRAP_SITE}  # fmt: skip
    chains = []
    for body in bodies:
        chain = set()
        while body:
            chain.add(body)
            body = int(model.body_parentid[body])
        chains.append(chain)
    crossed = set.union(*chains) - set.intersection(*chains)
    return tuple(i for i in range(1, model.njnt) if int(model.jnt_bodyid[i]) in crossed)


def _add_muscle(actuators: ET.Element, row: Row, side: str, neutral: float, shortest: float, longest: float) -> None:
    """A unit whose fibres are as long in the neutral pose as published; the tendon takes the difference.

    MuJoCo's tendon is rigid and lies along the path. Fibres at a pennation angle reach along it with the
    angle's cosine, at their best length; their force does too.
    """
    slack = row.number("slack_length") + neutral - row.number("neutral_length")
    if slack <= 0:
        raise row.fault(f"our path is {neutral:.3f} m long, too short for fibres of the published length")
    cosine = math.cos(row.number("pennation"))
    best = row.number("fibre_length") * cosine
    # In the far corners of a two-joint unit's range the tendon hangs slack; MuJoCo wants fibres of some length.
    limits = round(max(shortest, slack + SHORTEST * best), 4), round(longest, 4)
    name = f"{side}_{row.text('unit')}"
    ET.SubElement(actuators, "muscle", {
        "name": name, "class": "muscle", "tendon": name, "force": f"{row.number('max_force') * cosine:.6g}",
        "lengthrange": numbers_text(limits), "range": " ".join(f"{(x - slack) / best:.6g}" for x in limits),
    })  # fmt: skip
