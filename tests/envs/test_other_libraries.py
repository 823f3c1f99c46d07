"""What other libraries ask of every environment, so that they train in it as it is.

Here without these libraries; `examples/third_party` and `make test-third-party` have them.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from gait_envs import IDS
from gait_envs.assets import asset_path
from gait_envs.reference.clip import ClipError

each_id = pytest.mark.parametrize("env_id", sorted(IDS))
VECTOR = "vector_entry_point"
SPELLINGS = {
    AutoresetMode.NEXT_STEP: ("next_step", "NEXT_STEP", "NextStep"),
    AutoresetMode.SAME_STEP: ("same_step", "SAME_STEP", "SameStep"),
    AutoresetMode.DISABLED: ("disabled", "DISABLED", "Disabled"),
}


def usual(env_id: str) -> dict[str, Any]:
    """Little to build: the muscles' own controller is not what is asked about."""
    return {"actuation": "torque"} if "Muscle" in env_id else {}


@each_id
def test_an_argument_that_it_does_not_take_is_refused_in_the_words_of_python(env_id: str) -> None:
    # TorchRL offers `frameskip`, and tries again without it if the message says this.
    for make in (gymnasium.make, lambda env_id, **k: gymnasium.make_vec(env_id, 1, vectorization_mode=VECTOR, **k)):
        with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
            make(env_id, frameskip=4)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'autoreset_mode' \(of the vector form alone"):
        gymnasium.make(env_id, autoreset_mode="same_step")


@each_id
def test_the_autoreset_mode_is_an_attribute_metadata_and_text(env_id: str) -> None:
    for mode, spellings in SPELLINGS.items():
        for given in spellings if env_id == "GaitNet/WildRobot-v0" else spellings[:1]:
            envs = gymnasium.make_vec(env_id, 1, vectorization_mode=VECTOR, autoreset_mode=given, **usual(env_id))
            assert envs.autoreset_mode is envs.metadata["autoreset_mode"] is mode  # type: ignore[attr-defined]
            envs.close()
    with pytest.raises(ValueError, match=r"autoreset_mode is 'sometimes', allowed are 'next_step', 'same_step', 'dis"):
        gymnasium.make_vec(env_id, 1, vectorization_mode=VECTOR, autoreset_mode="sometimes")


@each_id
def test_every_value_of_info_has_a_dtype_and_success_is_among_them(env_id: str) -> None:
    env = gymnasium.make(env_id, max_episode_steps=2, **usual(env_id))
    _, first = env.reset(seed=0)
    infos = [first, *(env.step(np.zeros(env.action_space.shape, np.float32))[-1] for _ in range(2))]
    for info in infos:
        assert all(isinstance(value, np.generic | np.ndarray) for value in info.values())
        assert (info["is_success"].shape, info["is_success"].dtype) == ((), np.bool_)
    assert [bool(info["success"]) for info in infos] == [False, False, True]


def test_gymnasiums_own_vector_form_makes_typed_arrays_of_info() -> None:
    envs = SyncVectorEnv([lambda: gymnasium.make("GaitNet/WildRobot-v0")] * 2)
    _, info = envs.reset(seed=0)
    assert (info["is_success"].dtype, info["x_velocity"].dtype) == (np.bool_, np.float64)
    assert info["amp_obs"].shape == (2, 29)


@each_id
def test_the_prefixed_id_is_in_the_registry_too(env_id: str) -> None:
    prefixed = f"gait_envs:{env_id}"
    assert gymnasium.spec(prefixed) is gymnasium.spec(env_id)
    assert prefixed in gymnasium.registry


def test_clips_of_another_body_are_told_where_they_belong() -> None:
    with pytest.raises(ClipError, match=r"Clips of 'humanoid' are for GaitNet/HumanoidImitation-v0 or GaitNet/Muscle"):
        gymnasium.make("GaitNet/WildRobotImitation-v0", reference="human_walk")
    clip = str(sorted(asset_path("motions/wildrobot_walk").glob("*.npz"))[0])
    with pytest.raises(ClipError, match=r"Clips of 'wildrobot' are for GaitNet/WildRobotImitation-v0$"):
        gymnasium.make("GaitNet/HumanoidImitation-v0", reference=clip)


def test_a_command_is_three_numbers() -> None:
    with pytest.raises(ValueError, match=r"^command_low is 0\.2, expected three numbers.*such as \(0\.2, 0\.0, 0\.0\)"):
        gymnasium.make("GaitNet/WildRobot-v0", command_low=0.2)
