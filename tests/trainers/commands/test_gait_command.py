"""`gait-train gait`: walks of a body that nobody corrects, which takes two steps before it falls."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from gait_envs.biomechanics.gait_cycles import MUSCLE_GROUPS, PERCENT, SIDES, GaitError
from gait_envs.biomechanics.normative import EMG_NAMES
from gait_envs.models.robot import humanoid
from gait_envs.reading.outputs import OutputError
from gait_envs.reference.clip import Clip, save_clip, velocities
from gait_envs.simulation.instruments import Samples
from gait_trainers.cli import app
from gait_trainers.commands import gait as module
from gait_trainers.commands.gait import page_paths, parse_params, walker_name
from gait_trainers.evaluation import clinical as gait_walks
from gait_trainers.evaluation.clinical import Walk, figures, walk
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.policies.base import Feedforward, GaussianPolicy, Policy
from gait_trainers.reports import gait_page
from gait_trainers.reports.gait_page import draw_page
from gait_trainers.reports.gait_tables import print_figures, print_walk
from gait_trainers.reports.tables import UNKNOWN

TORQUE, MUSCLES = "GaitNet/HumanoidImitation-v0", "GaitNet/MuscleHumanoidImitation-v0"
TWO_STEPS = {"settle": 0.0, "env_kwargs": {"max_distance": 10.0}, "threads": 1}


def idle(env_id: str = TORQUE, joints: int = 50) -> Policy:
    def forward(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(obs), joints), np.float32), np.ones((len(obs), joints), np.float32)

    return GaussianPolicy("idle", Feedforward(forward), env_id)


@pytest.fixture(scope="module")
def slow() -> Walk:
    (found,) = walk(idle(), ["walk_060"], **TWO_STEPS)
    return found


def with_muscles(result: Walk) -> Walk:
    """The same walk, every muscle on for the first half of the cycle, people's for the first quarter."""
    profile = np.where(PERCENT < 50, 0.5, 0.0)[None]
    curves = result.gait.curves | {name: dict.fromkeys(SIDES, profile) for name in MUSCLE_GROUPS}
    on = dict.fromkeys(EMG_NAMES, PERCENT < 25)
    return dataclasses.replace(result, gait=dataclasses.replace(result.gait, curves=curves), on_times=on)


def show(function, *args) -> str:
    out = io.StringIO()
    function(*args, Console(file=out, width=110))
    return out.getvalue()


def test_a_walk_is_analysed_until_its_fall(slow: Walk) -> None:
    assert slow.name == "walk_060"
    assert slow.fall in ("left", "right", "forward", "backward", "low")
    assert slow.gait.speed == pytest.approx(0.6, abs=0.1)
    assert {len(rows) for rows in slow.gait.curves["vertical"].values()} == {1}
    assert 0.5 < slow.gait.mean("vertical").max() < 3.0
    assert set(slow.matches) == {name for name in slow.gait.curves if name in slow.bands}
    assert not slow.timings  # servos


def test_parameters_reach_the_walker(slow: Walk) -> None:
    (heavy,) = walk(idle(), ["walk_060"], params={"mass": 1.1}, **TWO_STEPS)
    push = [np.concatenate(list(w.gait.curves["vertical"].values())).max() for w in (slow, heavy)]
    assert push[1] != push[0]
    assert heavy.params == {"mass": 1.1}


def test_several_clips_walk_at_once_as_each_does_alone(slow: Walk) -> None:
    both = walk(idle(), ["walk_060", "walk_080"], **TWO_STEPS)
    assert [found.name for found in both] == ["walk_060", "walk_080"]
    assert np.array_equal(both[0].gait.both("ankle_power"), slow.gait.both("ankle_power"))
    assert both[1].gait.speed > 0.7


