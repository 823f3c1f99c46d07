"""Formats of other packages: registered by a call or by an entry point, and never able to break ours."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers.walker import HIP_HEIGHT, PERIOD, SHANK, SPEED, THIGH, _foot, _leg_angles

from gait_envs.errors import MotionError
from gait_envs.mocap import formats
from gait_envs.mocap.capture import forward_kinematics
from gait_envs.mocap.formats import ENTRY_POINTS, Format, all_formats, find_format, read_capture, register_format

PAGE = Path(__file__).resolve().parents[4] / "docs" / "extending.md"
EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "extending" / "my_format.py"


@pytest.fixture(autouse=True)
def entry_points_looked_for() -> Iterator[None]:
    """Each test looks for entry points once more."""
    formats._load_plugins.cache_clear()
    yield
    formats._load_plugins.cache_clear()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("my_format", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "my_format", module)
    spec.loader.exec_module(module)
    return module


def write_mot(path: Path, seconds: float = 3.0, rate: float = 60.0) -> Path:
    """A walk on flat ground, drawn by two-link legs."""
    time = np.arange(round(seconds * rate) + 1) / rate
    columns = {"time": time, "pelvis_tx": SPEED * time, "pelvis_ty": 0 * time, "pelvis_tilt": 0 * time}
    hip = HIP_HEIGHT * (THIGH + SHANK)
    columns["pelvis_tz"] = hip + 0.08 + 0.05 + 0 * time  # the ankles' height, and the hips' under the pelvis
    for side, offset in (("l", 0.0), ("r", 0.5)):
        forward, rise, pitch = _foot(time / PERIOD + offset, offset)
        turns = np.degrees(_leg_angles(forward - SPEED * time, hip - rise, pitch))
        # The helper turns a hanging bone backwards; a knee bends that way.
        columns |= {f"hip_flexion_{side}": -turns[:, 0], f"knee_flexion_{side}": turns[:, 1]}
        columns[f"ankle_dorsiflexion_{side}"] = -turns[:, 2]
    rows = "\n".join("\t".join(f"{x:.8f}" for x in row) for row in np.array(list(columns.values())).T)
    path.write_text(f"walk\nversion=1\nendheader\n{chr(9).join(columns)}\n{rows}\n")
    return path


def test_the_example_reads_its_angles(example: ModuleType, tmp_path: Path) -> None:
    path = write_mot(tmp_path / "walk.mot")
    register_format(example.FORMAT)
    assert find_format(path) == example.FORMAT
    motion = read_capture(path)
    assert (motion.fps, motion.frames, motion.up, motion.unit) == (60.0, 181, "+z", 1.0)
    places, _ = forward_kinematics(motion)
    row = dict(zip(*[line.split() for line in path.read_text().splitlines()[3:5]], strict=True))
    hip = np.radians(float(row["hip_flexion_l"]))
    knee = places[0, motion.skeleton.index("left_knee")] - places[0, motion.skeleton.index("left_hip")]
    np.testing.assert_allclose(knee, [0.42 * np.sin(hip), 0.0, -0.42 * np.cos(hip)], atol=1e-9)
    blocks = list(example.open_capture(path).blocks(100))
    assert [len(rotations) for rotations, _ in blocks] == [100, 81]
    np.testing.assert_array_equal(np.concatenate([r for r, _ in blocks]), motion.rotations)


def run_example(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *words], capture_output=True, text=True, check=False, cwd=EXAMPLE.parents[2]
    )


def test_the_example_walks_on_a_robot() -> None:
    """As the page says, with the file beside it: registered, read, retargeted."""
    (line,) = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "my_format.py " in line]
    command, told = line.split("    # ")
    done = run_example(*command.split()[2:])
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{told}\n" == "3.00 s at 0.32 m/s; fit\n"  # 0.7 m/s on legs of 0.373 m for 0.82 m


def test_a_file_that_is_missing_is_one_sentence() -> None:
    done = run_example("nowhere.mot")
    assert (done.returncode, done.stderr) == (2, "my_format.py: nowhere.mot: no such file\n")


def test_the_file_beside_the_example_is_the_drawn_walk(tmp_path: Path) -> None:
    shipped, drawn = (
        np.loadtxt(path, skiprows=4) for path in (EXAMPLE.with_name("walk.mot"), write_mot(tmp_path / "walk.mot"))
    )
    np.testing.assert_allclose(shipped, drawn, atol=5.1e-5)


def test_the_example_names_what_is_wrong(example: ModuleType, tmp_path: Path) -> None:
    path = write_mot(tmp_path / "walk.mot", seconds=0.1)
    text = path.read_text()
    for old, new, message in (
        ("endheader", "end", "walk.mot: expected 'endheader', the names of the columns, and two rows or more"),
        ("knee_flexion_l", "knee_l", r"walk.mot, line 4: no column 'knee_flexion_l'; there are time, pelvis_tx"),
        ("0.01666667", "x", r"walk.mot, line 6: a row: 'x' is not a number"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(MotionError, match=message):
            example.open_capture(path).read()


def test_a_format_is_registered_once_and_well(example: ModuleType) -> None:
    register_format(example.FORMAT)
    register_format(example.FORMAT)
    assert list(all_formats())[-1] == "mot"
    with pytest.raises(MotionError, match=r"format 'bvh' is known already: Biovision hierarchy"):
        register_format(Format("bvh", (".bvh",), "mine", "mine"))
    for suffixes in ((), ("mot",), (".MOT",)):
        with pytest.raises(MotionError, match=r"format 'other': suffixes .* expected such as"):
            register_format(Format("other", suffixes, "mine", "mine"))


def install(folder: Path, name: str, target: str) -> None:
    """What pip leaves of a package that has one entry point of ours."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{name} = {target}\n")


def test_installed_packages_bring_their_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "their_format.py").write_text(EXAMPLE.read_text())
    install(tmp_path, "mot", "their_format:FORMAT")
    assert all_formats()["mot"].module == "their_format"
    assert read_capture(write_mot(tmp_path / "walk.mot", seconds=0.5)).frames == 31


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:FORMAT", "motion format 'broken' (no_such_module:FORMAT) is left out: No module named"),
        ("json:dumps", "motion format 'broken' (json:dumps) is left out: json:dumps is a function, expected a Format"),
    ],
)
def test_a_broken_plugin_is_named_and_left_out(
    target: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "broken", target)
    with pytest.warns(UserWarning, match=re.escape(message)):
        known = all_formats()
    assert "bvh" in known
    assert "broken" not in known
