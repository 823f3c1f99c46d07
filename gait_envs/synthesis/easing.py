"""How drawn motions go from one state to another."""

from __future__ import annotations

import numpy as np


def ease(share: np.ndarray) -> np.ndarray:
    """From 0 to 1, and to stay there, without velocity or acceleration at either end."""
    share = np.clip(share, 0.0, 1.0)
    return share**3 * (10 - 15 * share + 6 * share**2)
