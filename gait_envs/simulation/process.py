"""What MuJoCo does to the process around it, kept in bounds: its log file, and its threads when the process forks.

A forked child has none of the threads of its parent. A call on a batch that has threads would wait there for ever, and
so would the end of the process, which destroys the batch. So a child's simulations raise, and its batches stay.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

import mujoco

from gait_envs.errors import GaitNetError

if TYPE_CHECKING:
    from gait_envs.simulation.batch import BatchSimulation

_threaded: WeakSet[BatchSimulation] = WeakSet()


class ForkedError(GaitNetError, RuntimeError):
    """A simulation that belongs to the parent process was used in a forked child."""


def write_no_log() -> None:
    """Keep MuJoCo from writing MUJOCO_LOG.TXT into the working directory, unless another file has been chosen."""
    config = mujoco.MjLogConfig.get()
    if config.logfile == "MUJOCO_LOG.TXT":
        config.logto_file = False
        config.set()


def guard(simulation: BatchSimulation) -> None:
    """Let a forked child's copy of the simulation raise `ForkedError`, if it has threads."""
    if simulation.batch.nthread > 1:
        _threaded.add(simulation)


class _Parents:
    """Stands where a parent's batch was: whatever is asked of it is refused."""

    def __init__(self, pid: int) -> None:
        self.__dict__["pid"] = pid

    def __getattr__(self, name: str) -> NoReturn:
        raise ForkedError(
            f"these environments belong to process {self.pid}: their physics threads were not copied into this forked "
            "child. Make them in the child, or start it with 'spawn', or let them run on one thread (threads=1)"
        )

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        self.__getattr__(name)


def _in_child() -> None:
    for simulation in _threaded:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(simulation.batch))  # never destroyed
        simulation.batch = _Parents(os.getppid())  # type: ignore[assignment]
    _threaded.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
