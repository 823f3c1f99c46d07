"""What follows the training of a model, as a process: its files, and its evaluation on what it was not trained on.

    python -m gait_trainers.service.jobs.models motionnn|refnn RUN RESULTS

Writes the folder `RESULTS/model`, and `result.json` last. The functions are those of `gait-train evaluate-motion` and
`evaluate-refnn`. A model that cannot be evaluated is still a model: the message then says why.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gait_envs.errors import GaitNetError
from gait_envs.files import replacing_folder, write_durably
from gait_envs.reading.text import read_json
from gait_envs.reference.clip import ClipError
from gait_trainers.policies.bundle import write_checksums
from gait_trainers.service.jobs.process import faults_in_a_line

PAGE = "trajectories.png"


class NotEvaluated(GaitNetError):
    """A model that nothing can be said of, and why."""


def finish(run: Path, results: Path, judge: Callable[[Path, Path], dict[str, Any]]) -> dict[str, Any]:
    """The evaluation, or None and a message; the files of the model with its evaluation."""
    print("evaluating", flush=True)
    message, found = "", None
    try:
        found = judge(run, results)
    except NotEvaluated as error:
        message = f"not evaluated: {error}"
        print(message, flush=True)
    with replacing_folder(results / "model") as temporary:
        for file in _files(run):
            shutil.copyfile(file, temporary / file.name)
        if found is not None:
            (temporary / "evaluation.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        write_checksums(temporary)
    return {"validation": None, "evaluation": found, "message": message}


def _files(run: Path) -> list[Path]:
    """What a model consists of: its own folder, or the file beside configuration and metrics."""
    if (run / "model").is_dir():
        return [file for file in (run / "model").iterdir() if file.name != "SHA256SUMS"]
    return [run / name for name in ("model.npz", "config.yaml", "metrics.csv")]


def judge_motion(run: Path, results: Path) -> dict[str, Any]:
    """Errors on the clips that were held out, beside baselines; draws the page of trajectories."""
    import torch

    from gait_trainers.models.motion import read_motion_model
    from gait_trainers.pretrain.motionnn.evaluate import evaluate_motion
    from gait_trainers.reports.motion_page import write_motion_page

    torch.set_num_threads(1)
    model, extras = read_motion_model(run)
    split = run / "split.json"
    if "test" not in read_json(split, ClipError)["parts"]:
        raise NotEvaluated("no motion was held out")
    try:
        figures, judged = evaluate_motion(model, extras, f"{split}#test", (), f"{split}#train")
    except ClipError as error:  # too short
        raise NotEvaluated(str(error)) from None
    write_motion_page(results / PAGE, model, judged, figures)
    return figures


def judge_refnn(run: Path, results: Path) -> dict[str, Any]:
    """Errors on the walkers that were held out, as the training has computed them; what the model's walks do."""
    from gait_envs.reference.refnn.network import RefNNError, load_network
    from gait_trainers.pretrain.refnn.evaluate import evaluate_refnn

    network = load_network(run / "model")
    origin = read_json(run / "model" / "model.json", GaitNetError)
    found = {"held_out": origin["held_out_error"]} if "held_out_error" in origin else {}
    try:
        return found | {"generated": evaluate_refnn(network)["generated"]}
    except RefNNError as error:  # it knows no walk
        raise NotEvaluated(str(error)) from None


JUDGES = {"motionnn": judge_motion, "refnn": judge_refnn}


def main() -> None:
    """Exit status 2, and one line, for an expected error."""
    name, run, results = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    file = results / "result.json"
    with faults_in_a_line():
        file.unlink(missing_ok=True)
        found = finish(run, results, JUDGES[name])
        write_durably(file, json.dumps(found, allow_nan=False).encode())


if __name__ == "__main__":
    main()
