"""AMP as a learner: the discriminator of the configured reference, its reward wrapper and its callback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from gait_envs.models.mirror import mirror_of
from gait_envs.reference.amp_features import clip_features
from gait_envs.reference.clip import Clip, ClipError, check_fits
from gait_envs.reference.course import describe as describe_course
from gait_envs.reference.course import seconds_of
from gait_envs.reference.library import EMBEDDED_SETS, load_clips
from gait_envs.reference.mirror import mirror
from gait_envs.reference.refnn.network import RefNNError
from gait_envs.tasks.config import WalkConfig
from gait_trainers.config.schedule import Settings
from gait_trainers.config.schema import TrainConfig
from gait_trainers.config.section import ConfigError
from gait_trainers.learners.amp.callback import AMPCallback
from gait_trainers.learners.amp.commands import describe_commands, mismatch
from gait_trainers.learners.amp.diagnostics import PROBE_ENVS, probe_windows
from gait_trainers.learners.amp.reach import beyond_reach
from gait_trainers.learners.amp.reward import AMPRewardWrapper
from gait_trainers.learners.amp.scale import describe_still, std_floors, still_features
from gait_trainers.learners.amp.spec import AMPConfig
from gait_trainers.learners.amp.windows import ReferenceWindows
from gait_trainers.learners.base import Artefacts, Learner
from gait_trainers.models.discriminator import Discriminator
from gait_trainers.models.sizes import check_parameters
from gait_trainers.rl.sb3_vec import SB3VecEnv


class AMPLearner(Learner):
    """Rewards the style of motion by a discriminator that is trained after each rollout."""

    callback: AMPCallback
    wrapper: AMPRewardWrapper

    def __init__(self, config: TrainConfig, base: SB3VecEnv) -> None:
        self.config: AMPConfig = config.section("amp")
        self.seed = config.run.seed
        task = base.env.unwrapped.core.task  # type: ignore[attr-defined]
        self.layout, self.joint_names = task.amp_layout, task.robot.joint_names
        clips = reference_clips(config, base)
        self.reference = reference_windows(clips, task.robot.traits.contact_scale, self.config)
        self.clips, self.seconds = len(clips), seconds_of(clips)
        self.licenses = {clip.license for clip in clips}
        if self.config.spare_standing and task.player:
            raise ConfigError("amp.spare_standing needs a task with commands; this one follows clips")
        # Whoever follows clips is commanded by them.
        self.commanded = None if task.player else (task.config.command_low, task.config.command_high)
        self.task = task
        self.mirror = mirror_of(task.robot).features if self.config.mirror_policy else None
        self.probes = load_probes(config) if isinstance(task.config, WalkConfig) else {}
        floor = self.config.feature_std_floor
        self.discriminator = Discriminator(
            self.reference.frames,
            self.config.frames,
            self.config.hidden,
            use_spectral_norm=self.config.spectral_norm,
            std_floor=std_floors(self.layout) if floor is None else floor,
        ).to(config.run.device)

    def wrap(self, env: VecEnv) -> VecEnv:
        amp = self.config
        self.wrapper = AMPRewardWrapper(
            env,
            self.discriminator,
            frames=amp.frames,
            weight=amp.weight,
            reward=amp.reward,
            dilation=amp.dilation,
            spare_standing=amp.spare_standing,
        )
        self.callback = AMPCallback(
            self.wrapper, self.reference, amp, seed=self.seed, mirror=self.mirror, probes=self.probes
        )
        return self.wrapper

    def get_state(self) -> dict[str, Any]:
        return {"callback": self.callback.get_state(), "wrapper": self.wrapper.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.callback.set_state(state["callback"])
        self.wrapper.set_state(state["wrapper"])

    def step_metrics(self) -> Mapping[str, np.ndarray]:
        return {"amp_reward": self.wrapper.style[self.wrapper.valid]}

    def describe(self, model: OnPolicyAlgorithm) -> list[str]:
        images = " with mirror images" if self.config.mirror else ""
        shown = describe_course(f"the reference of the style{images}", self.clips, self.seconds)
        return [shown, describe_commands(*self.commanded)] if self.commanded else [shown]

    def warnings(self) -> list[str]:
        still = still_features(self.reference.frames, self.layout, self.joint_names)
        found = [describe_still(still, self.layout.size)] if still else []
        found += mismatch(self.seconds, *self.commanded) if self.commanded else []
        targets = self.task.actions.reach()
        if targets is None:
            return found
        joints = self.reference.frames[:, self.layout.slices()["joint_position"]]
        robot, scale = self.task.robot, self.task.config.action_scale
        limits = np.stack([robot.target_lower, robot.target_upper])
        return found + beyond_reach(joints, targets, limits, scale, self.joint_names)

    def apply_schedule(self, settings: Settings) -> None:
        if settings.style_weight is not None:
            self.wrapper.weight = settings.style_weight


def reference_clips(config: TrainConfig, base: SB3VecEnv) -> list[Clip]:
    """The clips that count as real, with their mirror images where the configuration says so."""
    amp: AMPConfig = config.section("amp")
    robot = base.env.unwrapped.core.robot  # type: ignore[attr-defined]
    source = amp.data or config.env.kwargs.get("reference") or EMBEDDED_SETS.get(robot.name)
    if source is None:
        raise ConfigError(f"amp.data is null, and there are no embedded clips of the robot {robot.name!r}; name clips")
    try:
        clips = list(load_clips(source))
        for clip in clips:
            check_fits(clip, robot.joint_names, robot.control_rate)
    except (ClipError, RefNNError) as error:
        raise ConfigError(f"{'amp.data' if amp.data else 'env.kwargs.reference'}: {error}") from error
    return clips + [mirror(clip, mirror_of(robot)) for clip in clips] if amp.mirror else clips


def reference_windows(clips: Sequence[Clip], contact_scale: float, amp: AMPConfig) -> ReferenceWindows:
    """Windows of the clips that count as real."""
    return ReferenceWindows([clip_features(clip, contact_scale) for clip in clips], amp.frames, amp.dilation)


def load_probes(config: TrainConfig) -> dict[str, np.ndarray]:
    """Windows of the configured body standing and flailing, in the plain environment."""
    plain = ("reference", "rsi_probability", "randomize")
    kwargs = {key: value for key, value in config.env.kwargs.items() if key not in plain}
    env = gymnasium.make_vec(
        config.env.id,
        PROBE_ENVS,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.DISABLED,
        threads=1,
        **kwargs,
    )
    amp: AMPConfig = config.section("amp")
    try:
        return probe_windows(env, amp.frames, amp.dilation)
    finally:
        env.close()


def artefacts(section: AMPConfig, state: Mapping[str, Any], checkpoint: Path) -> Artefacts:
    """The discriminator in a checkpoint, ready to score."""
    saved = state["callback"]["discriminator"]
    size = len(saved["mean"]) // section.frames
    check_parameters((size * section.frames, *section.hidden, 1))
    discriminator = Discriminator(
        np.zeros((1, size)), section.frames, section.hidden, use_spectral_norm=section.spectral_norm
    )
    discriminator.load_state_dict(saved)
    return Artefacts(scorer=discriminator.eval(), frames=section.frames, dilation=section.dilation)
