"""The figures of a mean gait cycle against numbers worked out by hand, and what the bundled walker comes to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gait_envs.assets import asset_path
from gait_trainers.evaluation.cycles import JointCycles, joint_cycles
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.evaluation.style import CYCLE_POINTS, Cycle
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.gait_page import draw_cycles

JOINTS = ("waist", "left_knee", "right_knee")


def walk(theirs: bool = True) -> JointCycles:
    """Knees swing by 0.2 rad; the reference's left knee is flexed by 0.1 rad more, its right one is against ours."""
    phase = np.linspace(0.0, 2.0 * np.pi, CYCLE_POINTS, endpoint=False)
    swing, still = 0.2 * np.sin(phase), np.zeros(CYCLE_POINTS)
    ours = Cycle(np.stack([still, swing, swing], axis=1), lean=0.1, cadence=90.0)
    reference = Cycle(np.stack([still, swing + 0.1, -swing], axis=1), lean=0.05, cadence=120.0)
    return JointCycles("0.4 m/s", JOINTS, ours, reference if theirs else None, 0.38, 10.0, "")


def test_figures_by_hand() -> None:
    found = walk().figures()
    json.dumps(found, allow_nan=False)
    assert found["trunk_lean_deg"] == pytest.approx(5.72958)  # 0.1 rad
    assert found["trunk_lean_difference_deg"] == pytest.approx(2.86479)
    assert found["cadence_difference_percent"] == pytest.approx(-25.0)
    curves = found["curves"]
    assert curves["waist"]["correlation"] is None, "a joint that does not move has none"
    assert (curves["left_knee"]["correlation"], curves["left_knee"]["rms"]) == (pytest.approx(1.0), 5.72958)
    # 0.4 rad · sin has a root mean square of 0.4 / √2 = 0.28284 rad = 16.20569°.
    assert (curves["right_knee"]["correlation"], curves["right_knee"]["rms"]) == (pytest.approx(-1.0), 16.20569)
    assert max(curves["left_knee"]["mean"]) == pytest.approx(11.459, abs=0.03)
    assert len(curves["left_knee"]["reference"]) == CYCLE_POINTS


def test_without_a_reference_there_is_nothing_to_compare() -> None:
    found = walk(theirs=False).figures()
    assert "cadence_difference_percent" not in found
    assert set(found["curves"]["left_knee"]) == {"unit", "mean", "reference"}
    assert found["curves"]["left_knee"]["reference"] is None


@pytest.mark.parametrize("theirs", [True, False])
def test_the_picture_is_whole_or_none(theirs: bool, tmp_path: Path) -> None:
    draw_cycles(walk(theirs), "walker", tmp_path / "gait.png")
    assert (tmp_path / "gait.png").read_bytes()[:4] == b"\x89PNG"
    assert [file.name for file in tmp_path.iterdir()] == ["gait.png"]


def test_a_walk_without_cycles_says_how_it_ended() -> None:
    policy = load_policy(asset_path("policies/wildrobot_imitation"))
    with pytest.raises(EvaluationError, match=r"walk_010_calm_0 walked for 1\.2 s: fewer than two whole gait cycles"):
        joint_cycles(policy, seconds=1.2, threads=1)
