"""Ablations of MotionNN: short trainings that differ from the first in one thing each, evaluated on the test part.

    python scripts/ablate_motion.py clips --out runs/ablations --hold-out "CMU 07" --hold-out "CMU 49"
    python scripts/ablate_motion.py clips --out runs/ablations --only base rollout_single --seeds 3

Prints a table; figures and a Markdown table are kept in OUT/. A training that is there already is not repeated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gait_envs.cli import run_script
from gait_trainers.models.motion import read_motion_model
from gait_trainers.pretrain.motionnn.again import resume_or_train_motion
from gait_trainers.pretrain.motionnn.config import load_motion_config
from gait_trainers.pretrain.motionnn.evaluate import evaluate_motion

# What each row changes, of the preset laptop with fewer updates.
ROWS: dict[str, dict[str, Any]] = {
    "base": {},
    "rollout_single": {"loss.rollout": "single"},
    "rollout_occasional": {"loss.rollout": "occasional"},
    "horizon_10": {"loss.horizon": 10},
    "horizon_30": {"loss.horizon": 30},
    "one_step_0": {"loss.one_step": 0.0},
    "velocity_weight_1": {"loss.velocity_weight": 1.0},
    "velocity_weight_0.01": {"loss.velocity_weight": 0.01},
    "balance_variance": {"loss.balance": "variance"},
    "smoothness_0.01": {"loss.smoothness": 0.01},
    "noise_0": {"loss.noise": 0.0},
    "not_mirrored": {"data.mirrored": False},
    "encoding_qpos": {"model.encoding": "qpos"},
    "encoding_sixdof": {"model.encoding": "sixdof"},
    "encoding_observable": {"model.encoding": "observable"},
    "history_3": {"model.settings.history": 3},
    "gru": {"model.network": "gru"},
    "lstm": {"model.network": "lstm"},
    "transformer": {"model.network": "transformer", "model.settings.width": 128, "model.settings.layers": 2},
    "transformer_reg": {"model.network": "transformer_reg", "model.settings.width": 128, "model.settings.layers": 2},
    "mixture": {"model.network": "mixture"},
    "told_speed": {"model.conditions": ["speed"]},
    "told_path": {"model.conditions": ["path"]},
    "told_phase": {"model.conditions": ["phase"]},
    "told_all": {"model.conditions": ["path", "speed", "phase"]},
}
COLUMNS = ("position_mse 1", "position_mse 10", "position_mse 60", "joints_mse 60", "root_drift_m 60",
           "velocity_mse_normalized 1", "r2 60", "rmse_ratio")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", help="folder of clips")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--hold-out", action="append", default=[], help="subject kept for the test; may be repeated")
    parser.add_argument("--activity", action="append", help="kind of activity in the test; may be repeated; walk")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="rows to make")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each row")
    parser.add_argument("--updates", type=int, default=100, help="updates of each training")
    parser.add_argument("--batch-frames", type=int, default=4096, help="predicted frames of an update")
    args = parser.parse_args()
    args.activity = args.activity or ["walk"]
    torch.set_num_threads(1)
    table = {}
    for row in args.only:
        found = [_figures(args, row, seed) for seed in range(args.seeds)]
        table[row] = {column: [_pick(one, column) for one in found] for column in COLUMNS}
        text = _markdown(table)
        (args.out / "ablations.json").write_text(json.dumps(table, indent=1))
        (args.out / "ablations.md").write_text(text)
    print(text)


def _figures(args: argparse.Namespace, row: str, seed: int) -> dict[str, Any]:
    """Of one training, which is made, or continued, unless it is there."""
    settings = {
        "run.seed": seed, "data.held_out": args.hold_out, "optim.updates": args.updates,
        "optim.batch_frames": args.batch_frames, "run.tensorboard": False,
    }  # fmt: skip
    config = load_motion_config(None, "laptop", settings | ROWS[row])
    out = resume_or_train_motion(config, args.clips, args.out / f"{row}_{seed}")
    model, extras = read_motion_model(out)
    return evaluate_motion(model, extras, f"{out / 'split.json'}#test", args.activity, long=0)[0]


def _pick(figures: dict[str, Any], column: str) -> float:
    key, _, horizon = column.partition(" ")
    return float(figures[key][horizon] if horizon else figures[key])


def _markdown(table: dict[str, dict[str, list[float]]]) -> str:
    """Means, and the least and the most where there are several seeds."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "| --- |" + " --- |" * len(COLUMNS)]
    for row, columns in table.items():
        cells = [
            f"{np.mean(values):.3g}" + (f" ({min(values):.3g} … {max(values):.3g})" if len(values) > 1 else "")
            for values in columns.values()
        ]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_script(main)
