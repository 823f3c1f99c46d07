"""Loggers besides TensorBoard: a CSV file and the progress display. Both are SB3 output formats."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.logger import KVWriter, TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter

from gait_envs.errors import one_line
from gait_envs.files import naming, replacing
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import parse_table, read_text
from gait_trainers.learners.base import Column
from gait_trainers.runs.run_folder import RunError


def column(key: str) -> str:
    """Tags are grouped for TensorBoard ("walk/success_rate"); everywhere else the last part is the name."""
    return key.rsplit("/", 1)[-1]


class MetricsCSV(KVWriter):
    """metrics.csv, a row per iteration. A row with a new column rewrites the file."""

    def __init__(self, path: Path, keep_iterations: int | None = None):
        """keep_iterations: drop the rows after it, which a killed run wrote past its last checkpoint."""
        self.path = path
        self.rows = read_metrics(path) if path.exists() else []
        if keep_iterations is not None:
            if self.rows and "iteration" not in self.rows[0]:
                raise RunError(
                    f"{path}: has no column 'iteration', so that its rows cannot be distinguished from later ones"
                )
            self.rows = [row for row in self.rows if float(row["iteration"]) <= keep_iterations]
        self.columns = list(dict.fromkeys(key for row in self.rows for key in row))
        self._rewrite()

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        row = {column(key): _plain(value) for key, value in key_values.items()}
        self.rows.append(row)
        new = [key for key in row if key not in self.columns]
        if new:
            self.columns += new
            self._rewrite()
            return
        with naming(self.path), open(self.path, "a", newline="") as file:
            csv.DictWriter(file, self.columns, restval="").writerow(row)

    def close(self) -> None:
        """Nothing to close: the file is not kept open between rows."""

    def _rewrite(self) -> None:
        with replacing(self.path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, self.columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)


@loader("metrics", ".csv")
def read_metrics(path: Path) -> list[dict[str, str]]:
    """Rows of a metrics.csv, numbers or empty; a last row cut off by a kill is left out. RunError names the line."""
    text = read_text(path, RunError)
    columns, rows = parse_table(text[: text.rfind("\n") + 1], str(path), RunError)
    for line, row in rows:
        for key, value in zip(columns, row, strict=True):
            if value and not _is_number(value):
                raise RunError(f"{path}, line {line}: {one_line(key)} is {one_line(repr(value))}, expected a number")
    return [dict(zip(columns, row, strict=True)) for _, row in rows]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class TensorBoard(TensorBoardOutputFormat):
    """SB3's writer; on resume it hides what a killed run wrote past its last checkpoint."""

    def __init__(self, folder: str, purge_step: int | None = None):
        self.folder = folder
        with naming(folder):
            self.writer = SummaryWriter(log_dir=folder, purge_step=purge_step)
        self._is_closed = False

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        with naming(self.folder):
            super().write(key_values, key_excluded, step)

    def close(self) -> None:
        with naming(self.folder):
            super().close()


class ProgressDisplay(KVWriter):
    """A bar with the figures that matter; plain lines, one every few seconds, where there is no terminal."""

    LINE_EVERY = 5.0  # s

    def __init__(
        self,
        iterations: int,
        done: int = 0,
        columns: Sequence[Column] = (),
        first: str = "collecting the first rollout",
    ):
        """columns: those of learners, beside our own; first: what the bar says until there are figures."""
        self.columns = columns
        self.console = Console(file=sys.stderr)
        self.iterations = iterations
        self.progress: Progress | None = None
        self._last_line = -self.LINE_EVERY
        if self.console.is_terminal:
            self.progress = Progress(
                MofNCompleteColumn(),
                BarColumn(bar_width=20),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.description}"),
                console=self.console,
            )
            self.task = self.progress.add_task(first, total=iterations, completed=done)
            self.progress.start()

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        row = {column(key): value for key, value in key_values.items()}
        iteration = int(row.get("iteration", 0))
        if self.progress is not None:
            self.progress.update(self.task, completed=iteration, description=describe(row, self.columns))
            return
        now = time.monotonic()
        if now - self._last_line >= self.LINE_EVERY or iteration >= self.iterations:
            self._last_line = now
            self.say(f"{iteration}/{self.iterations} {row.get('elapsed', 0.0):.0f} s: {describe(row, self.columns)}")

    def say(self, text: str, style: str | None = None) -> None:
        """A line above the bar."""
        self.console.print(text, style=style, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


WALKS = (
    Column("success_rate", "success {:.0%}"),
    Column("forward_velocity", "speed {:.2f}"),
    Column("command", "of {:.2f} m/s"),
    Column("episode_reward", "reward {:.0f}"),
)
SPEED = Column("steps_per_second", "{:,.0f} steps/s")


def describe(row: Mapping[str, Any], columns: Sequence[Column] = ()) -> str:
    """One line: how well it walks, what learners say (`columns`), how fast it learns."""
    shown = (*WALKS, *columns, SPEED)
    return " ".join(text.format(float(row[key])) for key, text in shown if key in row)


def _plain(value: Any) -> Any:
    return f"{float(value):.6g}" if isinstance(value, float) or hasattr(value, "dtype") else value
