"""A RefNN's training from start to end, and its run folder.

config.yaml       every setting
provenance.json   command, machine, commit; the data and what is held out
metrics.csv, tb/  a row for each iteration
checkpoints/      step_<iteration>.pt, all that the rest of the training depends on
model/            what serves and is bundled: refnn.npz, model.json, config.yaml, metrics.csv, SHA256SUMS
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gait_envs.files import replacing_folder
from gait_envs.reading.loaders import FOLDER, loader
from gait_envs.reference.refnn.network import NETWORK, save_network
from gait_envs.reference.refnn.walks import WalkError
from gait_trainers.models.ref_nn import RefNN
from gait_trainers.policies.bundle import write_checksums
from gait_trainers.pretrain.refnn.config import RESUMABLE, RefNNConfig, dump_refnn_config, load_refnn_config
from gait_trainers.pretrain.refnn.data import DataSet, Stream, open_data, rows_of
from gait_trainers.pretrain.refnn.figures import group_errors
from gait_trainers.pretrain.refnn.learner import RefLearner, pose_loss
from gait_trainers.pretrain.runs import KEPT, Stored, beginning, continuing, note_resumption, read_run
from gait_trainers.runs.checkpoint_files import fitting, save_checkpoint
from gait_trainers.runs.checkpoint_format import MAX_CHECKPOINT
from gait_trainers.runs.interruption import ending_gently
from gait_trainers.runs.loggers import MetricsCSV, TensorBoard
from gait_trainers.runs.resumption import complete, elsewhere, interrupted
from gait_trainers.runs.run_folder import Run, RunError

Say = Callable[[str], None]


class Training(NamedTuple):
    """A training between two iterations."""

    config: RefNNConfig
    data: DataSet
    learner: RefLearner
    stream: Stream

    def get_state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        facts = {
            key: list(value) if isinstance(value, tuple) else value for key, value in vars(self.data.facts).items()
        }
        state = {"learner": self.learner.get_state(), "stream": self.stream.get_state(), "facts": facts}
        return state | {"config": self.config.model_dump(), "files": self.data.digests}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put `get_state`'s result into a training of the same configuration and data. What does not fit raises one of
        many kinds of errors."""
        for key, value in vars(self.data.facts).items():
            if not np.array_equal(np.asarray(value), np.asarray(state["facts"][key])):
                raise ValueError(f"the data are not those that the run was begun with: they have other {key}")
        if state.get("files", self.data.digests) != self.data.digests:  # checkpoints of earlier versions have none
            raise ValueError("the data are not those that the run was begun with: a file has changed")
        self.learner.set_state(state["learner"])
        self.stream.set_state(state["stream"])


def build(config: RefNNConfig, sources: Sequence[str | Path]) -> Training:
    """A training before its first iteration on the sequences of files and folders."""
    data = open_data(sources, config.holdout, config.seed, config.balanced, config.resident_files)
    stream = Stream(data, config.stream_batch, config.stream_scale, config.seed)
    return Training(config, data, RefLearner(config, data.facts), stream)


def train_refnn(sources: Sequence[str | Path], out: Path, config: RefNNConfig, say: Say = lambda _: None) -> RefNN:
    """Train on the sequences of `sources` in a new run folder `out`. RunError where there is one already."""
    torch.set_num_threads(config.torch_threads)
    with beginning(out, config.seed, dump_refnn_config(config)) as (run, begin):
        training = build(config, sources)
        begin({"sources": [str(source) for source in sources], "data": _described(training.data)})
        return _run(training, run, say)


def resume_refnn(
    path: str | Path, overrides: Mapping[str, Any] | None = None, say: Say = lambda _: None
) -> tuple[RefNN, Path]:
    """Continue a run folder from its last checkpoint, or from a given one, bit for bit; the network and the folder.

    A run without a checkpoint begins at its first iteration. ConfigError where the configuration differs from that of
    the checkpoint in more than `RESUMABLE`, RunError where data or checkpoint are not those of the run, Locked where
    another process trains there.
    """
    with continuing(path, lambda path: read_refnn_run(path, overrides)) as stored:
        torch.set_num_threads(stored.config.torch_threads)
        training = restored(stored, stored.origin["sources"])
        settings = dump_refnn_config(stored.config)
        note_resumption(stored, stored.config.seed, settings, training.learner.iteration)
        return _run(training, stored.run, say), stored.run.path


