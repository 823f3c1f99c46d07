"""Run folders of pre-training, begun, locked and resumed as those of `gait-train ppo`.

RUN/config.yaml, provenance.json, metrics.csv, tb/, .lock, checkpoints/step_<updates>.pt
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from gait_trainers.config.checking import checked
from gait_trainers.config.kinds import KindName, check_kind
from gait_trainers.config.section import Section
from gait_trainers.runs.checkpoint_files import load_checkpoint
from gait_trainers.runs.lock import locked
from gait_trainers.runs.resumption import check_unchanged
from gait_trainers.runs.run_folder import Run, begin_folder, is_stillborn, new_folder, open_run

KEPT = 2  # checkpoints
C = TypeVar("C", bound=Section)


@dataclass(frozen=True)
class Stored(Generic[C]):
    """What a run folder holds, from which a training continues."""

    run: Run
    config: C
    origin: Mapping[str, Any]  # provenance.json
    checkpoint: Path | None  # None: none yet
    state: Mapping[str, Any]  # of the checkpoint; empty without one


def read_run(
    path: str | Path,
    kind: KindName,
    load: Callable[[Path, Mapping[str, Any] | None], C],
    overrides: Mapping[str, Any] | None,
    resumable: Collection[str],
    limit: int,
) -> Stored[C]:
    """A run folder with its last checkpoint, or with the one that is given; `load` reads a file of settings, over
    which `overrides` (of `resumable`) are laid, and `limit` bounds a checkpoint's bytes.

    RunError or ConfigError names the file that cannot be used, and the settings that are not those of the checkpoint.
    """
    run, checkpoint = open_run(path)
    check_kind(run.config_file, kind)
    config, origin = load(run.config_file, overrides), run.origin()
    if checkpoint is None:
        return Stored(run, config, origin, None, {})
    state = load_checkpoint(checkpoint, limit)
    if "config" in state:  # checkpoints of earlier versions have none
        recorded = checked(type(config), state["config"], f"{checkpoint}: its configuration")
        afresh = f"begin a new run: --config {run.config_file} --out NEW"
        check_unchanged(config, recorded, resumable, run.config_file, checkpoint, afresh)
    return Stored(run, config, origin, checkpoint, state)


@contextmanager
def beginning(out: Path, seed: int, settings: str) -> Iterator[tuple[Run, Callable[[Mapping[str, Any]], None]]]:
    """A new run folder, locked; the second value makes it a run, with more for its provenance. RunError where there is
    one already, Locked where another process works there."""
    new = not out.exists()
    run = new_folder(out, "--out")
    with locked(run.path):
        try:
            yield run, lambda origin: begin_folder(run, seed, origin, settings, "--out")
        except BaseException:  # what could not begin leaves no folder behind
            if new and is_stillborn(run):  # while locked, as another process may be about to begin there
                shutil.rmtree(run.path, ignore_errors=True)  # Windows keeps the lock, an open file
            raise


@contextmanager
def continuing(path: str | Path, read: Callable[[str | Path], Stored[C]]) -> Iterator[Stored[C]]:
    """What `read` finds in the folder of a run or of one of its checkpoints, which is locked meanwhile."""
    with locked(open_run(path)[0].path):
        yield read(path)  # now that nobody else writes there


def note_resumption(stored: Stored[Any], seed: int, settings: str, done: int) -> None:
    """Before a training goes on after `done` updates: what is written there of a continuation that is run again goes,
    and the provenance says that it was resumed."""
    stored.run.remove_leftovers()
    stored.run.note_resumption(seed, settings)
    stored.run.drop_checkpoints_after(done)
