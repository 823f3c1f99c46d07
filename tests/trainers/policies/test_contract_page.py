"""The page of the contract: its examples run, one after another, and do what it says."""

import re
from pathlib import Path

import pytest

import gait_trainers
from gait_trainers.policies import sb3_export

PAGE = Path(__file__).parents[3] / "docs" / "contracts" / "policy.md"


@pytest.mark.skipif(not PAGE.is_file(), reason="an installed package carries no docs")
def test_the_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Writing a graph takes seconds and is tested elsewhere.
    monkeypatch.setattr(sb3_export, "write_bundle", lambda trained, out: exported.append((trained.acting.env_id, out)))
    exported, names = [], {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    for block in blocks:
        exec(block, names)
    assert not names["terminated"]  # it walks
    assert names["info"]["x_velocity"] > 0.3
    assert names["figures"]["success_rate"] == 1.0
    assert exported == [("GaitNet/WildRobot-v0", Path("mine"))]
    assert gait_trainers.load_policy is names["load_policy"]
