"""Trainers for GaitNet environments: Stable-Baselines3 algorithms, adversarial motion priors, run folders."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gait_trainers.policies.loading import load_policy
    from gait_trainers.policies.sb3_export import export_policy

__all__ = ["export_policy", "load_policy"]

# Imported when they are asked for: torch and Stable-Baselines3 take seconds.
_PLACES = {
    "export_policy": "gait_trainers.policies.sb3_export",
    "load_policy": "gait_trainers.policies.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_PLACES[name]), name)
