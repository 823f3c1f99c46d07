"""Run folders: the files of a run.

runs/<name>/config.yaml       the whole configuration
            provenance.json   versions, command, machine, commit
            metrics.csv       a row per iteration
            tb/               TensorBoard
            .lock             held by the process that trains here
            checkpoints/step_<steps>.pt
                        step_<steps>.<…>  files of learners, such as .npz: the muscles' network
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gait_envs.errors import GaitNetError
from gait_envs.files import is_leftover, remove_leftovers, write_durably
from gait_envs.reading.text import read_json
from gait_trainers.config.kinds import check_kind
from gait_trainers.config.layers import dump_yaml, load_config
from gait_trainers.config.schema import TrainConfig
from gait_trainers.config.stored import check_stored
from gait_trainers.runs.lock import NAME as LOCK
from gait_trainers.runs.provenance import provenance


class RunError(GaitNetError, RuntimeError):
    """A run folder or checkpoint that cannot be used, and what to use instead."""


@dataclass(frozen=True)
class Run:
    """A run folder."""

    path: Path

    @property
    def config_file(self) -> Path:
        """The configuration that the run was started or resumed with, YAML."""
        return self.path / "config.yaml"

    def config(self, overrides: dict[str, Any] | None = None) -> TrainConfig:
        """The stored configuration, with settings of the command line over it.

        A run folder may come from anybody: its environment must be a registered one, with options of its own.
        """
        check_kind(self.config_file, "policy")
        config = load_config(self.config_file, overrides=overrides)
        check_stored(config.env.id, config.env.kwargs, str(self.config_file))
        return config

    @property
    def provenance_file(self) -> Path:
        """Where, when and with which versions it was trained, JSON."""
        return self.path / "provenance.json"

    @property
    def metrics_file(self) -> Path:
        """One row of metrics per iteration, CSV."""
        return self.path / "metrics.csv"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's event files."""
        return self.path / "tb"

    def checkpoints(self) -> list[Path]:
        """Checkpoints, oldest first. They are written atomically, so the last one is complete."""
        files = [file for file in (self.path / "checkpoints").glob("step_*.pt") if steps_of(file) is not None]
        return sorted(files, key=lambda file: steps_of(file) or 0)

    def checkpoint_file(self, steps: int) -> Path:
        """The checkpoint after this many environment steps, whether it exists or not."""
        return self.path / "checkpoints" / f"step_{steps:012d}.pt"

    def note_resumption(self, seed: int, settings: str) -> None:
        """Add to the provenance, and keep what the continuation changed (how long, on what) in its settings (YAML)."""
        origin = self.origin()
        origin["resumed"] = [*origin.get("resumed", []), provenance(seed)]
        write_durably(self.provenance_file, json.dumps(origin, indent=2).encode())
        write_durably(self.config_file, settings.encode())

    def origin(self) -> dict[str, Any]:
        """What is in provenance.json; empty where somebody has removed it. RunError where it is damaged."""
        try:
            origin = read_json(self.provenance_file, RunError)
        except FileNotFoundError:
            return {}
        except RunError:
            origin = None
        if not isinstance(origin, dict) or not isinstance(origin.get("resumed", []), list):
            raise RunError(f"{self.provenance_file} is damaged; remove it to continue without it")
        return origin

    def drop_checkpoints_after(self, steps: int) -> None:
        """Remove the checkpoints of a continuation that will be run again from here."""
        for file in self.checkpoints():
            if (steps_of(file) or 0) > steps:
                remove_checkpoint(file)

    def remove_leftovers(self) -> None:
        """Remove what killed writes left: temporary files, and files of learners whose checkpoint never appeared.

        Only the process that holds the lock may do so.
        """
        for folder in (self.path, self.path / "checkpoints"):
            remove_leftovers(folder)
        for beside in (self.path / "checkpoints").glob("step_*.*"):
            if not beside.with_name(beside.name.split(".")[0] + ".pt").exists():
                beside.unlink()


def new_run(config: TrainConfig, method: str | None = None) -> Run:
    """An empty folder for a run; RunError where there is one already. A run that was killed before its configuration
    was written is no run yet. One without a name is called by its method, which is the algorithm unless given.
    """
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = config.run.name or f"{method or config.algorithm}-{stamp}-seed{config.run.seed}"
    return new_folder(Path(config.run.out) / name, "--name")


def new_folder(path: Path, option: str) -> Run:
    """As `new_run`, at this path, which `option` of the command line chooses."""
    run = Run(path)
    if run.path.exists() and not is_stillborn(run):
        raise RunError(f"{run.path} exists already; choose another {option}, or continue it with --resume {run.path}")
    (run.path / "checkpoints").mkdir(parents=True, exist_ok=True)
    return run


def create_run(
    config: TrainConfig,
    init: Mapping[str, Any] | None = None,
    run: Run | None = None,
    licenses: Sequence[str] = (),
) -> Run:
    """Write the configuration and where it came from; `init` says what its networks began from, `licenses` those of
    the clips that it learns from.

    `run`: what `new_run` gave, where its lock has been taken meanwhile. The configuration comes last: with it the
    folder is a run, which can be resumed.
    """
    run = run or new_run(config)
    origin: dict[str, Any] = {"licenses": list(licenses)} if licenses else {}
    origin |= {} if init is None else {"init": dict(init)}
    begin_folder(run, config.run.seed, origin, dump_yaml(config), "--name")
    return run


def begin_folder(run: Run, seed: int, origin: Mapping[str, Any], settings: str, option: str) -> None:
    """Make a folder of `new_folder`, whose lock is held, a run: write its provenance with `origin`, then its settings
    (YAML)."""
    if not is_stillborn(run):  # another process was faster
        raise RunError(f"{run.path} exists already; choose another {option}")
    run.remove_leftovers()
    write_durably(run.provenance_file, json.dumps(provenance(seed) | dict(origin), indent=2).encode())
    write_durably(run.config_file, settings.encode())


def is_stillborn(run: Run) -> bool:
    """Whether a folder holds nothing but what a run leaves that is killed before its configuration is written."""
    ours = {run.provenance_file.name, "checkpoints", LOCK}
    foreign = [x for x in run.path.iterdir() if x.name not in ours and not is_leftover(x)]
    return not foreign and not run.checkpoints()


def open_run(path: str | Path) -> tuple[Run, Path | None]:
    """The run of a folder or of one of its checkpoints, and the checkpoint to start from (none: none yet)."""
    path = Path(path)
    if path.is_file():
        return open_run(path.parent.parent)[0], path
    run = Run(path)
    if (path / "policy.json").is_file():
        raise RunError(f"{path} is a bundle, not a run folder; a new training begins from it with --init {path}")
    if not path.exists():
        raise RunError(f"{path}: no such file or folder; expected a run folder, or a checkpoint of one")
    if not run.config_file.is_file():
        if run.path.is_dir() and any(run.path.iterdir()) and is_stillborn(run):
            raise RunError(f"{path} was killed before its config.yaml was written; start it again as it was started")
        raise RunError(f"{path} is not a run folder: it has no config.yaml")
    checkpoints = run.checkpoints()
    return run, checkpoints[-1] if checkpoints else None


def remove_checkpoint(file: Path) -> None:
    """Remove a checkpoint, and then the files of learners beside it."""
    file.unlink()
    for beside in file.parent.glob(f"{file.stem}.*"):
        beside.unlink()


def steps_of(file: Path) -> int | None:
    """Environment steps that a checkpoint was written after; None for another file."""
    match = re.fullmatch(r"step_(\d+)\.pt", file.name)
    return int(match[1]) if match else None
