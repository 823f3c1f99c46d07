"""The tutorials do what they say: every example and command of theirs runs, page by page, in an empty folder.

So do the examples of the README and of the start pages, whose commands are of files that a reader has. A comment before
a block says how the test shortens it: by words that each command gets, or by what an example has in place of what.

    <!-- test: --episodes 2 -->
    <!-- test: num_envs=256=>num_envs=8 -->
    <!-- test: slow; --verify -->       run by `make test-slow` alone
    <!-- test: not run; and why -->
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from gait_envs.models.robot import wildrobot
from gait_envs.render import Offscreen, RenderError
from gait_trainers.cli import app as train_app

ROOT = Path(__file__).resolve().parent.parent
TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(
    r"(?:^<!-- test: (?P<test>[^\n]*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE
)
INSTALLERS = ("pip", "uv", "uvx")  # what installs is tried by scripts/smoke_wheel.py

pytestmark = pytest.mark.skipif(not TUTORIALS.is_dir(), reason="an installed package carries no docs")


class Block(NamedTuple):
    kind: str
    text: str
    more: list[str]  # words that shorten each command


def blocks(page: Path, slow: bool) -> Iterator[Block]:
    """What a page shows, in order, but for what it says is not run, or not run here."""
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        told = match["test"] or ""
        if not told.startswith("not run;") and (slow or not told.startswith("slow;")):
            yield Block(match["kind"], match["text"], shlex.split(told.removeprefix("slow;")))


@pytest.fixture(scope="module")
def drawing() -> bool:
    """Whether pictures can be drawn here."""
    try:
        Offscreen(wildrobot().model, 16, 16).close()
    except RenderError:
        return False
    return True


def shortened(block: Block) -> str:
    """An example with what its comment puts in place of what."""
    text = block.text
    for change in block.more:
        old, new = change.split("=>")
        assert old in text, f"{old} is not in the example"
        text = text.replace(old, new)
    return text


def run_command(line: str, more: list[str], monkeypatch: pytest.MonkeyPatch, drawing: bool) -> None:
    program, *words = shlex.split(line, comments=True)
    if program in INSTALLERS or ("--video" in words and not drawing):
        return
    if program == "python":
        monkeypatch.setattr(sys, "argv", [*words, *more])
        code = None
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as end:
            code = end.code
        assert code in (None, 0), line
        return
    if program == "gait-data":
        from gait_envs.mocap.cli import app
    else:
        assert program == "gait-train", line
        app = train_app
    result = CliRunner().invoke(app, [*words, *more], catch_exceptions=False)
    assert result.exit_code == 0, f"{line}\n{result.output}"


EXAMPLES_ALONE = [ROOT / "README.md", *sorted((ROOT / "docs" / "start").glob("*.md"))]
PAGES = [*sorted(TUTORIALS.glob("*.md")), *EXAMPLES_ALONE]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, drawing: bool, slow: bool) -> None:
    if "gait-data" in page.read_text(encoding="utf-8"):
        pytest.importorskip("mink")
    monkeypatch.chdir(folder)
    shutil.copytree(ROOT / "examples", folder / "examples")
    module = type(sys)("tutorial")  # dataclasses look their module up
    monkeypatch.setitem(sys.modules, "tutorial", module)
    for block in blocks(page, slow):
        if block.kind == "python":
            exec(compile(shortened(block), page.name, "exec"), module.__dict__)
        elif block.kind == "sh" and page not in EXAMPLES_ALONE:
            for line in block.text.replace("\\\n", " ").splitlines():
                if line.strip():
                    run_command(line, block.more, monkeypatch, drawing)


@each_page
def test_the_page_does_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawing: bool) -> None:
    run_page(page, tmp_path, monkeypatch, drawing, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [p for p in PAGES if "<!-- test: slow;" in p.read_text(encoding="utf-8")], ids=lambda p: p.stem
)
def test_the_whole_page_does_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawing: bool
) -> None:
    run_page(page, tmp_path, monkeypatch, drawing, slow=True)


def test_every_page_shows_something_to_run() -> None:
    shown = {page.stem: len(list(blocks(page, slow=False))) for page in PAGES}
    assert {"walk", "robot", "captures", "learner", "muscles", "hardware", "README"} <= {
        name for name, n in shown.items() if n
    }
