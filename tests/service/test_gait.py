"""The gait page of a policy that has been trained: made by the process that evaluates it, shown, and fetched."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from helpers.service import TINY

from gait_envs.assets import asset_path
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.policies.loading import load_policy
from gait_trainers.service.jobs import finish, gait
from gait_trainers.service.pages import findings
from gait_trainers.service.settings import Settings

BASE = "http://localhost"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `evaluate` leaves of the bundled walker."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(asset_path("policies/wildrobot_walk"), folder / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "evaluate", lambda *_, **__: {"success_rate": 1.0})
        patch.setattr(sys, "argv", ["finish", "evaluate", str(folder / "run"), str(folder)])
        finish.main()
    return folder


def test_the_walker_is_near_its_reference(results: Path) -> None:
    assert json.loads((results / "evaluation.json").read_text()) == {"success_rate": 1.0}
    found = json.loads((results / "gait.json").read_text())
    assert found["walk"] == "0.5 m/s"
    assert found["speed"] == pytest.approx(0.5, abs=0.05)
    assert found["against"] == "the reference at this speed"
    assert len(found["curves"]) == 9
    assert min(curve["correlation"] for curve in found["curves"].values()) > 0.9  # measured: 0.956
    assert (results / "gait.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_a_human_walk_is_compared_with_published_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load_policy(asset_path("policies/humanoid_imitation"))
    monkeypatch.setattr(gait, "SECONDS", 6.0)
    gait.write_gait(policy, tmp_path)
    found = json.loads((tmp_path / "gait.json").read_text())
    assert found["against"].startswith("published curves")
    assert found["curves"]["knee_flexion"]["correlation"] > 0.9
    shown = findings.gait(found)
    assert shown is not None
    assert shown.headlines["Speed"] == "0.602 m/s"
    assert ["Knee flexion", "°"] in [row[:2] for row in shown.tables[0].rows]


def test_a_policy_that_does_not_walk_has_no_page(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even that of an earlier policy; the evaluation is there all the same."""

    def falls(*_: object, **__: object) -> None:
        raise EvaluationError("it fell (low) after 0.3 s")

    for name in ("gait.json", "gait.png"):
        shutil.copyfile(results / name, tmp_path / name)
    shutil.copytree(results / "bundle", tmp_path / "bundle")
    monkeypatch.setattr(gait, "joint_cycles", falls)
    finish.analyse(tmp_path / "run", tmp_path)
    assert "no gait page: it fell (low) after 0.3 s" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def test_it_is_shown_and_fetched_by_who_may_see_the_session(
    results: Path, trainer: TestClient, other: TestClient, settings: Settings
) -> None:
    id = trainer.post("/sessions", json=TINY).json()["id"]
    before = trainer.get(f"{BASE}/sessions/{id}/results").text
    assert 'id="gait"' not in before
    folder = settings.results / id
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("gait.json", "gait.png"):
        shutil.copyfile(results / name, folder / name)
    page = trainer.get(f"{BASE}/sessions/{id}/results").text
    assert f'<img src="/api/v1/sessions/{id}/files/gait" alt="Curves over the gait cycle, against the reference' in page
    assert "Left knee pitch" in page
    listed = {file["key"]: file["media_type"] for file in trainer.get(f"/sessions/{id}/files").json()}
    assert listed["gait"] == "image/png"
    assert listed["gait_figures"] == "application/json"
    picture = trainer.get(f"/sessions/{id}/files/gait")
    assert picture.content == (results / "gait.png").read_bytes()
    assert picture.headers["content-disposition"].startswith("attachment")
    assert trainer.get(f"/sessions/{id}/files/gait_figures").json()["walk"] == "0.5 m/s"
    assert other.get(f"/sessions/{id}/files/gait").status_code == 404
    (folder / "gait.json").write_text("[")  # a file that was damaged is none
    assert 'id="gait"' not in trainer.get(f"{BASE}/sessions/{id}/results").text
