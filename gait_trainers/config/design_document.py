"""The configuration file of the WildRobot design document (section 8.1), key by key in the words of this project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gait_envs.errors import one_line
from gait_trainers.config.section import ConfigError

# Dotted keys of the document, and what they are called here. None: a remark that sets nothing.
KEYS: Mapping[str, str | None] = {
    "version": None,
    "version_name": None,
    "seed": "run.seed",
    "trainer.num_envs": "env.num_envs",
    "trainer.rollout_steps": "ppo.n_steps",
    "trainer.iterations": "run.iterations",
    "trainer.lr": "ppo.learning_rate",
    "trainer.gamma": "ppo.gamma",
    "trainer.gae_lambda": "ppo.gae_lambda",
    "trainer.clip_epsilon": "ppo.clip_range",
    "trainer.entropy_coef": "ppo.ent_coef",
    "trainer.value_loss_coef": "ppo.vf_coef",
    "trainer.max_grad_norm": "ppo.max_grad_norm",
    "trainer.num_minibatches": "ppo.minibatches",
    "trainer.update_epochs": "ppo.epochs",
    "trainer.log_interval": "run.log_interval",
    "networks.policy_hidden_dims": "networks.policy",
    "networks.value_hidden_dims": "networks.value",
    "amp.weight": "amp.weight",
    "amp.disc_lr": "amp.learning_rate",
    "amp.batch_size": "amp.batch_size",
    "amp.update_steps": "amp.updates",
    "amp.discriminator_hidden": "amp.hidden",
    "amp.use_spectral_norm": "amp.spectral_norm",
    "amp.r1_gamma": "amp.r1_gamma",
    "amp.disc_input_noise_std": "amp.input_noise",
    "amp.replay_buffer_size": "amp.replay_size",
    "amp.replay_buffer_ratio": "amp.replay_ratio",
    "reward_weights.tracking_lin_vel": "env.kwargs.reward_weights.tracking_lin_vel",
    "reward_weights.base_height": "env.kwargs.reward_weights.base_height",
    "reward_weights.action_rate": "env.kwargs.reward_weights.action_rate",
    "reward_weights.torque_penalty": "env.kwargs.reward_weights.torque",
    "wandb.enabled": "run.wandb.enabled",
    "wandb.project": "run.wandb.project",
    "wandb.entity": "run.wandb.entity",
}
MARKS = ("trainer", "reward_weights", "version", "version_name")  # sections that only the document's files have
VALUE_LOSS = 0.5  # its value loss is half the mean squared error, PPO's here is the whole


def is_design_document(tree: Mapping[str, Any]) -> bool:
    """Whether a configuration file is written in the document's layout."""
    return any(mark in tree for mark in MARKS)


def translate(tree: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The file's sections in this project's layout; ConfigError names `source` and a key that the document lacks.

    `value_loss_coef` is halved, as the document's value loss is half the squared error. Numbers such as `3e-4`, which
    YAML 1.1 reads as text, are numbers.
    """
    out: dict[str, Any] = {}
    for key, value in _leaves(tree):
        if key not in KEYS:
            known = ", ".join(KEYS)
            raise ConfigError(
                f"{source}: unknown key {one_line(repr(key))}; a file in the layout of the design document may have "
                f"{known}"
            )
        target = KEYS[key]
        if target is None:
            continue
        if key == "trainer.value_loss_coef":
            value = _halved(value)
        *path, last = target.split(".")
        section = out
        for part in path:
            section = section.setdefault(part, {})
        section[last] = value
    return out


def _halved(value: Any) -> Any:
    """Half of a number, or of a text that is one; anything else as it is, to be refused by its own name."""
    try:
        return VALUE_LOSS * float(value)
    except (TypeError, ValueError):
        return value


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted keys and values of everything that is no mapping."""
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found += _leaves(value, f"{name}.")
        else:
            found.append((name, value))
    return found
