"""A tracker of many captures, in one command: clips in a folder, a policy that follows them.

    python scripts/make_tracker.py clips --robot humanoid --work runs/tracker --hold-out "CMU 02" --hold-out "CMU 49"

1. **Clone**, of the humanoid: a symmetric policy learns by DAgger what the bundled tracker of one walk does, in three
   minutes. WildRobot begins from random networks, the body with muscles from `humanoid_tracker`.
2. **PPO** along the clips and their mirror images, those that it fails drawn more often (`resampling`); of the humanoid
   in two stages, the second with smaller steps. With muscles all clips are drawn alike, and their network learns too.
3. **Evaluation** of the clips that were trained on and of those held out.

A stage that is complete in the work folder is not repeated, and a training that was interrupted is resumed. `clips` is
a folder that `gait-data retarget --robot humanoid` (or `wildrobot`) made.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gait_envs.assets import asset_path
from gait_envs.cli import run_script
from gait_envs.reference.sources import open_clips
from gait_envs.reference.split import group_of, hold_out, save_split
from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.imitation.cloning import Cloning, dagger
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import load_demonstrations, save_demonstrations
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import make_env
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train
from gait_trainers.runs.run_folder import Run, RunError


@dataclass(frozen=True)
class Body:
    """What differs between the bodies."""

    env: str
    teacher: str | None  # bundled policy, of which a clone is made
    begin: str | None  # bundled policy, from which PPO begins where there is no clone
    walk: str  # embedded set, that the teacher was trained on and that is trained on here too
    preset: str
    networks: tuple[int, int]  # units of both, policy and value
    physics_rate: float | None  # Hz, in training; None: the body's own
    rule: Mapping[str, Any]  # of the evaluation: where a clip is lost
    stages: Mapping[str, Mapping[str, Any]]  # of PPO, each from the one before


BODIES = {
    "humanoid": Body(
        env="GaitNet/HumanoidImitation-v0",
        teacher="policies/humanoid_imitation",
        begin=None,
        walk="human_walk",
        preset="imitate_humanoid",
        networks=(512, 256),
        physics_rate=120.0,  # a quarter of its own; what is learned holds there
        rule={"max_distance": 0.5, "distance_rule": "mean"},  # PHC's (Luo et al. 2023)
        stages={
            "tracker": {"run.iterations": 1400, "ppo.learning_rate": 1e-4},
            # At 1e-4 the KL limit cuts most updates short, at 3e-5 hardly any.
            "refined": {"run.iterations": 1700, "ppo.learning_rate": 3e-5, "resampling.starts": "failures"},
        },
    ),
    "muscle_humanoid": Body(
        env="GaitNet/MuscleHumanoidImitation-v0",
        teacher=None,
        begin="humanoid_tracker",
        walk="human_walk",
        preset="muscle",
        networks=(512, 256),
        physics_rate=None,  # policies by muscles do not carry over to another rate
        rule={"max_distance": 0.5, "distance_rule": "mean"},
        stages={
            # Static optimisation moves the body until the network misses little; then it takes over.
            "muscles": {"run.iterations": 220},
        },
    ),
    "wildrobot": Body(
        env="GaitNet/WildRobotImitation-v0",
        teacher=None,
        begin=None,
        walk="wildrobot_walk",
        preset="imitate",
        networks=(256, 128),
        physics_rate=None,
        rule={"max_distance": 0.25, "distance_rule": "mean"},  # half of PHC's for half the height
        stages={"tracker": {"run.iterations": 700, "resampling.starts": "failures"}},
    ),
}


def settings(body: Body) -> dict[str, Any]:
    """What the clone and every stage of PPO share."""
    return {
        "env.id": body.env,
        "networks.symmetric": True,  # each clip teaches its mirror image too
        "networks.policy": list(body.networks),
        "networks.value": list(body.networks),
        "env.kwargs.physics_rate": body.physics_rate,
    }


def cloned(body: Body, work: Path, seed: int, threads: int) -> Path | None:
    """What PPO begins from: the clone of a bundled tracker, a bundled policy, or nothing."""
    if body.teacher is None:
        return None if body.begin is None else Path(body.begin)
    run = work / f"clone_{seed}"
    if Run(run).checkpoints():
        return run
    expert, file = load_policy(asset_path(body.teacher)), work / "demonstrations.npz"
    if not file.is_file():
        save_demonstrations(file, demonstrate(expert, body.env, episodes=48, reference=[body.walk], threads=threads))
    own = {"env.threads": threads, "env.kwargs.reference": body.walk}
    own |= {"run.out": str(work), "run.name": run.name, "run.seed": seed}
    dagger(
        load_config(preset=body.preset, overrides=settings(body) | own), expert, load_demonstrations(file),
        Cloning(epochs=6), rounds=6, reference=[body.walk], seed=seed, noise=0.1,
    )  # fmt: skip
    return run


def tracked(body: Body, work: Path, seed: int, threads: int, reference: list[str], init: Path | None) -> Path:
    """The run of the tracker, complete."""
    shared = {
        "env.threads": threads,
        "env.kwargs.reference": reference,
        "run.checkpoint_every": 100,
        "run.out": str(work),
        "run.seed": seed,
    }
    if body.preset == "imitate_humanoid":  # whose updates take as long as its physics
        shared["run.torch_threads"] = max(threads, 1)
    if body.preset != "muscle":  # whose clips cannot be resampled: the network that moves the body is in training
        shared |= {"learners": ["resampling"], "resampling.every": 100}
        shared |= {f"resampling.{key}": value for key, value in body.rule.items()}
    for name, stage in body.stages.items():
        own = {"run.name": f"{name}_{seed}"} | ({"run.init": str(init)} if init else {})
        config = load_config(preset=body.preset, overrides={**settings(body), **shared, **stage, **own})
        init = resume_or_train(config).run.path
    assert init is not None  # every body has a stage
    return init


def judged(policy: Policy, reference: list[str], rule: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Success and errors along these clips, deterministic and stochastic."""
    keys = ("success_rate", "progress", "mpjpe_global", "mpjpe_root", "mpjpe_aligned")
    found = {
        "deterministic": evaluate_tracking(policy, reference=reference, env_kwargs=dict(rule)),
        "stochastic": evaluate_tracking(policy, reference=reference, env_kwargs=dict(rule), stochastic=True),
    }
    return {mode: {key: round(figures[key], 4) for key in keys} for mode, figures in found.items()}


