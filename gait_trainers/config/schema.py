"""The training configuration: sections, defaults, and what is allowed.

The defaults are the values of the WildRobot design document. Sections of learners are declared beside the learners;
`config_type` joins them to the others.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model, field_validator, model_validator

from gait_envs.constants import MOST_SEED, MOST_THREADS
from gait_trainers.config.registry import ALGORITHMS, learner_specs, learners_of
from gait_trainers.config.schedule import KeyFrame, Schedule, Settings, complete
from gait_trainers.config.section import ConfigError as ConfigError
from gait_trainers.config.section import Section, Sizes

if TYPE_CHECKING:
    from gait_trainers.learners.base import LearnerSpec


class EnvConfig(Section):
    """The environments that training runs in."""

    id: str = Field(default="GaitNet/WildRobot-v0", description="Registered Gymnasium id of the environment.")
    num_envs: int = Field(default=1024, ge=1, description="Number of environments stepped together.")
    threads: int = Field(
        default=0, ge=0, le=MOST_THREADS, description="Number of physics threads; 0 uses one per core."
    )
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Options of the environment itself.")


class PPOConfig(Section):
    """Proximal policy optimisation (Stable-Baselines3's)."""

    n_steps: int = Field(default=128, ge=1, description="Steps per environment in one rollout.")
    minibatches: int = Field(default=8, ge=1, description="Number of minibatches per epoch.")
    epochs: int = Field(default=4, ge=1, description="Passes over each rollout.")
    learning_rate: float = Field(default=3e-4, gt=0, description="Adam step size of the policy.")
    lr_schedule: Literal["constant", "linear", "cosine", "kl"] = Field(
        default="constant",
        description="Schedule of the step size: linear and cosine end at 0; kl keeps the divergence near desired_kl.",
    )
    desired_kl: float = Field(
        default=0.01, gt=0, description="KL divergence per update that lr_schedule kl aims for, within a factor of 2."
    )
    l2_initial: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the squared distance of all parameters from their initial values, added to the loss.",
    )
    gamma: float = Field(default=0.99, gt=0, le=1, description="Discount factor per step.")
    gae_lambda: float = Field(
        default=0.95, ge=0, le=1, description="Decay λ of generalised advantage estimation (GAE)."
    )
    clip_range: float = Field(default=0.2, gt=0, description="Clipping parameter ε of the surrogate objective.")
    ent_coef: float = Field(default=0.01, ge=0, description="Weight of the entropy bonus.")
    vf_coef: float = Field(
        default=0.25,
        ge=0,
        description="Weight of the value loss, the mean squared error; a loss of half that error has twice the weight.",
    )
    value_rate: float = Field(
        default=1.0,
        gt=0,
        description="Step size of the value network, its own memory included, as a multiple of the policy's.",
    )
    max_grad_norm: float = Field(default=0.5, gt=0, description="Norm to which gradients are clipped.")
    target_kl: float | None = Field(
        default=None, gt=0, description="An update stops early once the KL divergence exceeds 1.5 times this."
    )
    normalize_obs: bool = Field(default=True, description="Normalise observations by running mean and variance.")
    freeze_obs_after: int | None = Field(
        default=None,
        ge=0,
        description="Iterations after which the statistics of the observations stay as they are; null: never.",
    )
    normalize_reward: bool = Field(
        default=False, description="Divide rewards by the running standard deviation of the discounted return."
    )


class NetworkConfig(Section):
    """Policy and value networks: separate multilayer perceptrons, which may have a memory before them."""

    memory: Literal["none", "lstm", "gru", "frames"] = Field(
        default="none",
        description="Memory of the policy: none, a recurrent layer (lstm, gru), or a window of past frames.",
    )
    memory_size: int = Field(default=64, ge=1, le=4096, description="Units of the recurrent layer.")
    memory_frames: int = Field(
        default=5, ge=2, le=100, description="Observations in the window of frames, the current one included."
    )

    policy: Sizes = Field(default=[512, 256, 128], description="Hidden layer sizes of the policy.")
    value: Sizes = Field(default=[512, 256, 128], description="Hidden layer sizes of the value network.")
    activation: Literal["elu", "silu", "relu", "tanh"] = Field(
        default="elu", description="Activation function of the hidden layers."
    )
    symmetric: bool = Field(
        default=False, description="Keep the policy mirror-symmetric by construction; hidden sizes must be even."
    )
    log_std_init: float = Field(default=0.0, description="Initial log standard deviation of each action.")
    log_std_min: float | None = Field(
        default=None, description="Lower bound of the log standard deviation, applied after every update."
    )

    @property
    def recurrent(self) -> bool:
        """Whether the policy has a recurrent layer."""
        return self.memory in ("lstm", "gru")

    @property
    def frames(self) -> int:
        """How many observations the policy sees at once."""
        return self.memory_frames if self.memory == "frames" else 1


