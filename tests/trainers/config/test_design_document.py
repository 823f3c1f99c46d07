"""The WildRobot design document's own configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gait_trainers.config.design_document import KEYS
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import TrainConfig
from gait_trainers.config.section import ConfigError

DOCUMENT = """
version: "0.6.0"
version_name: "Spectral Normalization + Policy Replay Buffer"
trainer: {num_envs: 1024, rollout_steps: 128, iterations: 3000, lr: 3e-4, gamma: 0.99, gae_lambda: 0.95,
          clip_epsilon: 0.2, entropy_coef: 0.01, log_interval: 10, value_loss_coef: 0.5, max_grad_norm: 0.5,
          num_minibatches: 8, update_epochs: 4}
networks: {policy_hidden_dims: [512, 256, 128], value_hidden_dims: [512, 256, 128]}
amp: {weight: 0.5, disc_lr: 1e-4, batch_size: 2048, update_steps: 3, discriminator_hidden: [1024, 512, 256],
      use_spectral_norm: true, r1_gamma: 5.0, disc_input_noise_std: 0.02, replay_buffer_size: 100000,
      replay_buffer_ratio: 0.5}
reward_weights: {tracking_lin_vel: 5.0, base_height: 0.3, action_rate: -0.01, torque_penalty: -0.001}
wandb: {enabled: true, project: "wildrobot-amp", entity: null}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_documents_file_is_the_paper_preset(tmp_path: Path) -> None:
    config, paper = load_config(written(tmp_path, DOCUMENT)), load_config(preset="paper")
    assert config.run.log_interval == 10
    weights = {"tracking_lin_vel": 5.0, "base_height": 0.3, "action_rate": -0.01, "torque": -0.001}
    assert config.env.kwargs == {"reward_weights": weights}
    assert (config.run.wandb.enabled, config.run.wandb.project, config.run.wandb.entity) == (
        True,
        "wildrobot-amp",
        None,
    )
    config.run.log_interval, config.run.wandb = 1, paper.run.wandb
    config.env.kwargs = {}
    assert config == paper


def test_the_documents_value_loss_is_half_the_squared_error(tmp_path: Path) -> None:
    for written_so in ("0.8", "8e-1"):  # YAML 1.1 reads the second as text
        config = load_config(written(tmp_path, f"trainer: {{value_loss_coef: {written_so}}}"))
        assert config.ppo.vf_coef == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trainer: {leaning_rate: 1}", "unknown key 'trainer.leaning_rate'; .* may have .*trainer.lr"),
        ("trainer: {num_envs: 8}\nppo: {gamma: 0.9}", "unknown key 'ppo.gamma'"),
        ("trainer: {num_envs: many}", "env.num_envs"),
        ("trainer: 3", "unknown key 'trainer'"),
        ("reward_weights: {tracking_lin_vel: .nan}", "reward_weights"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_config(written(tmp_path, text))


def test_every_key_has_a_place_in_the_configuration() -> None:
    for target in filter(None, KEYS.values()):
        model: object = TrainConfig
        section, _, rest = target.partition(".")
        assert section in {"env", "ppo", "networks", "amp", "run"}
        if section in TrainConfig.model_fields and section != "env":
            annotation = TrainConfig.model_fields[section].annotation
            assert rest.partition(".")[0] in annotation.model_fields, (target, model)
