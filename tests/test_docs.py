"""The documentation says what the code does: generated tables, links, commands, keys and examples."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from gait_envs.tasks.config import TrackConfig
from gait_trainers.cli import app
from gait_trainers.config.checking import nest
from gait_trainers.config.layers import parse_assignment, preset_names, validate
from gait_trainers.config.schema import config_type
from gait_trainers.pretrain.motionnn.config import load_motion_config

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "assets" / "SOURCES.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="an installed package carries no docs")


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fences(page: Path, *languages: str) -> Iterator[str]:
    for indent, language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """Words after `program`, wherever a page shows it being run: in blocks of shell, and in line."""
    text = page.read_text(encoding="utf-8")
    shell = "\n".join(fences(page, "sh", "powershell")).replace("\\\n", " ")
    for line in [*shell.splitlines(), *re.findall(r"`([^`\n]+)`", FENCE.sub("", text))]:
        match = re.match(rf"\s*{program} (?=\S)(.*)", line)
        if match:
            yield shlex.split(match[1], comments=True)


@each_page
def test_commands_of_a_page_write_nothing_over_one_another(page: Path) -> None:
    """Whoever runs a page in one folder finds under each name what the page says of it."""
    made: dict[str, set[str]] = {}
    for program in ("gait-train", "gait-data"):
        for words in commands(page, program):
            for option, value in itertools.pairwise(words):
                if option in ("--out", "--video", "--json", "--page", "--worst") and value[0] != "-":
                    made.setdefault(value.rstrip("/"), set()).add(shlex.join([program, *words]))
    assert {name: makers for name, makers in made.items() if len(makers) > 1} == {}


# -- tables --------------------------------------------------------------------------------------------


def test_tables_are_what_the_code_says(make_docs: ModuleType) -> None:
    out_of_date = [str(page.relative_to(ROOT)) for page in make_docs.stale()]
    assert not out_of_date, "run: python scripts/make_docs.py"


def test_every_table_is_shown_somewhere(make_docs: ModuleType) -> None:
    shown = {match["name"] for page in PAGES for match in make_docs.BLOCK.finditer(page.read_text(encoding="utf-8"))}
    assert shown == set(make_docs.tables())


def test_a_changed_table_is_noticed_and_text_around_it_stays(make_docs: ModuleType) -> None:
    page = "before\n<!-- table actions -->\n| old |\n<!-- end -->\nafter\n"
    written = make_docs.render(page, "page")
    assert written.startswith("before\n<!-- table actions -->\n")
    assert written.endswith("<!-- end -->\nafter\n")
    assert "old" not in written
    assert "| 3 | `left_knee_pitch` | 0.000 … 1.396 | 0.415 | 0.698 | 0.000 … 1.113 | flexion |" in written
    assert make_docs.render(written, "page") == written
    with pytest.raises(SystemExit, match=r"page: no table 'nonsense'; there are .*actions"):
        make_docs.render("<!-- table nonsense -->\n<!-- end -->", "page")


# -- words ---------------------------------------------------------------------------------------------

QUAINT = re.compile(
    r"\brooms\b|\b(?:a|the|every|this|its|no) room (?:of|that|may|alone)|\b(?:is|are|was|were|be) told\b|told nothing"
)


def test_plain_words_are_used() -> None:
    """Modules are in packages, and a walker or a model is commanded, conditioned or given something."""
    texts = [*PAGES, *(path for folder in ("gait_envs", "gait_trainers") for path in (ROOT / folder).rglob("*.py"))]
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in texts
        if "service" not in path.parts
        for match in QUAINT.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


# -- links, commands, keys -----------------------------------------------------------------------------


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = page if not file else (page.parent / file).resolve()
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings], target


NAMED_FILE = re.compile(r"`((?:[\w.-]+/)+(?:[\w*-]+\.\w+)?)`")
MADE_BY_RUNS = ("runs/", "checkpoints/", "tb/", "clips/", "set/", "unfit/", "policies/mine")  # not part of the project


@each_page
def test_named_files_and_folders_exist(page: Path) -> None:
    """Paths in backticks, from the root or from a package: `gait_envs/core.py`, `retarget/ik.py`, `presets/`."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for named in NAMED_FILE.findall(text):
        if not named.startswith(MADE_BY_RUNS):
            assert any(ROOT.glob(named)) or path_ends(named), f"{page.name} names {named}"


