"""The humanoid's tables: the models are what they make, and a bad one says what is wrong with it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from helpers.human import TABLES, make_humanoid, needs_script, spoilt

from gait_envs.assets import asset_path

pytestmark = needs_script
SOLEUS = "soleus,tibia,-0.0024,0.0071,-0.1533,site,"  # the first point of its path, line 103


def test_the_models_are_what_the_tables_make() -> None:
    for name, text in make_humanoid().build(TABLES).items():
        assert asset_path(f"humanoid/{name}").read_text() == text, "run: python scripts/make_humanoid.py"


def test_every_line_names_its_source(tmp_path: Path) -> None:
    copy = spoilt(tmp_path, "segments", ",as the big toe", ",")
    with pytest.raises(ValueError, match=r"segments.csv, line 7: no source"):
        make_humanoid().build(copy)


@pytest.mark.parametrize("table, old, new, message", [
    ("muscles", "soleus,3549,0.05,", "soleus,3549,-0.05,", r"muscles.csv, line 35: fibre_length is -0.05, expected"),
    ("muscles", "soleus,3549", "soleus,strong", r"muscles.csv, line 35: max_force is 'strong', expected a number"),
    ("muscles", "soleus,", "psoas,", r"muscles.csv, line 35: unit 'psoas' is there twice"),
    ("muscles", "soleus,3549,", "soleus,-3549,", r"muscles.csv, line 35: max_force is -3549, expected at least"),
    ("muscles", "soleus,3549,0.05,", "soleus,3549,nan,", r"muscles.csv, line 35: fibre_length is nan, expected"),
    ("muscles", "soleus,3549,0.05,", "soleus,3549,,", r"muscles.csv, line 35: fibre_length is '', expected a number"),
    ("frames", "femur,femur", "femur,thigh", r"frames.csv, line 3: body 'thigh'; there are pelvis, femur"),
    ("frames", "tibia,tibia", "tibia,", r"frames.csv, line 4: no body"),
    ("paths", SOLEUS, SOLEUS.replace("-0.0024", "1e5"), r"paths.csv, line 103: x is 100000, expected between -1 and 1"),
    ("paths", SOLEUS, SOLEUS.replace("-0.0024", "high"), r"paths.csv, line 103: x is 'high', expected a number"),
    ("paths", SOLEUS, SOLEUS.replace("site", "nail"), r"paths.csv, line 103: role 'nail'; there are site, wrap"),
    ("paths", SOLEUS, f"{SOLEUS}\n{SOLEUS}", r"paths.csv, line 104: 'soleus' goes through the same point twice"),
    ("paths", "soleus,tibia", "soleus,shin", r"paths.csv, line \d+: frame 'shin'; there are pelvis, femur"),
    ("paths", "soleus,tibia", "soles,tibia", r"paths.csv, line \d+: unit 'soles'; there are glut_med1"),
    ("paths", "rect_fem,knee_front,", "rect_fem,knee_top,", r"paths.csv, line \d+: frame 'knee_top'; there are"),
    ("wraps", "cylinder,", "cone,", r"wraps.csv, line 2: shape 'cone'; there are cylinder, sphere"),
    ("segments", "tibia,both,femur", "tibia,both,thigh", r"segments.csv, line 4: parent 'thigh'; there are world"),
    ("segments", "0.2425,14.16", "-0.2425,14.16", r"segments.csv, line 3: length is -0.2425, expected at least"),
    ("segments", ",14.16,", ",15.16,", r"segments.csv: the masses add up to 102.00 % of the body"),
    ("joints", "knee_flexion,tibia", "knee_flexion,shin", r"joints.csv, line 5: body 'shin'; there are pelvis"),
    ("joints", "-30,120", "130,120", r"joints.csv, line 2: lower_deg is not below upper_deg"),
    ("joints", "femur,-y", "femur,w", r"joints.csv, line 2: axis 'w'; there are x, -x"),
    ("shapes", "thigh,femur", "thigh,upper_leg", r"shapes.csv, line \d+: body 'upper_leg'; there are pelvis"),
    ("shapes", "shape,body", "form,body", r"shapes.csv, line 1: columns form, body.*; expected shape, body"),
    ("segments", "mass,com_x", "mass", r"segments.csv, line 1: columns"),
    ("segments", ",as the big toe", "", r"segments.csv, line 7: not 15 values; a value with a comma needs quotes"),
])  # fmt: skip
def test_bad_tables_are_named(tmp_path: Path, table: str, old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_humanoid().build(spoilt(tmp_path, table, old, new))


def test_a_table_without_lines_is_named(tmp_path: Path) -> None:
    copy = spoilt(tmp_path, "muscles", "unit,", "unit,")
    path = copy / "muscles.csv"
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"muscles.csv: no line after the first"):
        make_humanoid().build(copy)
    path.unlink()
    with pytest.raises(ValueError, match=r"muscles.csv: cannot be read"):
        make_humanoid().build(copy)


def test_a_unit_without_a_path_is_named(tmp_path: Path) -> None:
    copy = spoilt(tmp_path, "paths", "unit,frame", "unit,frame")
    lines = (copy / "paths.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("soleus,")]
    (copy / "paths.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"muscles.csv, line 35: 'soleus' has no path of two sites"):
        make_humanoid().build(copy)


def test_the_command_says_so_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = spoilt(tmp_path, "frames", "femur,femur", "femur,thigh")
    monkeypatch.setattr(sys, "argv", ["make_humanoid.py", "--tables", str(copy), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=re.escape("error: ") + r".*frames.csv, line 3: body 'thigh'"):
        make_humanoid().main()
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]
