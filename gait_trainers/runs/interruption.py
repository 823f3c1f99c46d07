"""Ctrl-C during a training: the first ends it after the running iteration, which is saved, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_SAID = b"\nends once this iteration is done and saved; Ctrl-C again ends at once\n"
_STDERR = 2
_noted: list[int] = []  # of the outermost training; a process has one handler of SIGINT


@contextmanager
def ending_gently() -> Iterator[Callable[[], bool]]:
    """Within it the first SIGINT is only noted, which the value given tells; the second is a KeyboardInterrupt.

    One that was noted is a KeyboardInterrupt at the end, so that whatever would follow does not begin. One within
    another shares its note. Nothing changes outside of the main thread, and where SIGINT is ignored or somebody else's.
    """
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if before is _note:
        yield _asked
    elif before is not signal.default_int_handler:
        yield lambda: False
    else:
        _noted.clear()
        signal.signal(signal.SIGINT, _note)
        try:
            yield _asked
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if _noted:
            raise KeyboardInterrupt


def _asked() -> bool:
    return bool(_noted)


def _note(number: int, frame: Any) -> None:
    if _noted:
        signal.default_int_handler(number, frame)
    _noted.append(number)
    with suppress(OSError):  # a `tee` that stderr went to has had its Ctrl-C, too
        os.write(_STDERR, _SAID)  # a print could be within another one
