"""`gait-data` as a user meets it: files that appear, words that help, exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.assets import asset_path
from gait_envs.mocap import cli
from gait_envs.mocap.pages.set_page import write_set
from gait_envs.reference.catalogue import Entry, failures, read_entries
from gait_envs.reference.clip import load_clip, save_clip
from gait_envs.reference.split import save_split


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run `gait-data` with these words; returns exit code, standard output and standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gait-data", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return call


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return walker_bvh(tmp_path / "capture.bvh", seconds=2.0)


def test_retarget_writes_clip_and_picture(run, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "walk.npz"
    words = ("--robot", "wildrobot", "--out", out, "--source", "us", "--license", "CC0", "--time", "keep")
    code, text, errors = run("retarget", capture, *words)
    assert (code, errors) == (0, "")
    assert str(out) in text.replace("\n", "")
    clip = load_clip(out)
    assert (clip.source, clip.license, clip.model, clip.fps) == ("us", "CC0", "wildrobot", 50.0)
    assert clip.meta["quality"]["limit_violations"] == 0
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in out.parent.iterdir()) == ["walk.npz", "walk.png"]  # no temporary left


def test_unknown_source_and_license_are_warned_of(run, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "walk.npz"
    code, _, errors = run("retarget", capture, "--out", out, "--no-picture")
    assert code == 0
    assert "the source of 1 capture is unknown; say it with --source or --table" in errors
    assert "the license of 1 capture is unknown; say it with --license or --table" in errors
    assert load_clip(out).license == "unknown"
    assert not out.with_suffix(".png").exists()


def test_speed_unit_and_map_reach_the_clip(run, tmp_path: Path) -> None:
    capture = walker_bvh(tmp_path / "odd.bvh", seconds=2.0, leg_names=("A", "B", "C", "D"))
    joint_map = tmp_path / "map.yaml"
    pairs = [("hip", "A"), ("knee", "B"), ("ankle", "C"), ("toe", "D")]
    joint_map.write_text("".join(f"{s.lower()}_{part}: {s}{j}\n" for part, j in pairs for s in ("Left", "Right")))
    out = tmp_path / "walk.npz"
    words = ("--out", out, "--map", joint_map, "--unit", "cm", "--up", "y", "--speed", "0.4", "--no-picture")
    code, _, _ = run("retarget", capture, *words)
    assert code == 0
    assert load_clip(out).mean_speed == pytest.approx(0.4, rel=0.03)


def test_strides_and_clearance_reach_the_clip_and_make_it_another(run, tmp_path: Path) -> None:
    captures, out = tmp_path / "captures", tmp_path / "clips"
    captures.mkdir()
    walker_bvh(captures / "walk.bvh", seconds=2.0)
    made = {}
    for words in ((), ("--stride", "0.5"), ("--stride", "0.5", "--swing-clearance", "0.06")):
        assert run("retarget", captures, "--out", out, *words)[0] == 0
        made[words] = load_clip(out / "walk.npz")
    plain, short, high = made.values()
    assert short.mean_speed == pytest.approx(0.5 * plain.mean_speed, rel=0.05)
    assert [clip.meta["body"]["swing_clearance"] for clip in (plain, short, high)] == [0.02, 0.02, 0.06]
    assert np.abs(high.qpos - short.qpos).max() > 0.01


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.bvh",), "nowhere.bvh: no such file"),
        (("{capture}", "--robot", "hal"), "unknown robot 'hal'; known:"),
        (("{capture}", "--unit", "league"), "unit 'league': expected metres a unit or one of"),
        (("{capture}", "--up", "w"), "up axis 'w': expected one of x, y, z"),
        (("{capture}", "--time", "slow"), "time 'slow': expected keep, froude"),
        (("{capture}", "--stride", "0"), "stride 0: expected 0.2 to 2"),
        (("{capture}", "--stride", "nan"), "stride nan: expected 0.2 to 2"),
        (("{capture}", "--swing-clearance", "3"), "swing clearance 3 m: expected 0 to 0.5"),
        (("{capture}", "--start", "5"), "the capture lasts 1.983 s"),
        (("{capture}", "--out", "walk.txt"), "expected a name that ends in .npz"),
        (("{capture}", "--map", "nowhere.yaml"), "nowhere.yaml: No such file or directory"),
    ],
)
def test_faults_are_one_line_and_exit_2(run, capture: Path, tmp_path: Path, monkeypatch, words, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = run("retarget", *(word.format(capture=capture) for word in words))
    assert code == 2
    assert message in errors.replace("\n", " ")
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("*.npz"))


def test_an_unfit_clip_is_kept_with_a_warning(run, tmp_path: Path) -> None:
    """The walk on a belt that carries it sideways at 4 m/s: no foot is ever still."""
    capture = walker_bvh(tmp_path / "capture.bvh", seconds=2.0)
    lines = capture.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 2
    rows = np.array([[float(x) for x in line.split()] for line in lines[first:]])
    rows[:, 0] += 400 * np.arange(len(rows)) / 60
    lines[first:] = [" ".join(f"{x:.5f}" for x in row) for row in rows]
    capture.write_text("\n".join(lines))
    code, _, errors = run("retarget", capture, "--out", tmp_path / "walk.npz", "--no-picture")
    assert code == 0
    assert "unfit: no foot ever stands" in errors
    assert load_clip(tmp_path / "walk.npz").meta["faults"] == ["no foot ever stands"]


def test_inspect(run, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "walk.npz"
    run("retarget", capture, "--out", out, "--no-picture", "--license", "MIT")
    code, text, _ = run("inspect", out, "--plot", tmp_path / "page.png")
    assert code == 0
    for word in ("wildrobot", "MIT", "left_knee_pitch", "speed", "balance_mm"):
        assert word in text
    assert (tmp_path / "page.png").stat().st_size > 10_000
    code, _, errors = run("inspect", tmp_path / "nowhere.npz")
    assert code == 2
    assert "nowhere.npz: neither a clip, nor a folder of clips" in errors


def test_facts_are_printed_as_words(run, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "clips" / "walk.npz"
    for words in (("--end", "1.5"), ()):
        text = run("retarget", capture, "--out", out, "--no-picture", *words)[1] + run("inspect", out)[1]
        assert not re.search(r"None|False|True|[\[\]{}]", text.split("joints (rad)")[0])
        assert re.search(r"loop +│ no", text)
        assert re.search(r"cut_s +│ 0 to 1.5" if words else r"cut_s +│ 0 to the end", text)
        assert "left_knee_pitch" in text.split("quick_percent")[1].split("captured_quick")[0]
    np.savez(out.with_name("other.npz"), precious=np.zeros(1))
    code, text, _ = run("inspect", out.parent)
    assert (code, "other.npz: not a readable clip: model: missing; the archive has precious" in text) == (1, True)


def test_inspect_without_contacts_or_robot(run, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "walk.npz"
    run("retarget", capture, "--out", out, "--no-picture")
    clip = load_clip(out)
    meta = {key: value for key, value in clip.meta.items() if key != "quality"}
    save_clip(out, replace(clip, contacts=None, meta=meta))
    code, text, _ = run("inspect", out, "--plot", tmp_path / "page.png")
    assert code == 0
    assert "slip_median" in text
    assert (tmp_path / "page.png").stat().st_size > 10_000
    save_clip(out, replace(clip, model="hal"))
    code, _, errors = run("inspect", out)
    assert code == 2
    assert "unknown robot 'hal'" in errors


def test_inspect_takes_what_a_training_takes(run, tmp_path: Path) -> None:
    """A folder, its packed set, a part of a split of it, one clip of any of them, and an embedded set's name."""
    clips = sorted(asset_path("motions/wildrobot_walk").glob("*.npz"))[:2]
    first, second = (load_clip(path) for path in clips)
    for clip in (first, second):
        save_clip(tmp_path / "set" / f"{clip.name}.npz", clip)
    run("pack", tmp_path / "set", "--out", tmp_path / "packed")
    split = save_split(tmp_path / "split.json", tmp_path / "packed", "clip", 0, {"train": [second.name]})
    for source in (tmp_path / "set", tmp_path / "packed", "wildrobot_walk"):
        code, text, errors = run("inspect", source)
        assert (code, errors) == (0, "")
        assert first.name in text
        assert second.name in text
    code, text, _ = run("inspect", f"{split}#train")
    assert (code, first.name in text, second.name in text) == (0, False, True)
    code, text, _ = run("inspect", f"{split}#train", "--clip", second.name)
    assert code == 0
    assert "left_knee_pitch" in text
    code, _, errors = run("inspect", tmp_path / "packed", "--clip", "run")
    assert code == 2
    assert "no clip 'run' (1 missing); it holds" in errors


