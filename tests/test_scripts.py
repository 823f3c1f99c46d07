"""Scripts of the repository end as the programs do where their input is wrong: one line, status 2, no traceback."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import pytest

from gait_envs.assets import asset_path

pytest.importorskip("stable_baselines3")
SCRIPTS = Path(__file__).parents[1] / "scripts"
# These need neither package's input: they call programs, or say themselves what is wrong.
OWN = {
    "damage.py", "fetch_vendored.py", "fuzz.py", "golden.py", "make_humanoid.py", "mutate.py", "smoke_wheel.py",
    "sync_form.py", "third_party.py",
}  # fmt: skip
WRONG = (
    ("ablate_motion.py", ["nowhere", "--out", "out"]),
    ("make_tracker.py", ["nowhere"]),
    ("bench_motionnn.py", ["nowhere"]),
    ("compare_learning.py", ["encoders", "--model", "nowhere", "--out", "out"]),
    ("compare_learning.py", ["resampling", "--clips", "nowhere", "--out", "out"]),
)


def test_every_script_is_run_so() -> None:
    found = set()
    for path in SCRIPTS.glob("*.py"):
        last = ast.unparse(ast.parse(path.read_text(encoding="utf-8")).body[-1])
        if "run_script(main)" not in last:
            found.add(path.name)
    assert found == OWN


@pytest.mark.parametrize("name, words", WRONG)
def test_wrong_input_is_one_line(
    name: str, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPTS / name), *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    told = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert told[-1].startswith(f"{name}: nowhere")
    assert "Traceback" not in "".join(told)


def test_clips_of_another_body_are_said_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clips = str(asset_path("motions/wildrobot_walk"))
    monkeypatch.setattr(sys, "argv", [str(SCRIPTS / "make_tracker.py"), clips, "--robot", "humanoid", "--work", "runs"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(SCRIPTS / "make_tracker.py"), run_name="__main__")
    assert "of the model 'wildrobot': joints differ" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/checkpoints"))
