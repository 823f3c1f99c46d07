"""What an export to a page writes and refuses; nothing here needs a browser or the third-party files."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.control.muscle_network import load_muscle_network
from gait_envs.models.edits import edits, make_edits
from gait_envs.models.portable import PortableError, portable
from gait_envs.models.robot import Robot, humanoid, muscle_humanoid, wildrobot
from gait_envs.models.shapes import ShapeError, shapes
from gait_envs.registry import ENVIRONMENTS
from gait_envs.simulation.make import MUSCLE_NETWORK
from gait_trainers import load_policy
from gait_trainers.cli import app
from gait_trainers.policies.bundle import load_bundle
from gait_trainers.web import body as body_module
from gait_trainers.web import vendor
from gait_trainers.web.body import PageError, check_task, describe_body, observable, static_text
from gait_trainers.web.muscles import write_muscle_network
from gait_trainers.web.page import strict_json, write_page
from gait_trainers.web.vendor import COMMAND, VendorError, ensure, fetch, vendored

WALKER = asset_path("policies/wildrobot_walk")
FILES = {"some.js": b"export default 1;", "dist/some.wasm": b"\0asm" + 1000 * b"\0"}


def pinned(files: dict[str, bytes]) -> list[dict[str, Any]]:
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return [{"package": "some", "version": "1.2.3", "license": "MIT", "source": "https://example.com", "files": sums}]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and two small files that are pinned instead of the real ones."""
    monkeypatch.setenv("GAITNET_VENDOR", str(tmp_path / "vendor"))
    monkeypatch.setattr(vendor, "packages", lambda: pinned(FILES))
    return tmp_path / "vendor"


@pytest.fixture
def filled(cache: Path) -> Path:
    cache.mkdir()
    for name, data in FILES.items():
        (cache / Path(name).name).write_bytes(data)
    return cache


def strict(path: Path) -> Any:
    """A JSON file as a browser reads it."""
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(f"{path}: {name}"))


# -- what is written -------------------------------------------------------------------------------------------


def test_page_has_everything_that_it_asks_for(filled: Path, tmp_path: Path) -> None:
    page = write_page(WALKER, tmp_path / "page")
    names = {path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file()}
    assert {"index.html", "page.js", "body.json", "rows.json", "policy/policy.json", "policy/policy.onnx"} <= names
    assert {"model/scene.xml", "model/wildrobot.xml", "vendor/some.js", "vendor/some.wasm.gz"} <= names
    assert {"vendor/VENDORED.txt", "vendor/mujoco-LICENSE", "vendor/onnxruntime-LICENSE"} <= names
    for script in page.glob("*.js"):
        for imported in re.findall(r'from "\./([^"]+)"', script.read_text(encoding="utf-8")):
            assert imported in names, f"{script.name} imports {imported}"
    for text in (*page.glob("*.js"), page / "index.html", page / "style.css"):
        assert "http" not in text.read_text(encoding="utf-8").replace("http.server", ""), (
            f"{text.name} asks the network"
        )
    told = strict(page / "policy" / "policy.json")
    assert [row["name"] for row in told["observation"]["layout"]] == [row.name for row in _layout("walk")]
    assert (page / "policy" / "policy.onnx").read_bytes() == (WALKER / "policy.onnx").read_bytes()


def test_body_says_what_the_robot_and_the_task_are(filled: Path, tmp_path: Path) -> None:
    body = strict(write_page(WALKER, tmp_path / "page") / "body.json")
    robot = wildrobot()
    assert body["substeps"] * robot.model.opt.timestep == pytest.approx(body["dt"]) == pytest.approx(0.02)
    assert body["half_range_rad"] == robot.half_range.tolist()
    assert body["start_qpos"][7:] == robot.home.tolist()  # standing still, without noise
    assert body["start_qpos"][2] == pytest.approx(robot.home_qpos[2], abs=0.01)
    assert [robot.joint_names[i] for i in body["held_actions"]] == [n for n in robot.joint_names if "ankle" not in n]
    assert body["muscles"] is None
    assert not body["follows"]
    assert len(body["shapes"]) == len(shapes(robot)) == 28
    head = next(shape for shape in body["shapes"] if robot.model.geom(shape["geom"]).name == "head")
    assert head["kind"] == "ellipsoid"
    assert head["size"] == [0.055, 0.06, 0.058]
    assert 0.7 < head["place"][2] < 0.9


