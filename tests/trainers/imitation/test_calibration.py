"""A walker's speed is measured, and its command corrected by that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gait_trainers import load_policy
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.imitation import calibration
from gait_trainers.imitation.calibration import Response, calibrate, correct_command, speed_response
from gait_trainers.imitation.student import begin, leave_run, normalized
from gait_trainers.runs.provenance import licenses_of

WALKER = "wildrobot_walk"
SPEEDS = (0.3, 0.5, 0.7)
FORWARD = 27  # column of WildRobot's observation


def config(folder: Path, **more: object) -> TrainConfig:
    small = {
        "algorithm": "ppo", "env.num_envs": 4, "ppo.n_steps": 16, "ppo.minibatches": 2, "run.out": str(folder),
        "run.iterations": 1, "run.tensorboard": False,
    }  # fmt: skip
    return load_config(preset="laptop", overrides=small | more)


@pytest.mark.parametrize("frames", [1, 3])
def test_the_networks_see_the_command_that_gives_the_speed(tmp_path: Path, frames: int) -> None:
    """speed = 0.2 + 0.8 c: for 0.6 m/s the command is 0.5, and nothing else that is seen changes."""
    memory = {"networks.memory": "frames", "networks.memory_frames": frames} if frames > 1 else {}
    training = begin(config(tmp_path, **memory))
    layout = training.base.env.unwrapped.core.task.layout
    assert layout.slices()["command"].start == FORWARD
    columns = FORWARD + layout.size * np.arange(frames)
    rng, statistics = np.random.default_rng(0), training.model.get_vec_normalize_env().obs_rms
    statistics.mean, statistics.var = rng.normal(size=frames * layout.size), rng.uniform(0.5, 2, frames * layout.size)
    wanted = rng.normal(size=(5, frames * layout.size))
    wanted[:, columns] = 0.5
    before = normalized(training, wanted)
    correct_command(training, Response(offset=0.2, slope=0.8, survived=1.0))
    told = wanted.copy()
    told[:, columns] = 0.6
    np.testing.assert_allclose(normalized(training, told), before, atol=1e-5)


def test_a_walker_that_is_too_slow_is_put_right(tmp_path: Path) -> None:
    spoilt = begin(config(tmp_path, **{"run.init": WALKER, "run.name": "slow"}))
    correct_command(spoilt, Response(offset=0.1, slope=1.25, survived=1.0))  # it sees 0.8 c - 0.08
    run = leave_run(spoilt, {"method": "a test"})
    slow = speed_response(load_policy(run.path), SPEEDS, episodes=4)
    assert slow.slope == pytest.approx(0.8, abs=0.12)
    settings = {"run.init": str(run.path), "run.name": "calibrated", "networks.log_std_init": np.log(0.07)}
    mended = calibrate(config(tmp_path, **settings), SPEEDS, episodes=4, say=print)
    policy = load_policy(mended.path)
    found = speed_response(policy, SPEEDS, episodes=4, seed=100)
    speeds = found.offset + found.slope * np.array(SPEEDS)
    np.testing.assert_allclose(speeds, SPEEDS, atol=0.04)
    _, std, _ = policy.network(np.zeros((1, 37), np.float32), (), np.ones(1, bool))
    np.testing.assert_allclose(std, 0.07, rtol=1e-5)
    origin = mended.origin()
    assert origin["init"]["method"] == "calibration"
    assert origin["init"]["slope"] == pytest.approx(slow.slope)
    assert licenses_of(origin) == licenses_of(run.origin())


def test_what_cannot_be_calibrated_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvaluationError, match="wildrobot_imitation follows clips"):
        speed_response(load_policy("wildrobot_imitation"), SPEEDS, episodes=1)
    walker = load_policy(WALKER)
    for speeds, episodes in (((), 4), ((0.5, 0.5), 4), (SPEEDS, 0)):
        with pytest.raises(EvaluationError, match="needed are two different speeds"):
            speed_response(walker, speeds, episodes)
    deaf = begin(config(tmp_path, **{"run.init": WALKER, "run.name": "deaf"}))
    correct_command(deaf, Response(offset=-4e5, slope=1e6, survived=1.0))  # whatever it is told, it sees 0.4
    with pytest.raises(EvaluationError, match=r"does not follow its command: from 0.3 to 0.7 m/s"):
        speed_response(load_policy(leave_run(deaf, {"method": "a test"}).path), SPEEDS, episodes=2)
    plain = calibration.record

    def falls(*args, **kwargs):  # in four episodes of six
        walked, ends = plain(*args, **kwargs, seconds=4.0)
        return walked, ends | {"success": np.arange(6) < 2}

    monkeypatch.setattr(calibration, "record", falls)
    with pytest.raises(EvaluationError, match=r"survives 2 of 6 episodes; to calibrate its speed, needed are 50%"):
        speed_response(walker, SPEEDS, episodes=2)
    with pytest.raises(ConfigError, match=r"run\.init is null"):
        calibrate(config(tmp_path), SPEEDS)
    with pytest.raises(ConfigError, match=r"ppo\.normalize_obs is false"):
        correct_command(begin(config(tmp_path, **{"ppo.normalize_obs": False})), Response(0.0, 1.0, 1.0))
