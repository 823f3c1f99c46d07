"""Files that commands write: refused before the work where the name is wrong or something else lies there."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh
from matplotlib.figure import Figure
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.errors import MotionError
from gait_envs.mocap.cli import COMMANDS as data_commands
from gait_envs.mocap.cli import app as data_app
from gait_envs.mocap.commands.view import _write_strip
from gait_envs.mocap.gait_sequences import of_activity
from gait_envs.mocap.pages.clip_page import save_figure
from gait_envs.mocap.provenance import write_sidecar
from gait_envs.reading.outputs import CLIP, OutputError, check_drawing, check_output

CLIPS = str(asset_path("motions/wildrobot_walk"))
COMMANDS = {  # commands that write a file of arrays or JSON, with an ending that it cannot have
    "split": (["split", CLIPS, "--by", "clip", "--out"], ".npz", ".json"),
    "retarget": (["retarget", "CAPTURE", "--out"], ".json", ".npz"),
    "augment": (["augment", CLIPS, "--out"], ".json", ".npz"),
    "demonstrate": (["demonstrate", "wildrobot_walk", "--episodes", "1", "--out"], ".txt", ".npz"),
    "generate": (["generate", "motionnn", "--out"], ".txt", ".npz"),
    "gait": (["gait", "wildrobot_walk", "--json"], ".npz", ".json"),
}
# What commands write, where something else lies: the words, in which {0} is the folder, and the file that is spared.
FOREIGN = {
    "import a capture": ("import {0}/in/take.bvh --out {0}/victim.npz", "victim.npz"),
    "import to BVH": ("import {0}/in/take.bvh --out {0}/victim.bvh", "victim.bvh"),
    "import's facts": ("import {0}/in/take.bvh --out {0}/victim.bvh", "victim.json"),
    "import a folder": ("import {0}/in --out {0}/out", "out/take.npz"),
    "import a folder to BVH": ("import {0}/in --out {0}/out --to bvh", "out/take.bvh"),
    "retarget": ("retarget {0}/in/take.bvh --out {0}/victim.npz", "victim.npz"),
    "retarget's page": ("retarget {0}/in/take.bvh --out {0}/victim.npz", "victim.png"),
    "retarget a folder": ("retarget {0}/in --out {0}/out", "out/take.npz"),
    "retarget's unfit": ("retarget {0}/in --out {0}/out", "out/unfit/take.npz"),
    "retarget's pages": ("retarget {0}/in --out {0}/out", "out/take.png"),
    "retarget's report": ("retarget {0}/in --out {0}/out", "out/set.json"),
    "retarget's picture": ("retarget {0}/in --out {0}/out", "out/set.png"),
    "inspect --plot": ("inspect CLIP --plot {0}/victim.png", "victim.png"),
    "view": ("view CLIP --out {0}/victim.png", "victim.png"),
    "view a film": ("view CLIP --out {0}/victim.mp4", "victim.mp4"),
    "export": ("export CLIP --out {0}/victim.bvh", "victim.bvh"),
    "export a folder": ("export CLIPS --out {0}/out", "out/walk_030_calm_0.bvh"),
    "export to a clip": ("export CLIP --to clip --out {0}/victim.npz", "victim.npz"),
    "split": ("split CLIPS --by clip --out {0}/victim.json", "victim.json"),
    "augment": ("augment CLIPS --out {0}/victim.npz", "victim.npz"),
    "augment --walks": ("augment CLIPS --out {0}/new.npz --walks {0}/victim.npz", "victim.npz"),
    "demonstrate": ("demonstrate wildrobot_walk --episodes 1 --out {0}/victim.npz", "victim.npz"),
    "generate": ("generate motionnn --out {0}/victim.npz", "victim.npz"),
    "evaluate-motion --page": ("evaluate-motion motionnn --page {0}/victim.png", "victim.png"),
    "evaluate --worst": ("evaluate wildrobot_imitation --worst {0}/victim.png", "victim.png"),
    "gait": ("gait wildrobot_walk --out {0}/victim.pdf", "victim.pdf"),
    "gait --json": ("gait wildrobot_walk --json {0}/victim.json", "victim.json"),
    "rollout": ("rollout humanoid_imitation --out {0}", "walks_000.npz"),
    "backward": ("backward refnn {0}/walks.npz --out {0}/victim.pt", "victim.pt"),
    "play --video": ("play wildrobot_walk --video {0}/victim.gif", "victim.gif"),
}
# Parameters that name what is read, and folders that a command makes and refuses where they hold something.
READ = "captures asf joint_map table folder config resume init expert demonstrations policy normative run bundle"
FOLDERS = "pack ppo-amp ppo imitate muscle motionnn bc gail airl record refnn export"  # of gait-train, the last one
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


def called(*words: str) -> object:
    """The exception that a command ends with."""
    if words[0] in data_commands:
        app = data_app
    else:
        pytest.importorskip("stable_baselines3")
        from gait_trainers.cli import app
    return CliRunner().invoke(app, words).exception


def run(name: str, out: Path, folder: Path) -> object:
    (folder / "capture.bvh").write_text(CAPTURE)
    words = [str(folder / "capture.bvh") if word == "CAPTURE" else word for word in COMMANDS[name][0]]
    return called(*words, str(out))


def put(path: Path) -> bytes:
    """Somebody else's file of this name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, precious=np.arange(3))
    else:
        path.write_text({".json": '{"precious": 3}', ".bvh": CAPTURE}.get(path.suffix, "precious"))
    return path.read_bytes()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    _, wrong, right = COMMANDS[name]
    out = tmp_path / f"victim{wrong}"
    out.write_text("precious")
    error = run(name, out, tmp_path)
    assert isinstance(error, OutputError)
    assert str(error) == f"{out}: expected a name that ends in {right}"
    assert out.read_text() == "precious"


