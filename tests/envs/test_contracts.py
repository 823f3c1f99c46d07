"""What every registered environment owes to Gymnasium, to Stable-Baselines3 and to its own vector form."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import itertools
import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco.utils import check_mujoco_reset_state, get_state
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from gait_envs import IDS, registry
from gait_envs.env import GaitEnv
from gait_envs.reference.clip import save_clip
from gait_envs.reference.library import load_clips
from gait_envs.vector_env import GaitVectorEnv

INFO_KEYS = {
    *("x_position", "y_position", "x_velocity", "y_velocity", "yaw_rate", "command", "amp_obs"),
    *("speed_error", "lateral_error", "yaw_rate_error", "success", "is_success", "fall"),
}
TRACK_KEYS = {"clip", "frame", "mpjpe_global", "mpjpe_root", "mpjpe_aligned", "velocity_error", "time_left"}
MUSCLE_KEYS = {"activation_energy", "torque_desired", "torque_residual"}
MODES = list(AutoresetMode)


class Body(NamedTuple):
    """Figures of a body that its environments must show."""

    name: str
    joints: int
    rate: int  # Hz
    stands: float  # m, height of the root
    camera: float  # m, from the camera to the body in front of it


WILDROBOT = Body("wildrobot", 9, 50, 0.45, 1.75)
HUMANOID = Body("humanoid", 50, 30, 0.9, 2.85)
# Everything at once that draws from a sub-environment's generator.
DRAWN = {"push_interval": 0.3, "push_speed": 0.05, "latency": (0, 2), "slope": 0.1, "bumps": 0.01}
BUSY = {"randomize": DRAWN, "rsi_probability": 0.3}
BUSY_WALK = BUSY | {"command_interval": 0.26, "curriculum": True}
SETTINGS = ("default", "busy")
# A step of the human body takes as long as ten of WildRobot, so its episodes are short here: by then some have fallen.
HUMAN_LIMIT = 38  # control steps
ROBOT_LIMIT = 200  # of WildRobot, whose ten seconds show nothing that four do not
# And of all lives but WildRobot's, whose steps are cheapest, only these are compared every time, by settings, mode and
# threads; the others are `slow`.
OFTEN = {("default", AutoresetMode.NEXT_STEP), ("busy", AutoresetMode.SAME_STEP)}
OFTEN_ON_THREADS = {
    ("default", AutoresetMode.NEXT_STEP, 2),
    ("default", AutoresetMode.DISABLED, 3),
    ("busy", AutoresetMode.NEXT_STEP, 3),
    ("busy", AutoresetMode.SAME_STEP, 1),
}


def lives(modes: Sequence[AutoresetMode], often: set, threads: Sequence[int] = ()) -> pytest.MarkDecorator:
    """Parametrizes with every id, its settings, the modes and, where given, numbers of threads."""
    cases = []
    for env_id, *case in itertools.product(sorted(IDS), SETTINGS, modes, *([threads] if threads else [])):
        slow = env_id != "GaitNet/WildRobot-v0" and tuple(case) not in often
        name = "-".join([env_id, *(x.name if isinstance(x, AutoresetMode) else str(x) for x in case)])
        cases.append(pytest.param(env_id, *case, id=name, marks=[pytest.mark.slow] if slow else []))
    names = ("env_id", "settings", "mode", "threads")[: 4 if threads else 3]
    return pytest.mark.parametrize(names, cases, indirect=("env_id", "settings"))


@pytest.fixture(params=sorted(IDS))
def env_id(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session", autouse=True)
def warm_processes() -> None:
    """What other processes need is imported once, in the server that they are forked from."""
    multiprocessing.set_forkserver_preload(["stable_baselines3.common.vec_env", "gait_envs.env"])


@pytest.fixture
def body(env_id: str) -> Body:
    return HUMANOID if "Humanoid" in env_id else WILDROBOT


@pytest.fixture
def usual(env_id: str, body: Body, reference: str, human_reference: str, finite: dict) -> dict[str, Any]:
    """What an id is made with where a test says nothing else: the tests' own walk stands in for a captured one."""
    own = human_reference if body is HUMANOID else reference
    return {} if walks(env_id) else {"reference": (own, finite[body.name])}


@pytest.fixture
def make(env_id: str, usual: dict) -> Callable[..., gymnasium.Env]:
    """The scalar environment, as users make it; with the module's name, other processes find it too."""
    return lambda **config: gymnasium.make(f"gait_envs:{env_id}", **(usual | config))


@pytest.fixture
def make_vec(env_id: str, usual: dict) -> Callable[..., GaitVectorEnv]:
    """The vector environment, as users make it."""
    return lambda n, **config: gymnasium.make_vec(
        env_id, n, vectorization_mode="vector_entry_point", **(usual | config)
    )


