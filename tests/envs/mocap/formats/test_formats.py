"""The registry of capture formats; how its readers stand damaged files is in tests/test_loaders.py."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.mocap import formats as importers
from gait_envs.mocap.axes import UNITS, unit_metres
from gait_envs.mocap.capture import MotionError
from gait_envs.mocap.formats import FORMATS, Format, open_capture, read_capture
from gait_envs.mocap.formats.bvh_writer import _what_moves

ROOT = Path(__file__).resolve().parents[4]


def test_suffix_or_name_choose_the_format(tmp_path: Path) -> None:
    path = walker_bvh(tmp_path / "walk.BVH", seconds=0.2)
    expected = read_capture(path)
    renamed = path.rename(tmp_path / "walk.dat")
    np.testing.assert_array_equal(read_capture(renamed, "bvh").rotations, expected.rotations)
    with pytest.raises(MotionError, match=r"walk\.dat: no capture format has the suffix '\.dat'; known: bvh \(\.bvh\)"):
        read_capture(renamed)
    with pytest.raises(MotionError, match=r"unknown format 'fbx'; known: bvh"):
        read_capture(renamed, "fbx")


def test_options_reach_the_reader_or_are_refused(tmp_path: Path) -> None:
    path = walker_bvh(tmp_path / "walk.bvh", seconds=0.2)
    with pytest.raises(MotionError, match=r"walk\.bvh: unknown option 'asf'; allowed: none"):
        open_capture(path, asf="02.asf")
    assert open_capture(path, asf=None).frames == 13  # None is the default


def test_content_decides_where_formats_share_a_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        module = types.SimpleNamespace(
            sniff=lambda path, name=name: name in path.read_text(), open_capture=lambda path: 0
        )
        monkeypatch.setitem(sys.modules, f"gait_envs.mocap.formats.{name}", module)
        monkeypatch.setitem(FORMATS, name, Format(name, (".both",), f"the {name}", f"gait_envs.mocap.formats.{name}"))
    path = tmp_path / "capture.both"
    with pytest.raises(MotionError, match="no such file"):
        importers.find_format(path)
    path.write_text("a second kind")
    assert importers.find_format(path).name == "second"
    path.write_text("a third kind")
    with pytest.raises(MotionError, match=r"fits none of the formats with this suffix: first \(the first\), second"):
        importers.find_format(path)


def test_the_registry_is_light() -> None:
    code = "import sys, gait_envs.mocap.formats as i; print([m for m in sys.modules if m.startswith(i.__name__ + '.')])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_keeps_to_the_contract(name: str) -> None:
    module = FORMATS[name].load()
    assert callable(module.open_capture)
    shared = [other for other in FORMATS.values() if set(other.suffixes) & set(FORMATS[name].suffixes)]
    assert len(shared) == 1 or callable(module.sniff)
    assert FORMATS[name].suffixes == tuple(suffix.lower() for suffix in FORMATS[name].suffixes)


@pytest.mark.skipif(os.name == "nt", reason="no pipes")
@pytest.mark.parametrize("name", ["a.bvh", "a.amc", "a.json", "a.npz"])
def test_pipes_are_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)  # opening it would wait for its writer
    formats = [format.name for format in FORMATS.values() if Path(name).suffix in format.suffixes]
    assert formats
    for format in formats:
        with pytest.raises(MotionError, match=f"{name}: (not a file|no such file)"):
            open_capture(tmp_path / name, format, **({"asf": tmp_path / name} if name == "a.amc" else {}))


def test_a_unit_by_name_is_so_many_metres() -> None:
    assert {name: round(unit_metres(name), 9) for name in UNITS} == {
        "mm": 0.001, "cm": 0.01, "inch": 0.0254, "cmu": 0.056444444, "m": 1.0,
    }  # fmt: skip


def test_what_moves_is_judged_by_the_size_of_the_body() -> None:
    """In centimetres, a rounding of 5e-9 beside a bone of 100 is stillness, and of 5e-8 motion."""
    offsets = np.array([[0.0, 0, 0], [0, 0, -100.0]])
    turns = np.broadcast_to([1.0, 0, 0, 0], (1, 2, 4))
    found = []
    for off in (5e-9, 5e-8):
        frames = [(turns, (offsets + np.array([[0, 0, 0], [off, 0, 0]]))[None])]
        skeleton = types.SimpleNamespace(offsets=offsets)
        body = types.SimpleNamespace(name="two", skeleton=skeleton, blocks=lambda _, frames=frames: frames)
        found.append([part.tolist() for part in _what_moves(body)])
    assert found == [[[False, False], [False, False]], [[False, True], [False, False]]]
