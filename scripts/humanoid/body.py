"""The torque-driven body: 23 segments and 56 degrees of freedom from the tables, as MJCF."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from humanoid.tables import (
    SIDES,
    Row,
    TableError,
    axis_column,
    full_name,
    mirrored,
    numbers_text,
    read_table,
    sides_of,
)

STATURE, MASS = 1.70, 73.0  # m, kg
TIMESTEP = 1 / 480  # s; 16 of them are a control step at 30 Hz
# Standing at ease, rad: the legs lean 0.06 forward, which puts the centre of mass over the middle of the feet.
HOME = {
    "hip_flexion": -0.02,
    "knee_flexion": 0.06,
    "ankle_dorsiflexion": 0.08,
    "arm_abduction": 0.15,
    "elbow_flexion": 0.2,
}

SEGMENT_COLUMNS = ["body", "side", "parent", *axis_column("joint"), "length", "mass", *axis_column("com"),
                   *axis_column("radius"), "source"]  # fmt: skip
JOINT_COLUMNS = ["joint", "body", "axis", "lower_deg", "upper_deg", "torque_minus", "torque_plus", "stiffness",
                 "damping", "armature", "positive", "range_source", "torque_source"]  # fmt: skip
SHAPE_COLUMNS = ["shape", "body", "side", "kind", "type", "x1", "y1", "z1", "x2", "y2", "z2", "size1", "size2",
                 "size3", "material"]  # fmt: skip
AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
SIZES = {"sphere": 1, "capsule": 1, "ellipsoid": 3, "box": 3}  # numbers that a shape needs
GLASS = 0.12  # opacity of what covers muscles
KINDS = ("solid", "shell", "sole", "bone")
MATERIALS = {  # red, green, blue
    "skin": (0.90, 0.78, 0.68),
    "trunk": (0.36, 0.41, 0.47),
    "left": (0.22, 0.48, 0.68),
    "right": (0.83, 0.45, 0.22),
    "sole": (0.20, 0.21, 0.23),
    "bone": (0.93, 0.90, 0.82),
}


@dataclass(frozen=True)
class BodyTables:
    """The three tables of the body, checked against each other."""

    segments: list[Row]
    joints: list[Row]
    shapes: list[Row]

    @property
    def sides(self) -> dict[str, tuple[str | None, ...]]:
        """Segment to the sides it is on."""
        return {row.text("body"): sides_of(row) for row in self.segments}


def read_body_tables(folder: Path) -> BodyTables:
    """Read `segments.csv`, `joints.csv` and `shapes.csv`."""
    segments = read_table(folder / "segments.csv", SEGMENT_COLUMNS, key="body")
    known: dict[str, str] = {"world": "middle"}
    share = 0.0
    for row in segments:
        parent = row.text("parent", known)
        if known[parent] == "both" and row.text("side") != "both":
            raise row.fault(f"a segment in the middle cannot hang on {parent!r}, which is on both sides")
        row.text("source")
        row.number("length", low=1e-3)
        share += row.number("mass", low=1e-3) * len(sides_of(row))
        for name in axis_column("radius"):
            row.number(name, low=1e-3)
        known[row.text("body")] = row.text("side")
    if abs(share - 100) > 0.01:
        raise TableError(f"{folder / 'segments.csv'}: the masses add up to {share:.2f} % of the body")
    del known["world"]
    joints = read_table(folder / "joints.csv", JOINT_COLUMNS, key="joint")
    for row in joints:
        row.text("body", known)
        _axis(row, None)
        if row.number("lower_deg") >= row.number("upper_deg"):
            raise row.fault("lower_deg is not below upper_deg")
        for name in ("positive", "range_source", "torque_source"):
            row.text(name)
        for name in ("torque_minus", "torque_plus", "stiffness", "damping", "armature"):
            row.number(name, low=0.0)
    shapes = read_table(folder / "shapes.csv", SHAPE_COLUMNS)
    for row in shapes:
        if known[row.text("body", known)] != row.text("side") and known[row.text("body")] == "both":
            raise row.fault(f"side must be 'both', as {row.text('body')!r} is")
        row.text("kind", KINDS)
        row.text("material", [*MATERIALS, "side"])
        for i in range(SIZES[row.text("type", SIZES)]):
            row.number(f"size{i + 1}", low=1e-4)
    return BodyTables(segments, joints, shapes)


def torque_model(tables: BodyTables) -> ET.Element:
    """The MJCF of the body with a motor on every joint, standing in its `home` keyframe."""
    root = skeleton("humanoid", tables)
    actuators = ET.SubElement(root, "actuator")
    for row, name, _ in joints_in_order(tables):
        add_motor(actuators, row, name)
    add_sensors(root)
    add_home(root, tables)
    return root


def skeleton(name: str, tables: BodyTables, glass: Container[str] = ()) -> ET.Element:
    """Segments, joints and shapes, without what moves them; the segments in `glass` show their bones."""
    root = ET.Element("mujoco", model=name)
    ET.SubElement(root, "compiler", angle="radian", autolimits="true")
    ET.SubElement(root, "option", timestep=repr(TIMESTEP), integrator="implicitfast", cone="pyramidal",
                  iterations="20", ls_iterations="10")  # fmt: skip
    _add_defaults(root)
    assets = ET.SubElement(root, "asset")
    for material, colour in MATERIALS.items():
        ET.SubElement(assets, "material", name=material, rgba=numbers_text([*colour, 1.0]), specular="0.2",
                      shininess="0.3")  # fmt: skip
        if glass and material not in ("bone", "sole"):
            ET.SubElement(assets, "material", name=f"{material}_glass", rgba=numbers_text([*colour, GLASS]))
    world = ET.SubElement(root, "worldbody")
    bodies: dict[str, ET.Element] = {"world": world}
    for row, side in _depth_first(tables):
        _add_segment(bodies, row, side, tables, row.text("body") in glass)
    return root


def _depth_first(tables: BodyTables) -> list[tuple[Row, str | None]]:
    """Segments with their side in the order that MuJoCo numbers bodies: the whole right limb, then the left."""
    order: list[tuple[Row, str | None]] = []

    def visit(parent: str, side: str | None) -> None:
        for child in tables.segments:
            if child.text("parent") == parent:
                for own in (side,) if side is not None else sides_of(child):
                    order.append((child, own))
                    visit(child.text("body"), own)

    visit("world", None)
    return order


def joints_in_order(tables: BodyTables) -> list[tuple[Row, str, str | None]]:
    """Hinges in the order of the degrees of freedom after the root: line, name in the model, side."""
    return [
        (joint, full_name(joint.text("joint"), side), side)
        for segment, side in _depth_first(tables)
        for joint in tables.joints
        if joint.text("body") == segment.text("body")
    ]


def _add_segment(bodies: dict[str, ET.Element], row: Row, side: str | None, tables: BodyTables, glass: bool) -> None:
    name, parent = row.text("body"), row.text("parent")
    above = bodies[parent] if parent in bodies else bodies[full_name(parent, side)]
    position = [STATURE * value for value in mirrored(row.numbers(*axis_column("joint")), side)]
    body = ET.SubElement(above, "body", name=full_name(name, side), pos=numbers_text(position))
    bodies[full_name(name, side)] = body
    if parent == "world":
        body.set("childclass", "humanoid")
        _add_root(body)
    length, mass = STATURE * row.number("length"), 0.01 * MASS * row.number("mass")
    centre = [length * value for value in mirrored(row.numbers(*axis_column("com")), side)]
    inertia = [mass * (length * value) ** 2 for value in row.numbers(*axis_column("radius"))]
    ET.SubElement(body, "inertial", pos=numbers_text(centre), mass=f"{mass:.6g}",
                  diaginertia=" ".join(f"{value:.5g}" for value in inertia))  # fmt: skip
    for joint in tables.joints:
        if joint.text("body") == name:
            _add_joint(body, joint, side)
    for shape in tables.shapes:
        if shape.text("body") == name and (glass or shape.text("kind") != "bone"):
            for own in (side,) if side is not None else sides_of(shape):
                _add_shape(body, shape, own, glass)
    if name == "talus":
        middle = [0.02, 0.0085, -0.0663]
        ET.SubElement(body, "site", name=f"{side}_sole", pos=numbers_text(mirrored(middle, side)), size="0.004",
                      group="4")  # fmt: skip


def _add_root(body: ET.Element) -> None:
    ET.SubElement(body, "freejoint", name="root")
    ET.SubElement(body, "camera", name="track", mode="trackcom", pos="1.9 -2.25 0.35",
                  xyaxes="0.766 0.643 0 -0.06 0.07 0.996")  # fmt: skip
    ET.SubElement(body, "camera", name="side", mode="trackcom", pos="0 -2.9 0.1", xyaxes="1 0 0 0 0.03 1")
    ET.SubElement(body, "camera", name="front", mode="trackcom", pos="2.9 0 0.1", xyaxes="0 1 0 -0.03 0 1")
    ET.SubElement(body, "light", name="sun", mode="trackcom", type="directional", pos="-2 -2.5 6", dir="0.3 0.38 -1",
                  diffuse="0.6 0.58 0.55", specular="0.2 0.2 0.2", castshadow="true")  # fmt: skip
    ET.SubElement(body, "site", name="imu", size="0.01", group="4")


def _axis(row: Row, side: str | None) -> list[float]:
    """Axis of a hinge. A mirror keeps turns about y and reverses those about x and z."""
    text = row.text("axis", [sign + letter for letter in AXES for sign in ("", "-")])
    letter, sign = text[-1], -1.0 if text[0] == "-" else 1.0
    if side == "right" and letter != "y":
        sign = -sign
    return [sign * value for value in AXES[letter]]


def _add_joint(body: ET.Element, row: Row, side: str | None) -> None:
    limits = [math.radians(value) for value in row.numbers("lower_deg", "upper_deg")]
    ET.SubElement(body, "joint", name=full_name(row.text("joint"), side), axis=numbers_text(_axis(row, side)),
                  range=numbers_text(limits), stiffness=f"{row.number('stiffness'):g}",
                  damping=f"{row.number('damping'):g}", armature=f"{row.number('armature'):g}")  # fmt: skip


def _add_shape(body: ET.Element, row: Row, side: str | None, glass: bool) -> None:
    kind, shape = row.text("kind"), row.text("type")
    material = row.text("material")
    attributes = {"name": full_name(row.text("shape"), side), "class": kind, "type": shape}
    ends = [mirrored(row.numbers("x1", "y1", "z1"), side)]
    if row.given("x2"):
        ends.append(mirrored(row.numbers("x2", "y2", "z2"), side))
    attributes["fromto" if len(ends) == 2 else "pos"] = numbers_text(value for end in ends for value in end)
    sizes = [row.number(f"size{i + 1}") for i in range(SIZES[shape])]
    attributes["size"] = numbers_text(sizes)
    material = (side or "skin") if material == "side" else material
    attributes["material"] = f"{material}_glass" if glass and material not in ("bone", "sole") else material
    ET.SubElement(body, "geom", attributes)
    if kind == "sole":  # a touch sensor's volume, a little larger than the contact it feels
        if len(ends) == 2:
            site = {"type": "capsule", "fromto": attributes["fromto"], "size": numbers_text([sizes[0] + 0.003])}
        else:
            site = {"type": "box", "pos": attributes["pos"], "size": numbers_text(size + 0.003 for size in sizes)}
        ET.SubElement(body, "site", {"name": attributes["name"], "class": "foot_site", **site})


def _add_defaults(root: ET.Element) -> None:
    defaults = ET.SubElement(ET.SubElement(root, "default"), "default", {"class": "humanoid"})
    ET.SubElement(defaults, "joint", solreflimit="0.01 1")
    solid = ET.SubElement(defaults, "default", {"class": "solid"})
    solid.append(ET.Comment(" touches the floor only "))
    ET.SubElement(solid, "geom", contype="0", conaffinity="1", condim="3", friction="0.8")
    for name, group in (("shell", "1"), ("bone", "2")):
        drawn = ET.SubElement(defaults, "default", {"class": name})
        ET.SubElement(drawn, "geom", contype="0", conaffinity="0", group=group)
    sole = ET.SubElement(defaults, "default", {"class": "sole"})
    sole.append(ET.Comment(" touches the floor and the other foot "))
    ET.SubElement(sole, "geom", contype="2", conaffinity="3", condim="3", friction="1")
    site = ET.SubElement(defaults, "default", {"class": "foot_site"})
    ET.SubElement(site, "site", group="4", rgba="0.2 0.9 0.4 0.3")


def add_motor(actuators: ET.Element, row: Row, name: str, **attributes: str) -> None:
    """A torque motor; its control is N·m, limited to what people reach."""
    limits = numbers_text([-row.number("torque_minus"), row.number("torque_plus")])
    ET.SubElement(actuators, "motor", name=name, joint=name, ctrlrange=limits, forcerange=limits, **attributes)


def add_sensors(root: ET.Element) -> None:
    """Gyro and accelerometer of the pelvis, forces under the feet, where the soles are and how they move."""
    exclude = ET.SubElement(root, "contact")
    for side in SIDES:  # neighbours that are no parent and child
        ET.SubElement(exclude, "exclude", body1=f"{side}_big_toe", body2=f"{side}_small_toes")
    sensors = ET.SubElement(root, "sensor")
    for kind in ("gyro", "accelerometer"):
        ET.SubElement(sensors, kind, name=kind, site="imu")
    for parts in (("toe", "heel"), ("big_toe", "small_toes")):
        for side in ("left", "right"):
            for part in parts:
                ET.SubElement(sensors, "touch", name=f"{side}_{part}", site=f"{side}_{part}")
    for kind, suffix in (("framepos", "pos"), ("framelinvel", "vel")):
        for side in ("left", "right"):
            ET.SubElement(sensors, kind, name=f"{side}_sole_{suffix}", objtype="site", objname=f"{side}_sole")


def add_home(root: ET.Element, tables: BodyTables) -> None:
    """The `home` keyframe: standing at ease, upright, with the soles on the floor."""
    angles = [HOME.get(row.text("joint"), 0.0) for row, _, _ in joints_in_order(tables)]
    model = mujoco.MjModel.from_xml_string(to_text(root))
    data = mujoco.MjData(model)
    data.qpos[7:] = angles
    mujoco.mj_kinematics(model, data)
    soles = [i for i in range(model.ngeom) if model.geom(i).name.endswith(("_toe", "_heel"))
             and model.geom_type[i] == mujoco.mjtGeom.mjGEOM_BOX]  # fmt: skip
    shadow = np.abs(data.geom_xmat[soles].reshape(-1, 3, 3)[:, 2]) * model.geom_size[soles]
    height = data.qpos[2] - (data.geom_xpos[soles, 2] - shadow.sum(axis=1)).min()
    pose = numbers_text([0, 0, height]) + "  1 0 0 0  " + numbers_text(angles)
    ET.SubElement(ET.SubElement(root, "keyframe"), "key", name="home", qpos=pose)


def to_text(root: ET.Element, comment: str = "") -> str:
    """MJCF as text, indented, behind a comment."""
    ET.indent(root)
    lead = f"<!-- {comment} -->\n" if comment else ""
    return lead + ET.tostring(root, encoding="unicode") + "\n"
