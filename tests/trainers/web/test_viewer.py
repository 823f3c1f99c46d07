"""The viewer that is fed from here: reachable, and its scene moves with the simulation."""

from __future__ import annotations

import re
import threading
import urllib.request
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.models.robot import wildrobot
from gait_envs.models.shapes import Shape
from gait_trainers import load_policy
from gait_trainers.cli import app
from gait_trainers.commands import play
from gait_trainers.policies.environment import make_env
from gait_trainers.reports.video import PlayError
from gait_trainers.web.meshes import mesh
from gait_trainers.web.viewer import Scene, steer, watch_in_browser

KINDS = {  # size, and the volume it should have
    "sphere": ((0.5, 0.0, 0.0), 4 / 3 * np.pi * 0.125),
    "ellipsoid": ((0.5, 0.2, 0.1), 4 / 3 * np.pi * 0.01),
    "capsule": ((0.5, 0.3, 0.0), 4 / 3 * np.pi * 0.125 + 0.6 * np.pi * 0.25),
    "cylinder": ((0.5, 0.3, 0.0), 0.6 * np.pi * 0.25),
    "box": ((0.5, 0.3, 0.2), 0.24),
}


@pytest.mark.parametrize("kind", KINDS)
def test_meshes_are_closed_and_of_the_right_size(kind: str) -> None:
    size, volume = KINDS[kind]
    vertices, faces = mesh(Shape(0, 0, kind, size, (1.0, 1.0, 1.0, 1.0), 0.0))
    a, b, c = vertices[faces].transpose(1, 0, 2)
    enclosed = (a * np.cross(b, c)).sum() / 6  # positive: counterclockwise from outside
    assert 0.9 * volume < enclosed <= volume + 1e-9
    assert np.abs(np.cross(b - a, c - a).sum(axis=0)).max() < 1e-12  # closed


def test_missing_viser_is_said_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "viser", None)
    with pytest.raises(PlayError, match=r"pip install 'gaitnet\[viewer\]'"):
        Scene(wildrobot(), "statue", None)


def test_video_and_viewer_exclude_each_other() -> None:
    result = CliRunner().invoke(app, ["play", "wildrobot_walk", "--viewer", "web", "--video", "walk.mp4"])
    assert isinstance(result.exception, PlayError)
    assert "--video films without a viewer" in str(result.exception)


def test_clips_are_served_from_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, Any] = {}
    monkeypatch.setattr(play, "watch_in_browser", lambda policy, options, **others: served.update(others, **options))
    words = ["play", "humanoid_imitation", "--clip", "walk_120", "--viewer", "web", "--port", "9000"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (served["clip"], served["frame"], served["port"], served["seconds"]) == (3, 0, 9000, None)
    assert served["env_kwargs"]["whole_clips"]


def test_a_new_command_is_observed_at_once() -> None:
    env = make_env("GaitNet/WildRobot-v0", threads=1)
    env.reset(seed=0, options={"command": np.array([0.4, 0.0, 0.0])})
    obs = steer(env.core, np.array([0.2, 0.1, -0.3]))
    row = env.core.task.layout.slices()["command"]
    np.testing.assert_allclose(obs[row][:2], [0.2, 0.1], atol=1e-6)
    env.close()


def test_speed_is_measured_within_an_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two episodes of five steps: the second one's first speed is that of its first step, not a mean over the reset."""
    pytest.importorskip("viser")
    measured: list[list[float]] = []
    speeds: list[float] = []
    show = Scene.show

    def shown(scene: Scene, core: Any, info: Any) -> None:
        show(scene, core, info)
        speeds.append(float(info["x_velocity"]))
        measured.append([float(x) for x in re.findall(r"-?\d+\.\d+", scene._text.content.split("measured")[1])])

    monkeypatch.setattr(Scene, "show", shown)
    watch_in_browser(
        load_policy(asset_path("policies/wildrobot_walk")), {"command": np.array([0.4, 0.0, 0.0])}, port=0, seconds=0.2,
        env_kwargs={"max_episode_steps": 5}, announce=lambda address: None,
    )  # fmt: skip
    forward = [row[0] for row in measured]
    assert len(forward) == 10
    assert forward[4] == pytest.approx(np.mean(speeds[:5]), abs=0.006)
    assert forward[5] == pytest.approx(speeds[5], abs=0.006)
    assert forward[9] == pytest.approx(np.mean(speeds[5:]), abs=0.006)
    assert abs(speeds[5] - np.mean(speeds[:6])) > 0.02  # else this would show nothing


def test_scene_follows_the_simulation_over_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Served for half a second of walking: the page answers, and a client is sent the bodies' new places."""
    pytest.importorskip("viser")
    connect = pytest.importorskip("websockets.sync.client").connect
    places: list[np.ndarray] = []
    received: list[bytes] = []

    def look(address: str) -> None:
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.status == 200
            assert b"<html" in answer.read().lower()
        thread = threading.Thread(target=listen, args=(address.replace("http", "ws", 1),), daemon=True)
        thread.start()

    def listen(address: str) -> None:
        import viser

        with connect(address, subprotocols=[f"viser-v{viser.__version__}"], compression=None) as socket:
            try:
                while True:
                    received.append(socket.recv(timeout=5))
            except Exception:  # the server has stopped
                return

    show = Scene.show

    def shown(scene: Scene, core: Any, info: Any) -> None:
        show(scene, core, info)
        assert scene.server.get_host() == "127.0.0.1"  # nobody else may command
        places.append(np.array(scene._bodies[core.robot.ends[0]].position))

    monkeypatch.setattr(Scene, "show", shown)
    policy = load_policy(asset_path("policies/wildrobot_walk"))
    options = {"command": np.array([0.4, 0.0, 0.0])}
    watch_in_browser(policy, options, port=0, seconds=0.5, announce=look)
    assert len(places) == 25
    assert np.ptp(np.array(places), axis=0).max() > 0.01  # a foot moves relative to the walker
    assert len(received) > 5  # the scene, then its changes
    assert sum(map(len, received)) > 50_000