def test_figures_are_json(slow: Walk) -> None:
    found = figures(with_muscles(slow))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["walk"], found["cycles"]) == ("walk_060", {"left": 1, "right": 1})
    knee = found["curves"]["knee_flexion"]
    assert (knee["unit"], len(knee["mean"]), len(knee["published"]["sd"])) == ("°", 51, 51)
    assert knee["correlation"] == pytest.approx(slow.matches["knee_flexion"].correlation, abs=1e-5)
    assert found["curves"]["ankle_power"]["unit"] == "W/kg"
    assert found["curves"]["ankle_power"]["published"] is None  # without --normative
    assert found["curves"]["soleus"]["unit"] == "activation"
    assert found["activation_timing"]["soleus"] == {"share": 0.52, "expected": 0.26, "overlap": 0.52}  # 13 of 25, of 50


def test_tables_and_page(slow: Walk, tmp_path: Path) -> None:
    strong = with_muscles(slow)
    weak = dataclasses.replace(strong, gait=dataclasses.replace(strong.gait, speed=strong.gait.speed / 2))
    text = show(print_walk, strong, "a title")
    assert "a title" in text
    assert "1 left and 1 right cycles" in text
    assert all(name in text for name in ("knee flexion", *MUSCLE_GROUPS))
    text = show(print_figures, [("strong", strong), ("weak", weak)])
    assert "push-off power A2, W/kg" in text
    assert "-50%" in text
    assert "+0.0°" in text  # angles change by degrees
    page = tmp_path / "new" / "page.png"
    draw_page([("strong", strong), ("weak", weak)], "idle", page)
    assert page.read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in page.parent.iterdir()] == ["page.png"]  # nothing half written


