"""When an episode counts as a success: shared by training, evaluation, the curriculum and early stopping.

`success` is survival: the time limit, or the end of the clip, was reached without a failure. `is_success` asks that
the command was followed as well: the mean velocity is near the commanded one, and the heading has not drifted away.
Following a clip to its end within the allowed distance is both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gait_envs.rotations import Array, wrap_angle
from gait_envs.tasks.memory import Field, Memory
from gait_envs.tasks.part import Part, Start
from gait_envs.tasks.view import View, heading_error, velocity_miss

SPEED_ERROR = 0.15  # m/s, |mean planar velocity in the heading frame − mean command|, at most
DRIFT = np.radians(15.0)  # rad, |heading − commanded heading| at the end, at most for each `DRIFT_TIME`
DRIFT_TIME = 10.0  # s
WARMUP = 1.0  # s at the start of an episode left out of its mean velocity; of a shorter episode, all is used


def success_part(dt: float, *, follows: bool = False) -> Part:
    """Adds up what `is_success` needs.

    dt: s a control step; follows: a reference, so that as long as its distance is limited its end is all that counts
    """
    warmup = round(WARMUP / dt)

    def begin(memory: Memory, ids: np.ndarray, starts: Sequence[Start]) -> None:
        memory.velocity_miss[ids] = 0.0
        memory.drift[ids] = 0.0

    def after(view: View) -> dict[str, Array]:
        memory = view.memory
        first = memory.steps == warmup + 1
        before = memory.velocity_miss
        if np.count_nonzero(first):
            before = np.where(first[:, None], 0.0, before)
        error = heading_error(view)
        return {
            "velocity_miss": before + velocity_miss(view),
            "drift": memory.drift + wrap_angle(error - memory.drift),  # unwrapped: a full turn is no way back
        }

    def followed(view: View) -> Array:
        """Whether the command has been followed until now, (n,) bool."""
        memory = view.memory
        steps = np.where(memory.steps > warmup, memory.steps - warmup, np.maximum(memory.steps, 1))
        speed_error = np.linalg.norm(memory.velocity_miss / steps[:, None], axis=1)
        allowed = DRIFT * memory.steps * dt / DRIFT_TIME
        on_command = (speed_error <= SPEED_ERROR) & (np.abs(memory.drift) <= allowed)
        return on_command | (follows and not view.settings.free)

    return Part(
        fields=(
            Field("velocity_miss", (2,), "m/s", "sum over steps of velocity − command, heading frame", later=True),
            Field("drift", (), "rad", "commanded heading − heading, unwrapped", later=True),
        ),
        begin=begin,
        after=after,
        conditions=(followed,),
    )


def above_standing_still(command: Array) -> Array:
    """Whether standing still would fail to follow the command (n, 3), (n,) bool."""
    return np.hypot(command[:, 0], command[:, 1]) > SPEED_ERROR
