"""Ctrl-C during a training is noted once, told to whoever asks, and never swallowed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gait_trainers.runs.interruption import ending_gently

# ruff: noqa: PT012 -- the error is of the end of the block
pytestmark = pytest.mark.usefixtures("ctrl_c")


@pytest.fixture
def broken_stderr() -> Iterator[None]:
    """Descriptor 2 is a pipe that nobody reads any more, as after `2>&1 | tee log`."""
    kept = os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(reader)
    os.close(writer)
    yield
    os.dup2(kept, 2)
    os.close(kept)


@pytest.mark.usefixtures("broken_stderr")
def test_a_broken_stderr_does_not_end_the_iteration() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), ending_gently() as asked:
        signal.raise_signal(signal.SIGINT)
        done.append(asked())
    assert done == [True]


def test_one_within_another_shares_its_note() -> None:
    with pytest.raises(KeyboardInterrupt), ending_gently() as outer:
        with ending_gently() as inner:
            signal.raise_signal(signal.SIGINT)
            assert inner()
        assert outer()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_note_is_of_one_training_only() -> None:
    with pytest.raises(KeyboardInterrupt), ending_gently():
        signal.raise_signal(signal.SIGINT)
    with ending_gently() as asked:
        assert not asked()


def test_an_error_is_not_hidden_by_a_note() -> None:
    with pytest.raises(ZeroDivisionError), ending_gently():
        signal.raise_signal(signal.SIGINT)
        _ = 1 / 0


def test_an_ignored_sigint_stays_ignored() -> None:
    script = (
        "import signal; from gait_trainers.runs.interruption import ending_gently\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with ending_gently() as asked: signal.raise_signal(signal.SIGINT); print(asked())"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"False\n"