def test_the_command_writes_everything(slow: Walk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def walked(policy: Policy, places: list[str], reference: object, **options: object) -> list[Walk]:
        asked.append((policy.name, places, options["params"], options["settle"]))
        return [dataclasses.replace(slow, name=place) for place in places]

    monkeypatch.setattr(module, "load_policy", lambda path, env: idle())
    monkeypatch.setattr(module, "walk", walked)
    words = ["gait", "any", "--clip", "a", "--clip", "b", "--compare-params", '{"mass": 0.9}', "--settle", "1"]
    words += ["--out", str(tmp_path / "page.svg"), "--json", str(tmp_path / "all.json")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert asked == [("idle", ["a", "b"], {}, 1.0), ("idle", ["a", "b"], {"mass": 0.9}, 1.0)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.json", "page_a.svg", "page_b.svg"]
    content = json.loads((tmp_path / "all.json").read_text())
    assert [found["walk"] for found in content["walks"]] == ["a", "a", "b", "b"]
    said = "".join(result.stdout.split())
    for file in tmp_path.iterdir():
        assert str(file) in said
    assert "idlealonga,healthy,againstnormativedata" in said
    assert "idlealongb,mass0.9,againstnormativedata" in said


def test_the_walker_that_failed_is_named_and_the_other_shown(
    slow: Walk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def walked(*args: object, **options: object) -> list[Walk]:
        if options["params"]:
            raise EvaluationError("idle at walk_060 fell")
        return [slow]

    (tmp_path / "weak.yaml").write_text("mass: 0.9\n")
    monkeypatch.setattr(module, "load_policy", lambda path, env: idle())
    monkeypatch.setattr(module, "walk", walked)
    words = ["gait", "any", "--out", str(tmp_path / "page.png"), "--json", str(tmp_path / "all.json")]
    result = CliRunner().invoke(app, [*words, "--compare-params", str(tmp_path / "weak.yaml")])
    assert str(result.exception) == "weak: idle at walk_060 fell"
    assert "push-off power A2" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["weak.yaml"]
    result = CliRunner().invoke(app, [*words, "--params", str(tmp_path / "weak.yaml")])
    assert str(result.exception) == "idle at walk_060 fell"  # nobody to be told from


def test_walkers_are_called_by_what_they_are_given() -> None:
    assert walker_name(None, "first") == "healthy"
    assert walker_name("some/where/weak.yaml", "second") == "weak"
    assert walker_name('{"force": {"left_soleus": 0.5}}', "second") == "force.left_soleus 0.5"
    assert walker_name(str({f"muscle_{i}": 0.5 for i in range(9)}), "second") == "second walker"
    assert walker_name("{}", "first") == "first walker"


def test_a_page_that_cannot_be_drawn_is_refused_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "load_policy", lambda path, env: pytest.fail("too late"))
    with pytest.raises(EvaluationError, match=r"page\.xyz: pages end in \.png or \.svg or \.pdf"):
        CliRunner().invoke(app, ["gait", "any", "--out", str(tmp_path / "page.xyz")], catch_exceptions=False)


def test_figures_are_kept_where_no_page_can_be_drawn(
    slow: Walk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(module, "load_policy", lambda path, env: idle())
    monkeypatch.setattr(module, "walk", lambda *args, **options: [slow])
    monkeypatch.setattr(gait_page, "draw_page", broken)
    words = ["gait", "any", "--out", str(tmp_path / "page.png"), "--json", str(tmp_path / "all.json")]
    with pytest.raises(OSError, match="disk full"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert json.loads((tmp_path / "all.json").read_text())["walks"][0]["walk"] == "walk_060"


def test_a_walk_beyond_the_published_speeds_is_analysed_without_them(
    slow: Walk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fast = dataclasses.replace(slow.gait, speed=2.3)
    gaits = iter([slow.gait, fast])
    monkeypatch.setattr(gait_walks, "analyse", lambda *args: next(gaits))
    known, unknown = walk(idle(), ["walk_060", "walk_080"], seconds=0.2, **TWO_STEPS)
    assert (len(known.bands), known.remark) == (len(slow.bands), "")
    assert unknown.remark == (
        "no published curves: speed is 2.3 m/s; the figures are of 0.51 to 2.07 m/s for this body"
    )
    assert figures(unknown)["remark"] == unknown.remark
    assert figures(unknown)["curves"]["knee_flexion"]["published"] is None
    text = " ".join(show(print_walk, unknown, "along walk_080").split())
    assert "along walk_080" in text
    assert unknown.remark in text
    draw_page([("healthy", unknown)], "idle", tmp_path / "page.png")
    page = Path(__file__).parents[3] / "docs" / "gait_analysis.md"
    assert "0.51 to 2.07 m/s" in " ".join(page.read_text(encoding="utf-8").split())


def test_pages_of_others_are_refused_before_anybody_walks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "load_policy", lambda path, env: idle())
    monkeypatch.setattr(gait_walks, "record_episodes", lambda *args, **options: pytest.fail("too late"))
    theirs = tmp_path / "page_walk_080.png"
    theirs.write_bytes(b"\x89PNG somebody's")
    words = ["gait", "any", "--clip", "walk_060", "--clip", "walk_080", "--out", str(tmp_path / "page.png")]
    with pytest.raises(OutputError, match=r"page_walk_080\.png: would be replaced"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert theirs.read_bytes() == b"\x89PNG somebody's"


def test_what_cannot_be_told_is_a_dash(slow: Walk) -> None:
    early = dataclasses.replace(slow, gait=dataclasses.replace(slow.gait, foot_off=0.05))
    text = show(print_figures, [("plain", slow), ("early", early)])
    (line,) = [line for line in text.splitlines() if "dorsiflexion in stance" in line]
    assert "nan" not in text
    assert line.count(UNKNOWN) == 2  # the figure and its change
    assert figures(early)["dorsiflexion_peak"] is None


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("key", ["seconds", "settle"])
def test_endless_walks_are_refused(key: str, value: float) -> None:
    with pytest.raises(EvaluationError, match=f"{key} is {value}, expected a finite number"):
        walk(idle(), ["walk_060"], **(TWO_STEPS | {key: value}))


def test_pages_of_several_walks_have_their_names() -> None:
    page = Path("x/page.png")
    assert page_paths(None, ["walk_120"]) == []
    assert page_paths(page, ["walk_120"]) == [page]
    assert page_paths(page, ["1.2, 0, 0.5 m/s", "walk_060"]) == [
        Path("x/page_1_2__0__0_5_m_s.png"), Path("x/page_walk_060.png")
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0.5", "[1]", "{", "force"])
def test_what_are_no_parameters(text: str) -> None:
    with pytest.raises(EvaluationError, match=r"--params .*: expected a mapping"):
        parse_params(text, "--params")
    assert parse_params('{"force": {"left_soleus": 0.5}}', "--params") == {"force": {"left_soleus": 0.5}}
    assert parse_params(None, "--params") == {}


def test_parameters_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "weak.yaml"
    file.write_text("force: {left_soleus: 0.5}\n")
    assert parse_params(str(file), "--params") == {"force": {"left_soleus": 0.5}}
    file.write_bytes(b"mass: \xff")
    with pytest.raises(EvaluationError, match=r"--params: .*weak\.yaml: not UTF-8 text"):
        parse_params(str(file), "--params")
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        parse_params(str(tmp_path / "none.yaml"), "--params")


def test_straying_from_the_clip_is_no_fall(slow: Walk) -> None:
    with pytest.raises(EvaluationError, match=r"idle at walk_060 strayed from its clip after 1.1 s: no whole cycle"):
        walk(idle(), ["walk_060"], settle=0.0, env_kwargs={"max_distance": 0.03}, threads=1)
    strayed = dataclasses.replace(slow, fall="strayed")
    assert "strayed from its clip after 2.1 s" in " ".join(show(print_walk, strayed, "a title").split())


def test_forces_and_moments_are_of_the_walkers_own_mass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who stands is carried with one weight, whatever it weighs."""
    robot, carried = humanoid(), []

    def seen(samples: Samples, names: object, mass: float, *others: object) -> None:
        carried.append((mass, samples.ground[-100:, :, 2].sum(axis=1).mean() / (mass * 9.81)))
        raise GaitError("stands")

    qpos = np.tile(robot.home_qpos, (101, 1))
    told = ("humanoid", "drawn in a test", "CC0-1.0")
    save_clip(tmp_path / "stand.npz", Clip(qpos, velocities(qpos, 30.0), 30.0, robot.joint_names, False, *told))
    monkeypatch.setattr(gait_walks, "analyse", seen)
    for mass in (1.0, 1.3):
        with pytest.raises(EvaluationError, match="stands"):
            walk(idle(), None, [str(tmp_path)], params={"mass": mass}, seconds=1.0, **TWO_STEPS)
    assert [mass for mass, _ in carried] == pytest.approx([73.0, 1.3 * 73.0])
    assert [weights for _, weights in carried] == pytest.approx([1.0, 1.0], abs=0.02)


def test_bands_are_of_the_walkers_own_legs(slow: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    legs = []
    monkeypatch.setattr(gait_walks, "bands_at", lambda speed, leg, tables: legs.append(leg) or {})
    monkeypatch.setattr(gait_walks, "analyse", lambda *args: slow.gait)
    for params in ({}, {"scale": {"shank": 1.1}}):
        walk(idle(), ["walk_060"], params=params, seconds=0.2, **TWO_STEPS)
    assert legs == pytest.approx([0.907, 0.907 * (1 + 0.1 * 0.42993 / 0.90848)], abs=5e-4)


def test_walks_that_cannot_be_analysed() -> None:
    with pytest.raises(EvaluationError, match=r"idle at walk_060 fell \(\w+\) after 2.1 s: no whole cycle of the left"):
        walk(idle(), ["walk_060"], settle=3.0, env_kwargs={"max_distance": 10.0}, threads=1)
    with pytest.raises(EvaluationError, match=r"params: unknown parameter 'force.left_soleus'"):
        walk(idle(), ["walk_060"], params={"force": {"left_soleus": 0.5}}, threads=1)
    with pytest.raises(EvaluationError, match=r"params: parameter force.left_soleus is 0.01, allowed is 0.1 to 1.5"):
        walk(idle(MUSCLES), ["walk_060"], params={"force": {"left_soleus": 0.01}}, threads=1)
    with pytest.raises(EvaluationError, match="analysis is of the human body, its robot is wildrobot"):
        walk(idle("GaitNet/WildRobot-v0", 9), ["0.4"], threads=1)
