"""Evaluations of following clips: a robot that only stands, along clips that stand, glide and walk."""

import dataclasses
import io
import json

import numpy as np
import pytest
from helpers.still_clips import BLIND, IMITATION, ROBOT, WALK, idle, still, write
from rich.console import Console
from typer.testing import CliRunner

from gait_envs.models.robot import humanoid
from gait_envs.reference.clip import save_clip
from gait_envs.reference.library import EMBEDDED, MotionLibrary, load_clips
from gait_trainers.cli import app
from gait_trainers.evaluation import tracking
from gait_trainers.evaluation.rollout import EvaluationError, json_options, record
from gait_trainers.evaluation.tracking import (
    evaluate_tracking,
    open_reference,
    plan_whole,
    spread_phases,
)
from gait_trainers.policies.base import Feedforward, GaussianPolicy, PolicyError
from gait_trainers.policies.environment import EnvironmentOptionError, follows_clips, in_environment, make_env
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports import evaluation_tables
from gait_trainers.reports.evaluation_tables import print_tracking


@pytest.fixture(scope="module")
def stills(tmp_path_factory) -> str:
    """A clip that stands, 1 s, and one that glides at 0.5 m/s, 2 s."""
    return write(tmp_path_factory.mktemp("stills"), still("stand", 51), still("glide", 101, speed=0.5))


def test_a_standing_robot_follows_what_stands_and_loses_what_glides(stills):
    result = evaluate_tracking(idle(), reference=stills, env_kwargs={"max_distance": 0.2}, threads=1)
    glide, stand = result["per_clip"]  # in the order of their files
    assert (stand["clip"], stand["seconds"], stand["speed"]) == ("stand", 1.0, 0.0)
    assert stand["success_rate"] == stand["progress"] == 1.0
    assert stand["mpjpe_global"] < 3.0
    assert (glide["clip"], glide["seconds"], glide["success_rate"]) == ("glide", 2.0, 0.0)
    assert glide["speed"] == pytest.approx(0.5)
    # A clip that leaves at 10 mm a frame is more than 200 mm away at the 21st frame of the 100 that follow.
    assert glide["progress"] == pytest.approx(0.21, abs=0.011)
    assert glide["falls"]["strayed"] == 1 == sum(glide["falls"].values())
    frames = round(100 * glide["progress"])
    assert glide["mpjpe_global"] == pytest.approx(10 * np.arange(1, frames + 1).mean(), abs=3)
    assert glide["mpjpe_aligned"] < 0.05 * glide["mpjpe_global"]
    assert glide["velocity_error"] == pytest.approx(0.5, abs=0.01)
    assert (result["episodes"], result["clips"], result["success_rate"]) == (2, 2, 0.5)
    assert [row["is_success_rate"] for row in (glide, stand, result)] == [0.0, 1.0, 0.5]
    assert result["mpjpe_global"] == pytest.approx((glide["mpjpe_global"] + stand["mpjpe_global"]) / 2)
    assert result["falls"]["strayed"] == 1
    json.dumps(result, allow_nan=False)


def test_figures_are_those_of_the_environment_step_by_step(reference):
    """The same episodes by hand: errors from forward kinematics of both poses, of every frame but the first."""
    found = evaluate_tracking(idle(), reference=reference, seed=5, threads=1)
    library = MotionLibrary(load_clips(reference), ROBOT.joint_names, 50.0)
    for clip, row in enumerate(found["per_clip"]):
        env = make_env(IMITATION, threads=1, reference=reference)
        env.reset(seed=5 + clip, options={"clip": clip, "frame": 0})
        reached, rates, ended = [env.core.state.qpos[0]], [env.core.state.qvel[0]], False
        while not ended and len(reached) <= 500:
            _, _, fell, over, _ = env.step(np.zeros((1, 9)))
            reached.append(env.core.state.qpos[0])
            rates.append(env.core.state.qvel[0])
            ended = bool(fell[0] | over[0])
        steps = len(reached) - 1
        wanted, wanted_rates = library.at(np.full(steps + 1, clip), np.arange(steps + 1))
        wanted[:, :2] -= wanted[0, :2]
        bodies = ROBOT.body_positions(np.array(reached))[1:]
        goals = ROBOT.body_positions(wanted)[1:]
        error = 1e3 * np.linalg.norm(bodies - goals, axis=2).mean()
        relative = (bodies - bodies[:, :1]) - (goals - goals[:, :1])
        change = np.diff(np.array(rates)[:, 6:] - wanted_rates[:, 6:], axis=0) * 50
        assert row["progress"] == pytest.approx(steps / 500)
        assert row["mpjpe_global"] == pytest.approx(error, rel=1e-6)
        assert row["mpjpe_root"] == pytest.approx(1e3 * np.linalg.norm(relative, axis=2).mean(), rel=1e-6)
        assert row["mpjpe_aligned"] < row["mpjpe_root"]
        drift = np.diff(bodies - goals, axis=0) * 50
        first = np.linalg.norm(bodies[0] - goals[0], axis=1).mean() * 50  # an episode begins without an error
        expected = (np.linalg.norm(drift, axis=2).mean(1).sum() + first) / steps
        assert row["velocity_error"] == pytest.approx(expected, rel=1e-6)
        assert row["acceleration_error"] == pytest.approx(np.abs(change).mean(), rel=1e-6)


