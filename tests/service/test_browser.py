"""The pages in Chromium: the whole way from a capture to a policy, and every page at every width and colour.

GAITNET_SCREENSHOTS=DIR keeps the pictures.
"""

from __future__ import annotations

import math
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")
pytest.importorskip("uvicorn")

import psutil
import uvicorn
from helpers.chromium import SIZES, barriers, chromium, log_in, missing, sideways, tab
from helpers.service_data import BUNDLED, fill
from helpers.walker import walker_bvh
from sqlalchemy.orm import Session

from gait_envs.assets import asset_path
from gait_trainers.models.motion import load_motion_model
from gait_trainers.policies.loading import load_policy
from gait_trainers.service.app import create_app
from gait_trainers.service.db.engine import make_engine
from gait_trainers.service.db.tables import Base
from gait_trainers.service.jobs.gait import write_gait
from gait_trainers.service.operations import users
from gait_trainers.service.settings import Settings

pytestmark = [pytest.mark.web, pytest.mark.skipif(bool(missing()), reason=missing())]
PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def pictures(tmp_path):
    folder = Path(os.environ.get("GAITNET_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


# -- the whole way ---------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path):
    """`gait-serve` on an empty folder, as a person starts it."""
    port = free_port()
    words = [sys.executable, "-m", "gait_trainers.service.cli", "--home", str(tmp_path / "home"), "--port", str(port)]
    settings = os.environ | {"GAITNET_ADMIN_PASSWORD": PASSWORD, "OMP_NUM_THREADS": "1"}
    with open(tmp_path / "server.txt", "wb") as log:
        server = subprocess.Popen(words, env=settings, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(port, server, tmp_path / "server.txt")
            yield SimpleNamespace(base=f"http://127.0.0.1:{port}", home=tmp_path / "home")
        finally:
            server.terminate()
            server.wait(timeout=90)
            end_all_of(tmp_path)


def end_all_of(folder: Path) -> None:
    """Processes of jobs outlive their server, as they should; those of this test end here."""
    for process in psutil.process_iter(["cmdline"]):
        if any(word.startswith(str(folder)) for word in process.info["cmdline"] or ()):
            process.kill()


def wait_for(port: int, server: subprocess.Popen, log: Path) -> None:
    """Until somebody listens there."""
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def upload(page, base: str, capture: Path) -> None:
    """A motion that is imported, and accepted."""
    page.goto(f"{base}/motions")
    page.get_by_label("Files").set_input_files(capture)
    page.get_by_label("Name").fill("Walk of a test")
    page.get_by_label("Labels").fill("walk")
    page.get_by_label("Licence").fill("MIT")
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("button", name="Accept").wait_for(timeout=600_000)  # the page follows the import by itself
    page.get_by_role("button", name="Accept").click()
    page.get_by_text("is accepted and can be trained on").wait_for()


def test_from_a_capture_to_a_policy(service, browser, tmp_path, pictures):
    """Log in, upload, judge, configure, start, watch, download, publish; and the download works."""
    with tab(browser) as page:
        log_in(page, service.base, "admin", PASSWORD)
        upload(page, service.base, walker_bvh(tmp_path / "walk.bvh", seconds=2.5, fps=30.0))

        page.goto(f"{service.base}/train?algorithm=ppo")
        page.get_by_label("Name of the session").fill("A short walk")
        page.get_by_label("Walk of a test").check()
        for label, value in (("Iterations", 3), ("Environments", 16), ("Steps per rollout", 16), ("Minibatches", 2)):
            page.get_by_label(label, exact=True).fill(str(value))
        page.get_by_label("Hidden sizes of the policy").fill("32, 32")
        page.get_by_role("button", name="Estimate").click()
        page.get_by_text("Memory", exact=True).wait_for()
        began = time.monotonic()
        page.get_by_role("button", name="Start training").click()

        page.wait_for_url(re.compile("/sessions/[a-z2-7]{16}"))
        page.locator("#live .badge", has_text="completed").wait_for(timeout=600_000)
        page.locator("#curves .u-legend", has_text="tracking lin vel").first.wait_for()
        assert page.locator("#lost").is_hidden()
        page.screenshot(path=pictures / "whole_way_monitor.png", full_page=True)

        page.get_by_role("link", name="Results").click()
        page.get_by_role("heading", name="Validation of the exported model").wait_for()
        assert "Latency" in page.locator("#validation").inner_text()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the ONNX bundle").click()
        download.value.save_as(tmp_path / "bundle.zip")
        print(f"from the click on start to the download: {time.monotonic() - began:.1f} s")

        if page.get_by_role("link", name="Walk with it in 3D").count():  # the page's third-party files are fetched
            page.get_by_role("link", name="Walk with it in 3D").click()
            page.locator("#loading").wait_for(state="detached", timeout=240_000)
            assert page.evaluate("window.gaitnet.ready > 0")
            page.screenshot(path=pictures / "whole_way_view.png")
            page.go_back()

        if page.locator("#validation .badge.good").count():  # on a very busy machine it may be too slow to pass
            page.get_by_label("Name of the model").fill("test-walker")
            page.get_by_role("button", name="Publish").click()
            page.get_by_text("Published to the registry").wait_for()
            assert "champion: 1" in page.locator("main").inner_text()

    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    (manifest,) = (tmp_path / "unpacked").rglob("policy.json")
    policy = load_policy(manifest.parent)
    obs = np.zeros((1, 37), dtype=np.float32)
    action, _ = policy.act(obs, policy.initial_state(1), np.ones(1, dtype=bool))
    assert action.shape == (1, 9)
    assert np.isfinite(action).all()


def test_from_a_capture_to_a_model_of_motion(service, browser, tmp_path, pictures):
    """The same for what only learns how bodies move: of an uploaded motion and those of the package."""
    with tab(browser) as page:
        log_in(page, service.base, "admin", PASSWORD)
        upload(page, service.base, walker_bvh(tmp_path / "walk.bvh", seconds=2.5, fps=30.0))

        page.goto(f"{service.base}/train?algorithm=motionnn&env=wildrobot")
        page.get_by_label("Name of the session").fill("How it moves")
        page.get_by_label("Walk of a test").check()
        page.get_by_label("wildrobot_walk").check()
        for label, value in (("Updates", 100), ("Hidden sizes", 32), ("Frames of an update", 512)):
            page.get_by_label(label, exact=True).fill(str(value))
        page.get_by_role("button", name="Estimate").click()
        page.get_by_text("Memory", exact=True).wait_for()
        assert barriers(page) == []
        page.screenshot(path=pictures / "model_train.png")
        page.get_by_role("button", name="Start training").click()

        page.wait_for_url(re.compile("/sessions/[a-z2-7]{16}"))
        page.locator("#live .badge", has_text="completed").wait_for(timeout=600_000)
        page.locator("#curves .u-legend", has_text="training").first.wait_for()
        assert barriers(page) == []
        assert not page.get_by_role("heading", name="Latest policy").count()
        page.screenshot(path=pictures / "model_monitor.png", full_page=True)

        page.get_by_role("link", name="Results").click()
        page.get_by_role("img", name="Trajectories of this model: root").wait_for()
        assert "Drift of the root" in page.locator("#evaluation").inner_text()
        assert barriers(page) == []
        page.screenshot(path=pictures / "model_results.png", full_page=True)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the model").click()
        download.value.save_as(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        archive.extractall(tmp_path)
    assert load_motion_model(tmp_path / "model").spec.robot == "wildrobot"


# -- every page ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A server in a thread with something on every page, and nothing that runs."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), port=free_port())
    settings.create_folders()
    engine = make_engine(settings.database_url)
    Base.metadata.create_all(engine)
    with Session(engine) as db:
        ids = fill(db, users.create(db, None, "ada", PASSWORD, "administrator"))
        db.commit()
    shown = settings.results / ids["completed"]
    shown.mkdir()
    write_gait(load_policy(asset_path(BUNDLED)), shown)
    log = settings.results / ids["running"] / "log.txt"
    log.parent.mkdir()
    log.write_text("\n".join(f"iteration {i}/250  success {i / 300:.2f}  2,410 steps/s" for i in range(100, 167)))
    options = uvicorn.Config(
        create_app(settings, engine), "127.0.0.1", settings.port, log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(options)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield SimpleNamespace(base=f"http://127.0.0.1:{settings.port}", ids=ids, server=server, home=settings.home)
    server.should_exit = True
    thread.join()
    engine.dispose()


def addresses(ids: dict[str, str]) -> dict[str, str]:
    """Name of every page -> its address."""
    return {
        "sessions": "/sessions",
        "train": "/train",
        "monitor": f"/sessions/{ids['running']}",
        "results": f"/sessions/{ids['completed']}/results",
        "compare": f"/compare?id={ids['completed']}&id={ids['running']}",
        "motions": "/motions",
        "motion": f"/motions/{ids['motion']}",
        "registry": "/registry",
        "model": f"/registry/{ids['model']}",
        "search": "/search",
        "study": f"/search/{ids['study']}",
        "alerts": "/alerts",
        "account": "/account",
        "users": "/users",
        "audit": "/audit",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_and_shuts_nobody_out(filled, browser, pictures, size, scheme):
    """Nothing scrolls sideways, no script complains, and axe-core finds nothing serious."""
    found = []
    with tab(browser, size, scheme) as page:
        page.goto(f"{filled.base}/login")
        found += [f"login: {text}" for text in barriers(page)]
        page.screenshot(path=pictures / f"login-{size}-{scheme}.png")
        log_in(page, filled.base, "ada", PASSWORD)
        for name, address in addresses(filled.ids).items():
            page.goto(filled.base + address)
            if page.locator(".plot").count():
                page.locator(".u-legend").first.wait_for()
            for details in page.locator("main > details.card").all():
                details.evaluate("element => { element.open = true; }")
            found += [f"{name}: {text}" for text in barriers(page)]
            if (over := sideways(page)) > 0:
                found.append(f"{name}: {over} pixels wider than {SIZES[size][0]}")
            page.reload()
            if page.locator(".plot").count():
                page.locator(".u-legend").first.wait_for()
            page.screenshot(path=pictures / f"{name}-{size}-{scheme}.png", full_page=size == "phone")
    assert found == []


def test_by_keyboard_alone(filled, browser):
    """The first key leads past the links; the log-in needs no pointer."""
    with tab(browser) as page:
        page.goto(f"{filled.base}/login")
        page.keyboard.type("ada")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{filled.base}/sessions")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert page.locator(":focus").bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_without_scripts(filled, browser):
    """Forms are forms: choosing, estimating and being told what is wrong need no JavaScript."""
    with tab(browser, java_script_enabled=False) as page:
        log_in(page, filled.base, "ada", PASSWORD)
        page.goto(f"{filled.base}/train")
        page.get_by_label("Algorithm").select_option("imitate")
        page.get_by_role("button", name="Show its settings").click()
        assert page.get_by_label("Preset").input_value() == "imitate"
        page.get_by_label("Name of the session").fill("Plain")
        page.get_by_role("button", name="Estimate").click()
        page.get_by_text("Memory", exact=True).wait_for()
        assert page.get_by_label("Name of the session").input_value() == "Plain"


def test_choosing_a_body_shows_its_own_settings(filled, browser):
    from playwright.sync_api import expect

    with tab(browser) as page:
        log_in(page, filled.base, "ada", PASSWORD)
        page.goto(f"{filled.base}/train?algorithm=imitate")
        page.get_by_label("Body and task").select_option("GaitNet/HumanoidImitation-v0")
        expect(page.get_by_label("Preset")).to_have_value("imitate_humanoid", timeout=90_000)


def test_optunas_dashboard_shows_the_study_and_reaches_nothing_else(filled, browser, pictures):
    """Without another server, without complaints; a script in it could neither ask for our pages nor look into them."""
    pytest.importorskip("optuna_dashboard")
    write_study(filled.home, filled.ids["study"])
    with tab(browser) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        log_in(page, filled.base, "ada", PASSWORD)
        page.goto(f"{filled.base}/search/{filled.ids['study']}")
        page.get_by_role("link", name="Optuna's dashboard").click()
        page.wait_for_url(f"{filled.base}/dashboard/studies/0")
        page.get_by_text("Learning rate").first.wait_for()
        page.get_by_text("Hyperparameter Importance").first.wait_for()
        page.locator("#plot-history .point").nth(11).wait_for(state="attached")
        page.screenshot(path=pictures / "dashboard.png")
        page.goto(f"{filled.base}/dashboard/studies/0/smartSelection")
        page.locator(".parcoords").first.wait_for(state="attached")  # WebGL: functions made of texts
        assert {url for url in asked if not url.startswith((filled.base, "data:", "blob:"))} == set()
        assert page.said == []
        assert page.evaluate("fetch('/api/v1/me').then(() => 'reached', () => 'refused')") == "refused"
        with page.context.expect_page() as opened:
            page.evaluate("() => { window.other = open('/account'); }")
        opened.value.get_by_role("heading", name="Account").wait_for()
        look = "() => { try { return other.document.body.textContent; } catch (error) { return error.name; } }"
        assert page.evaluate(look) == "SecurityError"
        page.said.clear()  # what the policy said of both


def write_study(home: Path, id: str) -> None:
    """What Optuna would know of a search with twelve trials."""
    import optuna

    from gait_trainers.service.jobs.search import storage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage(home), study_name=id, direction="maximize")
    for trial in range(12):
        rate, epochs = 1e-5 * 1.4**trial, 2 + 5 * trial % 7
        space = {
            "ppo.learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True),
            "ppo.epochs": optuna.distributions.IntDistribution(1, 8),
        }
        value = 0.9 - 0.15 * abs(math.log10(rate / 2e-4)) - 0.02 * abs(epochs - 5)
        found = optuna.trial.create_trial(
            params={"ppo.learning_rate": rate, "ppo.epochs": epochs}, distributions=space, value=value,
            intermediate_values={i: value * (1 - 0.9**i) for i in range(1, 30)},
        )  # fmt: skip
        study.add_trial(found)


def test_a_page_that_has_lost_its_server_says_so(filled, browser):
    """Last: it ends the server."""
    with tab(browser) as page:
        log_in(page, filled.base, "ada", PASSWORD)
        page.goto(f"{filled.base}/sessions/{filled.ids['running']}")
        page.locator("#curves .u-legend").first.wait_for()
        assert page.locator("#lost").is_hidden()
        filled.server.should_exit = True
        page.locator("#lost").wait_for(timeout=20_000)
        page.said.clear()  # the browser's own complaints about a server that is gone
        page.context.set_offline(True)
