"""Runs that are killed, damaged and resumed twice at once: they go on bit for bit, or say why not."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest
from helpers.runs import differences, final_state, metrics
from helpers.soak import ended, forked, kill, say, sizes

from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import TrainConfig
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.checkpoint import load_checkpoint
from gait_trainers.runs.run_folder import Run, RunError, open_run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

ITERATIONS = 6
SETTINGS = {
    "algorithm": "ppo-amp",
    "env.num_envs": 4,
    "env.kwargs.rsi_probability": 0.5,
    "ppo.n_steps": 8,
    "ppo.minibatches": 2,
    "ppo.epochs": 2,
    "ppo.normalize_reward": True,
    "networks.policy": [16],
    "networks.value": [16],
    "amp.frames": 2,
    "amp.hidden": [16],
    "amp.batch_size": 16,
    "amp.replay_size": 100,
    "run.checkpoint_every": 1,
    "run.iterations": ITERATIONS,
    "run.tensorboard": False,
    "run.seed": 3,
}


def tiny(out: Path, name: str, reference: str) -> TrainConfig:
    return load_config(overrides=SETTINGS | {"run.out": str(out), "run.name": name, "env.kwargs.reference": reference})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, reference: str) -> Path:
    """A run that nobody disturbed."""
    return train(tiny(tmp_path_factory.mktemp("runs"), "whole", reference)).run.path


def go_on(config: TrainConfig) -> None:
    """Start a run, or continue it; what its name stands for may have been killed at any moment."""
    path = Path(config.run.out) / str(config.run.name)
    try:
        open_run(path)
    except RunError:
        train(config)
    else:
        resume(path)


@sizes(often=2, full=300)
def test_however_often_a_run_is_killed_it_ends_as_if_it_had_not_been(
    size: int, whole: Path, reference: str, tmp_path: Path
) -> None:
    rng = random.Random(0)
    log = tmp_path / "log.txt"
    begun = time.monotonic()
    assert ended(forked(lambda: train(tiny(tmp_path, "timed", reference)), log)) == 0, log.read_text()
    took = time.monotonic() - begun  # s
    kills = finished = 0
    while kills < size or not finished:
        config = tiny(tmp_path, f"run_{finished}", reference)
        run = Run(tmp_path / f"run_{finished}")
        while True:
            child = forked(lambda config=config: go_on(config), log)
            last = kills >= size
            code = ended(child, 600.0 if last else rng.uniform(0, took))
            if code is not None:
                assert code == 0, log.read_text()
                break
            kill(child)
            assert not last, "it hangs"
            kills += 1
        assert differences(final_state(whole), final_state(run.path)) == []
        assert metrics(run.path) == metrics(whole)
        left = [path.name for path in run.path.rglob("*") if path.name.startswith(".") and path.name != ".lock"]
        assert left == []
        shutil.rmtree(run.path)
        finished += 1
    say(f"{kills} kills of {finished} runs, all bit-equal to the undisturbed; {time.monotonic() - begun:.0f} s")


@sizes(often=100, full=1000)
def test_no_damaged_checkpoint_is_accepted(size: int, whole: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    file = tmp_path / "run" / "checkpoints" / Run(whole).checkpoints()[-1].name
    file.parent.mkdir(parents=True)
    data = Run(whole).checkpoints()[-1].read_bytes()
    refused = 0
    for kind in range(size):
        damaged, at = bytearray(data), rng.randrange(len(data))
        if kind % 3 == 0:
            damaged[at] ^= 1 << rng.randrange(8)
        elif kind % 3 == 1:
            block = slice(at, at + rng.choice((1, 16, 512, 4096)))
            damaged[block] = bytes(len(damaged[block]))
        else:
            del damaged[at:]
        if damaged == data:  # zeroes that were zero
            continue
        file.write_bytes(damaged)
        with pytest.raises(RunError, match="cannot be read as a checkpoint") as caught:
            load_checkpoint(file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
        refused += 1
    say(f"{refused} damaged checkpoints, 0 accepted")
    assert refused > 0.8 * size
    file.write_bytes(data)
    assert differences(load_checkpoint(file), load_checkpoint(Run(whole).checkpoints()[-1])) == []


@sizes(often=2, full=100)
def test_of_two_that_resume_at_once_one_goes_on(size: int, whole: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(whole, tmp_path / "run")))
    refused = both = 0
    for iterations in range(ITERATIONS + 1, ITERATIONS + 1 + size):
        logs = [tmp_path / "first.txt", tmp_path / "second.txt"]
        more = {"run.iterations": iterations}
        codes = [ended(child) for child in [forked(lambda more=more: resume(run.path, more), log) for log in logs]]
        assert 0 in codes, [log.read_text() for log in logs]
        for code, log in zip(codes, logs, strict=True):
            assert code == 0 or f"{run.path} is in use by process " in log.read_text().splitlines()[-1]
        refused, both = refused + (1 in codes), both + (codes == [0, 0])
        rows = [row["iteration"] for row in metrics(run.path)]
        assert rows == [str(i) for i in range(1, iterations + 1)]
    say(f"{size} double resumes: {refused} times the second was refused, {both} times it came after; 0 doubled rows")
