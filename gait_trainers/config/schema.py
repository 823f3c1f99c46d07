"""Training configuration: one validated tree, filled from defaults, a preset, a file and overrides.

The defaults are the values of the WildRobot design document; a preset holds only what it changes. Every layer
is checked by itself, so an unknown key is reported with the file that holds it.
"""

from __future__ import annotations

import dataclasses
import difflib
from functools import reduce
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from gait_envs.errors import GaitNetError
from gait_envs.loaders import loader
from gait_trainers.rl.reward_schedule import Schedule, Settings, complete


class ConfigError(GaitNetError, ValueError):
    """A configuration that cannot be used: says which file, which key, and what is allowed."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True)


class EnvConfig(Section):
    """The environments that training runs in."""

    id: str = Field(default="GaitNet/WildRobot-v0", description="registered Gymnasium id")
    num_envs: int = Field(default=1024, ge=1, description="environments stepped together")
    threads: int = Field(default=0, ge=0, description="physics threads; 0 = one a core")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="options of the environment itself")


class PPOConfig(Section):
    """Proximal policy optimisation (Stable-Baselines3's)."""

    n_steps: int = Field(default=128, ge=1, description="steps per environment in one rollout")
    minibatches: int = Field(default=8, ge=1, description="minibatches a rollout is cut into")
    epochs: int = Field(default=4, ge=1, description="passes over a rollout")
    learning_rate: float = Field(default=3e-4, gt=0)
    lr_schedule: Literal["constant", "linear"] = Field(default="constant", description="linear falls to 0 at the end")
    gamma: float = Field(default=0.99, gt=0, le=1)
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    clip_range: float = Field(default=0.2, gt=0)
    ent_coef: float = Field(default=0.01, ge=0)
    vf_coef: float = Field(default=0.5, ge=0)
    max_grad_norm: float = Field(default=0.5, gt=0)
    target_kl: float | None = Field(default=None, gt=0, description="end an update early past 1.5 times this")
    normalize_obs: bool = Field(default=True, description="running mean and variance of the observations")
    normalize_reward: bool = Field(default=False, description="divide by the running std of the discounted return")


Sizes = list[Annotated[int, Field(ge=1)]]


class NetworkConfig(Section):
    """Policy and value networks: separate multilayer perceptrons."""

    policy: Sizes = Field(default=[512, 256, 128], description="hidden sizes")
    value: Sizes = Field(default=[512, 256, 128], description="hidden sizes")
    activation: Literal["elu", "silu", "relu", "tanh"] = "elu"
    log_std_init: float = Field(default=0.0, description="log of the initial standard deviation of each action")
    log_std_min: float | None = Field(default=None, description="floor of that, applied after every update")


class AMPConfig(Section):
    """The discriminator and the style reward."""

    weight: float = Field(default=0.5, ge=0, description="reward = task + weight * style")
    data: str | list[str] | None = Field(
        default=None, description="clips, folders of clips or names of embedded sets; none = the environment's"
    )
    mirror: bool = Field(default=False, description="also take each clip's mirror image for real")
    frames: int = Field(default=1, ge=1, le=3, description="consecutive frames in a window")
    reward: Literal["clip", "quadratic"] = Field(default="clip", description="style reward from the score")
    hidden: Sizes = Field(default=[1024, 512, 256], description="hidden sizes of the discriminator")
    spectral_norm: bool = True
    learning_rate: float = Field(default=1e-4, gt=0)
    batch_size: int = Field(default=2048, ge=1, description="reference windows, and as many policy windows")
    updates: int = Field(default=3, ge=1, description="discriminator steps per iteration")
    r1_gamma: float = Field(default=5.0, ge=0, description="R1: gamma/2 * |dD/dx|^2 on reference windows, x normalised")
    input_noise: float = Field(default=0.02, ge=0, description="std of the noise on normalised inputs while training")
    input_noise_final: float | None = Field(default=None, ge=0, description="its value after input_noise_decay")
    input_noise_decay: int = Field(default=0, ge=0, description="iterations over which it gets there, linearly")
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="targets become 1 - s and s")
    accuracy_ceiling: float = Field(default=1.0, gt=0.5, le=1, description="skip updates while disc_acc is above this")
    feature_std_floor: float = Field(default=1e-4, gt=0, description="smallest scale a feature is divided by")
    replay_size: int = Field(default=100_000, ge=0, description="policy windows remembered; 0 = none")
    replay_ratio: float = Field(default=0.5, ge=0, le=1, description="share of policy windows drawn from the memory")


