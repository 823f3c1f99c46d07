"""Make the bundled models of motion from a folder of clips: train, evaluate on held-out walks, and bundle.

    python scripts/make_motion_models.py clips --work runs/models --hold-out "CMU 07" --hold-out "CMU 49" --seeds 2

Clips must be under licences that allow what is trained on them to be published. A run that is there already is not
repeated. Of several seeds the first is bundled; metrics.json holds the figures of all.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import torch

from gait_envs.assets import asset_root
from gait_envs.cli import run_script
from gait_trainers.models.motion import read_motion_model
from gait_trainers.models.motion.storage import FILE, FOLDER
from gait_trainers.pretrain.motionnn.again import resume_or_train_motion
from gait_trainers.pretrain.motionnn.config import load_motion_config
from gait_trainers.pretrain.motionnn.evaluate import evaluate_motion

PRESETS = {"motionnn": "laptop", "motionnn_conditioned": "conditioned"}
KEPT = ("seed", "python", "commit", "versions", "licenses", "time")  # of the provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", help="folder of clips")
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--hold-out", action="append", default=[], help="subject kept for the test; may be repeated")
    parser.add_argument("--only", nargs="+", choices=PRESETS, default=list(PRESETS), help="models to make")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each model")
    parser.add_argument("--updates", type=int, help="updates of each training, if not the preset's")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.only:
        runs = [_run(args, name, seed) for seed in range(args.seeds)]
        figures = [_figures(run) for run in runs]
        bundle(runs[0], asset_root() / FOLDER / name, figures, command_of(args, name))


def _run(args: argparse.Namespace, name: str, seed: int) -> Path:
    """A training, made, or continued, unless it is there."""
    settings = {"run.seed": seed, "data.held_out": args.hold_out, "run.tensorboard": False}
    settings |= {} if args.updates is None else {"optim.updates": args.updates}
    config = load_motion_config(None, PRESETS[name], settings)
    return resume_or_train_motion(config, args.clips, args.work / f"{name}_{seed}")


def _figures(run: Path) -> dict[str, Any]:
    """Of the walks of the held-out subjects."""
    model, extras = read_motion_model(run)
    split = run / "split.json"
    return evaluate_motion(model, extras, f"{split}#test", ["walk"], f"{split}#train")[0]


def command_of(args: argparse.Namespace, name: str) -> str:
    """The command that trains the bundled model."""
    words = ["gait-train", "motionnn", "clips", "--preset", PRESETS[name], "--out", f"runs/{name}"]
    words += [word for subject in args.hold_out for word in ("--hold-out", subject)]
    words += [] if args.updates is None else ["--updates", str(args.updates)]
    return shlex.join(words)


def bundle(run: Path, out: Path, figures: list[dict[str, Any]], command: str) -> None:
    """Copy the model and its configuration, with where it came from and how good it is beside it."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (FILE, "config.yaml"):
        shutil.copyfile(run / name, out / name)
    origin = json.loads((run / "provenance.json").read_text())
    told = {"command": command} | {key: origin[key] for key in KEPT}
    (out / "provenance.json").write_text(json.dumps(told, indent=1) + "\n")
    (out / "metrics.json").write_text(json.dumps({"seeds": figures}, indent=1) + "\n")
    print(f"bundled {out}")


if __name__ == "__main__":
    run_script(main)
