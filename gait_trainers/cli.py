"""`gait-train`: train, resume, evaluate, record, play, export. Each command has a function in `commands/`."""

from __future__ import annotations

from typing import Annotated

import typer

from gait_envs.cli import finite_numbers, lazy_group, run, version_option

_FOLDER = "gait_trainers.commands"
# Name: where its function is, and the text for the list of commands.
COMMANDS = {
    "ppo-amp": (
        f"{_FOLDER}.train:ppo_amp",
        "Train with PPO and an adversarial motion prior, to walk in the style of the reference.",
    ),
    "ppo": (f"{_FOLDER}.train:ppo", "Train with PPO on the task reward alone."),
    "imitate": (f"{_FOLDER}.train:imitate", "Train with PPO to track reference clips frame by frame."),
    "muscle": (f"{_FOLDER}.train:muscle", "Train a muscle-driven body, and the network that commands its muscles."),
    "motionnn": (f"{_FOLDER}.pretraining.motionnn:command", "Train a model of motion on clips."),
    "evaluate-motion": (
        f"{_FOLDER}.pretraining.evaluate_motion:command",
        "Evaluate how well a model of motion predicts clips, beside baselines.",
    ),
    "generate": (f"{_FOLDER}.pretraining.generate:command", "Generate a walk with a model of motion, as a clip."),
    "demonstrate": (
        f"{_FOLDER}.imitation:demonstrate_command",
        "Record what an expert observes and does, for cloning and its relatives.",
    ),
    "bc": (f"{_FOLDER}.imitation:bc", "Clone an expert's behaviour, as a warm start of PPO; or DAgger."),
    "gail": (f"{_FOLDER}.imitation:gail", "Train by generative adversarial imitation learning."),
    "airl": (f"{_FOLDER}.imitation:airl", "Train by adversarial inverse reinforcement learning."),
    "list": (f"{_FOLDER}.list:command", "List environments, presets, bundled policies and clips."),
    "evaluate": (
        f"{_FOLDER}.evaluate:command",
        "Evaluate how well a policy walks at each command, or tracks clips.",
    ),
    "gait": (f"{_FOLDER}.gait:command", "Analyse the gait of a human body against normative curves."),
    "record": (
        f"{_FOLDER}.record:command",
        "Record a policy that tracks clips, and save its motion as new clips.",
    ),
    "rollout": (
        f"{_FOLDER}.pretraining.rollout:command",
        "Record a policy under sampled parameters of the walker, as data for a RefNN.",
    ),
    "refnn": (
        f"{_FOLDER}.pretraining.refnn:command",
        "Train a RefNN, which makes reference motion from a walker's parameters and phase.",
    ),
    "evaluate-refnn": (
        f"{_FOLDER}.pretraining.evaluate_refnn:command",
        "Evaluate a RefNN on held-out walkers, and the walks that it generates.",
    ),
    "backward": (
        f"{_FOLDER}.pretraining.backward:command",
        "Train a network that reads a walker's parameters from seen motion, through a RefNN.",
    ),
    "play": (f"{_FOLDER}.play:command", "Show a policy that walks or tracks a clip, in a window or as a video."),
    "export": (
        f"{_FOLDER}.export:command",
        "Export a policy bundle: policy.onnx, policy.json and checksums.",
    ),
    "validate": (
        f"{_FOLDER}.validate:command",
        "Validate a bundle: parity, ranges, latency and size.",
    ),
}

app = typer.Typer(cls=lazy_group(COMMANDS, finite_numbers), no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def describe(version: Annotated[bool, version_option("gait-train")] = False) -> None:
    """Train policies that walk or track clips, and evaluate, record, play and export them."""


def main() -> None:
    """Entry point: an expected error prints one sentence on stderr and exits with status 2, without a traceback."""
    run(app, "gait-train", "train", lambda text: typer.echo(f"gait-train: {text}", err=True))


if __name__ == "__main__":
    main()