class MuscleConfig(Section):
    """The network that turns desired torques into activations, and its training beside the policy."""

    controller: Literal["nn", "qp"] = Field(
        default="nn", description="who moves the body: nn = static optimisation until handover; qp = it alone"
    )
    handover: float = Field(
        default=0.1, gt=0, description="the network begins to drive once muscle_gap is this or less"
    )
    handover_iterations: int = Field(
        default=20, ge=1, description="over which it takes over one simulation after another"
    )
    hidden: Sizes = Field(default=[1024, 512, 512], description="hidden sizes of the network")
    learning_rate: float = Field(default=1e-3, gt=0)
    lr_schedule: Literal["constant", "linear"] = Field(default="linear", description="linear = down to 0 at the end")
    batch_size: int = Field(default=128, ge=1, description="tuples")
    updates: int = Field(default=64, ge=1, description="network steps per iteration")
    effort: float = Field(default=0.01, ge=0, description="loss = |missed torque / 100 N·m|^2 + effort * |a|^2")
    swapped: float = Field(default=0.5, ge=0, le=1, description="share of tuples learnt with another one's torque")
    buffer_size: int = Field(default=40_000, ge=100, description="tuples remembered; 1.3 kB each, in checkpoints too")
    held_out: float = Field(
        default=0.1, gt=0, le=0.5, description="share of environments that it is only measured on, and more tuples"
    )
    policy_frozen: bool = Field(default=False, description="only the network learns")


class StopWhen(Section):
    """Training may end early, at the first deterministic evaluation that reaches all of these."""

    success_rate: float = Field(default=0.95, gt=0, le=1)
    speed_error: float = Field(default=0.10, gt=0, description="m/s, mean over episodes of |mean speed - command|")
    command: float = Field(default=0.4, description="commanded forward speed, m/s")
    every: int = Field(default=10, ge=1, description="iterations between evaluations")
    episodes: int = Field(default=40, ge=1)


class RunConfig(Section):
    """Everything about a run that is not the learning problem."""

    seed: int = Field(default=0, ge=0)
    iterations: int = Field(default=3000, ge=1)
    device: str = "cpu"
    torch_threads: int = Field(default=1, ge=1, description="more than one disturbs the physics threads")
    init: str | None = Field(
        default=None, description="run folder, checkpoint or bundle whose networks to begin from; none = fresh ones"
    )
    out: str = Field(default="runs", description="folder that holds run folders")
    name: str | None = Field(default=None, description="run folder; none = algorithm, time and seed")
    checkpoint_every: int = Field(default=20, ge=1, description="iterations")
    keep_checkpoints: int = Field(default=3, ge=1)
    tensorboard: bool = True
    minutes: float | None = Field(default=None, gt=0, description="end after this much training; none = no limit")
    stop_when: StopWhen | None = None


class KeyFrame(Section):
    """What is rewarded from an iteration on; what is left out stays as it was."""

    iteration: int = Field(ge=0, description="counted from 0; key frames rise")
    reward_weights: dict[str, FiniteFloat] = Field(
        default_factory=dict, description="some of env.kwargs.reward_weights; none = as before"
    )
    style_weight: FiniteFloat | None = Field(default=None, ge=0, description="of the style reward; none = as before")
    max_distance: float | None = Field(
        default=None, gt=0, description="m, of the bodies from the reference; .inf = no limit, none = as before"
    )


class TrainConfig(Section):
    algorithm: Literal["ppo-amp", "ppo", "muscle"] = "ppo-amp"
    env: EnvConfig = Field(default_factory=EnvConfig)
    ppo: PPOConfig = Field(default_factory=PPOConfig)
    networks: NetworkConfig = Field(default_factory=NetworkConfig)
    amp: AMPConfig = Field(default_factory=AMPConfig)
    muscle: MuscleConfig = Field(default_factory=MuscleConfig)
    run: RunConfig = Field(default_factory=RunConfig)
    schedule: list[KeyFrame] = Field(
        default_factory=list, description="key frames; between two of them every number is linear in the iteration"
    )

    @model_validator(mode="after")
    def _minibatches_divide_a_rollout(self) -> TrainConfig:
        if self.rollout_steps % self.ppo.minibatches:
            raise ValueError(
                f"ppo.minibatches = {self.ppo.minibatches} does not divide a rollout of env.num_envs x "
                f"ppo.n_steps = {self.env.num_envs} x {self.ppo.n_steps} = {self.rollout_steps} steps"
            )
        return self

    @property
    def rollout_steps(self) -> int:
        """Environment steps in one iteration."""
        return self.env.num_envs * self.ppo.n_steps

    @property
    def policy_frozen(self) -> bool:
        return self.algorithm == "muscle" and self.muscle.policy_frozen

    @property
    def batch_size(self) -> int:
        return self.rollout_steps // self.ppo.minibatches

    @property
    def total_steps(self) -> int:
        return self.run.iterations * self.rollout_steps


def preset_names() -> list[str]:
    folder = resources.files("gait_trainers.config") / "presets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


@loader("configuration", ".yaml")
def load_config(
    file: str | Path | None = None,
    preset: str | None = None,
    overrides: dict[str, Any] | None = None,
    usual: dict[str, Any] | None = None,
) -> TrainConfig:
    """Defaults, then `usual`, `preset`, `file` and `overrides` ({"ppo.gamma": 0.98, …}); the later wins."""
    layers = [(f"usual {key}={value!r}", nest(key, value)) for key, value in (usual or {}).items()]
    if preset is not None:
        layers.append((f"preset {preset!r}", _read_preset(preset)))
    if file is not None:
        layers.append((str(file), _read_yaml(Path(file).read_text(), str(file))))
    layers += [(f"override {key}={value!r}", nest(key, value)) for key, value in (overrides or {}).items()]
    for source, layer in layers:
        _check_layer(layer, source)
    tree: dict[str, Any] = reduce(merge, (layer for _, layer in layers), {})
    env_id = tree.get("env", {}).get("id", EnvConfig().id)
    for source, layer in layers:
        _check_env_options(layer.get("env", {}).get("kwargs", {}), env_id, source)
    source = str(file) if file is not None else f"preset {preset!r}" if preset is not None else "configuration"
    return validate(tree, source)


