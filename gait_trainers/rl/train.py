"""Training: build the pieces that a configuration names, join them, run them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

import gait_envs  # noqa: F401 - registers the environments
from gait_envs.reference.amp_features import clip_features
from gait_envs.reference.clip import Clip, check_fits
from gait_envs.reference.library import EMBEDDED_SETS, load_clips
from gait_envs.synthesis.procedural_walk import mirror
from gait_trainers.config.schema import ConfigError, TrainConfig, full_schedule, load_config
from gait_trainers.learners.amp.callback import AMPCallback
from gait_trainers.learners.amp.reward import AMPRewardWrapper
from gait_trainers.learners.amp.windows import ReferenceWindows
from gait_trainers.learners.muscle.callback import MuscleCallback
from gait_trainers.models.actor_critic import policy_kwargs
from gait_trainers.models.discriminator import Discriminator
from gait_trainers.rl.callbacks import RunCallback, ScheduleCallback
from gait_trainers.rl.early_stop import WalkGoal
from gait_trainers.rl.sb3_vec import SB3VecEnv
from gait_trainers.runs.checkpoint import restore
from gait_trainers.runs.loggers import MetricsCSV, ProgressDisplay, TensorBoard
from gait_trainers.runs.run_folder import Run, RunError, create_run, load_checkpoint, open_run, read_networks
from gait_trainers.runs.warm_start import begin_from


@dataclass
class Training:
    """The joined pieces of a training that has not begun."""

    config: TrainConfig
    base: SB3VecEnv
    amp: AMPCallback | None
    muscle: MuscleCallback | None
    model: PPO


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
    return _run(training, create_run(config, _begin(training)), checkpoint=None)


def resume(path: str | Path, overrides: dict[str, Any] | None = None) -> Result:
    """Continue a run folder from its last checkpoint, or from a given one, as if it had never stopped."""
    run, checkpoint = open_run(path)
    training = build(load_config(run.config_file, overrides=overrides))
    if checkpoint is None:
        _begin(training)
    run.note_resumption(training.config)
    return _run(training, run, checkpoint)


def verify(config: TrainConfig) -> Result:
    """A smoke run, meant for a configuration with `SMOKE` laid over it; its checkpoint is read back."""
    result = train(config)
    policy, normalize, _ = read_networks(result.run.path)
    obs = normalize(np.zeros((1, len(normalize.mean)), dtype=np.float32))
    action, _ = policy.predict(obs, deterministic=True)
    if not np.isfinite(action).all():
        raise RunError(f"{result.run.path}: the policy read back gives actions that are not finite")
    return result


# What --verify changes: two iterations of the real thing, tiny.
SMOKE: dict[str, Any] = {
    "env.num_envs": 16,
    "ppo.n_steps": 16,
    "ppo.minibatches": 4,
    "amp.batch_size": 64,
    "muscle.updates": 4,
    "run.iterations": 2,
}


def build(config: TrainConfig) -> Training:
    """Environments, discriminator, policy: everything that `config` names, seeded and joined."""
    check_device(config.run.device)
    torch.set_num_threads(config.run.torch_threads)
    torch.manual_seed(config.run.seed)
    base = make_vec_env(config)
    amp = build_amp(config, base, load_reference(config, base)) if config.algorithm == "ppo-amp" else None
    muscle = build_muscle(config, base) if config.algorithm == "muscle" else None
    env: VecEnv = base if amp is None else amp.wrapper
    if config.ppo.normalize_obs or config.ppo.normalize_reward:
        env = VecNormalize(
            env,
            norm_obs=config.ppo.normalize_obs,
            norm_reward=config.ppo.normalize_reward,
            gamma=config.ppo.gamma,
            training=not config.policy_frozen,
        )
    return Training(config, base, amp, muscle, build_model(config, env))


def make_vec_env(config: TrainConfig, num_envs: int | None = None) -> SB3VecEnv:
    """The configured environments, or `num_envs` of them, behind SB3's interface."""
    try:
        env = gymnasium.make_vec(
            config.env.id,
            num_envs=num_envs or config.env.num_envs,
            vectorization_mode="vector_entry_point",
            autoreset_mode=AutoresetMode.SAME_STEP,
            threads=config.env.threads,
            **config.env.kwargs,
        )
    except (TypeError, ValueError, gymnasium.error.Error) as error:
        raise ConfigError(f"env.id {config.env.id!r} cannot be made with env.kwargs: {error}") from error
    return SB3VecEnv(env)


def reference_clips(config: TrainConfig, base: SB3VecEnv) -> list[Clip]:
    """The clips that count as real, with their mirror images where the configuration says so."""
    robot = base.env.unwrapped.core.robot  # type: ignore[attr-defined]
    source = config.amp.data or config.env.kwargs.get("reference") or EMBEDDED_SETS[robot.name]
    clips = list(load_clips(source))
    for clip in clips:
        check_fits(clip, robot.joint_names, robot.control_rate)
    return clips + [mirror(clip) for clip in clips] if config.amp.mirror else clips


def load_reference(config: TrainConfig, base: SB3VecEnv) -> ReferenceWindows:
    """Windows of the clips that the discriminator takes for real."""
    scale = base.env.unwrapped.core.robot.traits.contact_scale  # type: ignore[attr-defined]
    clips = reference_clips(config, base)
    return ReferenceWindows([clip_features(clip, scale) for clip in clips], config.amp.frames)


