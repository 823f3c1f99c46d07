"""File names with brackets, colons and odd bytes are printed as they are, in every command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.walker import walker_bvh

from gait_envs.mocap.commands.printing import fail, say, warn

ODD = "a[/c] [bold]b[/bold] :smile: 12"


@pytest.mark.parametrize(("call", "kind"), [(say, ""), (warn, "warning: "), (fail, "error: ")])
def test_text_is_printed_as_it_is(call, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{ODD} {'long ' * 40}end"
    call(text)
    out, err = capsys.readouterr()
    assert (err if kind else out) == f"{kind}{text}\n"


def test_a_name_that_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"written  {os.fsdecode(b'w' + bytes([0xFF]) + b'.bvh')}")
    assert capsys.readouterr().out == "written  w�.bvh\n"


def test_commands_print_odd_names(run, tmp_path: Path) -> None:
    folder = tmp_path / "a["
    capture = walker_bvh(tmp_path / "walk.bvh", seconds=1.0)
    clip = folder / "c] [bold]b[" / "x] :smile:.npz"
    assert run("retarget", capture, "--out", tmp_path / "plain.npz", "--no-picture")[0] == 0
    clip.parent.mkdir(parents=True)
    (tmp_path / "plain.npz").rename(clip)
    bvh = clip.with_suffix(".bvh")
    code, out, err = run("export", clip, "--out", bvh)
    assert (code, out, err) == (0, f"written  {bvh}\n", "")
    code, out, err = run("inspect", clip, "--plot", clip.with_suffix(".png"))
    assert (code, err) == (0, "")
    assert f"picture  {clip.with_suffix('.png')}\n" in out
    code, out, err = run("split", clip.parent, "--by", "clip", "--parts", "[red]=1", "--out", folder / "[b]s.json")
    assert (code, err) == (0, "")
    assert "[red]" in out
    assert f"split    {folder / '[b]s.json'}\n" in out
    code, out, err = run("pack", clip, "--out", folder / "[b]set")
    assert (code, err) == (0, "")
    assert out.endswith(f" min: {folder / '[b]set'}\n")
    code, out, err = run("inspect", clip.parent)
    assert (code, err) == (0, "")
    assert "x] :smile:" in out