def validate(tree: dict[str, Any], source: str) -> TrainConfig:
    """The whole configuration, or ConfigError naming `source`, the dotted key and what is allowed there."""
    try:
        config = TrainConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(problem, source) for problem in error.errors())) from None
    try:
        task = task_config(config)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: env.kwargs: {error}") from None
    if config.algorithm == "muscle" and task is not None:
        if getattr(task, "actuation", "none") != "muscle":
            raise ConfigError(f"{source}: algorithm muscle needs muscles that follow poses, not env.id {config.env.id}")
        if task.muscle_controller != "qp":
            raise ConfigError(
                f"{source}: env.kwargs.muscle_controller: algorithm muscle says itself who drives, see "
                "muscle.controller; to go on with a network, begin from its run or bundle with run.init"
            )
    try:
        full_schedule(config)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None
    return config


def task_config(config: TrainConfig) -> Any:
    """The options that the environment will have; None for an id from elsewhere, which checks its own."""
    options = env_options(config.env.id)
    return None if options is None else options(**config.env.kwargs)


def full_schedule(config: TrainConfig) -> Schedule:
    """The configured key frames with nothing left out; ValueError says what cannot be scheduled."""
    task = task_config(config)
    start = Settings(
        reward_weights=dict(getattr(task, "reward_weights", {})),
        style_weight=config.amp.weight if config.algorithm == "ppo-amp" else None,
        max_distance=getattr(task, "max_distance", None),
    )
    return complete(config.schedule, start)


def env_options(env_id: str) -> Any:
    """The dataclass of an environment's options, so that a wrong one is found before anything is built."""
    from gait_envs import IDS
    from gait_envs.env import TASKS

    return TASKS[IDS[env_id]].config if env_id in IDS else None  # an id from elsewhere checks its own


def dump_yaml(config: TrainConfig) -> str:
    return yaml.safe_dump(config.model_dump(), sort_keys=False)


def nest(dotted: str, value: Any) -> dict[str, Any]:
    """nest("ppo.gamma", 0.98) == {"ppo": {"gamma": 0.98}}"""
    tree = value
    for part in reversed(dotted.split(".")):
        tree = {part: tree}
    return tree


def merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """`base` with `top` laid over it; mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def parse_assignment(text: str) -> tuple[str, Any]:
    """ "ppo.gamma=0.98" -> ("ppo.gamma", 0.98); the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text!r}: expected dotted.key=value, for instance ppo.gamma=0.98")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text!r}: {value!r} is not a YAML value") from None


def _read_preset(name: str) -> dict[str, Any]:
    if name not in preset_names():
        raise ConfigError(f"unknown preset {name!r}; available: {', '.join(preset_names())}")
    return _read_yaml(
        (resources.files("gait_trainers.config") / "presets" / f"{name}.yaml").read_text(), f"preset {name}"
    )


def _read_yaml(text: str, source: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: expected a mapping of sections, found {type(tree).__name__}")
    return tree


def _check_layer(layer: dict[str, Any], source: str) -> None:
    """Raise unless each key and value of `layer` is possible by itself."""
    try:
        TrainConfig.model_validate(layer)
    except ValidationError as error:
        # What concerns the whole (loc is empty) is judged on the merged tree, where all layers have spoken.
        problems = [problem for problem in error.errors() if problem["loc"]]
        if problems:
            raise ConfigError("\n".join(_explain(problem, source) for problem in problems)) from None


def _check_env_options(kwargs: dict[str, Any], env_id: str, source: str) -> None:
    options = env_options(env_id)
    allowed = [] if options is None else [field.name for field in dataclasses.fields(options)]
    for key in kwargs:
        if allowed and key not in allowed:
            raise ConfigError(f"{source}: {_unknown(f'env.kwargs.{key}', allowed)}")


def _unknown(key: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(key.rsplit(".", 1)[-1], allowed, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown key {key!r}{hint}; allowed here: {', '.join(allowed)}"


def _explain(problem: Any, source: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"{source}: {_unknown(key, _fields_at(path[:-1]))}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{source}: {key}: {message}, got {problem['input']!r}" if key else f"{source}: {message}"


def _fields_at(path: list[str]) -> list[str]:
    """Names of the fields of the section at `path`."""
    model: Any = TrainConfig
    for part in path:
        if part.isdigit():  # an item of a list, which is what the list is of
            continue
        annotation = model.model_fields[part].annotation
        options = getattr(annotation, "__args__", (annotation,))
        model = next(option for option in options if isinstance(option, type) and issubclass(option, Section))
    return list(model.model_fields)
