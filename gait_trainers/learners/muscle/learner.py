"""MuscleNN as a learner: its callback, and the network's file for acting without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gait_envs.control.muscle_network import load_muscle_network
from gait_trainers.config.schema import TrainConfig
from gait_trainers.learners.base import Artefacts, Learner, WarmStart
from gait_trainers.learners.muscle.callback import MuscleCallback
from gait_trainers.learners.muscle.spec import MuscleConfig
from gait_trainers.rl.sb3_vec import SB3VecEnv

BUNDLED = "muscle_nn.npz"  # the network's file in a bundle


class MuscleLearner(Learner):
    """Trains the network that turns desired torques into activations, and hands the body over to it."""

    callback: MuscleCallback

    def __init__(self, config: TrainConfig, base: SB3VecEnv) -> None:
        self.callback = MuscleCallback(base, config.section("muscle"), seed=config.run.seed, device=config.run.device)

    def get_state(self) -> dict[str, Any]:
        return self.callback.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.callback.set_state(state)

    def save_files(self, checkpoint: Path) -> None:
        self.callback.save_network(network_file(checkpoint))

    def warm_start(self, source: WarmStart) -> list[str]:
        if source.checkpoint is None:
            file = source.env_options.get("muscle_network")
        else:
            file = None if source.state is None else network_file(source.checkpoint)
        if file is None:
            return []
        try:
            found = load_muscle_network(file, self.callback.physics.muscles)
            self.callback.network.set_layers(found.layers)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        return ["muscle network"]

    def prepare_evaluation(self, env: SB3VecEnv) -> None:
        if self.callback.share == 1.0:
            self.callback.drive(env.env.unwrapped.core.physics)  # type: ignore[attr-defined]


def network_file(checkpoint: Path) -> Path:
    """Path of the network's file of a checkpoint."""
    return checkpoint.with_suffix(".npz")


def artefacts(section: MuscleConfig, state: Mapping[str, Any], checkpoint: Path) -> Artefacts:
    """Environment options that make the network drive the body; empty until it has taken over completely."""
    if not state["drives"]:
        return Artefacts()
    file = network_file(checkpoint).resolve()
    return Artefacts({"muscle_controller": "nn", "muscle_network": str(file)}, {BUNDLED: file})