def check_same_parts(file: Path, parts: Mapping[str, list[str]]) -> None:
    """RunError where stages have learned from other clips than these; their own split says which."""
    if json.loads(file.read_text(encoding="utf-8"))["parts"] != parts:
        raise RunError(f"{file}: was made with another --hold-out; name another folder as --work")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder of clips")
    parser.add_argument("--robot", choices=sorted(BODIES), default="humanoid")
    parser.add_argument("--work", type=Path, default=Path("runs/tracker"), help="folder of all stages")
    parser.add_argument("--hold-out", action="append", default=[], help="subject kept for the test; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="of physics; 0: one for each core")
    args = parser.parse_args()

    body, clips = BODIES[args.robot], open_clips(args.clips)
    make_env(body.env, num_envs=1, reference=str(args.clips))  # clips of another body? said before anything is made
    groups = {name: group_of(name, clips.meta(i), "subject") for i, name in enumerate(clips.names)}
    parts = hold_out(groups, "subject", args.hold_out)
    args.work.mkdir(parents=True, exist_ok=True)
    file = args.work / "split.json"
    if file.is_file():  # the stages may have learned from what is now held out
        check_same_parts(file, parts)
    save_split(file, args.clips, "subject", args.seed, parts)
    reference = [f"{file}#train", body.walk]
    begun = cloned(body, args.work, args.seed, args.threads)
    run = tracked(body, args.work, args.seed, args.threads, reference, begun)
    policy, sets = load_policy(run), {"train": reference[:1], body.walk: [body.walk]}
    sets |= {"test": [f"{file}#test"]} if args.hold_out else {}
    figures = {name: judged(policy, of, body.rule) for name, of in sets.items()}
    (run / "tracking.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    run_script(main)
