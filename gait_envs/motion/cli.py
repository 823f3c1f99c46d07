"""`gait-data`: captured motion in, clips for our bodies out. Each command has a file in `commands/`."""

from __future__ import annotations

import sys

try:
    import typer

    from gait_envs.motion.clip import ClipError
    from gait_envs.motion.commands.common import fail
    from gait_envs.motion.commands.export import export_command
    from gait_envs.motion.commands.import_ import import_command
    from gait_envs.motion.commands.inspect import inspect_command
    from gait_envs.motion.commands.pack import pack_command
    from gait_envs.motion.commands.retarget import retarget_command
    from gait_envs.motion.commands.split import split_command
    from gait_envs.motion.commands.view import view_command
    from gait_envs.motion.skeleton import MotionError
except ModuleNotFoundError as error:
    sys.exit(f"gait-data needs {error.name}; install it with: pip install 'gaitnet[data]'")

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.command("import")(import_command)
app.command("retarget")(retarget_command)
app.command("inspect")(inspect_command)
app.command("view")(view_command)
app.command("export")(export_command)
app.command("split")(split_command)
app.command("pack")(pack_command)


def main() -> None:
    """Console entry point: a fault in the data is one line on stderr and exit status 2."""
    try:
        app()
    except (MotionError, ClipError) as error:
        fail(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
