"""A RefNN's training from start to end, and its run folder.

config.yaml       every setting
provenance.json   command, machine, commit; the data and what is held out
metrics.csv, tb/  a row for each iteration
checkpoints/      iteration_<n>.pt, all that the rest of the training depends on
model/            what serves and is bundled: refnn.npz, model.json, config.yaml, metrics.csv, SHA256SUMS
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gait_envs.files import replacing, replacing_folder, write_durably
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import read_bytes
from gait_envs.reference.refnn.network import NETWORK, save_network
from gait_envs.reference.refnn.walks import load_sequences
from gait_trainers.models.ref_nn import RefNN
from gait_trainers.policies.bundle import write_checksums
from gait_trainers.pretrain.refnn.config import RefNNConfig, dump_refnn_config
from gait_trainers.pretrain.refnn.data import DataSet, Stream, open_data, rows_of
from gait_trainers.pretrain.refnn.figures import group_errors
from gait_trainers.pretrain.refnn.learner import RefLearner, pose_loss
from gait_trainers.runs.checkpoint_format import MAX_CHECKPOINT, Damaged, decode, encode
from gait_trainers.runs.lock import locked
from gait_trainers.runs.loggers import MetricsCSV, TensorBoard
from gait_trainers.runs.provenance import provenance
from gait_trainers.runs.run_folder import RunError

KEPT = 2  # checkpoints


def train_refnn(
    sources: Sequence[str | Path],
    out: Path,
    config: RefNNConfig,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> RefNN:
    """Train on the sequences of `sources` in the run folder `out`; `resume` continues from its newest checkpoint.

    A run that was interrupted and resumed ends with the bits of one that was not. Raises RunError for a folder that
    holds a run already, or no checkpoint to go on from.
    """
    if not resume and out.exists() and any(out.iterdir()):
        raise RunError(f"{out}: exists already; choose another --out, or continue with --resume")
    data = open_data(sources, config.holdout, config.seed, config.balanced, config.resident_files)
    learner = RefLearner(config, data.facts)
    stream = Stream(data, config.stream_batch, config.stream_scale, config.seed)
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(locked(out))
        if resume:
            _restore(out, data, learner, stream)
        else:
            _write_text(out / "config.yaml", dump_refnn_config(config))
            origin = provenance(config.seed) | {"data": _described(data)}
            _write_text(out / "provenance.json", json.dumps(origin, indent=1) + "\n")
        test = None if not data.held_out else rows_of(*data.whole(held_out=True))
        table = MetricsCSV(out / "metrics.csv", keep_iterations=learner.iteration)
        board = stack.enter_context(closing(TensorBoard(str(out / "tb"), purge_step=learner.iteration + 1)))
        seconds = time.monotonic()
        while learner.iteration < config.iterations:
            rate = learner.learning_rate()
            loss = learner.learn(*stream.draw())
            last = learner.iteration == config.iterations
            row: dict[str, Any] = {"iteration": learner.iteration, "loss": loss, "learning_rate": rate}
            if learner.iteration % config.checkpoint_every == 0 or last:
                row |= {} if test is None else {"held_out_loss": held_out_loss(learner, *test)}
                _save(out, data, learner, stream)
                say(f"{learner.iteration}/{config.iterations} {time.monotonic() - seconds:.0f} s: " + ", ".join(
                    f"{key} {value:.3g}" for key, value in row.items() if key != "iteration"
                ))  # fmt: skip
            table.write(row, {}, learner.iteration)
            board.write(row, dict.fromkeys(row, ()), learner.iteration)
        _write_model(out, data, learner)
    return learner.network


@torch.no_grad()
def held_out_loss(learner: RefLearner, inputs: np.ndarray, poses: np.ndarray) -> float:
    """The training's loss on rows of walkers that it never saw."""
    found = learner.network(torch.from_numpy(inputs))
    return float(pose_loss(found, torch.from_numpy(poses), learner.weights, learner.config.loss_scale))


# -- the folder -------------------------------------------------------------------------------------------


def _save(out: Path, data: DataSet, learner: RefLearner, stream: Stream) -> None:
    facts = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(data.facts).items()}
    state = {"learner": learner.get_state(), "stream": stream.get_state(), "facts": facts}
    write_durably(out / "checkpoints" / f"iteration_{learner.iteration:08d}.pt", encode(state))
    for old in checkpoints(out)[:-KEPT]:
        old.unlink()


def checkpoints(out: Path) -> list[Path]:
    """Checkpoints of a run folder, oldest first."""
    return sorted((out / "checkpoints").glob("iteration_*.pt"))


@loader("refnn checkpoint", ".pt")
def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The state in a checkpoint, read without pickle; RunError names a damaged file."""
    try:
        return decode(read_bytes(path, RunError, MAX_CHECKPOINT))
    except Damaged as error:
        raise RunError(f"{path}: {error}") from None


def _restore(out: Path, data: DataSet, learner: RefLearner, stream: Stream) -> None:
    found = checkpoints(out)
    if not found:
        raise RunError(f"{out}: has no checkpoint to resume from")
    state = read_checkpoint(found[-1])
    try:
        for key, value in vars(data.facts).items():
            if not np.array_equal(np.asarray(value), np.asarray(state["facts"][key])):
                raise ValueError(f"the data have other {key}; give those that the run was begun with")
        learner.set_state(state["learner"])
        stream.set_state(state["stream"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{found[-1]}: does not fit: {error}") from None


def _write_model(out: Path, data: DataSet, learner: RefLearner) -> None:
    origin = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    if data.held_out:
        origin["held_out_error"] = group_errors(learner.network.numpy(), *data.whole(held_out=True))
    with replacing_folder(out / "model") as folder:
        save_network(folder / NETWORK, learner.network.get_layers(), data.facts)
        (folder / "model.json").write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
        for name in ("config.yaml", "metrics.csv"):
            shutil.copyfile(out / name, folder / name)
        write_checksums(folder)


def _described(data: DataSet) -> dict[str, Any]:
    files = []
    for file in data.files:
        sequences = load_sequences(file)
        files.append({
            "file": file.name, "sequences": len(sequences.params), "walkers": len(set(sequences.walkers)),
            "source": sequences.source, "license": sequences.license,
        })  # fmt: skip
    return {"files": files, "parameters": list(data.names), "held_out": sorted(data.held_out)}


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
