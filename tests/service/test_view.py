"""What follows a training: figures equal to those of the command line, and the page in which the policy walks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from helpers.service import TINY
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_trainers.cli import app as command_line
from gait_trainers.policies import export, validation
from gait_trainers.service.jobs import finish
from gait_trainers.service.operations import files
from gait_trainers.service.settings import Settings
from gait_trainers.web.vendor import VendorError

BUNDLED = "policies/wildrobot_walk"
WASM = b"\0asm"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a process `finish` leaves of a training whose export is the bundled policy."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "export", lambda _, out, **__: shutil.copytree(asset_path(BUNDLED), out))
        patch.setattr(validation, "STEPS", 40)
        told = finish.finish(folder / "run", folder)
        (folder / "result.json").write_text(json.dumps(told))
        shown = CliRunner().invoke(command_line, ["validate", str(folder / "bundle"), "--calls", "10", "--json"])
    (folder / "shown.json").write_text(shown.stdout)
    return folder


def test_the_figures_are_those_of_the_command_line(results: Path) -> None:
    """All but the latency, which is measured each time, by the same function, and what follows from it: `passed`."""
    found = json.loads((results / "result.json").read_text())["validation"]
    shown = json.loads((results / "shown.json").read_text())
    assert set(found.pop("latency_ms")) == set(shown.pop("latency_ms"))
    assert isinstance(found.pop("passed"), bool)
    assert isinstance(shown.pop("passed"), bool)
    assert found == shown
    assert len(found["actions"]) == 9


@pytest.fixture
def seen(results: Path, trainer: TestClient, settings: Settings, tmp_path: Path, monkeypatch) -> str:
    """A session whose policy can be seen in 3D; its id."""
    id = trainer.post("/sessions", json=TINY).json()["id"]
    shutil.copytree(results / "view", settings.results / id / "view")
    (tmp_path / "mujoco.wasm").write_bytes(WASM)
    (tmp_path / "mujoco.js").write_text("export default 0;")
    vendored = {name: tmp_path / name for name in ("mujoco.wasm", "mujoco.js")}
    monkeypatch.setattr(files, "_vendored", lambda: vendored)
    return id


def test_the_page_of_a_policy_consists_of_known_files(seen: str, trainer: TestClient, other: TestClient) -> None:
    address = f"http://localhost/sessions/{seen}/view/"
    for name, media, text in (
        ("", "text/html", "page.js"), ("page.js", "text/javascript", "fetchJson"),
        ("body.json", "application/json", "start_qpos"),
        ("policy/policy.json", "application/json", "parity"), ("vendor/mujoco.js", "text/javascript", "export"),
    ):  # fmt: skip
        answer = trainer.get(address + name)
        assert answer.status_code == 200, name
        assert answer.headers["content-type"].startswith(media)
        assert text in answer.text
    assert trainer.get(address + "vendor/mujoco.wasm.gz").content == WASM
    policies = [trainer.get(address + name).headers["content-security-policy"] for name in ("", "page.js")]
    assert ["'unsafe-eval'" in policy for policy in policies] == [True, False]
    assert all("script-src 'self' " in policy and "connect-src 'self'" in policy for policy in policies)
    for name in (
        "nothing.js",
        "%2e%2e/result.json",
        "..%2fresult.json",
        "policy/%2e%2e/%2e%2e/bundle/policy.onnx",
        "/etc/passwd",
    ):
        assert trainer.get(address + name).status_code == 404, name
    assert other.get(address).status_code == 404


def test_a_page_without_its_third_party_files_is_not_offered(seen: str, settings: Settings, monkeypatch) -> None:
    assert "body.json" in files.view_files(seen, settings)

    def missing() -> None:
        raise VendorError("mujoco.js is missing")

    monkeypatch.setattr(files, "_vendored", missing)
    assert "vendor/mujoco.js" not in files.view_files(seen, settings)


def test_a_view_is_asked_for_once(seen: str, trainer: TestClient, settings: Settings) -> None:
    assert trainer.post(f"/sessions/{seen}/view").status_code == 409, "there is no checkpoint yet"
    (settings.runs / seen / "checkpoints").mkdir(parents=True)
    (settings.runs / seen / "checkpoints" / "step_00000032.pt").touch()
    first, second = (trainer.post(f"/sessions/{seen}/view").json() for _ in range(2))
    assert first == second
    assert (first["kind"], first["state"]) == ("view", "queued")
