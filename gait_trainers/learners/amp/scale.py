"""The scale of each style feature: what the discriminator divides it by, and what the reference leaves constant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gait_envs.layout import Layout

# The smallest standard deviation that a feature is divided by, by its unit: a difference that hardly shows. Less
# would turn what a reference holds still into a giveaway: a joint that its clips never move, divided by a deviation
# of 1e-4, gives a policy away by a thousandth of a radian.
FLOORS = {"rad": 0.02, "rad/s": 0.2, "m": 0.005, "1": 0.02}
STILL = 0.01  # of its floor; a feature that deviates less does not vary


def std_floors(layout: Layout) -> np.ndarray:
    """The floor of each feature, (d,), in its own unit. ValueError names a unit without one."""
    unknown = sorted({row.unit for row in layout} - FLOORS.keys())
    if unknown:
        raise ValueError(f"style features have units {', '.join(unknown)}; floors are known for {', '.join(FLOORS)}")
    return np.repeat([FLOORS[row.unit] for row in layout], [row.size for row in layout])


def still_features(frames: np.ndarray, layout: Layout, joint_names: Sequence[str]) -> dict[str, list[str]]:
    """Of reference frames (T, d), the features that do not vary: row of the layout -> which of its numbers.

    A number is named by its joint, or by its place in the row, from 0.
    """
    still = np.asarray(frames, dtype=np.float64).std(axis=0) < STILL * std_floors(layout)
    found = {}
    for row, where in zip(layout, layout.slices().values(), strict=True):
        names = joint_names if row.size == len(joint_names) else [str(i) for i in range(row.size)]
        if still[where].any():
            found[row.name] = [name for name, flat in zip(names, still[where], strict=True) if flat]
    return found


def describe_still(still: dict[str, list[str]], size: int) -> str:
    """A warning that names them."""
    count = sum(map(len, still.values()))
    parts = "; ".join(f"{row} of {', '.join(names)}" for row, names in still.items())
    return (
        f"the reference holds {count} of {size} style features still, so that their scale is a floor "
        f"(amp.feature_std_floor) and any motion there looks unlike the reference: {parts}"
    )
