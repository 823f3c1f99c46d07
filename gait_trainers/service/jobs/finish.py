"""What follows a training, as a process: its bundle and the bundle's validation, or the evaluation of its policy.

    python -m gait_trainers.service.jobs.finish finish|evaluate RUN RESULTS

The functions are those of `gait-train export`, `validate` and `evaluate`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gait_envs.cli import system_fault
from gait_envs.errors import GaitNetError
from gait_envs.files import write_durably
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.environment import follows_clips
from gait_trainers.policies.loading import load_policy
from gait_trainers.policies.validation import validate_bundle

EPISODES = 20
OWN_CLIPS = "file outside of the bundle"  # what a bundle says that would need clips which it does not carry


def finish(run: Path, results: Path) -> dict[str, Any]:
    """Write `results/bundle`; its validation, or None where it follows clips of its own, which a bundle lacks."""
    from gait_trainers.policies.export import export  # torch; an evaluation of a bundle needs none

    print("exporting", flush=True)
    export(run, results / "bundle", force=True)
    try:
        return {"validation": validate_bundle(results / "bundle")}
    except GaitNetError as error:
        if OWN_CLIPS not in str(error):
            raise
        return {"validation": None}


def judge(run: Path, results: Path) -> dict[str, Any]:
    """Figures of the bundle's policy, or of the run's where the bundle cannot stand alone."""
    print("evaluating", flush=True)
    try:
        policy = load_policy(results / "bundle")
    except GaitNetError as error:
        if OWN_CLIPS not in str(error):
            raise
        policy = load_policy(run)
    if follows_clips(policy.env_id):
        return evaluate_tracking(policy, EPISODES, threads=1)
    return evaluate(policy, EPISODES, threads=1)


def main() -> None:
    """Exit status 2, and one line, for an expected error."""
    what, run, results = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    file = results / ("result.json" if what == "finish" else "evaluation.json")
    try:
        results.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        found = (finish if what == "finish" else judge)(run, results)
        write_durably(file, json.dumps(found, allow_nan=False).encode())
    except GaitNetError as error:
        print(error, flush=True)
        sys.exit(2)
    except OSError as error:
        print(system_fault(error), flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
