"""Constants: of physics, and the version of both packages."""

from __future__ import annotations

__version__ = "0.1.0"
GRAVITY = 9.81  # m/s²

MOST_THREADS = 1024  # of physics or of torch: more than any machine has cores, and fewer than exhaust it
MOST_SEED = 2**32 - 1  # that NumPy's and Stable-Baselines3's generators take
