"""`gait-train export`: a run's policy as a bundle, and a bundle as a page for the browser."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gait_trainers.commands.options import EnvOption
from gait_trainers.policies.bundle import MANIFEST
from gait_trainers.policies.loading import check_is_run, find_policy
from gait_trainers.web.body import PageError
from gait_trainers.web.page import check_page_out, page_bytes, write_page
from gait_trainers.web.vendor import vendored


def command(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run folder, whose latest checkpoint is exported, or checkpoint file; for --web a bundle or a bundled "
            "name, too."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to write the bundle to.")] = None,
    web: Annotated[
        Path | None, typer.Option(help="Folder to write a page to, in which the policy walks in a browser.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace a bundle or a page that already exists.")] = False,
    env: EnvOption = None,
) -> None:
    """Export a policy bundle: policy.onnx, policy.json and checksums, once onnxruntime agrees with torch.

    With --web, export a static page that simulates the body and runs the policy in a browser, without a server's help.
    """
    if out is None and web is None:
        raise PageError("nothing to export to: give --out FOLDER for a bundle, --web FOLDER for a page, or both")
    found = find_policy(run)
    if web is not None:
        vendored()
        check_page_out(web, force)
    if (found / MANIFEST).is_file():
        if out is not None or env is not None:
            raise PageError(f"{found}: a bundle already; --out and --env are for runs and their checkpoints")
        assert web is not None
        show_page(write_page(found, web, force=force))
        return
    check_is_run(found)
    with tempfile.TemporaryDirectory() as temporary:
        bundle = _export(run, out or Path(temporary) / run.resolve().name, force or out is None, env)
        if out is not None:
            manifest = json.loads((bundle / MANIFEST).read_text())
            print(f"{bundle}: largest difference from torch {manifest['parity']['largest_difference']:.1e}")
        if web is not None:
            show_page(write_page(bundle, web, force=force))


def _export(run: Path, out: Path, force: bool, env: str | None) -> Path:
    from gait_trainers.policies.export import export  # needs torch; a page of a bundle does not

    return export(run, out, force=force, env_id=env)


def show_page(page: Path) -> None:
    """Say where the page is and how to open it."""
    print(f"{page}: {page_bytes(page) / 1e6:.1f} MB; open it with: python -m http.server --bind 127.0.0.1 -d {page}")
