"""The smallest training that the service can be asked for, and its users."""

from __future__ import annotations

from typing import Any

PASSWORD = "correct horse"
NAMES = {"viewer": "viola", "trainer": "tess", "administrator": "admin"}
TINY: dict[str, Any] = {
    "name": "tiny",
    "algorithm": "ppo",
    "num_envs": 4,
    "iterations": 3,
    "hidden_sizes": [8],
    "settings": {
        "ppo.n_steps": 8, "ppo.minibatches": 2, "ppo.epochs": 1, "run.checkpoint_every": 1, "env.threads": 1
    },
}  # fmt: skip
