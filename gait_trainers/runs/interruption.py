"""Ctrl-C during a training: the first ends it after the running iteration, which is saved, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_NOTED = b"\nends once this iteration is done and saved; Ctrl-C again ends at once\n"
_STDERR = 2


@contextmanager
def ending_gently() -> Iterator[Callable[[], bool]]:
    """Within it the first SIGINT is only noted, which the value given tells; the second is a KeyboardInterrupt.

    Nothing changes outside of the main thread, and where SIGINT is ignored or somebody else's.
    """
    noted: list[int] = []

    def note(number: int, frame: Any) -> None:
        if noted:
            signal.default_int_handler(number, frame)
        noted.append(number)
        os.write(_STDERR, _NOTED)  # a print could be within another one

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
