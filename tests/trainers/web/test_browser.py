"""The page in headless Chromium: it observes, acts and walks as Python does. Needs Playwright, Chromium and the vendored
files (`make web-vendor`)."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gait_envs.assets import asset_path
from gait_trainers import load_policy
from gait_trainers.policies.environment import make_env
from gait_trainers.web.page import page_bytes, write_page
from gait_trainers.web.vendor import VendorError, vendored

pytestmark = pytest.mark.web

CHROMIUM = os.environ.get("GAITNET_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
BUNDLE = asset_path("policies/wildrobot_walk")
STEPS = 100


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        vendored()
    except VendorError as error:
        pytest.skip(str(error))
    return write_page(BUNDLE, tmp_path_factory.mktemp("web") / "page")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM:
        pytest.skip("no Chromium: neither chromium nor google-chrome on the path, nor $GAITNET_CHROMIUM")
    software = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=software)
        yield found
        found.close()


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, loaded and paused, small enough for a software renderer; any error in it fails the test."""
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 480, "height": 360})
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith((address, "data:")) or errors.append(f"asked for {sent.url}"))
    page.goto(f"{address}/?paused")
    page.wait_for_function("window.gaitnet && window.gaitnet.ready", timeout=60_000)
    yield page
    assert not errors
    page.close()


@pytest.fixture(scope="module")
def recording() -> dict[str, Any]:
    """The first steps of the policy in Python, commands changing on the way: what it saw, did and what came of it."""
    policy = load_policy(BUNDLE)
    env = make_env(policy.env_id, threads=1, **{**policy.env_kwargs, "reset_noise": 0.0})
    core = env.core
    obs, _ = env.reset(seed=0, options={"command": np.array([0.4, 0.0, 0.0])})
    start = core.state.qpos[0].tolist()
    state, starts = policy.initial_state(1), np.ones(1, dtype=bool)
    found: dict[str, Any] = {key: [] for key in ("command", "qpos", "qvel", "obs", "action")}
    for step in range(STEPS):
        if step == STEPS // 2:
            core.memory.command[:] = [0.2, 0.1, 0.3]
            obs = core.task.observe(core.task.view(core.state, core.memory, core.settings))
        action, state = policy.act(obs, state, starts)
        for key, value in (("qpos", core.state.qpos), ("qvel", core.state.qvel), ("command", core.memory.command)):
            found[key].append(value[0].tolist())
        found["obs"].append(obs[0].tolist())
        found["action"].append(action[0].tolist())
        obs, *_ = env.step(action)
        starts[:] = False
    found["end"] = {"qpos": core.state.qpos[0].tolist(), "qvel": core.state.qvel[0].tolist()}
    env.close()
    return found | {"start": start}


def test_draws_the_first_picture_soon(browser: Any, address: str) -> None:
    fresh = browser.new_page(viewport={"width": 1280, "height": 800})
    fresh.goto(f"{address}/?paused")
    fresh.wait_for_function("window.gaitnet && window.gaitnet.ready", timeout=60_000)
    first, ready = fresh.evaluate("[window.gaitnet.firstPicture, window.gaitnet.ready]")
    print(f"first picture after {first:.0f} ms, walking after {ready:.0f} ms")
    assert first < 3000
    image = fresh.evaluate(
        """() => {
          const { renderer: { gl, canvas } } = window.gaitnet;
          const pixels = new Uint8Array(4 * canvas.width * canvas.height);
          gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
          const seen = new Set();
          for (let i = 0; i < pixels.length; i += 4) seen.add((pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2]);
          return seen.size;
        }"""
    )
    assert image > 200  # colours: a body with shading, not an empty canvas
    fresh.close()