def test_clips_of_a_tracker_are_taken_along() -> None:
    found = describe_body(load_bundle(asset_path("policies/humanoid_imitation"))).reference
    assert found is not None
    assert [clip["name"] for clip in found["clips"]] == [f"walk_{speed:03d}" for speed in range(60, 161, 20)]
    for clip in found["clips"]:
        assert np.shape(clip["qpos"])[1:] == (57,)
        assert np.shape(clip["torque"]) == (len(clip["qpos"]), 50)
        assert clip["loop"]
        lap = (len(clip["qpos"]) - 1) / 30  # s
        assert clip["stride"][0] / lap == pytest.approx(int(clip["name"][-3:]) / 100, rel=0.1)


def test_numbers_that_are_not_finite_are_null() -> None:
    assert strict_json({"a": [1.5, float("inf")], "b": (float("nan"),)}) == '{"a": [1.5, null], "b": [null]}'


# -- the same model --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("robot", [wildrobot, humanoid, muscle_humanoid], ids=["wildrobot", "humanoid", "muscles"])
def test_portable_model_is_the_robots(robot: Any, tmp_path: Path) -> None:
    """Compiled from its files and edited, it steps as the robot's own does, bit for bit."""
    own: Robot = robot()
    taken = portable(own)
    for name, data in taken.files.items():
        (tmp_path / name).write_bytes(data)
    model = mujoco.MjModel.from_xml_path(str(tmp_path / taken.scene))
    make_edits(model, taken.edits)
    ends = []
    for each in (own.model, model):
        data = mujoco.MjData(each)
        data.qpos[:], data.qvel[:] = own.home_qpos, 0.1
        data.ctrl[:] = 0.3
        for _ in range(20):
            mujoco.mj_step(each, data)
        ends.append(data.qpos.copy())
    np.testing.assert_array_equal(*ends)
    # Lifted limits have become ranges that nothing reaches; nothing else may differ.
    ranges = {"actuator_ctrllimited", "actuator_forcelimited", "actuator_ctrlrange", "actuator_forcerange"}
    assert set(edits(model, own.model)) <= ranges
    assert not any(np.asarray(value).dtype == bool for value in taken.edits.values())


def test_meshes_are_refused() -> None:
    mesh = """<mujoco><asset><mesh name="m" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/></asset>
        <worldbody><body><freejoint/><geom name="hull" type="mesh" mesh="m"/></body></worldbody></mujoco>"""
    robot = dataclasses.replace(wildrobot(), model=mujoco.MjModel.from_xml_string(mesh))
    with pytest.raises(PortableError, match=r"scene\.xml: it has meshes"):
        portable(robot)
    with pytest.raises(ShapeError, match="geom 'hull' is a mesh; drawn can be sphere, capsule"):
        shapes(robot)


