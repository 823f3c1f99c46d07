"""How busy the machine is."""

from __future__ import annotations

from typing import Any

import psutil

from gait_trainers.service.settings import Settings


def figures(settings: Settings) -> dict[str, Any]:
    """`cpu`, % of all cores since the last call; `memory_mb` in use of `memory_total_mb`; `disk_free_mb`; `cores`."""
    memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(settings.home))
    return {
        "cpu": psutil.cpu_percent(None),
        "cores": psutil.cpu_count() or 1,
        "memory_mb": round((memory.total - memory.available) / 1e6),
        "memory_total_mb": round(memory.total / 1e6),
        "disk_free_mb": round(disk.free / 1e6),
    }
