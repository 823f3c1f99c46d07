"""The networks of motion models by name: each is made from the size of its inputs and its settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gait_trainers.models.motion.mixture import Mixture
from gait_trainers.models.motion.mlp import MLP
from gait_trainers.models.motion.network import Network
from gait_trainers.models.motion.recurrent import Recurrent
from gait_trainers.models.motion.transformer import Transformer

NETWORKS: dict[str, Callable[..., Network]] = {
    "mlp": MLP,
    "gru": partial(Recurrent, cell="gru"),
    "lstm": partial(Recurrent, cell="lstm"),
    "transformer": partial(Transformer, regularised=False),
    "transformer_reg": partial(Transformer, regularised=True),
    "mixture": Mixture,
}
