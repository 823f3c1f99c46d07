"""Motion models: encodings, networks, integration, and their file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.strolls import stroll

from gait_envs.models.robot import humanoid, wildrobot
from gait_envs.rotations import gravity_direction, heading_frame, matrix_to_six_dof, quat_to_matrix
from gait_trainers.data.motion_frames import read_frames
from gait_trainers.data.motion_state import poses, states
from gait_trainers.models.motion import (
    ModelError,
    MotionModel,
    load_motion_model,
    read_motion_model,
    save_motion_model,
    spec_of,
)
from gait_trainers.models.motion.conditions import condition_columns
from gait_trainers.models.motion.encodings import ENCODINGS, Encoding
from gait_trainers.models.motion.networks import NETWORKS

SMALL = {"hidden": [8, 8], "width": 8, "layers": 2, "heads": 2, "context": 4, "history": 3, "experts": 2, "gate": 4}
FRAMES = read_frames(stroll("a", turn=0.5), wildrobot())
STATES = torch.from_numpy(FRAMES.state)
TOLD = {key: torch.from_numpy(getattr(FRAMES, key))[None] for key in ("path", "speed", "phase")}


def small(network: str = "mlp", encoding: str = "heading", conditions: tuple[str, ...] = ()) -> MotionModel:
    torch.manual_seed(0)
    return MotionModel(spec_of(wildrobot(), network, encoding, conditions, SMALL)).eval()


def encoding_of(robot: Any, name: str) -> Encoding:
    spec = spec_of(robot, "mlp", name)
    return Encoding(name, spec.joint_names, spec.home, spec.half_range, spec.axes, spec.balls)


# -- encodings --------------------------------------------------------------------------------------------


def test_observable_is_what_the_environment_observes() -> None:
    """Rows by name, in the units of the observation, computed from the pose by the environment's own functions."""
    clip, robot = stroll("a", turn=0.5), wildrobot()
    encoding = encoding_of(robot, "observable")
    seen = encoding(STATES).numpy()
    rows = encoding.rows.slices()
    qpos = clip.qpos[1:]
    np.testing.assert_allclose(
        seen[:, rows["joint_position"]], (qpos[:, 7:] - robot.home) / robot.half_range, atol=1e-5
    )
    np.testing.assert_allclose(seen[:, rows["gravity"]], gravity_direction(qpos[:, 3:7]), atol=1e-6)
    world = np.diff(clip.qpos[:, :3], axis=0) * 50.0
    np.testing.assert_allclose(seen[:, rows["linear_velocity"]], heading_frame(qpos[:, 3:7], world), atol=1e-5)
    np.testing.assert_allclose(seen[:, rows["angular_velocity"]], np.tile([0, 0, 0.5], (119, 1)), atol=1e-4)
    assert "height" not in rows
    assert list(encoding_of(robot, "heading").rows.slices()) == [*rows, "height"]


def test_angular_velocity_is_that_of_the_body() -> None:
    """Of a body that tilts and turns: the clip's velocity, which is computed from quaternions."""
    q = np.zeros((400, 15))
    time = np.arange(400) / 1000.0
    q[:, 3:6] = np.stack([0.5 * time, 0.3 * np.sin(3 * time), 0.2 * np.cos(2 * time)], axis=1)
    from gait_envs.reference.clip import velocities

    encoding = encoding_of(wildrobot(), "heading")
    qpos = poses(q)
    seen = encoding(torch.from_numpy(states(qpos, 1000.0)).float()).numpy()[
        :, encoding.rows.slices()["angular_velocity"]
    ]
    np.testing.assert_allclose(seen[1:-1], velocities(qpos, 1000.0)[2:-1, 3:6], atol=2e-3)


def test_what_does_not_matter_is_not_seen() -> None:
    moved = STATES.clone()
    moved[:, 0] += 3.0
    moved[:, 3] += 1.0
    sin, cos = np.sin(1.0), np.cos(1.0)
    vx, vy = STATES[:, 15], STATES[:, 16]
    moved[:, 15], moved[:, 16] = cos * vx - sin * vy, sin * vx + cos * vy
    for name in ("heading", "observable"):
        encoding = encoding_of(wildrobot(), name)
        torch.testing.assert_close(encoding(moved), encoding(STATES), atol=1e-4, rtol=0)