def restored(stored: Stored[RefNNConfig], sources: Sequence[str | Path]) -> Training:
    """The training of a run folder as it was at its checkpoint, if there is one; RunError where it does not fit."""
    try:
        training = build(stored.config, sources)
    except (WalkError, FileNotFoundError) as error:
        if not (hint := elsewhere(error, map(str, sources))):
            raise
        raise WalkError(f"{error}{hint}") from None
    if stored.checkpoint is not None:
        with fitting(stored.checkpoint):
            training.set_state(stored.state)
    return training


@loader("refnn run", FOLDER, ".pt")
def read_refnn_run(
    path: str | Path, overrides: Mapping[str, Any] | None = None, limit: int = MAX_CHECKPOINT
) -> Stored[RefNNConfig]:
    """A run folder, or one of its checkpoints, which has at most `limit` bytes; RunError or ConfigError names the file
    that cannot be used."""
    stored = read_run(
        path, "refnn", lambda file, over: load_refnn_config(file, None, over), overrides, RESUMABLE, limit
    )
    sources = stored.origin.get("sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(source, str) for source in sources):
        raise RunError(f"{stored.run.provenance_file}: does not say which data the run was trained on")
    return stored


def _run(training: Training, run: Run, say: Say) -> RefNN:
    config, data, learner, stream = training
    if learner.iteration >= config.iterations:
        say(complete(run.path, "--set iterations=N"))
    test = None if not data.held_out else rows_of(*data.whole(held_out=True))
    table = MetricsCSV(run.metrics_file, keep_iterations=learner.iteration)
    seconds, saved = time.monotonic(), learner.iteration

    def save() -> None:
        nonlocal saved
        if learner.iteration > saved:
            save_checkpoint(run, training.get_state(), learner.iteration, KEPT)
            saved = learner.iteration

    with closing(TensorBoard(str(run.tensorboard), purge_step=learner.iteration + 1)) as board:
        try:
            with ending_gently() as asked:
                while learner.iteration < config.iterations:
                    rate = learner.learning_rate()
                    loss = learner.learn(*stream.draw())
                    last = learner.iteration == config.iterations
                    due = learner.iteration % config.checkpoint_every == 0 or last
                    row: dict[str, Any] = {"iteration": learner.iteration, "loss": loss, "learning_rate": rate}
                    if due and test is not None:
                        row["held_out_loss"] = held_out_loss(learner, *test)
                    ends = asked()
                    if ends:
                        save()  # first, as Ctrl-C may have ended what is written to
                    if due:
                        figures = [f"{key} {value:.3g}" for key, value in row.items() if key != "iteration"]
                        elapsed = time.monotonic() - seconds
                        say(f"{learner.iteration}/{config.iterations} {elapsed:.0f} s: {', '.join(figures)}")
                    table.write(row, {}, learner.iteration)
                    board.write(row, dict.fromkeys(row, ()), learner.iteration)
                    if due:
                        save()
                    if ends and not last:
                        raise KeyboardInterrupt
                _write_model(run, data, learner)
        except KeyboardInterrupt:
            say(interrupted("refnn", run.path, f"iteration {saved}", saved >= config.iterations))
            raise
    return learner.network


@torch.no_grad()
def held_out_loss(learner: RefLearner, inputs: np.ndarray, poses: np.ndarray) -> float:
    """The training's loss on rows of walkers that it never saw."""
    found = learner.network(torch.from_numpy(inputs))
    return float(pose_loss(found, torch.from_numpy(poses), learner.weights, learner.config.loss_scale))


def _write_model(run: Run, data: DataSet, learner: RefLearner) -> None:
    origin = run.origin()
    if data.held_out:
        origin["held_out_error"] = group_errors(learner.network.numpy(), *data.whole(held_out=True))
    with replacing_folder(run.path / "model") as folder:
        save_network(folder / NETWORK, learner.network.get_layers(), data.facts)
        (folder / "model.json").write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
        for file in (run.config_file, run.metrics_file):
            shutil.copyfile(file, folder / file.name)
        write_checksums(folder)


def _described(data: DataSet) -> dict[str, Any]:
    files = []
    for file in data.files:
        sequences = data.read(file)
        files.append({
            "file": file.name, "sequences": len(sequences.params), "walkers": len(set(sequences.walkers)),
            "source": sequences.source, "license": sequences.license, "sha256": data.sequences.digests[file],
        })  # fmt: skip
    return {"files": files, "parameters": list(data.names), "held_out": sorted(data.held_out)}
