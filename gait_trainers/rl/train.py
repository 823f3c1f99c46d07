"""The loop: train a new run, resume one, or verify that a configuration trains."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger

from gait_envs.errors import one_line
from gait_envs.reference.course import describe, seconds_of
from gait_trainers.config.layers import dump_yaml
from gait_trainers.config.registry import learner_specs
from gait_trainers.config.schema import ConfigError, TrainConfig, full_schedule
from gait_trainers.rl.build import Training, build, make_vec_env
from gait_trainers.rl.callbacks import RunCallback, diverged
from gait_trainers.rl.early_stop import WalkGoal
from gait_trainers.rl.reward_schedule import ScheduleCallback
from gait_trainers.rl.sb3_vec import SB3VecEnv
from gait_trainers.rl.warm_start import begin_from
from gait_trainers.runs.checkpoint import load_checkpoint, read_networks, restore
from gait_trainers.runs.interruption import ending_gently
from gait_trainers.runs.lock import locked
from gait_trainers.runs.loggers import MetricsCSV, ProgressDisplay
from gait_trainers.runs.resumption import (
    RESUMABLE,
    check_same_run,
    check_unchanged,
    complete,
    elsewhere,
    flat,
    interrupted,
    iterations_then,
)
from gait_trainers.runs.run_folder import Run, RunError, create_run, new_run, open_run
from gait_trainers.runs.sinks import make_sinks


@dataclass
class Result:
    """How a training ended."""

    run: Run
    iterations: int
    steps: int
    seconds: float
    stopped: str | None  # why it ended early, if it did
    walks: bool  # it ended because run.stop_when was met


def train(config: TrainConfig) -> Result:
    """A new run, from its first step."""
    training = build(config)  # before the folder: a configuration that cannot be built leaves none behind
    init = _begin(training)
    run = new_run(config)
    with locked(run.path):
        return _run(training, create_run(config, init, run, clip_licenses(training)))


def clip_licenses(training: Training) -> list[str]:
    """Licences of the clips that the environment follows or begins in, and that learners learn from; sorted."""
    core = getattr(training.base.env.unwrapped, "core", None)  # an id from elsewhere may have none
    library = None if core is None else core.task.library
    found = set() if library is None else {clip.license for clip in library.clips}
    return sorted(found.union(*(learner.licenses for learner in training.learners.values())))


def resume(path: str | Path, overrides: dict[str, Any] | None = None, *, by_command: bool = False) -> Result:
    """Continue a run folder from its last checkpoint, or from a given one, as if it had never stopped.

    A run without a checkpoint begins at its first step. ConfigError where the configuration differs from that of the
    checkpoint in more than `RESUMABLE`; Locked where another process trains in the folder. by_command: say which option
    of gait-train makes a complete run longer.
    """
    with locked(open_run(path)[0].path):
        run, checkpoint = open_run(path)  # now that nobody else writes there
        config = run.config(overrides)
        state = None if checkpoint is None else load_checkpoint(checkpoint)
        if checkpoint is not None and state is not None and "config" in state:
            check_same_run(config, state["config"], run.path, checkpoint)
        try:
            training = build(config)
        except ConfigError as error:
            raise ConfigError(f"{error}{elsewhere(error, _named_files(config))}") from error
        if state is None:
            _begin(training)
        run.remove_leftovers()
        run.note_resumption(config.run.seed, dump_yaml(config))
        return _run(training, run, state, checkpoint, by_command=by_command)


def resume_or_train(config: TrainConfig) -> Result:
    """Continue the run folder that a configuration names, or begin it where it is not there yet.

    One that is complete is left as it is, so that a script of several trainings can be run again after it was
    interrupted. ConfigError where the folder holds a run of another configuration (but for `RESUMABLE`).
    """
    if config.run.name is None:
        raise RunError("run.name is not given; a run without a name cannot be found again")
    path = Path(config.run.out) / config.run.name
    if not (path / "config.yaml").is_file():
        return train(config)
    asked, stored = flat(config.model_dump()), open_run(path)[0].config()
    here = stored.run.model_copy(update={"out": config.run.out, "name": config.run.name})  # it may have been moved
    stored = stored.model_copy(update={"run": here})
    check_unchanged(config, stored, RESUMABLE, "what is asked for now", path, "give the run another name")
    return resume(path, {key: asked[key] for key in RESUMABLE})


def verify(config: TrainConfig) -> Result:
    """A smoke run, meant for a configuration of `smoke_settings`; its checkpoint is read back."""
    result = train(config)
    policy, normalize, _ = read_networks(result.run.path)
    obs = normalize(np.zeros((1, len(normalize.mean)), dtype=np.float32))
    action, _ = policy.predict(obs, deterministic=True)
    if not np.isfinite(action).all():
        raise RunError(f"{result.run.path}: the policy read back gives actions that are not finite")
    return result


def smoke_settings() -> dict[str, Any]:
    """What --verify changes: two iterations of the same training, with few environments and steps."""
    ours = {"env.num_envs": 16, "ppo.n_steps": 16, "ppo.minibatches": 4, "run.iterations": 2}
    learners = learner_specs().items()
    return ours | {f"{name}.{key}": value for name, spec in learners for key, value in spec.smoke.items()}


def iterations_for(total_steps: int, config: TrainConfig) -> int:
    """Iterations that make at least `total_steps` environment steps; ConfigError unless that is a step or more."""
    if total_steps < 1:
        raise ConfigError(f"total_steps is {total_steps}, expected at least 1")
    return -(-total_steps // config.rollout_steps)


def _named_files(config: TrainConfig) -> list[str]:
    """Clips and models that a configuration names."""
    values = flat(config.model_dump())
    keys = ("env.kwargs.reference", *(f"{name}.data" for name in learner_specs()), "encoder.path")
    found = [values.get(key) or [] for key in keys]
    return [str(name) for value in found for name in ([value] if isinstance(value, str) else value)]


def _begin(training: Training) -> dict[str, Any] | None:
    """Take the networks of `run.init`, if there is one; what they were, for the provenance."""
    init = training.config.run.init
    return None if init is None else begin_from(init, training.config, training.model, training.learners)


def _run(
    training: Training,
    run: Run,
    state: Mapping[str, Any] | None = None,
    checkpoint: Path | None = None,
    by_command: bool = False,
) -> Result:
    """Train to the end, from the beginning or from the state of a checkpoint."""
    start = time.monotonic()
    config, model, learners = training.config, training.model, training.learners
    done = 0 if state is None else state["sb3"]["num_timesteps"]
    columns = [column for spec in config.specs for column in spec.columns]
    display = ProgressDisplay(config.run.iterations, done // config.rollout_steps, columns)
    for line in followed(training.base):
        display.say(line)
    for learner in learners.values():
        for warning in learner.warnings():
            display.say(f"warning: {warning}", style="yellow")
    goal = WalkGoal(config, model, make_vec_env, learners.values())
    keeper = RunCallback(run, config, training.base, learners, display.say, goal)
    if state is not None:
        try:
            restore(state, model, learners, keeper.metrics, keeper.health)
        except OSError:
            raise
        except Exception as error:  # torch raises many kinds for what does not fit
            raise RunError(f"{checkpoint}: cannot be continued by this version: {one_line(error)}") from error
        keeper.elapsed, keeper.iteration = state["elapsed"], done // config.rollout_steps
        keeper.saved_at = done
        goal.reached = state.get("goal_reached", 0)  # checkpoints of earlier versions have none
        keeper.stopped = keeper.out_of_time()  # as it was, unless the limit has been raised
        if goal.met and config.run.iterations > iterations_then(state, config):
            goal.reached = 0  # it is asked to go on
        elif goal.met:
            keeper.stopped, keeper.goal_met = "run.stop_when was met", True
        run.drop_checkpoints_after(done)  # they belong to the continuation that is run again
        if done >= config.total_steps or keeper.stopped is not None:
            longer = "--set run.minutes=N" if keeper.stopped and not keeper.goal_met else "--iterations N"
            display.say(complete(run.path, longer if by_command else None))
    for learner in learners.values():
        for line in learner.describe(model):
            display.say(line)
    model.set_logger(_logger(run, config, display, done, resumed=state is not None))
    callbacks: list[BaseCallback] = [x.callback for x in learners.values() if x.callback is not None]
    callbacks.append(keeper)
    if config.schedule:
        schedule = full_schedule(config)
        callbacks.append(ScheduleCallback(schedule, config.rollout_steps, training.base, learners.values()))
    try:
        if done < config.total_steps and keeper.stopped is None:
            with ending_gently() as keeper.interrupted:
                model.learn(
                    config.total_steps - done,
                    CallbackList(callbacks),
                    log_interval=None,  # type: ignore[arg-type] # RunCallback logs, once the update is done
                    reset_num_timesteps=state is None,
                )
    except ValueError as error:
        if "satisfy the constraint" not in str(error):  # torch's words of a distribution whose mean is no number
            raise
        raise RunError(diverged(run, keeper.iteration + 1)) from error
    except KeyboardInterrupt:
        display.say(interrupted(config.algorithm, run.path, f"iteration {keeper.saved_iteration}", keeper.complete))
        raise
    finally:
        model.logger.close()
        training.base.close()
        goal.close()
    seconds = time.monotonic() - start
    return Result(
        run, keeper.iteration, keeper.iteration * config.rollout_steps, seconds, keeper.stopped, keeper.goal_met
    )


def followed(base: SB3VecEnv) -> list[str]:
    """What the clips show that an imitation follows, as lines to print; of a large set those in memory."""
    player = getattr(getattr(getattr(base.env.unwrapped, "core", None), "task", None), "player", None)
    if player is None:
        return []
    clips = list(player.clips.clips)
    return [describe("the reference that is followed", len(clips), seconds_of(clips))]


def _logger(run: Run, config: TrainConfig, display: ProgressDisplay, done: int, *, resumed: bool) -> Logger:
    csv = MetricsCSV(run.metrics_file, done // config.rollout_steps)
    formats: list[Any] = [csv, display, *make_sinks(run, config, done, resumed=resumed)]
    return Logger(str(run.path), formats)
