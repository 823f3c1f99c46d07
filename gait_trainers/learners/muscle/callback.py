"""Trains the muscles' network beside the policy, and hands the body over to it once it is good enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from gait_envs.control.muscle_network import save_muscle_network
from gait_envs.models.muscles import REFRESH
from gait_envs.simulation.muscles import MuscleSimulation
from gait_trainers.learners.background import BackgroundUpdate
from gait_trainers.learners.muscle.spec import MuscleConfig
from gait_trainers.learners.muscle.tuples import best_activations, fit, gather, row_size, split_rows
from gait_trainers.learners.replay import ReplayBuffer
from gait_trainers.models.muscle_nn import MuscleNN, muscle_losses
from gait_trainers.rl.sb3_vec import SB3VecEnv

MEASURED = 512  # held-out tuples from which an iteration's figures are computed


class MuscleCallback(BaseCallback):
    """Each step: keep a tuple of each simulation. After each rollout, beside PPO's update: train, measure, hand over.

    A tuple is one refresh of the control step, any with equal chance: the torque that is desired falls as the step
    goes on. Those of the held-out simulations are never learnt from. All random choices come from a generator of this
    callback, so that the policy's own are left alone.
    """

    def __init__(self, base: SB3VecEnv, config: MuscleConfig, *, seed: int, device: str = "cpu") -> None:
        super().__init__()
        self.base, self.config = base, config
        physics = base.env.unwrapped.core.physics  # type: ignore[attr-defined]
        if not isinstance(physics, MuscleSimulation):
            raise ValueError("algorithm muscle needs an environment whose body is moved by muscles")
        if base.num_envs < 2:
            raise ValueError("env.num_envs is 1; algorithm muscle needs 2 or more, to measure it on one of them")
        self.physics = physics
        self.refreshes = physics.robot.substeps // REFRESH
        self.network = MuscleNN(physics.muscles, config.hidden, torch.Generator().manual_seed(seed)).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        size = row_size(physics.muscles)
        self.buffer = ReplayBuffer(config.buffer_size, size)
        self.held_out = ReplayBuffer(math.ceil(config.held_out * config.buffer_size), size)
        self.held_out_envs = min(math.ceil(config.held_out * base.num_envs), base.num_envs - 1)  # the first ones
        self.rng = np.random.default_rng(seed)
        self.handed = 0  # iterations that the handover has lasted
        self.order = np.random.default_rng(seed).permutation(base.num_envs)  # in which it takes them over
        self.background = BackgroundUpdate()
        self._start_rollout()

    def _start_rollout(self) -> None:
        self._steps, self._squares = 0, np.zeros(3)  # desired and missed torque, effort

    def _on_step(self) -> bool:
        which = self.rng.integers(self.refreshes, size=self.base.num_envs)
        rows, ids = gather(self.physics.last, which, self.physics.muscles)
        held = ids < self.held_out_envs
        self.held_out.add(rows[held], self.rng)
        self.buffer.add(rows[~held], self.rng)
        info = self.base.last_transition
        columns = info["torque_desired"] ** 2, info["torque_residual"] ** 2, info["activation_energy"]
        self._squares += np.mean(columns, axis=1)
        self._steps += 1
        return True

    def _on_rollout_end(self) -> None:
        desired, missed, effort = self._squares
        metrics = {"drive_residual": float(np.sqrt(missed / desired)), "drive_energy": float(effort / self._steps)}
        metrics["muscle_drives"] = self.share
        self._start_rollout()
        if len(self.buffer) and len(self.held_out):
            left = self.model._current_progress_remaining if self.config.lr_schedule == "linear" else 1.0
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.learning_rate * left
            self.background.begin(self.update)
        self._record(metrics)

    def _on_rollout_start(self) -> None:
        self._record(self.background.wait())

    _on_training_end = _on_rollout_start

    def _record(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self.logger.record(f"muscle/{name}", value)

    def update(self) -> dict[str, float]:
        """Train on the collected tuples, measure, and hand over if the network is accurate. Returns the figures."""
        losses = np.mean([self._step() for _ in range(self.config.updates)], axis=0)
        figures = self.measure()
        good = self.config.controller == "nn" and figures["muscle_gap"] <= self.config.handover
        self.handed += int(good or self.handed > 0)
        self._take_over()
        return figures | {"muscle_loss": float(losses[0]), "muscle_tuples": float(len(self.buffer))}

    def measure(self) -> dict[str, float]:
        """How closely network and static optimisation reproduce the torques of held-out tuples.

        The gap is √(residual² − that of static optimisation²). What muscles can do is a convex set and static
        optimisation finds its nearest point, so no torque of the network is farther from the best one, on average.
        """
        muscles = self.physics.muscles
        tuples = split_rows(self.held_out.sample(MEASURED, self.rng), muscles)
        with torch.no_grad():
            activations = self.network(self._tensor(tuples.entries), self._tensor(tuples.torque)).cpu().numpy()
        ours, best = fit(tuples, activations, muscles), fit(tuples, best_activations(tuples, muscles), muscles)
        return {
            "muscle_residual": ours.residual,
            "qp_residual": best.residual,
            "muscle_gap": float(np.sqrt(max(ours.residual**2 - best.residual**2, 0.0))),
            "muscle_energy": ours.energy,
            "qp_energy": best.energy,
        }

    @property
    def share(self) -> float:
        """Of the simulations, that the network drives."""
        return min(1.0, self.handed / self.config.handover_iterations)

    def drive(self, physics: MuscleSimulation, sims: np.ndarray | None = None) -> None:
        """Let the current network drive all bodies, or only the simulations `sims`."""
        physics.use_controller("nn", sims, network=self.network.numpy())

    def _take_over(self) -> None:
        """Its share of the simulations: at first few, whose states it then learns from before it drives more."""
        taken = self.order[: math.ceil(self.share * self.base.num_envs)]
        if len(taken):
            self.drive(self.physics, taken)

    def save_network(self, path: Any) -> None:
        """Write the network's file, for the environments' option `muscle_network`."""
        save_muscle_network(path, self.network.get_layers(), self.physics.muscles)

    def get_state(self) -> dict[str, Any]:
        """Network, optimizer, both buffers, generator and hand-over, as a checkpoint stores them."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "buffer": self.buffer.get_state(),
            "held_out": self.held_out.get_state(),
            "rng": self.rng.bit_generator.state,
            "handed": self.handed,
            "drives": self.share == 1.0,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `get_state`; the environments' own state must be there already."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.buffer.set_state(state["buffer"])
        self.held_out.set_state(state["held_out"])
        self.rng.bit_generator.state = state["rng"]
        self.handed = state["handed"]
        self._take_over()

    def _step(self) -> tuple[float, float]:
        """One step of Adam; the loss's parts. Some tuples demand for the torque of another one's."""
        config = self.config
        tuples = split_rows(self.buffer.sample(config.batch_size, self.rng), self.physics.muscles)
        torque, swapped = tuples.torque, round(config.swapped * config.batch_size)
        torque[:swapped] = np.roll(torque[:swapped], 1, axis=0)  # rows are a copy, in random order
        losses = muscle_losses(self.network, self._tensor(tuples.entries), self._tensor(torque))
        self.optimizer.zero_grad()
        (losses.torque + config.effort * losses.effort).backward()
        self.optimizer.step()
        return losses.torque.item(), losses.effort.item()

    def _tensor(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(rows)).to(self.network.entry_dof.device)
