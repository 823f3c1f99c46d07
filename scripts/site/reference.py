"""The API reference: the names that docs/api.md promises, by the docstrings of their modules."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?P<names>`[^|]+`) \| `(?P<module>gait_\w+[\w.]*)` \|", re.MULTILINE)
PAGES = {
    "reference/environments.md": ("gait_envs", "Reference: environments", "Environments, bodies, tasks and motion"),
    "reference/trainers.md": ("gait_trainers", "Reference: trainers", "Learning, policies and demonstrations"),
}


def public_names() -> list[str]:
    """Dotted names of the public surface, in the order of the page."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return [f"{row['module']}.{name}" for row in ROW.finditer(page) for name in re.findall(r"`(\w+)`", row["names"])]


def pages() -> dict[str, str]:
    """Page to text; mkdocstrings writes the rest."""
    made = {}
    for page, (package, title, about) in PAGES.items():
        names = [name for name in public_names() if name.startswith(package + ".")]
        entries = "\n\n".join(f"::: {name}" for name in names)
        made[page] = f"# {title}\n\n{about}: what the [public API](../api.md) lists.\n\n{entries}\n"
    return made