class StopWhen(Section):
    """Training may end early, once deterministic evaluations in a row reach all of these."""

    success_rate: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="Minimum share of episodes that succeed: survive, at the commanded speed and heading (is_success).",
    )
    cadence: float = Field(
        default=220.0, gt=0, description="Maximum cadence, in steps/min: a robot that shuffles does not walk yet."
    )
    times: int = Field(default=2, ge=1, description="Number of consecutive evaluations that must meet all of these.")
    speed_error: float = Field(
        default=0.10, gt=0, description="Maximum of |mean speed - command|, averaged over episodes, in m/s."
    )
    command: float = Field(default=0.4, description="Commanded forward speed, in m/s.")
    every: int = Field(default=10, ge=1, description="Iterations between evaluations.")
    episodes: int = Field(default=40, ge=1, description="Deterministic episodes per evaluation.")


class WandbConfig(Section):
    """Tracking by Weights & Biases, beside CSV and TensorBoard."""

    enabled: bool = Field(default=False, description="Also log the metrics to Weights & Biases.")
    project: str = Field(default="gaitnet", description="Weights & Biases project of the run.")
    entity: str | None = Field(
        default=None, description="Weights & Biases user or team; null takes the account's default."
    )


class RunConfig(Section):
    """Everything about a run that is not the learning problem."""

    seed: int = Field(default=0, ge=0, le=MOST_SEED, description="Seed of every random number generator.")
    iterations: int = Field(default=3000, ge=1, description="Number of rollouts, each followed by its updates.")
    device: str = Field(default="cpu", description="Torch device of the networks, such as cpu or cuda.")
    torch_threads: int = Field(
        default=1,
        ge=1,
        le=MOST_THREADS,
        description="Threads of torch; more slow the physics down, which pays where updates take as long.",
    )
    init: str | None = Field(
        default=None, description="Warm start: run folder, checkpoint or bundle; null initialises at random."
    )
    out: str = Field(default="runs", description="Folder in which run folders are created.")
    name: str | None = Field(
        default=None, description="Name of the run folder; null composes it from algorithm, time and seed."
    )
    checkpoint_every: int = Field(default=20, ge=1, description="Iterations between checkpoints.")
    keep_checkpoints: int = Field(default=3, ge=1, description="Number of latest checkpoints that are kept.")
    log_interval: int = Field(
        default=1, ge=1, description="Iterations between two rows of metrics and two progress lines."
    )
    tensorboard: bool = Field(default=True, description="Write TensorBoard logs to tb/.")
    wandb: WandbConfig = Field(
        default_factory=WandbConfig, description="Tracking by Weights & Biases, with the keys below."
    )
    minutes: float | None = Field(
        default=None, gt=0, description="Time limit of training, in minutes; null sets no limit."
    )
    stop_when: StopWhen | None = Field(
        default=None, description="Early stopping at the first evaluation that meets the criteria below."
    )

    @field_validator("name")
    @classmethod
    def _name_is_of_one_folder(cls, name: str | None) -> str | None:
        if name is not None and (not name or name in (".", "..") or "/" in name or "\\" in name):
            raise ValueError("expected the name of a folder, without / in it; run.out says where it lies")
        return name


