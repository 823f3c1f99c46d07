"""Text from outside: UTF-8 of a bounded size, JSON without surprises, and tables of comma-separated values.

Every reader is given `error`, the house class that it raises; the message is one line that names the file and the
place. Limits are constants here, and an argument where a file may need another one.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gait_envs.errors import GaitNetError, one_line

MAX_TEXT = 16 << 20  # bytes of a file of text
MAX_DEPTH = 64  # lists and mappings within one another
MAX_ITEMS = 1_000_000  # values in a tree
MAX_ROWS = 200_000  # lines of a table
MAX_CELLS = 4_000_000  # values of a table

Fault = Callable[[str], GaitNetError]  # a house class


def read_bytes(path: str | os.PathLike[str], error: Fault, limit: int) -> bytes:
    """All of a regular file of at most `limit` bytes; an `OSError` where there is none or it cannot be read."""
    check_regular(path, error)
    with open(path, "rb") as file:
        told = os.fstat(file.fileno()).st_size  # a hole of a terabyte takes no room on the disk
        data = b"" if told > limit else file.read(limit + 1)
    if max(told, len(data)) > limit:
        raise error(f"{path}: larger than {limit} bytes, which is the limit for such a file")
    return data


def check_regular(path: str | os.PathLike[str], error: Fault) -> None:
    """Raise `error` for what is there but is no regular file: a folder, or a pipe, which would be waited for."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise error(f"{path}: not a file")


def read_text(path: str | os.PathLike[str], error: Fault, limit: int = MAX_TEXT) -> str:
    """A file of UTF-8."""
    return decode(read_bytes(path, error, limit), str(path), error)


def decode(data: bytes, where: str, error: Fault) -> str:
    """Bytes of UTF-8 as text, without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise error(f"{where}: not UTF-8 text: line {line}: {fault.reason}") from None


# -- trees ------------------------------------------------------------------------------------------------


def read_json(path: str | os.PathLike[str], error: Fault, limit: int = MAX_TEXT) -> Any:
    """The value in a JSON file."""
    return parse_json(read_text(path, error, limit), str(path), error)


def parse_json(text: str, where: str, error: Fault) -> Any:
    """The value in a JSON text: no key twice, whole numbers of at most 64 bits, nested at most `MAX_DEPTH` deep."""
    if text.count(",") + text.count("[") + text.count("{") > MAX_ITEMS:
        raise error(f"{where}: more than {MAX_ITEMS} values")
    try:
        tree = json.loads(text, parse_int=_integer, object_pairs_hook=_unique)
    except json.JSONDecodeError as fault:
        raise error(f"{where}, line {fault.lineno}: not valid JSON: {fault.msg}") from None
    except RecursionError:
        raise error(f"{where}: nested more than {MAX_DEPTH} deep") from None
    except ValueError as fault:
        raise error(f"{where}: {one_line(fault)}") from None
    return check_tree(tree, where, error)


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"the whole number {digits[:10]}… has {len(digits)} digits, at most 64 bits are read")
    return int(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in tree if keys.count(key) > 1)!r} is there twice")
    return tree


def check_tree(tree: Any, where: str, error: Fault) -> Any:
    """The tree itself, if it holds only what JSON can hold, in bounds; shared parts count each time they are met."""
    left, count = [("", tree, 0)], 0
    while left:
        at, value, depth = left.pop()
        count += 1
        if count > MAX_ITEMS:
            raise error(f"{where}: more than {MAX_ITEMS} values")
        if isinstance(value, dict | list):
            if depth == MAX_DEPTH:
                raise error(f"{where}: nested more than {MAX_DEPTH} deep")
            items = value.items() if isinstance(value, dict) else ((f"{i}", item) for i, item in enumerate(value))
            for key, item in items:
                if not isinstance(key, str):
                    raise error(f"{where}: {one_line(f'{at}{key!r}')}: a key must be text; put it in quotes")
                left.append((f"{at}{key}." if depth < 4 else at, item, depth + 1))
                _check_value(key, where, error)
        else:
            _check_value(value, f"{where}: {one_line(at[:-1])}" if at else where, error)
    return tree


def _check_value(value: Any, where: str, error: Fault) -> None:
    """A leaf of a tree: text that can be printed, a number of 64 bits, true, false or null."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise error(f"{where}: holds half a character (a lone surrogate)")
    elif isinstance(value, int):
        if value.bit_length() > 64:
            raise error(f"{where}: a whole number of {value.bit_length()} bits, at most 64 are read")
    elif not (value is None or isinstance(value, float)):
        raise error(f"{where}: holds a {type(value).__name__}, expected a number or text; put it in quotes")


# -- tables -----------------------------------------------------------------------------------------------


class Table(NamedTuple):
    """Comma-separated values under a heading."""

    columns: list[str]
    rows: list[tuple[int, list[str]]]  # line in the file, and a value for each column


def parse_table(text: str, where: str, error: Fault) -> Table:
    """The heading and the rows of a CSV text; no column may come twice, and every row has a value for each."""
    if text.count("\n") > MAX_ROWS or text.count(",") > MAX_CELLS:
        raise error(f"{where}: more than {MAX_ROWS} lines or {MAX_CELLS} values")
    reader = csv.reader(_lines(text), strict=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as fault:
        raise error(f"{where}, line {reader.line_num}: {one_line(fault)}") from None
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise error(f"{where}, line 1: column {one_line(twice)!r} is there twice")
    for line, row in rows:
        if len(row) != len(columns):
            raise error(f"{where}, line {line}: not {len(columns)} values; a value with a comma needs quotes")
    return Table(columns, rows)


def _lines(text: str) -> Iterable[str]:
    return (f"{line}\n" for line in text.split("\n"))
