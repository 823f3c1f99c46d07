"""The notebooks run from top to bottom, here with small settings, and carry no outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gait_envs.models.robot import wildrobot
from gait_envs.render import Offscreen, RenderError

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALL: dict[str, dict[str, Any]] = {  # what the settings of a notebook become here
    "walk_in_minutes": {
        "EPISODES": 1, "FILM": 0.2, "WIDTH": 160,
        "MORE": {"env.num_envs": 16, "ppo.n_steps": 16, "ppo.minibatches": 2, "ppo.epochs": 1, "run.iterations": 2,
                 "amp.batch_size": 32, "run.tensorboard": False},
    },
    "look_at_a_gait": {"EPISODES": 1, "SPEEDS": (0.4,), "SECONDS": 4.0, "SETTLE": 1.0},
    "your_own_capture": {},
}  # fmt: skip

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="an installed package carries no examples")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


INSTALLS = '%pip install --quiet "{place}['  # a path, never a name that somebody may have on a package index


def code(path: Path) -> list[str]:
    """The code cells, without lines for the notebook's own shell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return ["\n".join(line for line in text.splitlines() if not line.startswith("%")) for text in texts]


def run(path: Path) -> dict[str, Any]:
    """The names that a notebook leaves, with its settings made small; the first cell installs, and is left out."""
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in code(path)[1:]:
        exec(compile(cell, path.name, "exec"), names)
        names |= {name: value for name, value in SMALL[path.stem].items() if name in names}
    return names


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in; figures are not shown."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@each_notebook
def test_it_carries_no_outputs_and_begins_by_installing(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    shell = [line.strip() for cell in cells for line in cell["source"] if line.lstrip().startswith(("%", "!"))]
    assert [line[: len(INSTALLS)] for line in shell] == [INSTALLS]
    assert shell[0] == cells[0]["source"][-1]
    assert set(SMALL[path.stem]) <= set(re.findall(r"\w+", "\n".join(code(path))))


@each_notebook
def test_it_installs_a_checkout_or_a_wheel_and_nothing_from_an_index(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = code(path)

    def installs(place: str) -> Path:
        names: dict[str, Any] = {}
        exec(first.replace('GAITNET = "../.."', f"GAITNET = {place!r}"), names)
        return names["place"]

    monkeypatch.chdir(FOLDER)
    assert installs("../..") == FOLDER.parents[1], "as the notebook stands, opened in its folder"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gaitnet").mkdir()
    for place in ("../..", "", "gaitnet", "gaitnet==0.1", "https://example.org/gaitnet.whl"):
        with pytest.raises(FileNotFoundError, match="neither the folder of a checkout of GaitNet nor a wheel"):
            installs(place)
    (tmp_path / "gaitnet-0.1.0-py3-none-any.whl").touch()
    assert installs("gaitnet-0.1.0-py3-none-any.whl").is_file()


def test_all_are_on_the_page() -> None:
    page = (FOLDER.parents[1] / "docs" / "tutorials" / "notebooks.md").read_text(encoding="utf-8")
    assert {path.stem for path in NOTEBOOKS} == set(SMALL)
    assert all(f"`{path.name}`" in page for path in NOTEBOOKS)


@pytest.mark.slow
def test_it_learns_to_walk(folder: Path) -> None:
    try:
        Offscreen(wildrobot().model, 16, 16).close()
    except RenderError as error:
        pytest.skip(str(error))
    names = run(FOLDER / "walk_in_minutes.ipynb")
    assert names["before"]["is_success_rate"] == 0.0
    assert len(names["rows"]) == 2
    assert (folder / "walk.gif").stat().st_size > 1000


@pytest.mark.slow
def test_a_gait_is_looked_at(folder: Path) -> None:
    names = run(FOLDER / "look_at_a_gait.ipynb")
    assert names["found"]["success_rate"] == 1.0
    assert (folder / "page.png").is_file()


@pytest.mark.slow
def test_a_capture_becomes_a_clip(folder: Path) -> None:
    pytest.importorskip("mink")
    names = run(FOLDER / "your_own_capture.ipynb")
    assert 0.3 < names["clip"].mean_speed < 0.8
    assert names["quality"]["penetration_mm"] < 5.0
    assert (folder / "clip.png").is_file()
