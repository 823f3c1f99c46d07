"""What the site is made of beside its pages: links, model cards, the API reference. `make docs-site` builds it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "scripts" / "site"

pytestmark = pytest.mark.skipif(not SITE.is_dir(), reason="an installed package carries no site")


@pytest.fixture(scope="module")
def hooks() -> Any:
    pytest.importorskip("mkdocs")
    sys.path.insert(0, str(SITE))
    import hooks

    yield hooks
    sys.path.remove(str(SITE))
    sys.path.remove(str(SITE))  # the hooks add it as well


def test_links_between_files_become_links_between_pages(hooks: ModuleType) -> None:
    to = hooks.relinked
    readme = ("overview.md", "README.md")
    assert to("[a](docs/amp.md#reading-its-health)", *readme) == "[a](amp.md#reading-its-health)"
    assert to("![a](docs/images/walk.gif)", *readme) == "![a](images/walk.gif)"
    assert to("[a](CHANGELOG.md)", *readme) == "[a](changelog.md)"
    assert to("[`a`](LICENSE)", *readme) == "`a` (`LICENSE`)"
    page = ("environments/wildrobot.md", "docs/environments/wildrobot.md")
    assert to("[a](../../assets/SOURCES.md) [b](../amp.md)", *page) == "[a](../sources.md) [b](../amp.md)"
    for untouched in ("[a](https://imitation.readthedocs.io)", "[a](#success)", "[a](nowhere.md)"):
        assert to(untouched, *page) == untouched


def test_anchors_are_those_of_the_repository(hooks: ModuleType) -> None:
    assert hooks.slug("policies/wildrobot_clone/, policies/wildrobot_walk/", "-") == (
        "policieswildrobot_clone-policieswildrobot_walk"
    )
    assert hooks.slug("1. It walks", "-") == "1-it-walks"


def test_nothing_is_fetched_from_elsewhere(hooks: ModuleType) -> None:
    for text in ('<script src="https://unpkg.com/x"></script>', '<link rel="stylesheet" href="https://fonts/x.css">'):
        assert hooks.FETCHED.search(text)
    for text in ('<a href="https://semver.org">', '<script src="assets/x.js"></script>', '<link href="assets/x.css">'):
        assert not hooks.FETCHED.search(text)


def test_every_bundled_policy_and_model_has_a_card(hooks: ModuleType) -> None:
    from gait_envs.assets import asset_root
    from gait_trainers.policies.loading import bundled_policies

    pages = {name: text for name, (_, text) in hooks.cards.pages().items()}
    models = [path.name for path in (asset_root() / "models").iterdir()]
    assert set(pages) == {"models/index.md", *(f"models/{name}.md" for name in (*bundled_policies(), *models))}
    walker = pages["models/wildrobot_walk.md"]
    for said in ("--seed 1", "| seed | 1 |", "MIT", "gait-train evaluate wildrobot_walk", "2,048,000", "| **all** |"):
        assert said in walker
    assert "Not measured yet" not in "".join(pages.values())
    assert all(name in hooks.cards.WHAT for name in (*bundled_policies(), *models))


def test_the_reference_has_every_public_name(hooks: ModuleType) -> None:
    names = hooks.reference.public_names()
    assert {"gait_envs.reference.clip.load_clip", "gait_trainers.load_policy"} <= set(names)
    text = "".join(hooks.reference.pages().values())
    assert [name for name in names if f"::: {name}\n" not in text] == []
    assert len(names) > 40
