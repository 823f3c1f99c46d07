"""Which algorithms the service offers, by name."""

from __future__ import annotations

import functools

from gait_trainers.service.algorithms.contract import Algorithm
from gait_trainers.service.algorithms.models import MOTION_NN, REF_NN
from gait_trainers.service.algorithms.policies import policies
from gait_trainers.service.errors import Invalid


@functools.cache
def algorithms() -> tuple[Algorithm, ...]:
    """Policies first, then models."""
    return (*policies(), MOTION_NN, REF_NN)


def algorithm(name: str) -> Algorithm:
    """The one of this name."""
    for known in algorithms():
        if known.name == name:
            return known
    raise Invalid(f"unknown algorithm; known are {', '.join(a.name for a in algorithms())}", "algorithm")