def test_six_dof_is_two_rows_of_each_matrix() -> None:
    robot = humanoid()
    encoding = encoding_of(robot, "sixdof")
    assert encoding.rows.slices()["ball_rotation"].stop - encoding.rows.slices()["ball_rotation"].start == 14 * 6
    assert len(encoding.hinges) == 8
    rng = np.random.default_rng(0)
    q = 0.4 * rng.normal(size=(2, 56))
    qpos = poses(q)
    seen = encoding(torch.from_numpy(states(qpos, 30.0)).float()).numpy()[0]
    rows = encoding.rows.slices()
    np.testing.assert_allclose(seen[rows["root_rotation"]], matrix_to_six_dof(quat_to_matrix(qpos[1, 3:7])), atol=1e-5)
    # The first ball joint, as MuJoCo turns the body relative to its parent.
    import mujoco

    data = mujoco.MjData(robot.model)
    data.qpos[:] = qpos[1]
    mujoco.mj_kinematics(robot.model, data)
    body = int(robot.model.jnt_bodyid[1 + encoding.balls[0]])
    parent = int(robot.model.body_parentid[body])
    turn = data.xmat[parent].reshape(3, 3).T @ data.xmat[body].reshape(3, 3)
    np.testing.assert_allclose(seen[rows["ball_rotation"]][:6], matrix_to_six_dof(turn), atol=1e-5)


def test_the_path_is_seen_from_the_body() -> None:
    state = torch.zeros(1, 1, 30)
    state[0, 0, :4] = torch.tensor([1.0, 0.0, 0.5, np.pi / 2])  # at x = 1, facing +y
    path = torch.zeros(1, 2, 5, 3)
    path[..., 0], path[..., 1] = 1.0, 2.0  # two metres ahead, and it faces +x there
    told = {"path": path, "speed": torch.tensor([[[0.0], [1.3]]]), "phase": torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])}
    seen, speed, phase = condition_columns(("path", "speed", "phase"), state, told, 0)
    torch.testing.assert_close(seen[0, 0, :4], torch.tensor([2.0, 0.0, -1.0, 0.0]), atol=1e-6, rtol=0)
    assert speed.item() == pytest.approx(1.3)  # of the next frame
    assert phase.flatten().tolist() == [1.0, 0.0]


