"""Axes and units: the same motion with another vertical axis and another unit of length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture
from gait_envs.rotations import quat_conj, quat_mul, quat_rotate

UNITS = {"mm": 0.001, "cm": 0.01, "inch": 0.0254, "cmu": 0.0254 / 0.45, "m": 1.0}  # m a unit
_THIRD = np.array([0.5, 0.5, 0.5, 0.5])  # x to y, y to z, z to x: what faces +z with y up faces +x with z up
_OVER = np.array([0.0, 1.0, 0.0, 0.0])
UPRIGHT = {"y": _THIRD, "z": np.array([1.0, 0.0, 0.0, 0.0]), "x": quat_conj(_THIRD)}  # (4,) turns of an axis to +z


def in_axes(capture: Capture, up: str | None, unit: str | None) -> Capture:
    """The same motion with another axis up or in another unit; None keeps what it is.

    The capture must say what it is in now: its `up` and `unit`.
    """
    metres_out = None if unit is None else unit_metres(unit)
    for change, own, what in ((up, capture.up, "vertical axis"), (unit, capture.unit, "unit")):
        if change is not None and own is None:
            raise MotionError(f"{capture.name}: its {what} is not known")
    turn, scale = UPRIGHT["z"], 1.0
    if up is not None:
        turn = quat_mul(quat_conj(upright(up)), upright(str(capture.up)))
    if metres_out is not None:
        scale = float(capture.unit or 1.0) / metres_out
    skeleton = replace(capture.skeleton, offsets=scale * quat_rotate(turn, capture.skeleton.offsets))

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rotations, translations in capture.blocks(size):
            yield quat_mul(turn, quat_mul(rotations, quat_conj(turn))), scale * quat_rotate(turn, translations)

    metres = capture.unit if capture.unit is None else capture.unit / scale
    return replace(capture, skeleton=skeleton, blocks=blocks, unit=metres, up=up or capture.up)


def unit_metres(unit: str | float) -> float:
    """Metres a file unit that was given by name or as a number."""
    try:
        metres = UNITS[unit] if isinstance(unit, str) and unit in UNITS else float(unit)
    except ValueError:
        metres = 0.0
    if not 0 < metres < np.inf:
        raise MotionError(f"unit {unit!r}: expected metres a unit or one of {', '.join(UNITS)}")
    return metres


def upright(up: str) -> np.ndarray:
    """Quaternion (4,) that turns an axis such as "y" or "-z" to +z."""
    sign, axis = ("+", up) if len(up) == 1 else (up[:1], up[1:])
    if sign not in ("+", "-") or axis not in UPRIGHT:
        raise MotionError(f"up axis {up!r}: expected one of {', '.join(sorted(UPRIGHT))} with an optional sign")
    return UPRIGHT[axis] if sign == "+" else quat_mul(_OVER, UPRIGHT[axis])
