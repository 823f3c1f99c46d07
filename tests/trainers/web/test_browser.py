"""The page in headless Chromium: it observes, acts and walks as Python does.

Needs Playwright, a Chromium and the third-party files (`make web-vendor`); what is missing is named when skipping.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gait_envs.assets import asset_path
from gait_trainers import load_policy
from gait_trainers.policies.environment import make_env
from gait_trainers.web.page import page_bytes, write_page
from gait_trainers.web.vendor import VendorError, vendored
from gait_trainers.web.viewer import steer

pytestmark = pytest.mark.web

CHROMIUM = os.environ.get("GAITNET_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
BUNDLES = ("wildrobot_walk", "wildrobot_imitation", "humanoid_imitation", "muscle_humanoid_imitation")
STEPS = 100
PATIENCE = 240_000  # ms
OPTIONS = {False: {"command": np.array([0.4, 0.0, 0.0])}, True: {"clip": 0, "frame": 0}}  # by: does it follow clips?


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each bundle."""
    try:
        vendored()
    except VendorError as error:
        pytest.skip(str(error))
    above = tmp_path_factory.mktemp("web")
    return {name: write_page(asset_path(f"policies/{name}"), above / name) for name in BUNDLES}


@pytest.fixture(scope="module")
def address(folders: dict[str, Path]) -> Iterator[str]:
    above = next(iter(folders.values())).parent
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(above)))
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


@contextmanager
def opened(browser: Any, address: str, name: str, size: tuple[int, int] = (480, 360)) -> Iterator[Any]:
    """A page, loaded and paused, small enough for a software renderer; any error in it fails the test."""
    errors: list[str] = []
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith((address, "data:")) or errors.append(f"asked for {sent.url}"))
    page.goto(f"{address}/{name}/?paused")
    page.wait_for_function("window.gaitnet && window.gaitnet.ready", timeout=PATIENCE)
    yield page
    page.close()
    assert not errors