@pytest.fixture(scope="session")
def finite(reference: str, human_reference: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A clip of each body's reference that comes to an end."""
    folder = tmp_path_factory.mktemp("finite")
    return {
        body.name: str(save_clip(folder / f"{body.name}.npz", dataclasses.replace(load_clips(source)[-1], loop=False)))
        for body, source in ((WILDROBOT, reference), (HUMANOID, human_reference))
    }


def pace(body: Body, steps: int) -> tuple[int, dict[str, int]]:
    """Steps of a life, for WildRobot and few for the human body; and the time limit that then comes early enough."""
    return (24, {"max_episode_steps": 9}) if body is HUMANOID else (steps, {})


@pytest.fixture(params=SETTINGS)
def settings(
    request: pytest.FixtureRequest, env_id: str, body: Body, reference: str, human_reference: str, finite: dict
) -> dict[str, Any]:
    if request.param == "default":
        return {}
    own = human_reference if body is HUMANOID else reference
    quick = {"muscle_controller": "nn"} if "Muscle" in env_id else {}  # the default controller has twice the cost
    if walks(env_id):
        return BUSY_WALK | quick | {"reference": own}
    late = {"rsi_probability": 0.8} if body is HUMANOID else {}  # some begin so late that they see a clip's end
    return BUSY | quick | {"reference": (own, finite[body.name])} | late


def walks(env_id: str) -> bool:
    """To a command, not along a clip."""
    return "Imitation" not in env_id


def actions_for(body: Body, n: int, steps: int, seed: int = 0) -> np.ndarray:
    """Random actions (steps, n, joints) of every temper: some rows flail and fall, some stand to the end."""
    scale = np.resize([1.0, 0.0, 0.6, 0.03, 0.3], n)[:, None]
    held = np.random.default_rng(seed).uniform(-1, 1, (steps // 8 + 1, n, body.joints)).repeat(8, axis=0)[:steps]
    return (scale * held).astype(np.float32)


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    """Equal in type, keys, dtype, shape and every bit."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), where
        for key, value in theirs.items():
            assert_same(ours[key], value, f"{where}/{key}")
    else:
        a, b = np.asarray(ours), np.asarray(theirs)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        if a.dtype != object and a.tobytes() == b.tobytes():
            return  # ten times quicker than the comparison that tells where they differ
        np.testing.assert_array_equal(a, b, err_msg=where)


# -- the checkers of others -----------------------------------------------------------------------------


def test_gymnasium_finds_no_fault(make: Callable) -> None:
    check_env(make().unwrapped, skip_render_check=True)  # a warning is an error here


def test_stable_baselines_finds_no_fault(make: Callable) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(make(), warn=True, skip_render_check=True)


@pytest.mark.parametrize("seed", [0, 1234])
def test_reset_forgets_what_was(body: Body, make: Callable, settings: dict, seed: int) -> None:
    env = make(**settings)
    check_mujoco_reset_state(env, seed)
    for action in actions_for(body, 1, pace(body, 60)[0])[:, 0]:
        env.step(action)
    env.reset(seed=seed)
    fresh = make(**settings)
    fresh.reset(seed=seed)
    everything = mujoco.mjtState.mjSTATE_INTEGRATION  # with activations, controls and warm starts
    np.testing.assert_array_equal(get_state(env, everything), get_state(fresh, everything))


# -- spaces, types, seeds -------------------------------------------------------------------------------


def test_spaces_and_rates(env_id: str, body: Body, make: Callable, make_vec: Callable) -> None:
    env = make().unwrapped
    assert env.action_space == gymnasium.spaces.Box(-1.0, 1.0, (body.joints,), np.float32)
    assert env.observation_space.shape == (env.core.task.layout.size,)
    assert env.observation_space.dtype == np.float32
    assert isinstance(env.model, mujoco.MjModel)
    assert isinstance(env.data, mujoco.MjData)
    assert env.core.robot.dt == pytest.approx(1 / body.rate)
    assert env.metadata["render_fps"] == make_vec(1).metadata["render_fps"] == body.rate
    assert type(env).metadata["render_fps"] == 50  # the class is not written to
    assert set(env.metadata["render_modes"]) == {"human", "rgb_array", "depth_array"}
    assert gymnasium.spec(env.spec.id).max_episode_steps == registry.ENVIRONMENTS[IDS[env_id]].steps == 10 * body.rate


def test_walk_observes_37_numbers() -> None:
    assert gymnasium.make("GaitNet/WildRobot-v0").observation_space.shape == (37,)
    assert gymnasium.make("GaitNet/WildRobot-v0", previous_action="all").observation_space.shape == (39,)


def test_step_returns_python_types_and_constant_keys(body: Body, env_id: str, make: Callable) -> None:
    env = make()
    obs, first = env.reset(seed=3)
    rewards = {f"reward_{name}" for name in env.unwrapped.core.task.config.reward_weights}
    own = (set() if walks(env_id) else TRACK_KEYS) | (MUSCLE_KEYS if "Muscle" in env_id else set())
    assert set(first) == INFO_KEYS | rewards | own
    for action in actions_for(body, 1, 80)[:, 0]:
        obs, reward, terminated, truncated, info = env.step(action)
        assert obs.dtype == np.float32
        assert obs in env.observation_space
        assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
        assert {k: (type(v), np.shape(v)) for k, v in info.items()} == {
            k: (type(v), np.shape(v)) for k, v in first.items()
        }
        assert reward == pytest.approx(sum(info[k] for k in rewards), abs=1e-12)
        assert (info["fall"].dtype, bool(info["fall"])) == (np.bool_, terminated)
        if terminated:
            break
    assert terminated  # flailing falls
    assert info["amp_obs"].shape == (11 + 2 * body.joints,)
    assert info["command"].shape == (3,)


def rollout(env: gymnasium.Env, body: Body, seed: int | None, steps: int = 60) -> np.ndarray:
    """Observations and rewards (steps + 1, size + 1) of a seeded life with resets."""
    obs, _ = env.reset(seed=seed)
    rows = [np.append(obs, 0.0)]
    for action in actions_for(body, 1, min(steps, pace(body, steps)[0]))[:, 0]:
        obs, reward, terminated, _, _ = env.step(action)
        rows.append(np.append(obs, reward))
        if terminated:
            obs, _ = env.reset()
    return np.array(rows)


def test_seeds_decide_everything(body: Body, make: Callable, settings: dict) -> None:
    env = make(**settings)
    first = rollout(env, body, 7)
    np.testing.assert_array_equal(first, rollout(env, body, 7))
    np.testing.assert_array_equal(first, rollout(make(**settings), body, 7))
    assert not np.array_equal(first[0], rollout(env, body, 8)[0])
    rollout(env, body, 7, 1)
    later = [rollout(env, body, None, 1)[0] for _ in range(3)]  # no seed: the life goes on; a start may recur by chance
    assert any(not np.array_equal(first[0], start) for start in later)


def test_no_observation_is_constant(body: Body, env_id: str, make_vec: Callable) -> None:
    env = make_vec(8)
    env.reset(seed=0)
    actions = actions_for(body, 8, 40 if body is HUMANOID else 120)
    observations = np.concatenate([env.step(action)[0] for action in actions])
    lateral = env.core.task.layout.slices()["command"].start + 1  # 0 in walking's default range of commands
    constant = [lateral] if walks(env_id) else []
    assert np.flatnonzero(np.ptp(observations, axis=0) == 0).tolist() == constant


# -- the vector form ------------------------------------------------------------------------------------


def live(env: Any, actions: np.ndarray, mode: AutoresetMode) -> list[tuple]:
    """Everything that a vector environment says; in DISABLED mode, finished rows are reset by mask."""
    out: list[tuple] = [env.reset(seed=40)]
    for action in actions:
        out.append(env.step(action))
        done = out[-1][2] | out[-1][3]
        if mode is AutoresetMode.DISABLED and done.any():
            out.append(env.reset(options={"reset_mask": done}))
    return out


@pytest.fixture
def length(env_id: str, body: Body, monkeypatch: pytest.MonkeyPatch) -> int:
    """Steps of a comparison: where one can stand, beyond a time limit that comes early."""
    if body is WILDROBOT and not walks(env_id):
        return 200
    limit, beyond = (HUMAN_LIMIT, 4) if body is HUMANOID else (ROBOT_LIMIT, 20)
    row = dataclasses.replace(registry.find(IDS[env_id]), steps=limit)
    monkeypatch.setitem(registry.ENVIRONMENTS, IDS[env_id], row)  # of both forms
    monkeypatch.setattr(gymnasium.spec(env_id), "max_episode_steps", limit)  # of the scalar form's wrapper
    return limit + beyond


@pytest.fixture(scope="session")
def scalar_lives() -> Callable[..., list[tuple]]:
    """Lives of five scalar environments under Gymnasium's own vector form, computed once each."""
    known: dict[tuple, list[tuple]] = {}

    def of(env_id: str, actions: np.ndarray, config: dict, mode: AutoresetMode) -> list[tuple]:
        key = (env_id, "randomize" in config, mode)
        if key not in known:
            env = SyncVectorEnv([lambda: gymnasium.make(env_id, **config)] * 5, autoreset_mode=mode)
            known[key] = live(env, actions, mode)
        return known[key]

    return of


def from_sync(result: tuple) -> tuple:
    """Gymnasium's `final_obs` is an array of objects with None where there is none; ours are rows."""
    *head, info = result
    if "final_obs" in info:
        mask = info["_final_obs"]
        info = info | {"final_obs": np.stack(list(info["final_obs"][mask])), "final_info": dict(info["final_info"])}
    return (*head, info)


def rows_that_ended(info: dict) -> dict:
    """Our SAME_STEP info with only the rows that mean something in `final_obs` and `final_info`."""
    if "final_obs" not in info:
        return info
    mask = info["_final_obs"]
    final = {k: v for k, v in info["final_info"].items() if not k.startswith("_")}
    return info | {"final_obs": info["final_obs"][mask], "final_info": {k: v[mask] for k, v in final.items()}}


@lives(MODES, OFTEN_ON_THREADS, threads=(1, 2, 3))
def test_vector_equals_scalars_bit_for_bit(
    env_id: str,
    body: Body,
    usual: dict,
    make_vec: Callable,
    scalar_lives: Callable,
    settings: dict,
    length: int,
    mode: AutoresetMode,
    threads: int,
) -> None:
    actions = actions_for(body, 5, length)
    expected = [from_sync(result) for result in scalar_lives(env_id, actions, usual | settings, mode)]
    env = make_vec(5, threads=threads, autoreset_mode=mode, **settings)
    found = live(env, actions, mode)
    assert len(found) == len(expected)
    falls = timeouts = 0
    for step, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        where = f"step {step}"
        for name, a, b in zip(("obs", "reward", "terminated", "truncated"), ours[:-1], theirs[:-1], strict=False):
            assert_same(a, b, f"{where} {name}")
        info = rows_that_ended(ours[-1])
        if "final_info" in theirs[-1]:
            mask, final = theirs[-1]["_final_obs"], theirs[-1]["final_info"]
            theirs[-1]["final_info"] = {k: np.stack(list(v[mask])) for k, v in final.items() if not k.startswith("_")}
        if len(ours) == 2 and step > 0:  # a masked reset: Gymnasium's info has only the rows that were reset
            mask = theirs[-1]["_fall"]
            info, theirs = ({k: v[mask] for k, v in i.items() if k[0] != "_"} for i in (info, theirs[-1]))
            assert_same(info, theirs, where)
        else:
            assert_same(info, theirs[-1], where)
        if len(ours) == 5:
            falls, timeouts = falls + ours[2].sum(), timeouts + ours[3].sum()
    assert falls > (1 if body is HUMANOID else 10)
    assert timeouts > 0  # walking's at the time limit, tracking's at a clip's end


@lives(MODES[:2], OFTEN)
def test_one_alone_lives_as_among_many(body: Body, make_vec: Callable, settings: dict, mode: AutoresetMode) -> None:
    steps, limit = pace(body, 200)
    actions = actions_for(body, 33, steps)  # 33: whole vector registers of numbers and a rest
    many = live(make_vec(33, autoreset_mode=mode, threads=2, **settings, **limit), actions, mode)
    for row in (0, 32):
        env = make_vec(1, autoreset_mode=mode, **settings, **limit)
        env.reset(seed=40 + row)
        for step, theirs in enumerate(many[1:]):
            ours = env.step(actions[step, row : row + 1])
            for a, b in zip(ours[:-1], theirs[:-1], strict=True):
                assert_same(a[0], b[row], f"step {step}")
            assert_same(ours[-1]["amp_obs"][0], theirs[-1]["amp_obs"][row], f"step {step}")


def test_vector_form_says_what_it_is(body: Body, make_vec: Callable, env_id: str) -> None:
    assert make_vec(2).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    env = make_vec(3, autoreset_mode="SameStep")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert GaitVectorEnv.metadata.get("autoreset_mode") is None  # the class is not written to
    assert env.action_space.shape == (3, body.joints)
    assert env.observation_space.shape == (3, env.core.task.layout.size)
    assert isinstance(env.model, mujoco.MjModel)
    assert env.spec.id == env_id
    with pytest.raises(ValueError, match="num_envs is 0"):
        make_vec(0)


def test_vector_reseeds_only_what_is_asked(make_vec: Callable) -> None:
    env, twin = make_vec(3, autoreset_mode="Disabled"), make_vec(3, autoreset_mode="Disabled")
    np.testing.assert_array_equal(env.reset(seed=15)[0], twin.reset(seed=[15, 16, 17])[0])
    again = env.reset(seed=[None, 16, None])[0]
    onwards = twin.reset()[0]
    np.testing.assert_array_equal(again[[0, 2]], onwards[[0, 2]])
    assert not np.array_equal(again[1], onwards[1])
    mask = np.array([False, True, False])
    masked = env.reset(seed=16, options={"reset_mask": mask})[0]  # row 1 is seeded 17
    np.testing.assert_array_equal(masked[[0, 2]], again[[0, 2]])
    fresh = make_vec(1)
    np.testing.assert_array_equal(masked[1], fresh.reset(seed=17)[0][0])
    np.testing.assert_array_equal(env.reset()[0][0], twin.reset()[0][0])
    with pytest.raises(ValueError, match="2 seeds for 3"):
        env.reset(seed=[1, 2])
    for wrong in (np.ones(2, bool), np.zeros(3, bool), np.ones(3)):
        with pytest.raises(ValueError, match="reset_mask"):
            env.reset(options={"reset_mask": wrong})


@lives(MODES, OFTEN)
def test_what_is_returned_is_the_callers(body: Body, make_vec: Callable, settings: dict, mode: AutoresetMode) -> None:
    """Later steps do not change it, and scribbling on it does not change later steps."""
    steps, limit = pace(body, 90)
    env, twin = (make_vec(4, autoreset_mode=mode, **settings, **limit) for _ in range(2))
    actions = actions_for(body, 4, steps)
    for ours, theirs in zip(live(env, actions, mode), live(_Scribbler(twin), actions, mode), strict=True):
        assert_same(dict(enumerate(ours)), dict(enumerate(theirs)))


class _Scribbler:
    """Hands out copies, then overwrites the originals."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def reset(self, **kwargs: Any) -> tuple:
        return self._spoil(self.env.reset(**kwargs))

    def step(self, action: np.ndarray) -> tuple:
        given = action.copy()
        result = self._spoil(self.env.step(given))
        given[:] = 9.0
        return result

    def _spoil(self, result: Any) -> Any:
        kept = copy.deepcopy(result)
        self._overwrite(result)
        return kept

    def _overwrite(self, value: Any) -> None:
        if isinstance(value, dict | tuple):
            for item in value.values() if isinstance(value, dict) else value:
                self._overwrite(item)
        elif isinstance(value, np.ndarray):
            value[...] = True if value.dtype == bool else 1e9


# -- elsewhere: processes, pickles, continuations -------------------------------------------------------


def test_runs_in_gymnasiums_processes(body: Body, make: Callable, make_vec: Callable) -> None:
    env = AsyncVectorEnv([make] * 2, context="forkserver")
    try:
        found, expected = (live(e, actions_for(body, 2, 20), AutoresetMode.NEXT_STEP) for e in (env, make_vec(2)))
        for ours, theirs in zip(found, expected, strict=True):
            assert_same(dict(enumerate(ours[:-1])), dict(enumerate(theirs[:-1])))
    finally:
        env.close()


def test_runs_in_stable_baselines_processes(body: Body, make: Callable, make_vec: Callable) -> None:
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    env, twin = vec_env.SubprocVecEnv([make] * 2, start_method="forkserver"), make_vec(2, autoreset_mode="SameStep")
    try:
        env.seed(40)
        np.testing.assert_array_equal(env.reset(), twin.reset(seed=40)[0])
        for action in actions_for(body, 2, 20):
            obs, reward, done, _ = env.step(action)
            ours = twin.step(action)
            np.testing.assert_array_equal(obs, ours[0])
            np.testing.assert_array_equal(reward, ours[1])
            np.testing.assert_array_equal(done, ours[2] | ours[3])
    finally:
        env.close()


def test_closes_twice(make: Callable, make_vec: Callable) -> None:
    for env in (make(), make_vec(2)):
        env.reset(seed=0)
        env.close()
        env.close()


def test_a_pickle_goes_on_where_it_was(body: Body, make: Callable, settings: dict) -> None:
    pickle.loads(pickle.dumps(make(**settings))).reset(seed=0)  # also before the first reset
    env = make(**settings)
    env.reset(seed=2)
    actions = actions_for(body, 1, 20)[:, 0]
    for action in actions:
        env.step(action)
    twin = pickle.loads(pickle.dumps(env))
    assert twin.spec == env.spec
    for action in actions:
        assert_same(dict(enumerate(twin.step(action))), dict(enumerate(env.step(action))))


def test_a_pickled_or_copied_vector_form_goes_on_where_it_was(body: Body, make_vec: Callable) -> None:
    pickle.loads(pickle.dumps(make_vec(2))).reset(seed=0)  # also before the first reset
    env = make_vec(2, autoreset_mode="SameStep", max_episode_steps=6, threads=1)
    env.reset(seed=2)
    actions = actions_for(body, 2, 8)
    env.set_settings(reward_weights={"alive": 3.0})
    env.model.opt.gravity[2] = -9.0
    for action in actions[:4]:
        env.step(action)
    twins = pickle.loads(pickle.dumps(env)), copy.deepcopy(env)
    for action in actions[4:]:
        expected = dict(enumerate(env.step(action)))
        for twin in twins:
            assert_same(dict(enumerate(twin.step(action))), expected)
    for twin in twins:
        assert (twin.spec, twin.metadata) == (env.spec, env.metadata)
        assert twin.model.opt.gravity.tolist() == [0.0, 0.0, -9.0]
        twin.model.opt.gravity[2] = 0.0
        assert env.model.opt.gravity[2] == -9.0


def test_a_copy_of_an_edited_environment_is_edited(body: Body, make: Callable) -> None:
    env = make()
    env.reset(seed=0)
    env.unwrapped.model.opt.gravity[2] = -3.0
    env.unwrapped.model.geom_friction[:, 0] *= 0.5
    env.unwrapped.set_settings(reward_weights={"alive": 3.0})
    env.step(np.zeros(body.joints))  # from which on the edit acts
    twin = copy.deepcopy(env)
    for action in actions_for(body, 1, 8)[:, 0]:
        assert_same(dict(enumerate(twin.step(action))), dict(enumerate(env.step(action))))


@lives(MODES[:2], OFTEN)
def test_a_saved_state_goes_on_bit_for_bit(body: Body, make_vec: Callable, settings: dict, mode: AutoresetMode) -> None:
    steps, limit = pace(body, 240)
    actions, half = actions_for(body, 5, steps), steps // 2 + 1
    env = make_vec(5, autoreset_mode=mode, **settings, **limit)
    env.reset(seed=9)
    for action in actions[:half]:
        env.step(action)
    saved = copy.deepcopy(env.get_state())
    only_plain(saved)
    expected = [env.step(action) for action in actions[half:]]
    assert sum((result[2] | result[3]).sum() for result in expected) > (1 if body is HUMANOID else 5)
    for other in (make_vec(5, autoreset_mode=mode, threads=2, **settings, **limit), env):
        other.set_state(saved)
        for action, theirs in zip(actions[half:], expected, strict=True):
            assert_same(dict(enumerate(other.step(action))), dict(enumerate(theirs)))
    with pytest.raises(ValueError, match="5 sub-environments, this has 2"):
        make_vec(2, **settings).set_state(saved)
    del saved["memory"]["steps"]
    with pytest.raises(ValueError, match="saved memory is of another version or task; they differ in steps"):
        env.set_state(saved)


def only_plain(value: Any) -> None:
    """Arrays of numbers and what JSON knows: nothing that would need a pickle."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            only_plain(item)
    else:
        assert isinstance(value, int | float | str) or value.dtype != object


# Arguments of both forms, each with a value that is not the usual one.
ARGUMENTS: dict[str, Any] = {
    "max_episode_steps": 7, "width": 40, "height": 30, "camera_id": 1, "camera_name": "side",
    "render_mode": "rgb_array",
}  # fmt: skip
OF_ONE_FORM = {"num_envs", "autoreset_mode", "threads"}


def test_both_forms_take_the_same_arguments(make: Callable, make_vec: Callable) -> None:
    """`max_episode_steps` is `gymnasium.make`'s own argument in the scalar form."""
    one, many = (
        {name for name, p in inspect.signature(form.__init__).parameters.items() if p.kind != p.VAR_KEYWORD}
        for form in (GaitEnv, GaitVectorEnv)
    )
    assert one | {"max_episode_steps"} == many - OF_ONE_FORM
    assert set(ARGUMENTS) == one - {"self", "task"} | {"max_episode_steps"}
    for name, value in ARGUMENTS.items():
        scalar, vector = make(**{name: value}), make_vec(2, **{name: value})
        assert scalar.unwrapped.core.max_episode_steps == vector.core.max_episode_steps
        assert scalar.unwrapped.render_mode == vector.render_mode
        assert vars(scalar.unwrapped._pictures).keys() == vars(vector._pictures).keys()
        for key in ("width", "height", "camera"):
            assert getattr(scalar.unwrapped._pictures, key) == getattr(vector._pictures, key)


# Of each option a value that is not the usual one of any id.
OTHER: dict[str, Any] = {
    "heading_gain": 0.5, "velocity_frame": "world", "action_filter": 0.4, "action_scale": 0.6,
    "tracking_sharpness": 1.5, "target_height": 0.6, "min_height": 0.1, "max_height": 1.6, "max_tilt": 0.3,
    "reset_noise": 0.2, "randomize": {"push_interval": 0.1}, "command_low": (-0.2, 0.0, 0.0),
    "command_high": (1.9, 0.2, 0.1), "command_interval": 0.1, "curriculum": True,
    "reference_observation": "phase", "future_frames": (1, 3), "whole_clips": True, "action_base": "home",
    "pose_sharpness": 1.0, "rate_sharpness": 0.02, "action_gain": 0.2, "max_distance": 0.1,
    "distance_rule": "any", "muscle_controller": "nn", "params": {"mass": 1.2}, "rsi_probability": 0.4,
    "standing_probability": 0.5, "start_noise": 0.03, "physics_rate": 300.0,
}  # fmt: skip
FLIPPED = {"previous_action": ("legs", "all"), "feed_forward": (True, False), "actuation": ("muscle", "activation")}


@pytest.mark.parametrize(
    ("env_id", "mode"),
    [
        ("GaitNet/WildRobot-v0", "NextStep"),
        ("GaitNet/WildRobotImitation-v0", "SameStep"),
        ("GaitNet/MuscleHumanoid-v0", "Disabled"),
        pytest.param("GaitNet/Humanoid-v0", "SameStep", marks=pytest.mark.slow),
        pytest.param("GaitNet/HumanoidImitation-v0", "NextStep", marks=pytest.mark.slow),
        pytest.param("GaitNet/MuscleHumanoidImitation-v0", "Disabled", marks=pytest.mark.slow),
    ],
    indirect=["env_id"],
)
def test_every_option_acts_alike_in_both_forms(env_id: str, usual: dict, make: Callable, mode: str) -> None:
    """Alone and in a batch, an environment with the option goes the same way to the bit; the mode is given as text."""
    kind = registry.find_id(env_id).options_type()
    example, actuated = kind(), "Muscle" in env_id
    options = {name: value for name, value in OTHER.items() if hasattr(example, name)}
    for name, (one, other) in FLIPPED.items():
        if hasattr(example, name) and (name != "actuation" or actuated):
            options[name] = other if getattr(example, name) == one else one
    untried = {field.name for field in dataclasses.fields(kind)} - set(options)
    assert untried <= {"reference", "reward_weights", "muscle_network", "actuation", "muscle_controller"}
    if "Imitation" not in env_id:
        options.pop("rsi_probability")  # needs a reference
    if not actuated:
        options.pop("muscle_controller", None)
    options["reward_weights"] = {name: 2.0 * weight for name, weight in example.reward_weights.items()}
    for name, value in options.items():
        config = usual | {name: value}
        if name == "actuation":  # without a controller
            config.pop("muscle_controller", None)
        if name == "action_scale" and "action_base" in options:  # of actions about the home pose
            config["action_base"] = "home"
        scalar = make(max_episode_steps=4, **config)
        vector = gymnasium.make_vec(
            env_id, 2, vectorization_mode="vector_entry_point", autoreset_mode=mode, max_episode_steps=4, **config
        )
        assert vector.metadata["autoreset_mode"].value == mode
        action = np.random.default_rng(0).uniform(-1, 1, scalar.action_space.shape)
        first = scalar.reset(seed=1)[0], vector.reset(seed=0)[0][1]
        np.testing.assert_array_equal(*first, err_msg=name)
        for _ in range(4):
            obs, reward, terminated, truncated, info = scalar.step(action)
            many = vector.step(np.stack([action, action]))
            last = many[-1]["final_info"] if mode == "SameStep" and (many[2] | many[3])[1] else many[-1]
            seen = many[-1]["final_obs"] if last is not many[-1] else many[0]
            np.testing.assert_array_equal(seen[1], obs, err_msg=name)
            # A fall at the time limit is a fall; Gymnasium's `TimeLimit` says that it is both.
            assert (many[1][1], many[2][1], many[3][1]) == (reward, terminated, truncated and not terminated), name
            for key, found in info.items():
                np.testing.assert_array_equal(last[key][1], found, err_msg=f"{name}: {key}")
            if terminated or truncated:
                break


# -- time limits, failures, wrong use -------------------------------------------------------------------


def test_truncation_is_the_time_limits(body: Body, make: Callable) -> None:
    env = make(max_episode_steps=7)
    env.reset(seed=0)
    assert [env.step(np.zeros(body.joints))[3] for _ in range(7)] == [False] * 6 + [True]
    assert env.unwrapped.step(np.zeros(body.joints))[3] is False


@pytest.mark.parametrize("env_id", ["GaitNet/Humanoid-v0", "GaitNet/WildRobot-v0"])
def test_standing_to_the_end_is_a_success(env_id: str, body: Body) -> None:
    env = gymnasium.make(env_id, reset_noise=0.0)
    env.reset(seed=0)
    steps = [env.step(np.zeros(body.joints)) for _ in range(10 * body.rate)]
    assert [s[3] for s in steps] == [s[4]["success"] for s in steps] == [False] * (10 * body.rate - 1) + [True]
    assert not any(s[2] or s[4]["fall"] for s in steps)


@pytest.mark.parametrize("env_id", ["GaitNet/Humanoid-v0", "GaitNet/WildRobot-v0"])
def test_an_edit_of_the_model_acts_in_its_environment_alone(env_id: str, body: Body) -> None:
    def height(env: gymnasium.Env) -> float:
        """After a tenth of a second from a metre above the floor, m."""
        env.reset(seed=0)
        robot = env.unwrapped.core.robot
        qpos = robot.home_qpos.copy()
        qpos[2] += 1.0
        env.unwrapped.core.physics.reset(np.arange(1), qpos[None], np.zeros((1, robot.model.nv)))
        for _ in range(round(0.1 / robot.dt)):
            env.unwrapped.core.physics.step(robot.home[None])
        return float(env.unwrapped.core.physics.read().qpos[0, 2] - qpos[2])

    before = gymnasium.make(env_id)
    falls = height(before)
    assert falls == pytest.approx(-0.5 * 9.81 * 0.1**2, rel=0.1)
    edited = gymnasium.make(env_id)
    edited.unwrapped.model.opt.gravity[:] = 0.0
    assert height(edited) == pytest.approx(0.0, abs=1e-3)
    assert height(before) == height(gymnasium.make(env_id)) == falls


@pytest.mark.parametrize("limit", [4, -1])
def test_success_is_that_of_the_time_limit_in_force(body: Body, env_id: str, make: Callable, limit: int) -> None:
    """In both forms, for an environment made anew from its spec, and for an unpickled one."""
    env = make(max_episode_steps=limit)
    many = gymnasium.make_vec(
        env_id, 1, vectorization_mode="vector_entry_point", max_episode_steps=10**9 if limit == -1 else limit,
        **env.unwrapped.spec.kwargs | {"autoreset_mode": "Disabled"},
    )  # fmt: skip
    for one in (env, gymnasium.make(env.spec), pickle.loads(pickle.dumps(env))):
        one.reset(seed=0)
        many.reset(seed=0)
        for step in range(1, 7):
            _, _, terminated, truncated, info = one.step(np.zeros(body.joints))
            success = many.step(np.zeros((1, body.joints)))[-1]["success"]
            assert info["success"] == truncated == success[0] == (step == limit)
            assert not terminated
            if truncated:
                break


def test_wrong_actions_are_refused(body: Body, make: Callable, make_vec: Callable) -> None:
    env, vec = make().unwrapped, make_vec(3)
    env.reset(seed=0)
    vec.reset(seed=0)
    with pytest.raises(ValueError, match=rf"shape \({body.joints - 1},\), expected \({body.joints},\)"):
        env.step(np.zeros(body.joints - 1))
    with pytest.raises(ValueError, match=rf"shape \({body.joints},\), expected \(3, {body.joints}\)"):
        vec.step(np.zeros(body.joints))
    bad = np.zeros((3, body.joints))
    bad[1, 4] = np.nan
    with pytest.raises(ValueError, match=r"not finite in sub-environments \[1\]"):
        vec.step(bad)
    with pytest.raises(ValueError, match="not finite"):
        env.step(bad[1])


def test_actions_beyond_the_box_are_clipped(body: Body, make: Callable) -> None:
    results = []
    for scale in (1.0, 50.0):
        env = make().unwrapped
        env.reset(seed=0)
        results.append(env.step(scale * np.ones(body.joints)))
    assert_same(dict(enumerate(results[1])), dict(enumerate(results[0])))


def test_unknown_names_are_refused(make: Callable, make_vec: Callable) -> None:
    for maker in (make, lambda **config: make_vec(2, **config)):
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'gravity'; known are heading_gain, .*random"):
            maker(gravity=1.0)
        with pytest.raises(TypeError, match=r"unknown key 'wind' in randomize; known are enabled, mass"):
            maker(randomize={"wind": 1.0})
        with pytest.raises(ValueError, match=r"unknown reward term \['speed'\]; known are \['tracking_lin_vel'"):
            maker(reward_weights={"speed": 1.0})
        with pytest.raises(ValueError, match=r"unknown task 'fly'; known are walk, track, humanoid_walk"):
            maker(task="fly")
        with pytest.raises(ValueError, match=r"unknown reset option \['speed'\]; known are \[.*'command'"):
            maker().reset(options={"speed": 1.0})
    with pytest.raises(ValueError, match=r"render_mode 'ascii'.*allowed are"):
        make_vec(2, render_mode="ascii")


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_a_diverging_simulation_is_a_counted_fall(
    body: Body, make_vec: Callable, mode: AutoresetMode, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings to a file where it is run
    env, twin = (make_vec(3, autoreset_mode=mode) for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    blow_up(env, 1)
    others = [0, 2]
    action = np.zeros((3, body.joints))
    obs, reward, terminated, truncated, info = env.step(action)
    expected = twin.step(action)
    assert terminated.tolist() == [False, True, False]
    assert not truncated.any()
    assert env.core.divergences == 1
    ended = info.get("final_info", info)
    assert ended["fall"][1]
    assert np.isfinite(reward).all()
    for numbers in (obs, info["amp_obs"], info.get("final_obs", obs), ended["amp_obs"]):
        assert np.isfinite(numbers).all()
    np.testing.assert_array_equal(obs[others], expected[0][others])
    if mode is AutoresetMode.DISABLED:
        obs, _ = env.reset(options={"reset_mask": np.array([True, False, False])})  # another's reset
        assert np.isfinite(obs).all()
        obs, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
    for _ in range(3):
        obs, _, terminated, _, info = env.step(action)
        assert np.isfinite(obs).all()
        assert not terminated.any()
    assert env.core.divergences == 1
    assert env.core.state.qpos[1, 2] == pytest.approx(body.stands, abs=0.05)  # it stands again


def blow_up(env: GaitVectorEnv, row: int) -> None:
    """Give one simulation an absurd velocity."""
    if "qvel" in env.core.task.option_keys and env.core.autoreset_mode is AutoresetMode.DISABLED:
        mask = np.arange(env.num_envs) == row
        env.reset(options={"reset_mask": mask, "qvel": np.full(env.core.robot.model.nv, 1e8)})
    else:
        env.core.physics.batch.qvel[row] = 1e8


# -- pictures -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def graphics() -> None:
    """Skips where nothing can be drawn."""
    from gait_envs.models.robot import wildrobot
    from gait_envs.render import Offscreen

    try:
        Offscreen(wildrobot().model, 16, 16).close()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("graphics")
def test_pictures(body: Body, make: Callable, make_vec: Callable) -> None:
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (480, 640, 3)
    assert before.dtype == np.uint8
    assert before.std() > 10  # something is in it
    for action in actions_for(body, 1, 15)[:, 0]:
        env.step(action)
    assert (env.render() != before).any(axis=-1).mean() > 0.005  # and it moves
    env.close()

    depth = make(render_mode="depth_array")
    depth.reset(seed=0)
    metres = depth.render()
    assert metres.shape == (480, 640)
    assert metres.dtype == np.float32
    # The body is in the middle of the picture, nearer than the horizon.
    assert metres[200:280, 280:360].min() == pytest.approx(body.camera, abs=0.3)
    assert metres[0].min() > 3
    depth.close()

    vec = make_vec(2, render_mode="rgb_array")
    vec.reset(seed=0)
    picture, other = vec.render()
    np.testing.assert_array_equal(picture, before)
    assert (other != before).any()
    vec.close()


def test_a_window_needs_a_display(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gait_envs.render.HEADLESS", True)
    with pytest.raises(RuntimeError, match="no display to open a window on; use render_mode='rgb_array'"):
        make(render_mode="human").reset(seed=0)


def test_episode_statistics_of_gymnasium_work(body: Body, make_vec: Callable) -> None:
    env = RecordEpisodeStatistics(make_vec(2, max_episode_steps=5))
    env.reset(seed=0)
    total = np.zeros(2)
    for _ in range(5):
        _, reward, _, truncated, info = env.step(np.zeros((2, body.joints), np.float32))
        total += reward
    assert truncated.all()
    np.testing.assert_array_equal(info["episode"]["l"], [5, 5])
    np.testing.assert_allclose(info["episode"]["r"], total)


def test_no_render_mode_draws_nothing(make: Callable, make_vec: Callable) -> None:
    with pytest.warns(UserWarning, match="render"):
        assert make().unwrapped.render() is None
    assert make_vec(2).render() is None
    with pytest.raises(ValueError, match="unknown render_mode 'ascii'; allowed are None, human"):
        make().unwrapped.__class__(render_mode="ascii")
