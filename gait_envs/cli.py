"""Shared by both command lines: commands are imported lazily, expected errors are printed as one line."""

from __future__ import annotations

import difflib
import functools
import importlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import typer
import typer.core

from gait_envs.constants import __version__
from gait_envs.errors import GaitNetError, printable

Command = Callable[..., None]


def lazy_group(
    elsewhere: Mapping[str, tuple[str, str]], around: Callable[[Command], Command] = lambda command: command
) -> type[typer.core.TyperGroup]:
    """A group of commands in separate modules: name -> ("module:function", text for the list). `around` makes of each
    command what is run.

    A module is imported when its command runs or prints its help, not for the list of commands: some imports
    take seconds.
    """

    class LazyGroup(typer.core.TyperGroup):
        listing = False

        def list_commands(self, ctx: Any) -> list[str]:
            return [*super().list_commands(ctx), *elsewhere]

        def format_help(self, ctx: Any, formatter: Any) -> None:
            self.listing = True
            super().format_help(ctx, formatter)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            known, name = self.list_commands(ctx), args[0] if args else ""
            if name not in known and not ctx.resilient_parsing and (close := nearest(name, known)):
                ctx.fail(f"No such command {name!r}. Did you mean {close!r}?")
            return super().resolve_command(ctx, args)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if cmd_name not in elsewhere:
                return super().get_command(ctx, cmd_name)
            place, text = elsewhere[cmd_name]
            if self.listing:
                return typer.core.TyperCommand(cmd_name, help=text)
            module, function = place.split(":")
            single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            single.command(cmd_name)(around(getattr(importlib.import_module(module), function)))
            return typer.main.get_command(single)

    return LazyGroup


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The command that somebody may have meant; None where nothing is like it."""
    return next(iter(difflib.get_close_matches(name.replace("_", "-"), list(known), n=1)), None)


def finite_numbers(command: Command) -> Command:
    """The command, but `nan` and `inf`, which pass the bounds of an option, are errors."""

    @functools.wraps(command)
    def checked(**values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise GaitNetError(f"--{name.replace('_', '-')} {value}: expected a finite number")
        command(**values)

    return checked


def version_option(program: str) -> Any:
    """`--version`, for the function that describes a program: prints the version and ends."""

    def show(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{program} {__version__}")
            raise typer.Exit

    return typer.Option("--version", callback=show, is_eager=True, help="Print the version and exit.")


def run(app: Callable[[], object], program: str, extra: str, complain: Callable[[str], None]) -> None:
    """A console entry point: an expected error prints one line and exits with status 2, without a traceback.

    `complain` prints the line; `extra` is what to install where a library is missing.
    """
    try:
        app()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("gait_"):
            raise
        complain(f"{program} needs {error.name}; install it with: pip install 'gaitnet[{extra}]'")
        sys.exit(2)
    except GaitNetError as error:
        complain(printable(str(error)))
        sys.exit(2)
    except OSError as error:
        complain(printable(system_fault(error)))
        sys.exit(2)


def run_script(main: Callable[[], object]) -> None:
    """The same for a script of the repository, under its file's name."""
    name = Path(sys.argv[0]).name
    run(main, name, "dev", lambda text: print(f"{name}: {text}", file=sys.stderr))


def system_fault(error: OSError) -> str:
    """The file that the operating system refused, and why; without the error's number."""
    text = error.strerror or str(error)
    return text if error.filename is None else f"{error.filename}: {text}"