class TrainConfig(Section):
    """The whole tree. `load_config` and `validate` make it, with a section for every learner that is installed."""

    algorithm: str = Field(
        default="ppo-amp", description="What learns: PPO alone, or PPO beside a discriminator or a muscle network."
    )
    learners: list[str] = Field(
        default_factory=list, description="Learners beside those of the algorithm, by name, in order."
    )
    env: EnvConfig = Field(default_factory=EnvConfig)
    ppo: PPOConfig = Field(default_factory=PPOConfig)
    networks: NetworkConfig = Field(default_factory=NetworkConfig)
    run: RunConfig = Field(default_factory=RunConfig)
    schedule: list[KeyFrame] = Field(
        default_factory=list, description="Key frames between which values are interpolated linearly in the iteration."
    )

    @field_validator("algorithm")
    @classmethod
    def _algorithm_is_known(cls, name: str) -> str:
        if name not in ALGORITHMS:
            raise ValueError(f"unknown algorithm; known are {', '.join(ALGORITHMS)}")
        return name

    @field_validator("learners")
    @classmethod
    def _learners_are_known(cls, names: list[str]) -> list[str]:
        if unknown := [name for name in names if name not in learner_specs()]:
            raise ValueError(f"unknown learner {', '.join(unknown)}; known are {', '.join(learner_specs())}")
        return names

    @model_validator(mode="after")
    def _minibatches_divide_a_rollout(self) -> TrainConfig:
        if self.rollout_steps % self.ppo.minibatches:
            raise ValueError(
                f"ppo.minibatches = {self.ppo.minibatches} does not divide a rollout of env.num_envs x "
                f"ppo.n_steps = {self.env.num_envs} x {self.ppo.n_steps} = {self.rollout_steps} steps"
            )
        if self.networks.recurrent and self.env.num_envs % self.ppo.minibatches:
            raise ValueError(
                f"ppo.minibatches = {self.ppo.minibatches} does not divide env.num_envs = {self.env.num_envs}: with "
                f"networks.memory {self.networks.memory} a minibatch is all steps of some environments"
            )
        return self

    @property
    def specs(self) -> list[LearnerSpec]:
        """What learns beside PPO, in order."""
        enabled = [name for name, spec in learner_specs().items() if spec.enabled(getattr(self, name, None))]
        return learners_of(self.algorithm, [*self.learners, *enabled])

    def section(self, name: str) -> Any:
        """The section of a learner."""
        return getattr(self, name)

    @property
    def rollout_steps(self) -> int:
        """Environment steps in one iteration."""
        return self.env.num_envs * self.ppo.n_steps

    @property
    def policy_frozen(self) -> bool:
        """Whether a learner asks for a policy that stays as it is."""
        return any(spec.freezes_policy(self.section(spec.name)) for spec in self.specs)

    @property
    def batch_size(self) -> int:
        """Environment steps in one minibatch of PPO."""
        return self.rollout_steps // self.ppo.minibatches

    @property
    def total_steps(self) -> int:
        """Environment steps of the whole training, all environments counted."""
        return self.run.iterations * self.rollout_steps


def config_type() -> type[TrainConfig]:
    """`TrainConfig` with the sections of all learners, so that an unknown section stays an error."""
    return _with_sections(tuple((name, spec.section) for name, spec in learner_specs().items()))


@functools.cache
def _with_sections(sections: tuple[tuple[str, type[Section]], ...]) -> type[TrainConfig]:
    fields: dict[str, Any] = {}
    for name, section in sections:
        if name in TrainConfig.model_fields:
            raise ConfigError(f"learner {name!r}: the configuration has a section of this name already")
        fields[name] = (section, Field(default_factory=section))
    return create_model("TrainConfig", __base__=TrainConfig, **fields)


def env_options(env_id: str) -> Any:
    """The dataclass of an environment's options, so that a wrong one is found before anything is built."""
    from gait_envs.registry import find_id

    row = find_id(env_id)
    return None if row is None else row.options_type()  # an id from elsewhere checks its own


def task_config(config: TrainConfig) -> Any:
    """The options that the environment will have; None for an id from elsewhere, which checks its own."""
    options = env_options(config.env.id)
    return None if options is None else options(**config.env.kwargs)


def check_body(config: TrainConfig, task: Any) -> None:
    """ValueError where the environment's body cannot be simulated at the rate asked for."""
    from gait_envs.registry import find_id

    row = find_id(config.env.id)
    if row is not None and task.physics_rate is not None:
        row.shared_robot(task)  # which is compiled once


def full_schedule(config: TrainConfig) -> Schedule:
    """The configured key frames with nothing left out; ValueError says what cannot be scheduled."""
    task = task_config(config)
    weights = [spec.style_weight(config.section(spec.name)) for spec in config.specs]
    start = Settings(
        reward_weights=dict(getattr(task, "reward_weights", {})),
        style_weight=next((weight for weight in weights if weight is not None), None),
        max_distance=getattr(task, "max_distance", None),
        ent_coef=config.ppo.ent_coef if any(frame.ent_coef is not None for frame in config.schedule) else None,
    )
    return complete(config.schedule, start)