def test_muscle_network_as_a_graph_is_the_same(tmp_path: Path) -> None:
    muscles = muscle_humanoid().muscles
    assert muscles is not None
    network = load_muscle_network(asset_path(MUSCLE_NETWORK), muscles)
    write_muscle_network(network, tmp_path / "muscles.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "muscles.onnx"))
    entries, torque = len(muscles.entry_dof), len(muscles.dofs)
    given = np.random.default_rng(0).normal(scale=50.0, size=(1, entries + torque))
    (found,) = session.run(None, {"torques": (given / 200.0).astype(np.float32)})
    np.testing.assert_allclose(found, network(given[:, :entries], given[:, entries:]), atol=1e-5)


# -- one table of observations ---------------------------------------------------------------------------------


def _layout(task: str) -> Any:
    row = ENVIRONMENTS[task]
    return row.make_task({}).layout


def test_javascript_computes_the_rows_that_it_lists() -> None:
    table = re.search(r"export const OBSERVED = \{\n(.*?)\n\};", static_text("observe.js"), flags=re.DOTALL)
    assert table is not None
    assert re.findall(r"^  (\w+): \(", table[1], flags=re.MULTILINE) == observable()


@pytest.mark.parametrize("task", ENVIRONMENTS)
def test_every_environment_observes_what_the_page_computes(task: str) -> None:
    assert {row.name for row in _layout(task)} <= set(observable())


# -- what is refused -------------------------------------------------------------------------------------------


def test_missing_files_are_named_with_the_command(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(VendorError, match=rf"some\.js is missing, some\.wasm is missing.*{re.escape(COMMAND)}"):
        write_page(WALKER, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_damaged_files_are_named(filled: Path) -> None:
    (filled / "some.js").write_bytes(b"other")
    with pytest.raises(VendorError, match=r": some\.js differs from its checksum; fetch"):
        vendored()


def test_a_memory_is_refused() -> None:
    policy = load_policy(WALKER)
    recurrent = dataclasses.replace(policy, details={**policy.details, "memory": {"states": []}})
    with pytest.raises(PageError, match="wildrobot_walk: a policy with a memory; the page runs feedforward policies"):
        describe_body(recurrent)


def test_unknown_observations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "observable", lambda: ["joint_position"])
    with pytest.raises(PageError, match=r"it observes joint_velocity, .*; the page computes joint_position$"):
        describe_body(load_policy(WALKER))


def test_muscles_by_optimisation_are_refused() -> None:
    task = ENVIRONMENTS["muscle_walk"].make_task({"muscle_controller": "qp"})
    with pytest.raises(PageError, match=r"controller 'qp'; the page runs that of muscle_controller='nn'"):
        check_task(task, load_policy(WALKER))


def test_only_pages_are_replaced(filled: Path, tmp_path: Path) -> None:
    page = write_page(WALKER, tmp_path / "page")
    with pytest.raises(PageError, match="exists already; choose another --web"):
        write_page(WALKER, page)
    (page / "index.html").write_text("old")
    write_page(WALKER, page, force=True)
    assert "GaitNet" in (page / "index.html").read_text()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").touch()
    with pytest.raises(PageError, match="is not a page"):
        write_page(WALKER, tmp_path / "thesis", force=True)


def test_command_needs_somewhere_to_export_to(filled: Path, tmp_path: Path) -> None:
    def error(*words: str) -> str:
        return str(CliRunner().invoke(app, ["export", *words]).exception)

    assert "give --out FOLDER for a bundle, --web FOLDER for a page" in error("wildrobot_walk")
    assert "a bundle already" in error("wildrobot_walk", "--web", str(tmp_path / "a"), "--out", str(tmp_path / "b"))
    result = CliRunner().invoke(app, ["export", "wildrobot_walk", "--web", str(tmp_path / "page")])
    assert result.exit_code == 0
    assert "MB; open it with: python -m http.server --bind 127.0.0.1" in result.stdout


# -- fetching --------------------------------------------------------------------------------------------------


def npm_that_packs(folder: Path, files: dict[str, bytes]) -> None:
    """A program npm in this folder that answers `npm pack` with an archive of these files."""
    with tarfile.open(folder / "packed", "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (folder / "npm").write_text(f'#!/bin/sh\n[ "$2" = some@1.2.3 ] && cp "{folder}/packed" "$5/some.tgz"\n')
    (folder / "npm").chmod(0o755)


def test_fetched_files_are_checked_and_kept(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    npm_that_packs(tmp_path, FILES)
    assert ensure() == cache
    (tmp_path / "npm").unlink()
    assert ensure() == cache  # nothing is asked for again
    assert {path.name: path.read_bytes() for path in vendored().values()} == {Path(n).name: d for n, d in FILES.items()}


@pytest.mark.parametrize(
    "change, told",
    [({"some.js": b"changed"}, "some.js of some 1.2.3 differs from its checksum"), (None, "has no dist/some.wasm")],
)
def test_other_files_are_not_kept(
    change: dict[str, bytes] | None, told: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = copy.copy(FILES) | (change or {})
    if change is None:
        del files["dist/some.wasm"]
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    npm_that_packs(tmp_path, files)
    with pytest.raises(VendorError, match=told):
        fetch()
    assert not (cache / "some.wasm").exists()


def test_without_npm(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VendorError, match=r"npm is not installed; it comes with Node\.js"):
        fetch()
