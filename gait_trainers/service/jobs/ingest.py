"""Metrics from a run folder into the database: only what has been added since the last look is read.

`metrics.csv` grows by whole rows; it is replaced by a new file where a column is added or a run resumes. The place
up to which it has been read is kept with the session, in the transaction that stores the rows.
"""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import Point, Series, TrainingSession
from gait_trainers.service.operations import metrics

CHUNK = 1 << 20  # bytes read at once
LONGEST_NAME, MOST_COLUMNS, LONGEST_HEADER = 100, 500, 1 << 20
CLOCK = ("iteration", "steps")  # what the x axes are


class Read(NamedTuple):
    """New rows of a file, and where to go on."""

    rows: list[dict[str, float]]
    at: dict[str, Any]  # inode, offset, columns; empty: nothing has been read


def read_new(file: Path, at: dict[str, Any]) -> Read:
    """Whole rows that were added behind `at`; from the start, once, where the file has been replaced.

    A file system gives a number that became free to the next file, and so perhaps to the second successor of this one:
    it is the same file only if its header is the same too, and a row ends where reading stopped. A file begins with an
    empty header, before any metric is known; that is no header to go on from.
    """
    try:
        with open(file, "rb") as stream:
            found = os.fstat(stream.fileno())
            columns = _columns(stream.readline(LONGEST_HEADER))
            if not columns:
                return Read([], {})
            offset = stream.tell()
            if at.get("inode") == found.st_ino and at["columns"] == columns and at["offset"] <= found.st_size:
                stream.seek(at["offset"] - 1)
                offset = at["offset"] if stream.read(1) == b"\n" else offset
            stream.seek(offset)
            data = stream.read(CHUNK)
    except FileNotFoundError:
        return Read([], at)
    whole = data[: data.rfind(b"\n") + 1]
    lines = csv.reader(whole.decode("utf-8", "replace").splitlines())
    rows = [_numbers(columns, line) for line in lines if len(line) == len(columns)]
    return Read(rows, {"inode": found.st_ino, "offset": offset + len(whole), "columns": columns})


def _columns(header: bytes) -> list[str]:
    """Names of the columns; none of a header that is empty, or not whole yet."""
    if not header.endswith(b"\n"):
        return []
    names = next(csv.reader([header.decode("utf-8", "replace")]), [])
    return [name[:LONGEST_NAME] for name in names[:MOST_COLUMNS]]


def _numbers(columns: list[str], line: list[str]) -> dict[str, float]:
    row = {}
    for name, text in zip(columns, line, strict=True):
        try:
            row[name] = float(text)
        except ValueError:  # an empty cell
            continue
    return row


def ingest(db: Session, session: TrainingSession, file: Path) -> list[dict[str, float]]:
    """Store the rows that are new; returns them, numbers that are not finite included."""
    fresh: list[dict[str, float]] = []
    while True:
        at = {key: value for key, value in session.metrics_at.items() if key != "known"}
        known = metrics.known(session)  # a resumed run writes its rows again
        read = read_new(file, at)
        if read.at == at:
            return fresh
        rows = [row for row in read.rows if row.get("iteration", 0) > known]
        _store(db, session, rows)
        if read.rows:
            last = read.rows[-1]
            session.iteration = int(last.get("iteration", session.iteration))
            session.latest = {name: value for name, value in last.items() if math.isfinite(value)}
        latest = max([int(row["iteration"]) for row in rows] + [known])
        session.metrics_at = read.at | {"known": latest}
        db.flush()
        fresh += rows


def _store(db: Session, session: TrainingSession, rows: list[dict[str, float]]) -> None:
    mine = select(Series.name, Series.id).where(Series.session_id == session.id)
    numbers: dict[str, int] = {name: number for name, number in db.execute(mine)}  # noqa: C416
    for name in {name for row in rows for name in row if name not in CLOCK} - numbers.keys():
        series = Series(session_id=session.id, name=name)
        db.add(series)
        db.flush()
        numbers[name] = series.id
    points = [
        {"series_id": numbers[name], "iteration": int(row["iteration"]), "value": value}
        for row in rows
        for name, value in row.items()
        if name not in CLOCK and math.isfinite(value)
    ]
    if points:
        db.execute(insert(Point), points)
