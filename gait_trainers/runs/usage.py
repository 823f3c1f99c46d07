"""How much of the machine a training uses: processors, memory, and the memory of its GPU."""

from __future__ import annotations

import sys
import time

import torch

PER_MEGABYTE = 1 << (20 if sys.platform == "darwin" else 10)  # ru_maxrss is in kilobytes, on macOS in bytes


class Usage:
    """Measures from one call to the next."""

    def __init__(self) -> None:
        self._wall, self._busy = time.perf_counter(), time.process_time()

    def measure(self) -> dict[str, float]:
        """`cpu_cores`: processors in use, on average since the last call, by all threads of this process;
        `memory_mb`: the largest memory so far; `gpu_memory_mb`: the largest that torch has held, where it uses a GPU.
        """
        wall, busy = time.perf_counter(), time.process_time()
        found = {"cpu_cores": (busy - self._busy) / max(wall - self._wall, 1e-9), "memory_mb": peak_memory()}
        self._wall, self._busy = wall, busy
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / (1 << 20)
        return found


def peak_memory() -> float:
    """The largest resident memory of this process so far, MB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / PER_MEGABYTE