def build_amp(config: TrainConfig, base: SB3VecEnv, reference: ReferenceWindows) -> AMPCallback:
    """The reward wrapper around `base`, inside the callback that trains its discriminator."""
    amp = config.amp
    discriminator = Discriminator(
        reference.frames,
        amp.frames,
        amp.hidden,
        use_spectral_norm=amp.spectral_norm,
        std_floor=amp.feature_std_floor,
    ).to(config.run.device)
    wrapper = AMPRewardWrapper(base, discriminator, frames=amp.frames, weight=amp.weight, reward=amp.reward)
    return AMPCallback(wrapper, reference, amp, seed=config.run.seed)


def build_muscle(config: TrainConfig, base: SB3VecEnv) -> MuscleCallback:
    """The muscles' network, inside the callback that trains it."""
    try:
        return MuscleCallback(base, config.muscle, seed=config.run.seed, device=config.run.device)
    except ValueError as error:
        raise ConfigError(str(error)) from None


class FrozenPPO(PPO):
    """Collects rollouts, for others to learn from."""

    def train(self) -> None:
        """Leave the policy as it is."""


def build_model(config: TrainConfig, env: VecEnv) -> PPO:
    ppo = config.ppo
    rate = LinearSchedule(ppo.learning_rate, 0.0, 1.0) if ppo.lr_schedule == "linear" else ppo.learning_rate
    return (FrozenPPO if config.policy_frozen else PPO)(
        "MlpPolicy",
        env,
        learning_rate=rate,
        n_steps=ppo.n_steps,
        batch_size=config.batch_size,
        n_epochs=ppo.epochs,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        clip_range=ppo.clip_range,
        ent_coef=ppo.ent_coef,
        vf_coef=ppo.vf_coef,
        max_grad_norm=ppo.max_grad_norm,
        target_kl=ppo.target_kl,
        policy_kwargs=policy_kwargs(config.networks),
        seed=config.run.seed,
        device=config.run.device,
    )


def check_device(name: str) -> None:
    """Raise unless torch can compute there; SB3 would fall back to the CPU without a word."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"run.device: {name!r} cannot be used: {str(error).splitlines()[0]}") from None


def iterations_for(total_steps: int, config: TrainConfig) -> int:
    """Iterations that make at least `total_steps` environment steps."""
    return max(1, math.ceil(total_steps / config.rollout_steps))


def _begin(training: Training) -> dict[str, Any] | None:
    """Take the networks of `run.init`, if there is one; what they were, for the provenance."""
    init = training.config.run.init
    return None if init is None else begin_from(init, training.config, training.model, training.muscle)


def _run(training: Training, run: Run, checkpoint: Path | None) -> Result:
    """Train to the end, from the beginning or from a checkpoint."""
    start = time.monotonic()
    config, model, amp, muscle = training.config, training.model, training.amp, training.muscle
    state = None if checkpoint is None else load_checkpoint(checkpoint)
    done = 0 if state is None else state["sb3"]["num_timesteps"]
    display = ProgressDisplay(config.run.iterations, done // config.rollout_steps)
    goal = WalkGoal(config, model, make_vec_env, muscle)
    keeper = RunCallback(run, config, training.base, amp, muscle, display.say, goal)
    if state is not None:
        try:
            restore(state, model, amp, muscle, keeper.metrics, keeper.health)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{checkpoint}: cannot be continued by this version: {error}") from error
        keeper.elapsed, keeper.iteration = state["elapsed"], done // config.rollout_steps
        keeper.stopped = keeper.out_of_time()  # as it was, unless the limit has been raised
        run.drop_checkpoints_after(done)  # they belong to a future that is now lived again
    model.set_logger(_logger(run, config, display, done, resumed=state is not None))
    callbacks: list[BaseCallback] = [*(learner for learner in (amp, muscle) if learner is not None), keeper]
    if config.schedule:
        callbacks.append(ScheduleCallback(full_schedule(config), config.rollout_steps, training.base, amp))
    try:
        if done < config.total_steps and keeper.stopped is None:
            model.learn(
                config.total_steps - done,
                CallbackList(callbacks),
                log_interval=None,  # type: ignore[arg-type] # RunCallback logs, once the update is done
                reset_num_timesteps=state is None,
            )
    except KeyboardInterrupt:
        display.say(f"interrupted; continue with --resume {run.path}")
        raise
    finally:
        model.logger.close()
        training.base.close()
        goal.close()
    seconds = time.monotonic() - start
    return Result(
        run, keeper.iteration, keeper.iteration * config.rollout_steps, seconds, keeper.stopped, keeper.goal_met
    )


def _logger(run: Run, config: TrainConfig, display: ProgressDisplay, done: int, *, resumed: bool) -> Logger:
    csv = MetricsCSV(run.metrics_file, done // config.rollout_steps if resumed else None)
    formats: list[Any] = [csv, display]
    if config.run.tensorboard:
        formats.append(TensorBoard(str(run.tensorboard), done + 1 if resumed else None))
    return Logger(str(run.path), formats)
