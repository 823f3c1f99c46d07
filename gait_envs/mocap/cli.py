"""`gait-data`: captured motion in, clips for our bodies out. Each command has a file in `commands/`."""

from __future__ import annotations

import sys
from typing import Annotated

try:
    import typer

    from gait_envs.cli import lazy_group, run, version_option
except ModuleNotFoundError as error:
    sys.exit(f"gait-data needs {error.name}; install it with: pip install 'gaitnet[data]'")

_FOLDER = "gait_envs.mocap.commands"
COMMANDS = {
    "import": (f"{_FOLDER}.import_:import_command", "Convert captures: cleaned, in metres, z up."),
    "retarget": (f"{_FOLDER}.retarget:retarget_command", "Retarget captured motion to a robot, as clips."),
    "inspect": (f"{_FOLDER}.inspect:inspect_command", "Print the contents of a clip or of a set of clips."),
    "view": (f"{_FOLDER}.view:view_command", "Play a clip on its robot, in a window or as a video."),
    "export": (f"{_FOLDER}.export:export_command", "Write motions as BVH, or an edited BVH as a clip."),
    "split": (f"{_FOLDER}.split:split_command", "Split clips into parts, such as train and test."),
    "augment": (
        f"{_FOLDER}.augment:augment_command",
        "Cut walks into sequences of two gait cycles, as data for a RefNN.",
    ),
    "pack": (f"{_FOLDER}.pack:pack_command", "Pack clips into one memory-mapped set."),
}

app = typer.Typer(cls=lazy_group(COMMANDS), no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def describe(version: Annotated[bool, version_option("gait-data")] = False) -> None:
    """Import motion capture, retarget it, and inspect, view, split, pack and export clips."""


def main() -> None:
    """Console entry point: a fault in the data is one line on stderr and exit status 2."""
    run(app, "gait-data", "data", _fail)


def _fail(text: str) -> None:
    from gait_envs.mocap.commands.printing import fail  # imports rich and numpy; wanted only now

    fail(text)


if __name__ == "__main__":
    main()
