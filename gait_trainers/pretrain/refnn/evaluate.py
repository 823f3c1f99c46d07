"""Evaluation of a RefNN: its errors on sequences, and what its walks do on the floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.reference.refnn.generator import generated_clips
from gait_envs.reference.refnn.network import ReferenceNetwork
from gait_envs.reference.refnn.walks import WalkError, load_sequences
from gait_trainers.pretrain.refnn.data import aligned
from gait_trainers.pretrain.refnn.figures import group_errors, summary, walk_figures

MARGIN = 0.05  # of a parameter's range, by which sequences that are compared may lie beyond it
FACTORS = (0.95, 1.0, 1.05)  # on stride and cadence of the natural walks
WALKS = 40  # generated at most


def evaluate_refnn(
    network: ReferenceNetwork, files: Sequence[str | Path] = (), walks: int = WALKS, seed: int = 0
) -> dict[str, Any]:
    """Figures ready for JSON: `data`, errors on each file of sequences by its name (by its path, where two have one
    name), and `generated`, of at most `walks` walks of 10 s with the files' parameters or, without files, about the
    network's own; seed: of the choice among them.
    Raises WalkError where every sequence of a file is beyond what the network was trained for."""
    data: dict[str, Any] = {}
    every, named = [], [Path(file).name for file in files]
    for file in files:
        sequences = load_sequences(file)
        params = aligned(sequences, network.facts.names)
        inside = within(network, params)
        if not inside.any():
            raise WalkError(f"{file}: every sequence is beyond what the network was trained for")
        params = np.clip(params[inside], network.facts.low, network.facts.high)
        data[Path(file).name if named.count(Path(file).name) == 1 else str(file)] = {
            "sequences": len(params),
            "beyond": int((~inside).sum()),
            **group_errors(network, params, sequences.motions[inside]),
        }
        every.append(params)
    asked = np.concatenate(every) if every else natural(network)
    chosen = asked[np.sort(np.random.default_rng(seed).permutation(len(asked))[:walks])]
    generated = summary(walk_figures(network, chosen))
    return {"model": network.name, "parameters": list(network.facts.names), "data": data, "generated": generated}


def within(network: ReferenceNetwork, params: np.ndarray) -> np.ndarray:
    """Which of the parameters (n, P) lie in the range that the network was trained for, or next to it: (n,) bool."""
    span = network.facts.high - network.facts.low
    low, high = network.facts.low - MARGIN * span, network.facts.high + MARGIN * span
    return np.asarray(((params >= low) & (params <= high)).all(axis=1))


def natural(network: ReferenceNetwork) -> np.ndarray:
    """Parameters (n, P) of the network's own walks, and of such with somewhat other stride and cadence."""
    rows = []
    for clip in generated_clips(network):
        for stride in FACTORS:
            for cadence in FACTORS:
                values = {"stride": stride * clip.meta["stride"], "cadence": cadence * clip.meta["cadence"]}
                try:
                    rows.append(network.params(values, 1))
                except ValueError:  # beyond the range
                    continue
    return np.concatenate(rows)
