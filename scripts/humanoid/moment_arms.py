"""Moment arms of the built muscles, beside measured ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import mujoco
import numpy as np

from humanoid.tables import Row, read_table

PUBLISHED_COLUMNS = ["group", "units", "joint", "from_deg", "to_deg", "low", "high", "measure", "source"]
ACTION_COLUMNS = ["unit", "joint", "sign", "from_deg", "to_deg", "action"]
REFERENCE_UNIT = "tib_post"  # what inverting moment arms are measured in


def moment_arms(model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
    """Moment arms (tendons, nv) in a pose (nq,), m; positive where pulling raises the coordinate."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_tendon(model, data)
    dense = np.zeros((model.ntendon, model.nv))
    mujoco.mju_sparse2dense(dense, data.ten_J, model.ten_J_rownnz, model.ten_J_rowadr, model.ten_J_colind)
    return -dense


def sided(model: mujoco.MjModel, joint: str, side: str) -> str:
    """A joint's name in the model: those of the trunk have no side."""
    names = {model.joint(i).name for i in range(model.njnt)}
    return joint if joint in names else f"{side}_{joint}"


def sweep(
    model: mujoco.MjModel, units: Iterable[str], joint: str, degrees: Iterable[float], side: str = "left"
) -> np.ndarray:
    """Moment arms (angles, units) about a joint at its own angles, all others neutral, m."""
    hinge = model.joint(sided(model, joint, side))
    tendons = [model.tendon(f"{side}_{unit}").id for unit in units]
    arms = []
    for angle in degrees:
        qpos = model.qpos0.copy()
        qpos[hinge.qposadr[0]] = np.radians(angle)
        arms.append(moment_arms(model, qpos)[tendons, hinge.dofadr[0]])
    return np.array(arms)


def weighted(model: mujoco.MjModel, units: list[str], joint: str, degrees: Iterable[float]) -> np.ndarray:
    """Mean moment arm (angles,) of units of the left side, weighted by their peak force, m."""
    force = np.array([model.actuator(f"left_{unit}").gainprm[2] for unit in units])
    return sweep(model, units, joint, degrees) @ force / force.sum()


def read_published(folder: Path) -> list[Row]:
    """Measured moment arms: a value or a band, at an angle or over a range."""
    return read_table(folder / "published_moment_arms.csv", PUBLISHED_COLUMNS)


def read_actions(folder: Path) -> list[Row]:
    """What every unit does at the joints it is there for, as anatomy has it."""
    rows = read_table(folder / "actions.csv", ACTION_COLUMNS)
    for row in rows:
        row.text("sign", "+-")
    return rows


def ours(model: mujoco.MjModel, row: Row) -> np.ndarray:
    """Our moment arm over the angles of a published one, as it measures it: cm without sign, or a ratio."""
    start, end = row.numbers("from_deg", "to_deg")
    degrees = np.linspace(start, end, 1 if start == end else 13)
    arms = weighted(model, row.text("units").split(), row.text("joint"), degrees)
    if row.text("measure", ("cm", f"of {REFERENCE_UNIT}")) == "cm":
        return 100 * np.abs(arms)
    return arms / weighted(model, [REFERENCE_UNIT], row.text("joint"), degrees)


def comparison(model: mujoco.MjModel, folder: Path) -> str:
    """A Markdown table: measured, ours, and how far outside the measured band."""
    lines = [
        "| muscle | about | at | measured | ours | difference | measured by |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in read_published(folder):
        low, high = row.numbers("low", "high")
        values = ours(model, row)
        start, end = row.numbers("from_deg", "to_deg")
        nearest = np.clip(values, low, high)
        worst = int(np.argmax(np.abs(values - nearest)))
        off = 100 * (values[worst] - nearest[worst]) / abs(nearest[worst])
        digits = 1 if row.text("measure") == "cm" else 2
        band = f"{low:.{digits}f}" if low == high else f"{low:.{digits}f}–{high:.{digits}f}"
        mine = f"{values.min():.{digits}f}" if start == end else f"{values.min():.{digits}f}–{values.max():.{digits}f}"
        angle = f"{start:g}°" if start == end else f"{start:g}–{end:g}°"
        joint = row.text("joint").replace("_", " ")
        lines.append(f"| {row.text('group')} | {joint} | {angle} | {band} {row.text('measure')} | {mine} | "
                     f"{'–' if abs(off) < 0.5 else f'{off:+.0f} %'} | {row.text('source')} |")  # fmt: skip
    return "\n".join(lines)
