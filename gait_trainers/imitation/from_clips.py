"""Where a walker's training begins, made from clips and random networks: a tracker of the clips, and its clone.

A tracker is rewarded in every step for being where its clip is, and has the gait within minutes; a walker that begins
with random networks finds other ways to obey first, and needs far longer if AMP leads it out of them
(docs/benchmarks.md).
"""

from __future__ import annotations

from pathlib import Path

from gait_trainers.config.layers import load_config
from gait_trainers.imitation.cloning import Cloning, clone, dagger
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import acting
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train, train

ITERATIONS = 100  # of PPO; the tracker then follows six of seven embedded clips to their end: enough to learn from
NOISE = 0.02  # standard deviation of what is added to the clone's actions in the rounds of DAgger
EPISODES = 96  # two along each embedded clip; those that fail are left out


def track(out: Path, reference: str, *, seed: int = 0, iterations: int = ITERATIONS, name: str | None = None) -> Policy:
    """A symmetric WildRobot tracker of these clips, from random networks (preset `imitate`); its run is in `out`.

    One of that name that is there already is continued."""
    settings = {"env.kwargs.reference": reference, "networks.symmetric": True, "ppo.lr_schedule": "cosine"}
    settings |= {"run.iterations": iterations, "run.out": str(out), "run.name": name, "run.seed": seed}
    config = load_config(preset="imitate", overrides=settings)
    return load_policy((train(config) if name is None else resume_or_train(config)).run.path)


def clone_tracker(
    tracker: Policy,
    out: Path,
    reference: str,
    *,
    seed: int = 0,
    rounds: int = 1,
    episodes: int = EPISODES,
    name: str | None = None,
) -> Path:
    """The run folder, in `out`, of a clone of that tracker in `GaitNet/WildRobot-v0`, with the networks of the preset
    `laptop`. By behaviour cloning alone it has the gait, and falls within seconds; after ten rounds of DAgger it walks.
    DemonstrationError where the tracker follows no clips."""
    settings = {"algorithm": "ppo", "run.out": str(out), "run.name": name, "run.seed": seed}
    config = load_config(preset="laptop", overrides=settings)
    shown = demonstrate(
        tracker, config.env.id, episodes=episodes, reference=reference, seed=seed,
        env_kwargs=acting(config.env.id, config.env.kwargs),
    )  # fmt: skip
    if rounds == 1:
        return clone(config, shown, Cloning()).path
    return dagger(
        config, tracker, shown, Cloning(epochs=8), rounds=rounds, reference=reference, seed=seed, noise=NOISE
    ).path
