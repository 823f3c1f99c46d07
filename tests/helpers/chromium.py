"""A real browser, what it needs, and an eye for accessibility."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
AXE = Path(__file__).resolve().parents[1] / "service/vendor/axe.min.js"
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a graphics card
SERIOUS = ("serious", "critical")


def missing() -> str:
    """Why there is no browser here; empty where there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "needs the package playwright"
    return "" if CHROMIUM else "needs Chromium (apt-get install chromium)"


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Any, size: str = "desktop", scheme: str = "light", **more: Any) -> Iterator[Any]:
    """A page whose console must stay silent: errors of scripts and of the content security policy fail the test."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True, **more
    )
    context.set_default_timeout(90_000)  # machines of tests are busy
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.said = said
    try:
        yield page
        assert said == []
    except BaseException as error:
        error.add_note(f"{page.url} said: {said}")
        raise
    finally:
        context.close()


def log_in(page: Any, base: str, name: str, password: str) -> None:
    """As a person does."""
    page.goto(f"{base}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{base}/sessions")


def barriers(page: Any) -> list[str]:
    """What axe-core finds that keeps somebody out, with the first element of each kind."""
    page.evaluate(AXE.read_text(encoding="utf-8"))  # by the debugger: the content security policy lets no script in
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {rule['nodes'][0]['html'][:200]}" for rule in found if rule["impact"] in SERIOUS
    ]


def sideways(page: Any) -> int:
    """Pixels that the page is wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width
