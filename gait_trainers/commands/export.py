"""`gait-train export`: a run's policy as a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gait_trainers.commands.options import EnvOption
from gait_trainers.policies.bundle import MANIFEST
from gait_trainers.policies.export import export


def command(
    run: Annotated[Path, typer.Argument(help="Run folder, whose latest checkpoint is exported, or checkpoint file.")],
    out: Annotated[Path, typer.Option(help="Folder to write the bundle to.")],
    force: Annotated[bool, typer.Option(help="Replace a bundle that already exists.")] = False,
    env: EnvOption = None,
) -> None:
    """Export a policy bundle: policy.onnx, policy.json and checksums, once onnxruntime agrees with torch."""
    folder = export(run, out, force=force, env_id=env)
    manifest = json.loads((folder / MANIFEST).read_text())
    print(f"{folder}: largest difference from torch {manifest['parity']['largest_difference']:.1e}")
