"""Files that commands write: refused before the work where the name is wrong or something else lies there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.errors import MotionError
from gait_envs.mocap.cli import app as data_app
from gait_envs.mocap.gait_sequences import of_activity
from gait_envs.reading.outputs import CLIP, OutputError, check_output

CLIPS = str(asset_path("motions/wildrobot_walk"))
COMMANDS = {  # commands that write a file of arrays or JSON, with an ending that it cannot have
    "split": (["split", CLIPS, "--by", "clip", "--out"], ".npz", ".json"),
    "retarget": (["retarget", "CAPTURE", "--out"], ".json", ".npz"),
    "augment": (["augment", CLIPS, "--out"], ".json", ".npz"),
    "demonstrate": (["demonstrate", "wildrobot_walk", "--episodes", "1", "--out"], ".txt", ".npz"),
    "generate": (["generate", "motionnn", "--out"], ".txt", ".npz"),
    "gait": (["gait", "wildrobot_walk", "--json"], ".npz", ".json"),
}
CAPTURE = """HIERARCHY
ROOT hips
{
 OFFSET 0 0 0
 CHANNELS 3 Xposition Yposition Zposition
 End Site
 {
  OFFSET 0 1 0
 }
}
MOTION
Frames: 1
Frame Time: 0.01
0 0 0
"""


def run(name: str, out: Path, folder: Path) -> object:
    """The exception that a command ends with."""
    words = COMMANDS[name][0]
    if name in ("split", "retarget", "augment"):
        app = data_app
    else:
        pytest.importorskip("stable_baselines3")
        from gait_trainers.cli import app
    (folder / "capture.bvh").write_text(CAPTURE)
    words = [str(folder / "capture.bvh") if word == "CAPTURE" else word for word in words]
    return CliRunner().invoke(app, [*words, str(out)]).exception


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    _, wrong, right = COMMANDS[name]
    out = tmp_path / f"victim{wrong}"
    out.write_text("precious")
    error = run(name, out, tmp_path)
    assert isinstance(error, OutputError)
    assert str(error) == f"{out}: expected a name that ends in {right}"
    assert out.read_text() == "precious"


@pytest.mark.parametrize("name", COMMANDS)
def test_something_else_of_that_name_is_not_replaced(name: str, tmp_path: Path) -> None:
    out = tmp_path / f"victim{COMMANDS[name][2]}"
    if out.suffix == ".json":
        out.write_text('{"precious": 3}')
    else:
        np.savez(out, precious=np.arange(3))
    before = out.read_bytes()
    error = run(name, out, tmp_path)
    assert isinstance(error, OutputError)
    assert "would be replaced, and is something else" in str(error)
    assert out.read_bytes() == before


def test_recorded_walks_are_no_sequences(tmp_path: Path) -> None:
    """Both hold parameters and motions: `augment walks.npz --out walks.npz` would have replaced its source."""
    walks = tmp_path / "walks.npz"
    np.savez(walks, format="gaitnet walks", params=np.zeros(1), motions=np.zeros(1), lengths=np.zeros(1))
    check_output(walks, ".npz", "format", format="gaitnet walks")
    with pytest.raises(OutputError, match="is something else; remove it"):
        check_output(walks, ".npz", "format", format="gaitnet sequences")


def test_the_same_kind_an_empty_file_and_none_at_all_are_replaced(tmp_path: Path) -> None:
    clip, empty = tmp_path / "clip.npz", tmp_path / "empty.npz"
    np.savez(clip, **dict.fromkeys([*CLIP, "more"], np.zeros(1)))
    empty.touch()
    for path in (clip, empty, tmp_path / "new" / "none.npz"):
        check_output(path, ".npz", *CLIP)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(IsADirectoryError):
        check_output(tmp_path / "folder.npz", ".npz", *CLIP)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(OutputError, match="is something else: no whole"):
        check_output(tmp_path / "text.npz", ".npz", *CLIP)


def test_an_activity_that_is_no_pattern_is_named() -> None:
    with pytest.raises(MotionError, match=r"activity '\(': not a regular expression"):
        of_activity([], "(")