# -- networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_a_sequence_equals_its_frames(network: str) -> None:
    """Causal: frame by frame with a memory, beyond the context too, is the same as all at once."""
    model = small(network, conditions=("path", "speed", "phase"))
    with torch.no_grad():
        whole, _ = model(STATES[None, :12], (), TOLD)
        memory, each = (), []
        for at in range(12):
            predicted, memory = model(STATES[None, at : at + 1], memory, TOLD, at)
            each.append(predicted)
    torch.testing.assert_close(torch.cat(each, 1), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_weight_learns(network: str) -> None:
    model = small(network).train()
    model.unroll(STATES[None, :6], 3).square().mean().backward()
    still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not [name for name in still if "gate" not in name], still


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_output_is_a_change_of_rates_that_is_integrated(encoding: str) -> None:
    model = small(encoding=encoding)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias[0] = 1.0  # 1 (m/s) a frame: forward, or along x
        now = STATES[None, 50:51]
        after = model(now)[0][0, 0]
    yaw = float(now[0, 0, 3]) if encoding in ("heading", "observable") else 0.0
    rate = now[0, 0, 15:] + torch.tensor([np.cos(yaw), np.sin(yaw), *[0.0] * 13])
    torch.testing.assert_close(after[15:], rate.float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(after[:15], now[0, 0, :15] + rate.float() / 50.0, atol=1e-5, rtol=0)


def test_gradients_stop_between_steps_where_asked() -> None:
    model = MotionModel(spec_of(wildrobot(), "mlp", "heading", (), {"hidden": [8]}))  # without a memory
    given = STATES[None, :1].clone().requires_grad_()
    model.unroll(given, 3, detach=True)[:, -1].sum().backward()
    assert given.grad is None or not given.grad.any()
    model.unroll(given, 3)[:, -1].sum().backward()
    assert given.grad is not None
    assert given.grad.any()


def test_the_normaliser_leaves_still_inputs_alone() -> None:
    model = small()
    inputs = torch.randn(500, model.entries.size) * 3 + 2
    inputs[:, 4] = 0.7
    model.fit_normalizer(STATES[:-1], STATES[1:], inputs)
    seen = model.normalize(inputs)
    assert seen[:, 4].abs().max() < 1e-6
    assert abs(float(seen[:, 0].std()) - 1) < 1e-3
    assert float(model.normalize(1e9 * torch.ones(1, model.entries.size)).max()) == 10.0
    assert model.moving[6 + wildrobot().joint_names.index("left_hip_pitch")] == 1
    assert model.moving[5] == 0  # the root never rolls


def test_encode_takes_inputs_by_their_entries() -> None:
    for network in ("mlp", "gru"):
        model = small(network, "observable")
        x = model.encoding(STATES[:7])
        assert model.encode(x).shape == (7, model.feature_size)
        with torch.no_grad():
            history = model.encode(x[None])  # seven frames of one body
            features, _ = model.network(model.normalize(x[None]))
        torch.testing.assert_close(history, features[:, -1])


# -- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_a_file_gives_the_model_again(network: str, tmp_path: Path) -> None:
    model = small(network, conditions=("speed",))
    model.fit_normalizer(STATES[:-1], STATES[1:], model.inputs(STATES[None, :-1], TOLD)[0])
    save_motion_model(tmp_path / "model.npz", model, {"pose": np.arange(3.0), "seed": 7})
    again, extras = read_motion_model(tmp_path)  # a folder that holds model.npz
    with torch.no_grad():
        torch.testing.assert_close(again.rollout(STATES[None, :4], 5, TOLD), model.rollout(STATES[None, :4], 5, TOLD))
    assert again.entries == model.entries
    assert extras["seed"] == 7
    np.testing.assert_array_equal(extras["pose"], np.arange(3.0))
    assert not again.training


def damaged(model: MotionModel, folder: Path, **changes: Any) -> Path:
    """A model's file with other arrays."""
    path = save_motion_model(folder / "model.npz", model)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    file = io.BytesIO()
    np.savez(file, **{key: value for key, value in (arrays | changes).items() if value is not None})
    path.write_bytes(file.getvalue())
    return path


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    model = small()
    spec = json.loads(model.spec.model_dump_json())

    def other(**changes: Any) -> str:
        return json.dumps(spec | changes)

    cases: list[tuple[dict[str, Any], str]] = [
        ({"format_version": 9}, "format_version: is 9"),
        ({"kind": "policy"}, "kind: expected"),
        ({"spec": other(network="gpt")}, "spec: network"),
        ({"spec": other(wings=2)}, "spec: unknown key 'wings'"),
        ({"spec": other(settings={"hidden": [4096] * 8})}, "parameters, at most"),
        ({"spec": other(settings={"hidden": [10**9]})}, "spec: settings.hidden"),
        ({"spec": other(home=[0.0])}, "home has 1 entries"),
        ({"spec": other(settings=spec["settings"] | {"hidden": [8, 9]})}, "the spec asks for"),
        ({"weights/mean": None}, "weights/mean: is missing"),
        ({"weights/mean": np.full(model.entries.size, np.nan)}, "not finite"),
        ({"weights/std": np.zeros(model.entries.size)}, "not positive"),
        ({"entries": "[]"}, "entries: not the inputs"),
        ({"spec": np.array([{"a": 1}], dtype=object)}, "pickled"),
    ]
    for changes, message in cases:
        path = damaged(model, tmp_path, **changes)
        with pytest.raises(ModelError, match=message) as caught:
            load_motion_model(path)
        assert str(path) in str(caught.value)
    whole = save_motion_model(tmp_path / "whole.npz", model)
    assert load_motion_model(whole, limit=1 << 20).spec == model.spec
    with pytest.raises(ModelError, match=r"whole\.npz: .*the limit is 500 for all arrays together"):
        load_motion_model(whole, limit=500)
    with pytest.raises(ModelError, match="neither a motion model"):
        load_motion_model("no_such_model")
    with pytest.raises(ModelError, match="no such motion model"):
        load_motion_model(tmp_path.parent)


def test_a_changed_byte_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    """Every array that is read has a checksum."""
    model = small()
    path = save_motion_model(tmp_path / "model.npz", model, {"mean_pose": np.ones(3), "license": "MIT"})
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for at in rng.integers(len(whole), size=150):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :])
        try:
            found, extras = read_motion_model(path)
        except ModelError as error:
            refused += str(path) in str(error)
            continue
        assert all(torch.equal(value, found.state_dict()[key]) for key, value in model.state_dict().items())
        assert (extras["license"], extras["mean_pose"].tolist()) == ("MIT", [1.0] * 3)
    assert refused > 75
