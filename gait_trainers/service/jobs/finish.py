"""A process of its kind: exports a run's policy, validates the bundle, evaluates the policy.

    python -m gait_trainers.service.jobs.finish RUN RESULTS

The functions are those of `gait-train export`, `validate` and `evaluate`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gait_envs.cli import system_fault
from gait_envs.errors import GaitNetError
from gait_envs.files import write_durably
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.environment import follows_clips
from gait_trainers.policies.export import export
from gait_trainers.policies.loading import load_policy
from gait_trainers.policies.validation import validate_bundle

EPISODES = 20
BUNDLE, RESULT = "bundle", "result.json"


def finish(run: Path, results: Path) -> None:
    """Write `results/bundle`, then `results/result.json`, which says that everything is there."""
    results.mkdir(parents=True, exist_ok=True)
    (results / RESULT).unlink(missing_ok=True)
    bundle = results / BUNDLE
    print(f"exporting {run.name}", flush=True)
    try:
        export(run, bundle, force=True)
        validation = validate_bundle(bundle)
        policy = load_policy(bundle)
    except GaitNetError as error:
        if "file outside of the bundle" not in str(error):
            raise
        # It follows clips of its own, which a bundle does not carry: the run itself is what is evaluated.
        validation, policy = None, load_policy(run)
    print("evaluating", flush=True)
    if follows_clips(policy.env_id):
        figures = evaluate_tracking(policy, EPISODES, threads=1)
    else:
        figures = evaluate(policy, EPISODES, threads=1)
    result = {"validation": validation, "evaluation": figures}
    write_durably(results / RESULT, json.dumps(result, allow_nan=False).encode())


def main() -> None:
    """Exit status 2, and one line, for an expected error."""
    try:
        finish(Path(sys.argv[1]), Path(sys.argv[2]))
    except GaitNetError as error:
        print(error, flush=True)
        sys.exit(2)
    except OSError as error:
        print(system_fault(error), flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
