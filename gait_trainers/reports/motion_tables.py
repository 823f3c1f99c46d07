"""Tables of the evaluation of a motion model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from gait_envs.wording import counted
from gait_trainers.reports.tables import UNKNOWN, figure_table

MODEL = "the model"
_TABLES = (
    ("all coordinates, mean squared error (m², rad²)", "position_mse"),
    ("moving joints, mean squared error (rad²)", "joints_mse"),
    ("root, drift over the floor (m)", "root_drift_m"),
    ("all rates, mean squared error ((m/s)², (rad/s)²)", "velocity_mse"),
    ("R² of the moving coordinates together", "r2"),
    ("R² of the moving joints together", "joints_r2"),
)


def print_motion(figures: Mapping[str, Any], console: Console) -> None:
    """A table for each kind of error, baselines above the model; then growth, stability and long rollouts."""
    conditions = ", ".join(figures["conditions"])
    conditioned = f"conditioned on {conditions}" if conditions else "unconditioned"
    console.print(
        f"{counted(figures['windows'], 'window')} of {counted(figures['clips'], 'clip')}; the model is {conditioned}"
    )
    if figures["privileged"]:
        console.print("path, speed and phase are read from the whole clip, so they know its future", style="yellow")
    for title, key in _TABLES:
        horizons = list(figures[key])
        rows = [[name, *(_cell(theirs[key][h]) for h in horizons)] for name, theirs in figures["baselines"].items()]
        rows.append([MODEL, *(_cell(figures[key][h]) for h in horizons)])
        console.print(figure_table(title, ["frames", *horizons], rows, left=["frames"]))
        console.print()
    normalized = figures["velocity_mse_normalized"]
    console.print("rates, error over variance: " + ", ".join(f"{value:.3g} at {h}" for h, value in normalized.items()))
    console.print(
        f"growth from 1 to 60 frames: {_cell(figures['mse_ratio'])} x in mean squares, "
        f"{_cell(figures['rmse_ratio'])} x in their roots; log-slope {_cell(figures['log_slope'])}"
    )
    console.print(
        f"last second: energy {figures['energy_ratio']:.2f} of the captured, {figures['collapsed']:.0%} collapsed; "
        f"power above 6 Hz {figures['fast_power']:.1%}, captured {figures['fast_power_captured']:.1%}"
    )
    if (free := figures["free_running"]) is not None:
        console.print(
            f"{free['frames']} frames: {free['upright']:.0%} upright, joint rates {free['joint_rates']:.2f} of the "
            f"captured ({free['joint_rates_least']:.2f} to {free['joint_rates_most']:.2f})"
        )


def _cell(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3g}"