def test_first_hundred_actions_equal_those_of_python(page: Any, recording: dict[str, Any]) -> None:
    """The memory follows the recorded actions, as the state does: with the body held to a recording, what this policy
    sees of its last action would grow a difference of rounding by half at every step.
    """
    found = page.evaluate(
        """async ({start, qpos, qvel, command, action}) => {
          const { walker, physics } = window.gaitnet;
          walker.wanted = command[0];
          walker.reset(start);
          const out = { obs: [], action: [] };
          for (let k = 0; k < qpos.length; k++) {
            physics.restore(qpos[k], qvel[k]);
            walker.state = physics.state();
            walker.memory.command = command[k];
            const observation = walker.observation();
            out.obs.push(Array.from(observation));
            out.action.push(Array.from(await walker.policy.act(observation)));
            walker.act(action[k]);
          }
          return out;
        }""",
        recording,
    )
    difference = np.abs(np.array(found["obs"]) - recording["obs"]).max()
    acted = np.abs(np.array(found["action"]) - recording["action"]).max()
    print(f"observations differ by {difference:.1e}, actions by {acted:.1e}")
    assert difference < 1e-5
    assert acted < 1e-4


def test_physics_equals_that_of_python(page: Any, recording: dict[str, Any]) -> None:
    """One control step from each recorded state, and all of them one after another."""
    ends = recording["qpos"][1:] + [recording["end"]["qpos"]]
    found = page.evaluate(
        """async ({start, action, command}) => {
          const { walker } = window.gaitnet;
          walker.wanted = command[0];
          walker.reset(start);
          const out = [];
          for (let k = 0; k < action.length; k++) {
            walker.memory.command = command[k];
            walker.act(action[k]);
            do await walker.simulate(); while (walker.substep !== 0);
            out.push(Array.from(walker.state.qpos));
          }
          return out;
        }""",
        recording,
    )
    differences = np.abs(np.array(found) - ends).max(axis=1)
    print(f"qpos differs by {differences[0]:.1e} after one control step, {differences[-1]:.1e} after {STEPS}")
    assert differences[0] < 1e-9
    assert differences[-1] < 1e-4


def test_walks_ten_seconds_as_commanded(page: Any) -> None:
    found = page.evaluate(
        """async () => {
          const { walker, body } = window.gaitnet;
          walker.wanted = [0.4, 0, 0];
          walker.reset();
          const began = performance.now(), steps = Math.round(10 / body.dt);
          let fell = false;
          for (let k = 0; k < steps; k++) { await walker.step(); fell ||= walker.fallen; }
          return { fell, steps, seconds: (performance.now() - began) / 1000, qpos: Array.from(walker.state.qpos) };
        }"""
    )
    rate = found["steps"] / found["seconds"]
    print(f"{found['qpos'][0]:.2f} m in 10 s, {rate:.0f} control steps/s without drawing")
    assert not found["fell"]
    assert 3.0 < found["qpos"][0] < 5.0
    assert abs(found["qpos"][1]) < 0.5
    assert rate > 50


def test_keys_sliders_and_pushes_act(page: Any) -> None:
    page.keyboard.press("r")
    page.evaluate("window.gaitnet.sliders.set([0.4, 0, 0])")
    page.keyboard.press("w")
    page.keyboard.press("a")
    np.testing.assert_allclose(page.evaluate("window.gaitnet.walker.wanted"), [0.5, 0.0, 0.1], atol=1e-9)
    page.keyboard.press(" ")
    assert page.evaluate("window.gaitnet.walker.wanted") == [0, 0, 0]
    before = page.evaluate("Array.from(window.gaitnet.physics.data.qvel)")
    box = page.evaluate("[window.innerWidth, window.innerHeight]")
    page.mouse.move(box[0] / 2, box[1] / 2)
    page.mouse.down()
    page.mouse.move(box[0] / 2 + 60, box[1] / 2, steps=3)
    assert "push 0.48 m/s" in page.inner_text("#said")
    page.mouse.up()
    after = page.evaluate("Array.from(window.gaitnet.physics.data.qvel)")
    assert np.linalg.norm(np.subtract(after, before)[:2]) == pytest.approx(0.48, abs=1e-6)
    assert np.abs(np.subtract(after, before)[2:]).max() == 0.0


def test_page_is_small(folder: Path) -> None:
    assert page_bytes(folder) < 25e6
