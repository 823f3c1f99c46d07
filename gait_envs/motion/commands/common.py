"""What the commands of `gait-data` print alike."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gait_envs.motion.clip import Clip

out_console, err_console = Console(), Console(stderr=True)


def print_summary(clip: Clip, quality: dict[str, float]) -> None:
    """A clip's facts and figures as a table."""
    table = Table(show_header=False, title=escape(clip.name), min_width=48)
    meta = {k: v for k, v in clip.meta.items() if k not in ("quality", "notes", "faults", "body")}
    facts = {
        "model": clip.model,
        "frames": f"{clip.frames} at {clip.fps:g} Hz, {clip.duration:.2f} s",
        "loop": clip.loop,
        "source": clip.source,
        "license": clip.license,
    }
    for key, value in (facts | meta).items():
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else escape(str(value)))
    table.add_section()
    for key, value in quality.items():
        table.add_row(key, f"{value:.4g}")
    out_console.print(table)


def warn(text: str) -> None:
    """One line on stderr."""
    err_console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)