@pytest.mark.parametrize("name", FOREIGN)
def test_something_else_of_that_name_is_not_replaced(name: str, tmp_path: Path) -> None:
    words, victim = FOREIGN[name]
    (tmp_path / "in").mkdir()
    walker_bvh(tmp_path / "in" / "take.bvh", seconds=1.0)
    before = put(tmp_path / victim)
    places = {"CLIP": f"{CLIPS}/walk_030_calm_0.npz", "CLIPS": CLIPS}
    error = called(*(places.get(word, word).format(tmp_path) for word in words.split()))
    assert isinstance(error, OutputError), error
    is_signed = Path(victim).suffix in (".bvh", ".png", ".pdf", ".mp4", ".gif")
    what = "is not known to be GaitNet's" if is_signed else "is something else"
    assert f"{tmp_path / victim}: would be replaced, and {what}" in str(error)
    assert (tmp_path / victim).read_bytes() == before


def test_every_command_that_writes_a_file_is_tried() -> None:
    pytest.importorskip("stable_baselines3")
    from gait_trainers.cli import COMMANDS as trainer_commands

    tried = {words.split()[0] for words, _ in FOREIGN.values()}
    for commands, folders in ((data_commands, {"pack"}), (trainer_commands, set(FOLDERS.split()))):
        for name, (place, _) in commands.items():
            module, function = place.split(":")
            signature = inspect.signature(getattr(importlib.import_module(module), function), eval_str=True)
            paths = {key for key, value in signature.parameters.items() if "Path" in str(value.annotation)}
            assert not paths - set(READ.split()) or name in tried | folders, name


def test_what_was_written_here_is_replaced(tmp_path: Path) -> None:
    """By other options, in every format that says who wrote it."""
    walker_bvh(tmp_path / "take.bvh", seconds=1.0)
    clip, take = f"{CLIPS}/walk_030_calm_0.npz", str(tmp_path / "take.bvh")
    for words, other in (
        (["export", clip, "--out", "out.bvh"], ["--unit", "cm", "--up", "z", "--decimals", "3"]),
        (["import", take, "--out", "cleaned.bvh"], ["--fps", "30"]),
        (["import", take, "--out", "cleaned.npz"], ["--fps", "30"]),
        (["export", clip, "--to", "clip", "--out", "clip.npz"], ["--fps", "25"]),
        (["retarget", take, "--out", "take.npz"], ["--end", "0.8"]),
    ):
        words[words.index("--out") + 1] = str(tmp_path / "out" / words[words.index("--out") + 1])
        assert called(*words) is None
        assert called(*words, *other) is None
    figure = Figure()
    for suffix in ("png", "svg", "pdf", "ps", "eps", "jpg"):
        check_drawing(save_figure(figure, tmp_path / f"page.{suffix}"))
    frames = [np.zeros((32, 32, 3), np.uint8)] * 2
    for suffix in ("jpg", "png"):
        _write_strip(tmp_path / f"strip.{suffix}", frames)
        check_drawing(tmp_path / f"strip.{suffix}")
    from gait_trainers.reports.video import write_video

    for suffix in (".mp4", ".gif"):
        write_video(tmp_path / f"film{suffix}", frames, 25)
    for suffix in (".mp4", ".gif"):
        check_drawing(tmp_path / f"film{suffix}")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "eps", "jpg", "tif", "webp", "svgz"])
def test_pictures_of_others_that_matplotlib_drew_are_not_replaced(suffix: str, tmp_path: Path) -> None:
    figure = Figure()
    figure.suptitle("GaitNet and others")
    figure.savefig(tmp_path / f"page.{suffix}")
    with pytest.raises(OutputError, match="not known to be GaitNet's; remove it"):
        check_drawing(tmp_path / f"page.{suffix}")


def test_a_bvh_that_an_animation_tool_saved_is_not_ours_any_more(tmp_path: Path) -> None:
    path = tmp_path / "walk.bvh"
    words = ("export", f"{CLIPS}/walk_030_calm_0.npz", "--out", str(path))
    assert called(*words) is None
    text = path.read_text()
    path.write_text(re.sub(r"OFFSET .*", "OFFSET 0.000000 0.100000 0.000000", text))
    assert isinstance(called(*words), OutputError)
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # endless, and told at once
    assert isinstance(called(*words), OutputError)
    path.write_text(text)
    write_sidecar(path, {"origin": {}, "history": [], "notes": []})  # as an import leaves it: it is a capture
    assert isinstance(called(*words), OutputError)


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
    (tmp_path / "text.npz").write_bytes(clip.read_bytes()[:200])  # it breaks off, as on a full disk
    check_output(tmp_path / "text.npz", ".npz", *CLIP)


def test_an_activity_that_is_no_pattern_is_named() -> None:
    with pytest.raises(MotionError, match=r"activity '\(': not a regular expression"):
        of_activity([], "(")