def test_accelerations_are_compared_at_the_walker_s_cadence(human_reference):
    """At another cadence and stride the reference's joint rates are its memory's, step by step."""
    env_id, params = "GaitNet/HumanoidImitation-v0", {"cadence": 1.3, "stride": 0.8}
    found = evaluate_tracking(
        idle(env_id=env_id, joints=50, params=params), reference=human_reference, clips=["human_12"], threads=1,
        env_kwargs={"max_episode_steps": 8},
    )  # fmt: skip
    library = MotionLibrary(load_clips(human_reference), humanoid().joint_names, humanoid().control_rate)
    env = make_env(env_id, threads=1, reference=human_reference, whole_clips=True, params=params)
    env.reset(seed=0, options={"clip": 0, "frame": 0})
    rates = [env.core.state.qvel[0, 6:]]
    for _ in range(8):
        env.step(np.zeros((1, 50)))
        rates.append(env.core.state.qvel[0, 6:])
    _, wanted = library.sample(np.zeros(9, int), 1.3 * np.arange(9) / library.fps)
    change = np.diff(np.array(rates) - 1.3 * wanted[:, 6:], axis=0) / humanoid().dt
    assert found["progress"] == 1.0
    assert found["acceleration_error"] == pytest.approx(np.abs(change).mean(), rel=1e-6)


def test_nothing_depends_on_what_is_simulated_together(stills, reference, monkeypatch):
    options = {"reference": [stills, reference], "episodes": 6, "seed": 3, "threads": 1}
    policy = idle(randomize=True)
    together = evaluate_tracking(policy, **options, env_kwargs={"randomize": True})
    monkeypatch.setattr(tracking, "BATCH", 1)
    apart = evaluate_tracking(policy, **options, env_kwargs={"randomize": True})
    for one, other in zip(apart["per_clip"], together["per_clip"], strict=True):
        assert one["falls"] == other["falls"]
        for name in (*tracking.ERRORS, "progress", "acceleration_error"):
            assert one[name] == pytest.approx(other[name], rel=1e-9)  # sums over a batch round by its size
    assert evaluate_tracking(policy, **options)["mpjpe_global"] != together["mpjpe_global"]
    assert [row["episodes"] for row in together["per_clip"]] == [2, 2, 1, 1]


def test_batches_hold_every_episode_once_and_few_frames(monkeypatch):
    steps = np.array([5, 100, 7, 60, 60])
    plan = tracking.Plan(*np.zeros((2, 5), int), steps, np.arange(5))
    monkeypatch.setattr(tracking, "FRAMES", 130)
    batches = [rows.tolist() for rows in plan.batches()]
    assert batches == [[1], [3, 4], [2, 0]]


def test_episodes_last_as_long_as_the_clip(tmp_path):
    """Beyond the time limit of training where the clip does; a looping one has no end of its own."""
    folder = write(tmp_path, still("long", 551), still("round", 26, loop=True), still("short", 21))
    opened = open_reference(idle(), folder)
    assert plan_whole(opened, np.arange(3), 0).steps.tolist() == [550, 500, 20]
    result = evaluate_tracking(idle(), reference=folder, threads=1)
    assert result["success_rate"] == result["progress"] == 1.0
    capped = open_reference(idle(), folder, {"max_episode_steps": 100})
    assert plan_whole(capped, np.arange(3), 0).steps.tolist() == [100, 100, 20]


def test_episodes_along_a_looping_clip_begin_round_its_cycle(tmp_path):
    folder = write(tmp_path, still("round", 26, loop=True), still("short", 21))
    opened = open_reference(idle(), folder)
    plan = plan_whole(opened, np.array([0, 1, 0, 1, 0, 0]), 0)
    assert spread_phases(plan, opened.task.library).frame.tolist() == [0, 0, 6, 0, 12, 18]  # quarters of 25 frames


def test_a_clip_is_followed_to_its_last_frame_whatever_is_seen_ahead(tmp_path):
    folder = write(tmp_path, still("stand", 41))
    result = evaluate_tracking(idle(future_frames=[1, 5, 10]), reference=folder, threads=1)
    assert result["success_rate"] == result["progress"] == 1.0


