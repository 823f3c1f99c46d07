"""The base class of every error that a user can cause; the command line prints its message without a traceback.
And how texts for people are written."""

from __future__ import annotations


class GaitNetError(Exception):
    """An input that GaitNet cannot use; the message says what, where, and what is allowed."""


class MotionError(GaitNetError, ValueError):
    """A capture, a set of clips, a joint map or a retarget description that cannot be used; names the file."""


def one_line(value: object, most: int = 200) -> str:
    """What somebody else wrote, for a message: on one line, and no longer than `most` characters."""
    text = printable(" ".join(str(value)[: 8 * most].split()))
    return text if len(text) <= most else f"{text[:most]}…"


def printable(text: str) -> str:
    """The text with an escape for each character that would steer a terminal, or end the line, instead of showing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
