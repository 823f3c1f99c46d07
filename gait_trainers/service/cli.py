"""`gait-serve`: training as a service. Without a command it serves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

try:
    import typer

    from gait_envs.cli import lazy_group, run, version_option
except ModuleNotFoundError as error:
    sys.exit(f"gait-serve needs {error.name}; install it with: pip install 'gaitnet[service]'")

_FOLDER = "gait_trainers.service.commands"
COMMANDS = {
    "supervise": (f"{_FOLDER}.server:supervise_command", "Run trainings alone, without the web server."),
    "migrate": (f"{_FOLDER}.server:migrate_command", "Bring the database up to date."),
    "user": (f"{_FOLDER}.server:user_command", "Create a user, or set a new password."),
    "backup": (f"{_FOLDER}.keeping:backup_command", "Write everything to one file, while the service runs."),
    "restore": (f"{_FOLDER}.keeping:restore_command", "Make a home folder from a backup."),
    "submit": (f"{_FOLDER}.client:submit_command", "Start a training on a service."),
    "status": (f"{_FOLDER}.client:status_command", "Print how far trainings are."),
    "wait": (f"{_FOLDER}.client:wait_command", "Wait until a training is at rest."),
    "fetch": (f"{_FOLDER}.client:fetch_command", "Download a file of a training."),
}
Home = Annotated[Path, typer.Option(help="Folder of the database, run folders, motions and models.")]
Database = Annotated[
    str | None,
    typer.Option(
        envvar="GAITNET_DATABASE", help="URL of the database, such as postgresql+psycopg://…; SQLite by default."
    ),
]

app = typer.Typer(cls=lazy_group(COMMANDS), invoke_without_command=True, pretty_exceptions_enable=False)


@app.callback()
def serve_command(
    context: typer.Context,
    home: Home = Path("gaitnet-home"),
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 8080 by default.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 by default.")] = None,
    database: Database = None,
    supervisor: Annotated[
        bool, typer.Option(help="Also run the trainings on this machine; otherwise gait-serve supervise does.")
    ] = True,
    version: Annotated[bool, version_option("gait-serve")] = False,
) -> None:
    """Serve trainings over HTTP, with pages and a REST interface; the first start creates the home folder."""
    if context.invoked_subcommand is not None:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
        if given:  # or the command would quietly act on another home or database
            command = context.invoked_subcommand
            raise typer.BadParameter(f"give --{given[0]} after the command: gait-serve {command} --{given[0]} …")
        return
    from gait_trainers.service.serve import serve
    from gait_trainers.service.settings import load_settings

    serve(load_settings(home, port=port, host=host, database=database), supervised=supervisor)


def main() -> None:
    """Entry point: an expected error prints one sentence on stderr and exits with status 2."""
    run(app, "gait-serve", "service", lambda text: typer.echo(f"gait-serve: {text}", err=True))


if __name__ == "__main__":
    main()
