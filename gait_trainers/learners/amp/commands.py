"""What the reference shows beside what is commanded: a style that no command asks for only gets in the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gait_envs.reference.course import NAMES, spread

_NEAR = np.array([0.15, 0.15, 0.3])  # m/s, m/s, rad/s: what is no further from a command counts as asked for
_FAR = np.array([0.4, 0.4, 0.8])  # the same: commands further from all that is shown
_FEW = 0.1  # of the reference's seconds


def describe_commands(low: Sequence[float], high: Sequence[float]) -> str:
    """The commanded ranges, as one line."""
    ranges = ", ".join(f"{a:g} to {b:g} {name}" for a, b, name in zip(low, high, NAMES, strict=True))
    return f"commanded: {ranges}"


def mismatch(seconds: np.ndarray, low: Sequence[float], high: Sequence[float]) -> list[str]:
    """Warnings where the reference's seconds (k, 3) and the commands (3,) do not meet."""
    least, most = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    asked = ((seconds >= least - _NEAR) & (seconds <= most + _NEAR)).all(axis=1)
    advice = "give other clips (amp.data), or commands that they follow (env.kwargs.command_low and command_high)"
    if asked.mean() < _FEW:
        return [
            f"{100 * asked.mean():.0f} % of the reference's seconds move as any command asks; the style reward will "
            f"speak against the commands: {advice}"
        ]
    shown_low, shown_high = spread(seconds)
    found = []
    for name, asks, shows, far in (
        *zip(NAMES, zip(least, most, strict=True), zip(shown_low, shown_high, strict=True), _FAR, strict=True),
    ):
        for ask, show, beyond in ((asks[0], shows[0], shows[0] - asks[0]), (asks[1], shows[1], asks[1] - shows[1])):
            if beyond > far:
                found.append(f"{ask:g} {name} is commanded, the reference only reaches {show:.2f}: {advice}")
    return found
