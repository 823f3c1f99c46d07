"""What follows a training, as a process: its bundle with validation, evaluation and gait of its policy, the view in 3D.

    python -m gait_trainers.service.jobs.finish finish|evaluate|view RUN RESULTS

The functions are those of `gait-train export`, `validate`, `evaluate`, `gait` and `export --web`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from gait_envs.errors import GaitNetError
from gait_envs.files import replacing_folder, write_durably
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import follows_clips
from gait_trainers.policies.loading import load_policy
from gait_trainers.policies.validation import validate_bundle
from gait_trainers.service.jobs.process import faults_in_a_line
from gait_trainers.web.page import write_subject

EPISODES = 20
OWN_CLIPS = "file outside of the bundle"  # what a bundle says that would need clips which it does not carry


def finish(run: Path, results: Path) -> dict[str, Any]:
    """Write `results/bundle`; its validation, or None where it follows clips of its own, which a bundle lacks."""
    from gait_trainers.policies.export import export  # torch; an evaluation of a bundle needs none

    print("exporting", flush=True)
    export(run, results / "bundle", force=True)
    try:
        write_view(results / "bundle", results)
    except GaitNetError as error:  # a policy that the page cannot run, or clips of its own
        print(f"no view in 3D: {error}", flush=True)
    try:
        return {"validation": validate_bundle(results / "bundle")}
    except GaitNetError as error:
        if OWN_CLIPS not in str(error):
            raise
        return {"validation": None}


def view(run: Path, results: Path) -> None:
    """Write `results/view` of the latest checkpoint, while the training goes on."""
    from gait_trainers.policies.export import export

    with tempfile.TemporaryDirectory(dir=results) as temporary:
        write_view(export(run, Path(temporary) / run.name), results)


def write_view(bundle: Path, results: Path) -> None:
    """What the page in which a policy walks is told of it; the rest of the page is the same for all."""
    with replacing_folder(results / "view") as temporary:
        write_subject(bundle, temporary)


def judge(run: Path, results: Path) -> dict[str, Any]:
    """Figures of how well the policy walks."""
    print("evaluating", flush=True)
    policy = _policy(run, results)
    if follows_clips(policy.env_id):
        return evaluate_tracking(policy, EPISODES, threads=1)
    return evaluate(policy, EPISODES, threads=1)


def analyse(run: Path, results: Path) -> None:
    """Write the gait page; a policy that does not walk has none, and the log says why."""
    from gait_trainers.service.jobs.gait import write_gait

    print("analysing the gait", flush=True)
    try:
        write_gait(_policy(run, results), results)
    except GaitNetError as error:
        print(f"no gait page: {error}", flush=True)


def _policy(run: Path, results: Path) -> Policy:
    """The bundle's, or the run's where the bundle cannot stand alone."""
    try:
        return load_policy(results / "bundle")
    except GaitNetError as error:
        if OWN_CLIPS not in str(error):
            raise
        return load_policy(run)


def main() -> None:
    """Exit status 2, and one line, for an expected error."""
    what, run, results = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    file = results / ("result.json" if what == "finish" else "evaluation.json")
    with faults_in_a_line():
        results.mkdir(parents=True, exist_ok=True)
        if what == "view":
            view(run, results)
            return
        file.unlink(missing_ok=True)
        found = (finish if what == "finish" else judge)(run, results)
        write_durably(file, json.dumps(found, allow_nan=False).encode())
        if what == "evaluate":
            analyse(run, results)


if __name__ == "__main__":
    main()
