"""A window of past observations, the cheap rival of a recurrent layer: what a policy sees is the latest k of them."""

from __future__ import annotations

import numpy as np


def stack(window: np.ndarray, obs: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The latest k observations, oldest first: window (n, (k - 1) · d) and obs (n, d) -> (n, k · d).

    At the start of an episode (starts (n,) bool) the window holds copies of its first observation. What to remember
    for the next step is the stack without its oldest observation.
    """
    past = np.where(starts[:, None], np.tile(obs, (1, window.shape[1] // obs.shape[1])), window)
    return np.concatenate([past, obs], axis=1)