@pytest.fixture(scope="module", params=BUNDLES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def page(browser: Any, address: str, name: str) -> Iterator[Any]:
    with opened(browser, address, name) as found:
        yield found


@pytest.fixture(scope="module")
def walker(browser: Any, address: str) -> Iterator[Any]:
    """The page of the walker that obeys commands."""
    with opened(browser, address, "wildrobot_walk") as found:
        yield found


@pytest.fixture(scope="module")
def recording(name: str) -> dict[str, Any]:
    """The first steps of the policy in Python, commands changing on the way: what it saw, did and what came of it.

    It begins with the noise of its environment: a symmetric walker that begins without it stands still.
    """
    policy = load_policy(asset_path(f"policies/{name}"))
    env = make_env(policy.env_id, threads=1, **policy.env_kwargs)
    core = env.core
    obs, _ = env.reset(seed=0, options=OPTIONS[core.task.follows])
    state, starts = policy.initial_state(1), np.ones(1, dtype=bool)
    found: dict[str, Any] = {key: [] for key in ("command", "qpos", "qvel", "obs", "action", "after", "activation")}
    for step in range(STEPS):
        if step == STEPS // 2 and not core.task.follows:
            obs = steer(core, np.array([0.2, 0.1, 0.3]))[None]
        action, state = policy.act(obs, state, starts)
        seen = {"qpos": core.state.qpos, "qvel": core.state.qvel, "command": core.memory.command, "obs": obs}
        obs, *_ = env.step(action)
        muscles = core.state.muscles
        came = {"after": core.state.qpos, "activation": muscles.activation if muscles else np.zeros((1, 0))}
        for key, value in (seen | {"action": action} | came).items():
            found[key].append(value[0].tolist())
        starts[:] = False
    env.close()
    return found


def test_draws_the_first_picture_soon(browser: Any, address: str) -> None:
    with opened(browser, address, "wildrobot_walk", (1280, 800)) as page:
        first, ready = page.evaluate("[window.gaitnet.firstPicture, window.gaitnet.ready]")
        print(f"first picture after {first:.0f} ms, walking after {ready:.0f} ms")
        assert colours(page) > 200  # a body with shading, not an empty canvas
        assert first < 3000 or busy()


def busy() -> bool:
    """Whether others keep this machine from being timed."""
    return os.getloadavg()[0] > 4 * (os.cpu_count() or 1)


def colours(page: Any) -> int:
    """How many colours there are in the picture."""
    return int(
        page.evaluate(
            """() => {
              const { renderer: { gl, canvas } } = window.gaitnet;
              const pixels = new Uint8Array(4 * canvas.width * canvas.height);
              gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
              return new Set(new Uint32Array(pixels.buffer)).size;
            }"""
        )
    )


def test_first_hundred_actions_equal_those_of_python(page: Any, recording: dict[str, Any]) -> None:
    """The memory follows the recorded actions, as the state does: with the body held to a recording, what a policy
    sees of its last action would grow a difference of rounding by half at every step.
    """
    found = page.evaluate(
        """async ({qpos, qvel, command, action}) => {
          const { walker, physics } = window.gaitnet;
          walker.wanted = command[0];
          walker.reference?.begin(0);
          walker.reset(qpos[0], qvel[0]);
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


def test_physics_equals_that_of_python(page: Any, recording: dict[str, Any], name: str) -> None:
    """The recorded actions, one after another, from the same beginning."""
    found = page.evaluate(
        """async ({qpos, qvel, action, command}) => {
          const { walker, physics } = window.gaitnet;
          walker.wanted = command[0];
          walker.reference?.begin(0);
          walker.reset(qpos[0], qvel[0]);
          const out = { after: [], activation: [] };
          for (let k = 0; k < action.length; k++) {
            walker.memory.command = command[k];
            walker.act(action[k]);
            do await walker.simulate(); while (walker.substep !== 0);
            out.after.push(Array.from(walker.state.qpos));
            out.activation.push((physics.muscles?.activations ?? []).map((at) => physics.data.act[at]));
          }
          return out;
        }""",
        recording,
    )
    differences = np.abs(np.array(found["after"]) - recording["after"]).max(axis=1)
    print(f"qpos differs by {differences[0]:.1e} after one control step, {differences[-1]:.1e} after {STEPS}")
    assert differences[0] < (1e-6 if name.startswith("muscle") else 1e-9)  # the muscles' network is of float32
    assert differences[-1] < 1e-2
    if recording["activation"][0]:
        assert np.abs(np.array(found["activation"][0]) - recording["activation"][0]).max() < 1e-4


def test_walks_on(page: Any, name: str) -> None:
    """Ten seconds at 0.4 m/s, or three along the first walking clip."""
    found = page.evaluate(
        """async (seconds) => {
          const { walker, body } = window.gaitnet;
          const walk = walker.reference?.clips.findIndex((clip) => clip.loop || clip.stride[0] > 1);
          walker.reference?.begin(Math.max(walk, 0));
          walker.wanted = [0.4, 0, 0];
          walker.begin();
          const steps = Math.round(seconds / body.dt), began = performance.now();
          let fell = false, k = 0;
          for (; k < steps && !walker.reference?.over; k++) { await walker.step(); fell ||= walker.fallen; }
          return { fell, steps: k, seconds: (performance.now() - began) / 1000, way: Array.from(walker.state.qpos) };
        }""",
        10 if name == "wildrobot_walk" else 3,
    )
    rate = found["steps"] / found["seconds"]
    print(f"{found['way'][0]:.2f} m in {found['steps']} steps, {rate:.0f} control steps/s without drawing")
    assert not found["fell"]
    if name == "wildrobot_walk":
        assert found["steps"] == 500
        assert 3.0 < found["way"][0] < 5.0
        assert abs(found["way"][1]) < 0.5
        assert rate > 50 or busy()


def test_falls_are_counted_as_in_the_environment(page: Any) -> None:
    """From the clip that must be followed, which here bends over by 1.2 rad and crouches; else from upright."""
    found = page.evaluate(
        """() => {
          const { walker, body } = window.gaitnet;
          walker.begin();
          const pose = (lift, tilt) => {
            const qpos = Array.from(walker.state.qpos);
            qpos[2] = body.home_height + lift;
            [qpos[3], qpos[4], qpos[5], qpos[6]] = [Math.cos(tilt / 2), 0, Math.sin(tilt / 2), 0];
            return qpos;
          };
          const crouch = body.min_height - body.home_height - 0.05, state = walker.state;
          const here = walker.reference?.here;
          if (here) walker.reference.here = { ...here, qpos: pose(crouch, 1.2) };
          const at = (lift, tilt) => { walker.state = { ...state, qpos: pose(lift, tilt) }; return walker.fallen; };
          const fallen = [at(0, 0), at(crouch, 1.2), at(0, 1.2), at(0, 2.3), at(2 * crouch, 1.2)];
          walker.state = state;
          if (here) walker.reference.here = here;
          return { fallen, follows: body.falls_from_clip };
        }"""
    )
    by_clip, by_upright = [True, False, False, True, True], [False, True, True, True, True]
    assert found["fallen"] == (by_clip if found["follows"] else by_upright)


def test_actions_can_take_effect_later(walker: Any) -> None:
    """With a lag of two control steps, the third aims at what the first action asked for."""
    first, aimed = walker.evaluate(
        """() => {
          const { walker, physics } = window.gaitnet;
          walker.lag = 2;
          walker.reset();
          const zero = new Array(9).fill(0), one = new Array(9).fill(1), aimed = [];
          for (const action of [one, zero, zero]) {
            walker.act(action);
            aimed.push([...physics.pose]);
          }
          walker.lag = 0;
          return [walker.body.start_qpos.slice(7), aimed];
        }"""
    )
    assert aimed[0] == aimed[1] == first
    assert np.all(np.subtract(aimed[2], first) > 0.1)


def test_keys_sliders_and_pushes_act(walker: Any) -> None:
    page = walker
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


def test_a_muscle_that_works_is_brighter(browser: Any, address: str) -> None:
    with opened(browser, address, "muscle_humanoid_imitation") as page:
        rested, worked = page.evaluate(
            """() => {
              const { muscles, data } = window.gaitnet.physics;
              const red = () => muscles.shapes()[0].rgba[0];
              data.act[muscles.activations[0]] = 0;
              const rested = red();
              data.act[muscles.activations[0]] = 1;
              return [rested, red()];
            }"""
        )
        assert worked > rested + 0.5


def test_pages_are_small(folders: dict[str, Path]) -> None:
    sizes = {name: page_bytes(folder) / 1e6 for name, folder in folders.items()}
    print(sizes)
    assert max(sizes.values()) < 25
