"""The worked examples of docs/extending.md: each runs, is short, and does what its page says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "extending"
ENVIRONMENTS = ("my_robot", "my_reward", "my_task")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="an installed package carries no examples")


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An example as a module, its environment registered."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    module.register()
    return module


def examples() -> list[Path]:
    return sorted(FOLDER.glob("*.py"))


def test_examples_are_under_100_lines_and_on_the_page() -> None:
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    assert {path.stem for path in examples()} == {
        *ENVIRONMENTS,
        "my_learner",
        "my_format",
    }  # these have tests elsewhere
    for path in examples():
        assert len(path.read_text(encoding="utf-8").splitlines()) < 100, path.name
        assert f"`{path.name}`" in page


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_its_main_runs(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    example(name, monkeypatch).main()
    assert capsys.readouterr().out


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_is_a_proper_environment_in_both_forms(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env_id = example(name, monkeypatch).ID
    check_env(gym.make(env_id).unwrapped, skip_render_check=True)
    many = gym.make_vec(env_id, 2, vectorization_mode="vector_entry_point")
    one = gym.make(env_id)
    np.testing.assert_array_equal(many.reset(seed=3)[0][1], one.reset(seed=4)[0])
    action = np.full((2, *one.action_space.shape), 0.2, np.float32)  # type: ignore[misc]
    np.testing.assert_array_equal(many.step(action)[0][1], one.step(action[1])[0])
    many.close()


def test_the_robot_stands_and_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("my_robot", monkeypatch)
    env = gym.make(module.ID)
    env.reset(seed=0)
    for _ in range(100):
        _, _, terminated, _, info = env.step(np.zeros(24, np.float32))
        assert not terminated
    robot = env.unwrapped.core.robot  # type: ignore[attr-defined]
    assert (robot.name, robot.mass) == ("robot", pytest.approx(5.2))
    assert abs(info["x_position"]) < 0.1


def test_the_robot_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    from typer.testing import CliRunner

    from gait_trainers.cli import app

    example("my_robot", monkeypatch)
    words = ["ppo", "--config", str(FOLDER / "my_robot.yaml"), "--verify", "--out", str(tmp_path), "--name", "mine"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "mine" / "metrics.csv").read_text().splitlines()) == 3  # a heading and two iterations


def test_the_reward_term_is_the_square_of_the_waist_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("my_reward", monkeypatch)
    env = gym.make(module.ID, reward_weights={"waist_rate": -0.1, "alive": 1.0})
    env.reset(seed=0)
    _, reward, *_, info = env.step(np.eye(9, dtype=np.float32)[0])
    rate = env.unwrapped.data.qvel[6]  # type: ignore[attr-defined]
    assert abs(rate) > 0.1
    assert info["reward_waist_rate"] == pytest.approx(-0.1 * rate**2)
    assert reward == pytest.approx(1.0 - 0.1 * rate**2)


def test_the_squat_asks_for_its_rhythm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("my_task", monkeypatch)
    env = gym.make(module.ID, depth=0.05, period=2.0, reset_noise=0.0)
    obs, _ = env.reset(seed=0)
    row = env.unwrapped.core.task.layout.slices()["target_height"]  # type: ignore[attr-defined]
    home = env.unwrapped.core.robot.home_qpos[2]  # type: ignore[attr-defined]
    heights = [obs[row][0]]
    for _ in range(100):
        obs, *_, info = env.step(np.zeros(9, np.float32))
        heights.append(obs[row][0])
    # Up at the start and after 2 s, halfway after 0.5 s, lowest after 1 s (50 control steps).
    assert np.array(heights)[[0, 25, 50, 100]] == pytest.approx([home, home - 0.025, home - 0.05, home], abs=1e-6)
    height = env.unwrapped.data.qpos[2]  # type: ignore[attr-defined]
    assert info["reward_squat"] == pytest.approx(np.exp(-400.0 * (height - home) ** 2))
