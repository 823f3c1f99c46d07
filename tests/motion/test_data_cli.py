"""`gait-data` as a user meets it: files that appear, words that help, exit codes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from walker import walker_bvh

from gait_envs.motion import cli
from gait_envs.motion.clip import load_clip, save_clip


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
    assert "source is unknown; say it with --source or --table" in errors
    assert "license is unknown; say it with --license or --table" in errors
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.bvh",), "nowhere.bvh: no such file"),
        (("{capture}", "--robot", "hal"), "unknown robot 'hal'; known:"),
        (("{capture}", "--unit", "league"), "unit 'league': expected metres a unit or one of"),
        (("{capture}", "--up", "w"), "up axis 'w': expected one of x, y, z"),
        (("{capture}", "--time", "slow"), "time 'slow': expected keep, froude"),
        (("{capture}", "--start", "5"), "the capture lasts 1.983 s"),
        (("{capture}", "--out", "walk.txt"), "a clip's name ends in .npz"),
        (("{capture}", "--map", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
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
    assert "no such clip" in errors


def test_inspect_without_contacts_or_robot(run, capture: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    out = tmp_path / "walk.npz"
    run("retarget", capture, "--out", out, "--no-picture")
    clip = load_clip(out)
    save_clip(out, replace(clip, contacts=None))
    assert run("inspect", out)[0] == 0
    code, _, errors = run("inspect", out, "--plot", tmp_path / "page.png")
    assert code == 2
    assert "without contacts cannot be drawn" in errors
    save_clip(out, replace(clip, model="hal"))
    code, _, errors = run("inspect", out)
    assert code == 2
    assert "unknown robot 'hal'" in errors
