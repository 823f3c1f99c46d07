"""`gait-train list`: what there is to name on a command line."""

from __future__ import annotations

import itertools
import json
import re
import textwrap
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from gait_envs.assets import asset_path
from gait_envs.reference.clip import load_clip
from gait_envs.registry import ENVIRONMENTS
from gait_envs.wording import counted
from gait_trainers.config.layers import preset_names
from gait_trainers.imitation.demonstrations import bundled_demonstrations, find_demonstrations, load_demonstrations
from gait_trainers.policies.bundle import MANIFEST
from gait_trainers.policies.loading import bundled_policies

WIDTH = 78  # columns of a line


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the lists as one JSON object.")] = False,
) -> None:
    """List what can be named: environments, presets, bundled policies, clips, and demonstrations."""
    found = everything()
    if as_json:
        print(json.dumps(found))
        return
    typer.echo("\n\n".join(section(title, rows) for title, rows in found.items()))


def everything() -> dict[str, dict[str, str]]:
    """Name to what it is, under a heading each."""
    return {
        "environments (--env)": {row.id: _of_row(row) for row in ENVIRONMENTS.values()},
        "presets (--preset)": {name: _of_preset(name) for name in preset_names()},
        "bundled policies (gait-train play NAME)": {name: _of_policy(name) for name in bundled_policies()},
        "clips (--reference, --clip)": {folder.name: _of_set(folder) for folder in embedded_sets()},
        "demonstrations (gait-train bc NAME)": {name: _of_demonstrations(name) for name in bundled_demonstrations()},
    }


def embedded_sets() -> list[Path]:
    """The folders of the clips that come with the package, each of which its name stands for."""
    return sorted(path for path in asset_path("motions").iterdir() if any(path.glob("*.npz")))


def section(title: str, rows: Mapping[str, str]) -> str:
    """A heading, then a line for each name; what does not fit beside its name goes below it."""
    wide = max(map(len, rows), default=0)
    lines = [title]
    for name, text in rows.items():
        line = f"  {name:{wide}}  {text}".rstrip()
        below = textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
        lines += [line] if len(line) <= WIDTH else [f"  {name}", *below]
    return "\n".join(lines)


def _of_row(row: Any) -> str:
    return f"{row.steps} steps" + (f", preset {row.preset}" if row.preset else "")


def _of_preset(name: str) -> str:
    """The first sentence of the comment that the file begins with."""
    text = (resources.files("gait_trainers.config") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    comment = " ".join(line.lstrip("# ") for line in itertools.takewhile(lambda x: x[:1] == "#", text.splitlines()))
    return re.split(r"[.:] ", comment + " ")[0].strip()


def _of_policy(name: str) -> str:
    manifest = json.loads((asset_path(f"policies/{name}") / MANIFEST).read_text(encoding="utf-8"))
    return str(manifest["environment"]["id"])


def _of_demonstrations(name: str) -> str:
    found = load_demonstrations(find_demonstrations(name))
    return f"{counted(len(found.episodes), 'episode')}, {found.steps:,} steps of {found.env_id}"


def _of_set(folder: Path) -> str:
    clips = sorted(path.stem for path in folder.glob("*.npz"))
    between = clips[0] if len(clips) == 1 else f"{clips[0]} … {clips[-1]}"
    return f"{load_clip(folder / f'{clips[0]}.npz').model}: {between}, {counted(len(clips), 'clip')}"
