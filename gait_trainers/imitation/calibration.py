"""Calibration: the speed at which a walker walks at each command is measured, and its command corrected by that.

A clone may have the gait of its clips and not quite their speeds. Its observations are normalised by a mean and a
standard deviation, so that a linear correction of the command is a change of these two numbers: exact, and part of
every checkpoint and bundle. The line is fitted to some speeds and is meant for these: all other commands are shifted
too, 0 among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd

from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.evaluation.gait_metrics import after_warmup, heading_velocity, masked_mean
from gait_trainers.evaluation.rollout import EvaluationError, record
from gait_trainers.imitation.student import Say, begin, leave_run
from gait_trainers.models.actor_critic import set_std
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, make_env
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.build import Training
from gait_trainers.runs.run_folder import Run

SETTLE = 3.0  # s of an episode left out: a start takes two
LEAST_SLOPE = 0.2  # of speed over command, below which the command is not followed at all
LEAST_SURVIVED = 0.5  # of the episodes, from which a speed is measured


class Response(NamedTuple):
    """speed = offset + slope · command, by least squares over the episodes that were survived."""

    offset: float  # m/s
    slope: float
    survived: float  # share of the episodes


def speed_response(policy: Policy, speeds: Sequence[float], episodes: int, seed: int = 0, threads: int = 0) -> Response:
    """How fast a walker walks ahead, begun standing, at these commanded speeds (m/s), with `episodes` of each.

    EvaluationError for fewer than two speeds, and where it falls too often, does not follow its command, or follows
    clips.
    """
    if len({*speeds}) < 2 or episodes < 1:
        raise EvaluationError(
            f"speeds {[*speeds]} with {episodes} episodes each; needed are two different speeds (m/s) and one episode"
        )
    env = make_env(policy.env_id, threads=1, **deployment_kwargs(policy.env_kwargs))
    follows = env.core.task.follows
    env.close()
    if follows:
        raise EvaluationError(f"{policy.name} follows clips, which set its speed; a walker to commands is calibrated")
    commands = np.repeat([[speed, 0.0, 0.0] for speed in speeds], episodes, axis=0)
    walked, ends = record(policy, commands, seed=seed, env_kwargs={"rsi_probability": 0.0}, threads=threads)
    ahead = heading_velocity(walked.qpos, walked.qvel)[..., 0]
    found = masked_mean(ahead, after_warmup(walked.valid, walked.dt, SETTLE))
    survived = ends["success"]
    if survived.mean() < LEAST_SURVIVED or len({*commands[survived, 0]}) < 2:
        raise EvaluationError(
            f"{policy.name} survives {survived.sum()} of {len(commands)} episodes; to calibrate its speed, needed are "
            f"{LEAST_SURVIVED:.0%} of them, at two speeds or more"
        )
    slope, offset = np.polyfit(commands[survived, 0], found[survived], 1)
    if slope < LEAST_SLOPE:
        raise EvaluationError(
            f"{policy.name} does not follow its command: from {min(speeds):g} to {max(speeds):g} m/s its speed changes "
            f"by {slope:.2f} of what is commanded"
        )
    return Response(float(offset), float(slope), float(survived.mean()))


def correct_command(training: Training, response: Response) -> None:
    """Let the networks see (command − offset) / slope instead of the forward command.

    ConfigError where observations are not normalised.
    """
    norm = training.model.get_vec_normalize_env()
    if norm is None or not norm.norm_obs:
        raise ConfigError("ppo.normalize_obs is false; a command is corrected by what observations are normalised with")
    layout, statistics = training.base.env.unwrapped.core.task.layout, norm.obs_rms  # type: ignore[attr-defined]
    assert isinstance(statistics, RunningMeanStd)
    columns = layout.slices()["command"].start + layout.size * np.arange(training.config.networks.frames)
    var = statistics.var[columns] + norm.epsilon
    statistics.mean[columns] = response.offset + response.slope * statistics.mean[columns]
    statistics.var[columns] = response.slope**2 * var - norm.epsilon


def calibrate(config: TrainConfig, speeds: Sequence[float], *, episodes: int = 20, say: Say = print) -> Run:
    """The policy that `config.run.init` names, with its forward command corrected; returns the run.

    Measured with the seed and the threads of the configuration. Afterwards its actions have the standard deviation
    that this says (`networks.log_std_init`). A training that changes the statistics of observations would undo the
    correction: `ppo.freeze_obs_after` should be 0.
    """
    if config.run.init is None:
        raise ConfigError("run.init is null; it names the policy to calibrate")
    policy = load_policy(config.run.init)
    response = speed_response(policy, speeds, episodes, config.run.seed, config.env.threads)
    say(f"speed = {response.offset:.3f} m/s + {response.slope:.3f} x command, with {response.survived:.0%} survived")
    training = begin(config)
    if config.ppo.freeze_obs_after != 0:
        say("warning: ppo.freeze_obs_after is not 0; a training that continues this run undoes the correction")
    correct_command(training, response)
    set_std(training.model.policy, math.exp(config.networks.log_std_init))
    return leave_run(
        training, {"method": "calibration", **response._asdict(), "speeds": [*speeds], "episodes": episodes}
    )
