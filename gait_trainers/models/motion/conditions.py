"""What a motion model may be conditioned on beside the state: where to go, how fast, and when to step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gait_envs.layout import Layout, Row
from gait_trainers.data.gait_phase import OFFSETS
from gait_trainers.data.motion_state import YAW

CONDITIONS = ("path", "speed", "phase")
_ROWS = {
    "path": Row(
        "path",
        4 * (len(OFFSETS) - 1),
        "m, 1",
        f"x, y relative to the root in its heading frame, sine and cosine of the turn, {OFFSETS[1:]} frames ahead",
    ),
    "speed": Row("path_speed", 1, "m/s", "along the path, at the next frame"),
    "phase": Row("gait_phase", 2, "1", "sine and cosine of the phase of the gait at the next frame; 0 without a gait"),
}


def condition_rows(conditions: Sequence[str]) -> Layout:
    """Rows of the condition's columns; ValueError for an unknown condition."""
    if unknown := [name for name in conditions if name not in CONDITIONS]:
        raise ValueError(f"unknown condition {unknown[0]!r}; known are {', '.join(CONDITIONS)}")
    return Layout(_ROWS[name] for name in conditions)


def condition_columns(conditions: Sequence[str], state: Tensor, told: Mapping[str, Tensor], at: int) -> list[Tensor]:
    """Columns (n, L, ...) for states (n, L, d), of which the first is frame `at` of what is `told`.

    told: path (n, F, offsets, 3) as seen from each frame, speed (n, F, 1) and phase (n, F, 2), F > at + L.
    """
    length = state.shape[1]
    columns = []
    if "path" in conditions:
        path = told["path"][:, at : at + length, 1:]  # (n, L, offsets - 1, 3)
        yaw = state[..., YAW, None]
        sin, cos = yaw.sin(), yaw.cos()
        dx, dy, turn = (path - state[..., None, [0, 1, YAW]]).unbind(-1)
        seen = [cos * dx + sin * dy, cos * dy - sin * dx, turn.sin(), turn.cos()]
        columns.append(torch.stack(seen, -1).flatten(-2))
    for name in ("speed", "phase"):
        if name in conditions:
            columns.append(told[name][:, at + 1 : at + 1 + length])
    return columns
