"""Physical constants."""

from __future__ import annotations

GRAVITY = 9.81  # m/s²
