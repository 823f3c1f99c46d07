"""The registry of capture formats; how its readers stand damaged files is in tests/test_loaders.py."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.mocap import formats as importers
from gait_envs.mocap.capture import MotionError
from gait_envs.mocap.formats import FORMATS, Format, open_capture, read_capture

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
