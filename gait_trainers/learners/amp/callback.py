"""Trains the discriminator after a rollout, beside the policy update that uses its rewards."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from gait_envs.models.mirror import SignedPermutation
from gait_trainers.learners.amp.diagnostics import Reservoir, ranking
from gait_trainers.learners.amp.reward import AMPRewardWrapper
from gait_trainers.learners.amp.spec import AMPConfig
from gait_trainers.learners.amp.windows import ReferenceWindows
from gait_trainers.learners.background import BackgroundUpdate
from gait_trainers.learners.replay import ReplayBuffer, mix
from gait_trainers.models.discriminator import accuracy, discriminator_losses


class AMPCallback(BaseCallback):
    """At the end of each rollout: measure the discriminator, train it, remember the rollout's windows.

    Style rewards come from the discriminator before its update, which runs in the background of PPO's. All random
    choices come from generators of this callback, so that the policy's own are left alone.
    """

    def __init__(
        self,
        wrapper: AMPRewardWrapper,
        reference: ReferenceWindows,
        config: AMPConfig,
        seed: int,
        mirror: SignedPermutation | None = None,
        probes: Mapping[str, np.ndarray] | None = None,
    ):
        """`mirror`: of one frame's features, to replace half of the policy's windows by their images; None: none.
        `probes`: windows (m, frames * d) by name whose scores are reported, of motions that are no walk.
        """
        super().__init__()
        self.mirror = mirror
        self.wrapper = wrapper
        self.discriminator = wrapper.discriminator
        self.reference = reference
        self.config = config
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=config.learning_rate)
        self.replay = ReplayBuffer(config.replay_size, reference.windows.shape[1])
        self.probes = {name: self._tensor(windows) for name, windows in (probes or {}).items()}
        self.seen = Reservoir(reference.windows.shape[1], seed)  # of the whole training, to judge the ranking by
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.iteration = 0
        self.background = BackgroundUpdate()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.background.begin(partial(self._learn, self.wrapper.take_rollout()))

    def _on_rollout_start(self) -> None:
        for name, value in self.background.wait().items():
            self.logger.record(f"amp/{name}", value)

    _on_training_end = _on_rollout_start

    def _learn(self, fresh: np.ndarray) -> dict[str, float]:
        """The update after a rollout whose windows (m, frames * d) these are; there may be none."""
        metrics = {}
        if len(fresh) > 0:
            metrics = self.update(fresh if self.mirror is None else self._half_mirrored(fresh, self.mirror))
        self.iteration += 1
        return metrics

    def update(self, fresh: np.ndarray) -> dict[str, float]:
        """One iteration on a rollout's policy windows, (m, frames * d). Returns its metrics."""
        metrics = self.measure(fresh)
        self.seen.add(fresh)
        metrics["style_rank"] = ranking(self.discriminator, self.seen.windows(), self.reference.windows)
        losses = []
        if metrics["disc_acc"] <= self.config.accuracy_ceiling:
            losses = [self._step(fresh) for _ in range(self.config.updates)]
            metrics |= {key: float(np.mean([loss[key] for loss in losses])) for key in losses[0]}
        self.replay.add(fresh, self.rng)
        return metrics | {"disc_updates": float(len(losses)), "disc_replay": float(len(self.replay))}

    def measure(self, fresh: np.ndarray) -> dict[str, float]:
        """How the discriminator that rewarded this rollout tells it from the reference, without and with noise."""
        self.discriminator.eval()
        count = self.config.batch_size
        with torch.no_grad():
            real_windows = self._tensor(self.reference.sample(count, self.rng))
            fake_windows = self._tensor(fresh[self.rng.integers(len(fresh), size=count)])
            real, fake = self.discriminator(real_windows), self.discriminator(fake_windows)
            noise, kinds = self.input_noise(), (real_windows, fake_windows)
            blurred = [self.discriminator.score(self._blurred(windows, noise)) for windows in kinds]
            probed = {name: self.discriminator(windows) for name, windows in self.probes.items()}
        others = {f"disc_{name}_mean": score.mean().item() for name, score in probed.items()}
        others |= {f"disc_{name}_std": score.std(correction=0).item() for name, score in probed.items()}
        return others | {
            "disc_acc": accuracy(real, fake),
            "disc_acc_noisy": accuracy(*blurred),
            "disc_real_mean": real.mean().item(),
            "disc_real_std": real.std(correction=0).item(),
            "disc_fake_mean": fake.mean().item(),
            "disc_fake_std": fake.std(correction=0).item(),
        }

    def _half_mirrored(self, windows: np.ndarray, mirror: SignedPermutation) -> np.ndarray:
        """Windows (m, frames * d) of which a random half are their mirror images."""
        which = self.rng.random(len(windows)) < 0.5
        images = mirror(windows[which].reshape(which.sum(), -1, len(mirror)))
        out = windows.copy()
        out[which] = images.reshape(len(images), windows.shape[1])
        return out

    def input_noise(self) -> float:
        """Standard deviation of the input noise in this iteration."""
        config = self.config
        if config.input_noise_final is None:
            return config.input_noise
        progress = min(self.iteration / config.input_noise_decay, 1.0)
        return config.input_noise + progress * (config.input_noise_final - config.input_noise)

    def get_state(self) -> dict[str, Any]:
        """Everything that the next updates depend on, for a checkpoint."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "replay": self.replay.get_state(),
            "rng": self.rng.bit_generator.state,
            "generator": self.generator.get_state(),
            "iteration": self.iteration,
            "seen": self.seen.get_state(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.replay.set_state(state["replay"])
        self.rng.bit_generator.state = state["rng"]
        self.generator.set_state(state["generator"])
        self.iteration = int(state["iteration"])
        if "seen" in state:  # a checkpoint of before there was one measures the ranking from here on
            self.seen.set_state(state["seen"])

    def _step(self, fresh: np.ndarray) -> dict[str, float]:
        config = self.config
        fake, _ = mix(fresh, self.replay, config.batch_size, config.replay_ratio, self.rng)
        self.discriminator.train()
        losses = discriminator_losses(
            self.discriminator,
            self._tensor(self.reference.sample(config.batch_size, self.rng)),
            self._tensor(fake),
            noise=self.input_noise(),
            label_smoothing=config.label_smoothing,
            generator=self.generator,
        )
        self.optimizer.zero_grad()
        (losses.lsgan + 0.5 * config.r1_gamma * losses.r1).backward()
        self.optimizer.step()
        return {"disc_loss": losses.lsgan.item(), "disc_r1": losses.r1.item()}

    def _blurred(self, windows: Tensor, noise: float) -> Tensor:
        """Normalised windows with the noise of training, drawn so that no other draw is touched."""
        normal = self.discriminator.normalize(windows)
        generator = torch.Generator().manual_seed(self.iteration)
        return normal + noise * torch.randn(normal.shape, generator=generator).to(normal.device)

    def _tensor(self, windows: np.ndarray) -> Tensor:
        return torch.from_numpy(windows).to(self.discriminator.mean.device)