def test_stochastic_evaluations_repeat(stills):
    first, again = (evaluate_tracking(idle(std=0.2), reference=stills, stochastic=True, threads=1) for _ in range(2))
    assert first == again
    assert first["mode"] == "stochastic"
    assert first["acceleration_error"] > 2 * evaluate_tracking(idle(), reference=stills)["acceleration_error"]


def test_a_fall_is_told_from_straying(tmp_path):
    """Feet that point down a little tip the robot backwards before its bodies are a metre from where they should be."""
    pose = still("stand", 101)
    pose.qpos[:, [11, 15]] = -0.3
    save_clip(tmp_path / "tip.npz", pose)
    result = evaluate_tracking(idle(), reference=str(tmp_path), env_kwargs={"max_distance": 1.0}, threads=1)
    assert result["falls"]["backward"] == 1 == sum(result["falls"].values())


def test_without_a_limit_nothing_strays(stills):
    result = evaluate_tracking(idle(), reference=stills, env_kwargs={"max_distance": float("inf")}, threads=1)
    assert result["success_rate"] == 1.0
    assert result["max_distance"] is None


# -- which clips ---------------------------------------------------------------------------------------


def test_a_run_is_evaluated_on_what_it_was_trained_on(stills, tmp_path):
    other = write(tmp_path, still("turn", 21))
    trained = dataclasses.replace(idle(), reference=stills)
    assert evaluate_tracking(trained, threads=1)["reference"] == stills
    assert open_reference(trained).task.library.names == ("glide", "stand")
    assert open_reference(trained, other).task.library.names == ("turn",)
    assert open_reference(trained, None, {"reference": other}).task.library.names == ("turn",)
    assert open_reference(idle()).task.config.reference == EMBEDDED


def test_what_a_run_was_trained_on_may_be_gone(stills, tmp_path):
    trained = dataclasses.replace(idle(), reference=[str(tmp_path / "gone")])
    with pytest.raises(EvaluationError, match=r"idle: its training clips cannot be read; give --reference: .*gone"):
        open_reference(trained)
    with pytest.raises(EnvironmentOptionError, match="warp"):
        open_reference(dataclasses.replace(idle(), reference=stills), None, {"warp": 9})


def test_a_policy_read_from_a_run_knows_its_clips(stills, tmp_path):
    from gait_trainers.config.layers import validate
    from gait_trainers.rl.train import train

    tree = {
        "algorithm": "ppo",
        "env": {"id": IMITATION, "num_envs": 8, "threads": 1, "kwargs": {"reference": [stills]}},
        "ppo": {"n_steps": 8, "minibatches": 2},
        "networks": {"policy": [16], "value": [16]},
        "run": {"iterations": 1, "tensorboard": False, "name": "tiny", "out": str(tmp_path)},
    }
    policy = load_policy(train(validate(tree, "test")).run.path)
    assert "reference" not in policy.env_kwargs
    assert open_reference(policy).task.library.names == ("glide", "stand")


# -- what cannot be ------------------------------------------------------------------------------------


def test_bad_input_is_named(stills, tmp_path):
    with pytest.raises(ValueError, match="no clip 'run'; the library has glide, stand"):
        evaluate_tracking(idle(), reference=stills, clips=["run"])
    with pytest.raises(EnvironmentOptionError, match=r"holds no \.npz clip"):
        evaluate_tracking(idle(), reference=str(tmp_path))
    with pytest.raises(EvaluationError, match="1 episodes are too few for 2 clips"):
        evaluate_tracking(idle(), 1, reference=stills)
    with pytest.raises(
        EvaluationError, match=f"idle obeys commands, in {WALK}; this needs a policy that follows clips"
    ):
        evaluate_tracking(idle(env_id=WALK), reference=stills)
    seeing = GaussianPolicy("blind", Feedforward(lambda obs: (obs @ np.zeros((37, 9), np.float32), obs)), IMITATION)
    with pytest.raises(PolicyError, match=r"61 observations .*root_error 3, turn_error 3"):
        evaluate_tracking(seeing, reference=stills)
    many = GaussianPolicy("many", Feedforward(lambda obs: (np.zeros((len(obs), 12), np.float32), obs)), IMITATION)
    with pytest.raises(PolicyError, match=r"gives \(12,\) actions, the environment takes 9"):
        evaluate_tracking(many, reference=stills)


def test_environments_are_told_apart_by_their_task():
    assert follows_clips(IMITATION)
    assert not follows_clips(WALK)
    assert not follows_clips("Elsewhere/Imitation-v0")


# -- in another environment ----------------------------------------------------------------------------