@functools.cache
def path_ends(named: str) -> bool:
    """Whether a file or folder of a package, of the tests or of the assets has a path that ends so."""
    roots = ("gait_envs", "gait_trainers", "tests", "assets", "examples")
    return any(any((ROOT / root).glob(f"**/{named}")) for root in roots)


@each_page
def test_shown_commands_exist(page: Path) -> None:
    pytest.importorskip("mink")
    from gait_envs.mocap.cli import app as data_app

    programs = {"gait-train": typer.main.get_command(app), "gait-data": typer.main.get_command(data_app)}
    if importlib.util.find_spec("psutil") is not None:  # of the extra service
        from gait_trainers.service.cli import app as service_app

        programs["gait-serve"] = typer.main.get_command(service_app)
    for program, group in programs.items():
        for words in commands(page, program):
            name = words[0]
            if name.startswith("-") or "…" in name:
                continue
            command = group.get_command(None, name)  # type: ignore[attr-defined, arg-type]
            assert command is not None, f"{program} {name}"
            options = {option for parameter in command.params for option in parameter.opts}
            for word, value in zip(words, [*words[1:], ""], strict=True):
                if not word.startswith("--"):
                    continue
                assert word in options, f"{program} {name} {word}"
                if name == "motionnn":  # which has presets and settings of its own
                    load_motion_config(
                        preset=value if word == "--preset" else None,
                        overrides=dict([parse_assignment(value)]) if word == "--set" else None,
                    )
                    continue
                if word == "--preset":
                    assert value in preset_names()
                if word == "--set":
                    validate(nest(*parse_assignment(value)), "shown")


def test_commands_are_found_in_the_first_place() -> None:
    shown = [words for page in PAGES for words in commands(page, "gait-train")]
    assert len(shown) > 30
    assert ["ppo-amp", "--preset", "laptop", "--init", "wildrobot_clone"] in shown


def known_keys(model: Any = None, prefix: str = "") -> Iterator[str]:
    """Dotted names of every setting."""
    for name, field in (model or config_type()).model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if hasattr(kind, "model_fields"):
                yield from known_keys(kind, f"{prefix}{name}.")


@each_page
def test_named_keys_exist(page: Path) -> None:
    known = set(known_keys()) | {f"env.kwargs.{name}" for name in TrackConfig.__dataclass_fields__}
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for key in re.findall(r"`\"?((?:ppo|networks|amp|muscle|run|env)\.[a-z_0-9.]+)\b(?![(/])", text):
        if not key.endswith(".py") and not key.startswith(("env.core", "env.unwrapped")):
            assert key in known, key


def test_shown_yaml_is_accepted() -> None:
    import yaml

    shown = [(page, yaml.safe_load(block)) for page in PAGES for block in fences(page, "yaml")]
    assert shown
    for page, tree in shown:
        if page.name == "service.md":
            check_service_settings(tree, page)
        else:
            validate(tree, "shown")


def check_service_settings(tree: dict[str, Any], page: Path) -> None:
    pytest.importorskip("psutil")
    from gait_trainers.service.settings import Settings

    assert Settings.model_validate(tree | {"home": page.parent}).model_fields_set == {"home", *tree}


# -- examples ------------------------------------------------------------------------------------------


@each_page
def test_examples_compile(page: Path) -> None:
    for block in fences(page, "python"):
        compile(block, str(page), "exec")


def test_the_first_example_runs() -> None:
    block = next(fences(ROOT / "README.md", "python"))
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["obs"].shape == (37,)
    assert isinstance(names["reward"], float)


def test_options_of_the_readme_are_accepted() -> None:
    import gymnasium as gym

    (block,) = (b for b in fences(ROOT / "README.md", "python") if "reward_weights" in b)
    names: dict[str, Any] = {"gym": gym}
    exec(block, names)
    config = names["env"].unwrapped.core.task.config
    assert (config.command_interval, config.randomize.enabled, config.randomize.push_speed) == (3.0, True, 0.5)


def test_the_citation_names_this_version() -> None:
    import yaml

    from gait_envs import __version__

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["version"], cited["license"], cited["cff-version"]) == (__version__, "MIT", "1.2.0")
    assert f"Version {__version__}" in (ROOT / "README.md").read_text(encoding="utf-8")
