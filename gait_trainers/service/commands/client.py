"""`gait-serve submit`, `status`, `wait`, `fetch`: trainings on a service, from a terminal or a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gait_envs.wording import size_text
from gait_trainers.config.layers import parse_assignment
from gait_trainers.service.client import AWAY, Client, ClientError

Url = Annotated[str, typer.Option("--url", envvar="GAITNET_URL", help="Address of the service.")]
Token = Annotated[
    str, typer.Option("--token", envvar="GAITNET_TOKEN", help="Token, better given as GAITNET_TOKEN.", show_default="")
]
Session = Annotated[str, typer.Argument(metavar="SESSION", help="Id of the training.")]
USUAL = "http://127.0.0.1:8080"


def submit_command(
    name: Annotated[str, typer.Argument(help="What the training is called.")],
    algorithm: Annotated[
        str, typer.Option(help="Command that trains: ppo-amp, ppo, imitate, muscle, motionnn or refnn.")
    ] = "ppo-amp",
    preset: Annotated[str | None, typer.Option(help="Preset to begin with.")] = None,
    env: Annotated[str | None, typer.Option(help="Environment to train in; of motionnn and refnn the body.")] = None,
    motion: Annotated[
        list[str] | None, typer.Option(help="Id of a motion, or bundled:NAME of a set; may be repeated.")
    ] = None,
    total_steps: Annotated[int | None, typer.Option(help="Environment steps, all together.")] = None,
    iterations: Annotated[
        int | None, typer.Option(help="Rollouts, in place of --total-steps; updates of motionnn.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random number generator.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting, as dotted.key=value; may be repeated.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: submitted again with it, it is the same training.")
    ] = None,
    url: Url = USUAL,
    token: Token = "",
) -> None:
    """Start a training on a service, and print its id."""
    request: dict[str, Any] = {
        "name": name, "algorithm": algorithm, "preset": preset, "env": env, "motions": motion or [],
        "total_steps": total_steps, "iterations": iterations, "seed": seed,
        "settings": dict(parse_assignment(text) for text in set_ or ()),
    }  # fmt: skip
    with Client(url, token) as service:
        typer.echo(service.start(key=key, **request)["id"])


def status_command(
    session: Annotated[str | None, typer.Argument(help="Id of a training; by default the latest ones.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: Url = USUAL,
    token: Token = "",
) -> None:
    """Print how far trainings are."""
    with Client(url, token) as service:
        found = [service.session(session)] if session else service.sessions(limit=20)
    if as_json:
        typer.echo(json.dumps(found[0] if session else found))
        return
    for row in found:
        typer.echo(_line(row))


def _line(row: dict[str, Any]) -> str:
    progress = row["progress"]
    text = f"{row['id']}  {row['state']:9}  {progress['iteration']}/{progress['iterations']}  {row['name']}"
    return f"{text}: {row['message']}" if row["message"] else text


def wait_command(
    session: Session,
    timeout: Annotated[float | None, typer.Option(min=0.0, help="Give up after this many seconds.")] = None,
    url: Url = USUAL,
    token: Token = "",
) -> None:
    """Wait until a training is at rest; exit status 1 unless it is completed."""
    last: list[str] = []

    def say(row: dict[str, Any]) -> None:
        if [_line(row)] != last:
            last[:] = [_line(row)]
            typer.echo(last[0])

    def away(error: ClientError) -> None:
        typer.echo(f"gait-serve: {error}; trying again for at most {AWAY:g} s", err=True)

    with Client(url, token) as service:
        if service.wait(session, timeout=timeout, say=say, away=away)["state"] != "completed":
            raise typer.Exit(1)


def fetch_command(
    session: Session,
    out: Annotated[Path, typer.Option(help="File to write.")],
    file: Annotated[
        str, typer.Option(help="What to fetch: bundle, run, film, metrics, config or log; of motionnn and refnn model.")
    ] = "bundle",
    url: Url = USUAL,
    token: Token = "",
) -> None:
    """Download a file of a training: its bundle, its run folder, its film."""
    if out.exists():
        raise ClientError(f"{out} exists already; choose another --out")
    with Client(url, token) as service:
        path = service.fetch(session, file, out)
    typer.echo(f"{path}: {size_text(path.stat().st_size)}")