def test_a_policy_that_sees_no_reference_runs_where_one_walks():
    said = []
    policy = idle(std=0.1, **BLIND, max_distance=0.4, reward_weights={"track_pose": 1.0}, target_height=0.4)
    moved = in_environment(policy, WALK, said.append)
    assert (moved.env_id, moved.env_kwargs) == (WALK, {"target_height": 0.4})
    assert said == [f"idle in {WALK}: without action_base, max_distance, reference_observation, reward_weights"]
    commands = np.array([[0.3, 0.0, 0.0]])
    there, _ = record(moved, commands, seconds=0.5, threads=1, stochastic=True)
    native, _ = record(idle(std=0.1, env_id=WALK), commands, seconds=0.5, threads=1, stochastic=True)
    np.testing.assert_array_equal(there.qpos, native.qpos)
    assert in_environment(policy, IMITATION) is policy


@pytest.mark.parametrize(
    "policy, env_id, message",
    [
        (idle(action_base="home"), WALK, r"observes .*root_error.*shows joint_position, .*previous_action$"),
        (idle(env_id=WALK), IMITATION, r"previous_action; that environment shows .*root_error, turn_error$"),
        (idle(env_id=WALK, action_scale=1.5), IMITATION, r"previous_action; that environment shows .*turn_error$"),
        (idle(reference_observation="none"), WALK, r"correct the reference pose, that environment's the home pose"),
        (idle(**BLIND), "GaitNet/Nowhere-v0", "cannot make GaitNet/Nowhere-v0"),
    ],
)
def test_where_a_policy_does_not_fit(policy, env_id, message):
    with pytest.raises(ValueError, match=message):
        in_environment(policy, env_id)


# -- command line --------------------------------------------------------------------------------------


@pytest.fixture
def loaded_idle(monkeypatch):
    monkeypatch.setattr("gait_trainers.policies.loading.read_policy", lambda path: idle(std=0.05, **BLIND))


def run_cli(*arguments: str):
    return CliRunner().invoke(app, ["evaluate", "anything", "--threads", "1", *arguments], catch_exceptions=False)


def test_json_of_chosen_clips(loaded_idle, stills):
    done = run_cli("--reference", stills, "--clip", "stand", "--episodes", "2", "--both", "--json")
    found = json.loads(done.stdout)
    assert [row["clip"] for row in found["per_clip"]] == ["stand"]
    assert (found["episodes"], found["reference"]) == (2, [stills])
    assert found["stochastic"]["mode"] == "stochastic"


def test_json_holds_no_infinity(loaded_idle, stills):
    done = run_cli("--reference", stills, "--clip", "stand", "--env-set", "max_distance=.inf", "--json")
    found = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["env_kwargs"] == {"max_distance": ".inf"}  # as it was given
    assert found["max_distance"] is None


def test_options_that_json_cannot_hold():
    options = {"a": [1.5, -np.inf], "b": {"c": (float("nan"), True)}, "d": None}
    assert json_options(options) == {"a": [1.5, "-.inf"], "b": {"c": [".nan", True]}, "d": None}


def test_the_table_says_what_a_failure_is(loaded_idle, stills):
    done = run_cli("--reference", stills, "--env-set", "max_distance=0.1")
    assert "bodies 0.1 m off the clip" in done.stdout
    assert f"idle along {stills}: 2 episodes, deterministic" in done.stdout.replace("\n", "")
    rows = {line.split("│")[0].strip(): line for line in done.stdout.splitlines()}
    assert "100%" in rows["stand"]
    assert rows["glide"].rstrip().endswith("1 strayed")
    assert "50%" in rows["all"]


def test_a_long_table_shows_the_hardest_clips(stills, monkeypatch):
    monkeypatch.setattr(evaluation_tables, "SHOWN", 1)
    console = Console(width=140, file=io.StringIO())
    print_tracking(evaluate_tracking(idle(), reference=stills, threads=1), console)
    text = console.file.getvalue()
    assert "glide" in text
    assert "stand" not in text
    assert "the 1 hardest of 2 clips" in text


def test_another_environment_and_options_that_are_not_for_it(loaded_idle, stills):
    done = run_cli("--env", WALK, "--command", "0.3", "--episodes", "2", "--env-set", "max_episode_steps=20", "--json")
    assert json.loads(done.stdout)["environment"] == WALK
    assert "without action_base, reference_observation" in done.stderr
    for arguments, message in (
        (["--command", "0.3"], r"--command: in .*Imitation-v0 idle follows clips \(--reference, --clip\)"),
        (["--sweep"], "--sweep: in "),
        (["--env", WALK, "--reference", stills, "--clip", "x"], r"--clip: in .* obeys commands"),
    ):
        with pytest.raises(EvaluationError, match=message):
            run_cli(*arguments)
