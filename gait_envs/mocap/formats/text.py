"""What the readers of text formats share: numbered lines of bounded length, and complaints that name them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from gait_envs.errors import MotionError
from gait_envs.reading.text import check_regular

MAX_LINE = 1 << 20  # characters; a file of one endless line must not fill the memory
MAX_NUMBER = 1e30  # nothing measured is larger, and its square and its sums are still numbers
MAX_JOINTS = 2048  # of a skeleton: a block of frames of one with a million would fill it too


class TextFile:
    """A text file of a capture: its lines by number, and errors that name file and line."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    def lines(self, skip: int = 0) -> Iterator[tuple[int, str]]:
        """Number (from 1) and text of each line after the first `skip`, read as they are asked for.

        Any line ending and a byte order mark are accepted; bytes that are no UTF-8 become a replacement mark.
        """
        check_regular(self.path, MotionError)
        try:
            with open(self.path, encoding="utf-8-sig", errors="replace") as file:
                number = 0
                while line := file.readline(MAX_LINE):
                    number += 1
                    if len(line) == MAX_LINE:
                        raise self.error(number, f"the line has {MAX_LINE} characters or more")
                    if number > skip:
                        yield number, line
        except FileNotFoundError:
            raise MotionError(f"{self.path}: no such file") from None
        except (OSError, ValueError) as error:
            if isinstance(error, MotionError):
                raise
            raise MotionError(f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None

    def error(self, number: int, message: str) -> MotionError:
        """The error of line `number` (counted from 1), to be raised: names the file and the line."""
        return MotionError(f"{self.path}, line {number}: {message}")

    def numbers(self, number: int, words: list[str], what: str, count: int | None = None) -> list[float]:
        """The words of line `number` as numbers below MAX_NUMBER, `count` of them where it is given."""
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        usable = all(map(math.isfinite, values)) and max(map(abs, values), default=0.0) < MAX_NUMBER
        if len(values) != len(words) or not usable or "_" in "".join(words):
            raise self.error(number, f"{what}: {_complaint(words)}")
        if count is not None and len(values) != count:
            raise self.error(number, f"{what} needs {count} number{'s' * (count != 1)}, found {len(values)}")
        return values

    def count(self, number: int, word: str, what: str) -> int:
        """A word of decimal digits as a number, up to a million million."""
        if not word.isdecimal() or len(word) > 12:
            raise self.error(number, f"{what}: {word[:40]!r} is not a count")
        return int(word)


def _complaint(words: list[str]) -> str:
    """What is wrong with the first word that is no number below MAX_NUMBER."""
    bad = next(word for word in words if not _is_number(word) or not abs(float(word)) < MAX_NUMBER)
    if _is_number(bad):
        return f"{bad[:40]!r} is {'too large' if math.isfinite(float(bad)) else 'not finite'}"
    hint = " (a decimal comma? the format uses a point)" if _is_number(bad.replace(",", ".")) else ""
    return f"{bad[:40]!r} is not a number{hint}"


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word  # Python's own spelling


def frame_rate(seconds: float) -> float:
    """Frames a second of frames `seconds` apart; a whole rate where rounded seconds mean one (.0083333 is 120)."""
    rate = 1.0 / seconds
    return float(round(rate)) if round(rate) and abs(rate / round(rate) - 1) < 2e-4 else rate
