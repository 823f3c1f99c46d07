"""Constants: of physics, and the version of both packages."""

from __future__ import annotations

__version__ = "0.1.0"
GRAVITY = 9.81  # m/s²