def test_a_foreign_or_damaged_file_stops_no_other(run, capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    run("retarget", capture, "--out", folder / "walk.npz", "--no-picture")
    run("import", capture, "--out", folder)
    (folder / "capture.npz").rename(folder / "foreign.npz")
    (folder / "text.npz").write_text("no archive")
    whole = (folder / "walk.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    save_clip(folder / "other.npz", replace(load_clip(folder / "walk.npz"), model="hal", meta={}))
    code, text, errors = run("inspect", folder, "--plot", tmp_path / "set.png")
    assert (code, errors) == (1, "")
    assert "foreign.npz: is a capture, not a clip; see gait-data retarget" in text
    assert "text.npz: not a readable clip" in text
    assert "cut.npz: not a readable clip" in text
    assert "unknown robot 'hal'" in text
    assert [entry.name for entry in read_entries(folder) if entry.verdict == "fit"] == ["other", "walk"]
    # A set's report keeps only failures of captures: a file that is gone has not failed.
    write_set(folder, [*read_entries(folder), Entry("lost", "failed", ("too short",), capture="lost.bvh")])
    assert [(entry.name, entry.capture) for entry in failures(folder)] == [("lost", "lost.bvh")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("inspect", "{clip}", "--plot", "page.xyz"), "page.xyz: pictures end in "),
        (("inspect", "nowhere.npz", "--plot", "page"), "page: pictures end in "),
        (("inspect", "{clip}", "--plot", "{file}/page.png"), "{file}: "),
        (("export", "{clip}", "--out", "{file}/walk.bvh"), "{file}"),
        (("export", "{clip}", "--out", "/proc/walk.bvh"), "/proc/walk.bvh: "),
        (("pack", "{clip}", "--out", "{file}/set"), "{file}"),
        (("split", "{folder}", "--by", "clip", "--parts", "all=1", "--out", "{folder}"), "{folder}: Is a directory"),
        (("view", "{clip}", "--out", "walk.png", "--width", "0"), "--width 0: expected 16 to 4096 pixels"),
        (("view", "{clip}", "--out", "walk.mp4", "--height", "5000"), "--height 5000: expected 16 to 4096 pixels"),
    ],
)
def test_what_the_system_refuses_is_one_line(run, tmp_path: Path, monkeypatch, words, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"clip": sorted(asset_path("motions/wildrobot_walk").glob("*.npz"))[0], "file": tmp_path / "notes.txt"}
    places["folder"] = places["clip"].parent
    if "{folder}" in words:
        places["folder"] = tmp_path / "set"
        save_clip(places["folder"] / "a.npz", load_clip(places["clip"]))
    places["file"].write_text("")
    code, _, errors = run(*(word.format(**places) for word in words))
    assert code == 2
    assert errors.count("\n") == 1
    assert errors.startswith(f"error: {message.format(**places)}")
    assert "Traceback" not in errors


def test_help_is_quick_and_for_users(run) -> None:
    """The list of commands imports none of them; each line of it is what the command says of itself, or shorter."""
    program = (
        "import sys; sys.argv = ['gait-data', '--help']\n"
        "from gait_envs.mocap import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('mujoco', 'mink', 'matplotlib', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    code, text, _ = run("--help")
    assert code == 0
    assert "commands/" not in text
    for name, (_, words) in cli.COMMANDS.items():
        assert f"{name} " in text
        assert words.split()[0] in text
        code, told, _ = run(name, "--help")
        assert code == 0
        assert words.split()[0] in told  # the same verb


def test_a_missing_library_is_named_with_what_brings_it(run, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mink", None)
    for name in [name for name in sys.modules if name.startswith("gait_envs.mocap")]:
        if name.endswith((".ik", ".pipeline", ".folder", "commands.retarget")):
            monkeypatch.delitem(sys.modules, name)
    code, _, errors = run("retarget", capture)
    assert code == 2
    assert "gait-data needs mink; install it with: pip install 'gaitnet[data]'" in errors
