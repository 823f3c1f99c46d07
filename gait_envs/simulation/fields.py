"""Fields of a batch's model that each simulation has for itself; the one place that expands them, and so knows them."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch


def model_field(model: mujoco.MjModel, name: str) -> Any:
    """A field of the model; "opt.gravity" is one of its options."""
    return operator.attrgetter(name)(model)


class OwnFields:
    """`ModelFields` of a `mujoco.batch.Batch`."""

    def __init__(self, batch: Batch, model: mujoco.MjModel) -> None:
        self._batch, self._model = batch, model
        self._own: dict[str, np.ndarray] = {}
        self._shared: dict[str, np.ndarray] = {}  # views of the model

    def __contains__(self, name: str) -> bool:
        """Whether each simulation has its own values of the field, because `own` has been asked for them."""
        return name in self._own

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)

    def own(self, name: str) -> np.ndarray:
        """The live values (n, ...), to be written to; each simulation's own from now on."""
        if not self._own:
            self._batch.set_models(None)  # a batch has either a caller's model or fields of its own
        if name not in self._own:
            self._own[name] = self._batch.expand(name)
        return self._own[name]

    def values(self, name: str) -> np.ndarray:
        """The values (n, ...), or (1, ...) where all share them; not to be written to."""
        if name in self._own:
            return self._own[name]
        if name not in self._shared:
            self._shared[name] = model_field(self._model, name)[None]
        return self._shared[name]
