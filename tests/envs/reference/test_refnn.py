"""RefNN in NumPy: poses by hand, cycles that go on for ever, and files that are read strictly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers.still_refnn import NAMES, STEP, facts, gliding, sequences, standing_pose, write_model

from gait_envs.models.robot import humanoid
from gait_envs.reference.pose_features import POSE_LAYOUT
from gait_envs.reference.refnn.cascade import Cascade
from gait_envs.reference.refnn.cycles import make_cycles
from gait_envs.reference.refnn.generator import JOINTS, Generator, generated_clips
from gait_envs.reference.refnn.network import NETWORK, ReferenceNetwork, RefNNError, load_network
from gait_envs.reference.refnn.walks import (
    CYCLE,
    WalkError,
    Walks,
    from_coordinates,
    load_sequences,
    load_walks,
    save_sequences,
    save_walks,
    to_coordinates,
)
from gait_envs.reference.sources import load_clips
from gait_envs.rotations import normalize

SIZE = POSE_LAYOUT.size


def test_a_layer_by_hand() -> None:
    weight = np.zeros((5, SIZE))
    weight[:, 8] = [1.0, 10.0, 100.0, 1000.0, 10000.0]
    told = dataclasses.replace(facts(), mean=np.full(SIZE, 0.5), deviation=np.full(SIZE, 2.0))
    network = ReferenceNetwork([(weight, np.zeros(SIZE))], told)
    # Shares of the ranges are 0.25, 0.4 and 0.5; a quarter of a cycle has sine 1 and cosine 0.
    (pose,) = network(np.array([[1.0, 100.0, 1.0]]), np.array([0.25]))
    assert pose[8] == pytest.approx(0.5 + 2 * (0.25 + 4.0 + 50.0 + 1000.0), rel=1e-6)
    assert pose[0] == 0.5


def test_a_row_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(5, 16)), rng.normal(size=16)), (rng.normal(size=(16, SIZE)), rng.normal(size=SIZE))]
    network = ReferenceNetwork(layers, facts())
    params, phase = rng.uniform(facts().low, facts().high, size=(11, 3)), rng.uniform(size=11)
    together = network(params, phase)
    for i in (0, 5, 10):
        np.testing.assert_array_equal(network(params[i : i + 1], phase[i : i + 1])[0], together[i])


def test_parameters_by_name() -> None:
    network = gliding()
    np.testing.assert_array_equal(network.params({"stride": np.array([1.0, 1.4])}, 2), [[1.0, 100, 1], [1.4, 100, 1]])
    with pytest.raises(RefNNError, match=r"unknown parameter 'speed'; it knows stride, cadence, scale.thigh"):
        network.params({"speed": 1.0}, 1)
    with pytest.raises(RefNNError, match=r"stride is 1.7 m, it was trained from 0.8 to 1.6"):
        network.params({"stride": 1.7}, 1)
    with pytest.raises(RefNNError, match=r"cadence is nan"):
        network.params({"cadence": np.nan}, 1)


def test_a_cycle_goes_on_by_its_stride() -> None:
    network = gliding()
    cycles = make_cycles(network, network.params({"stride": np.array([0.8, 1.5])}, 2))
    np.testing.assert_allclose(cycles.stride, [0.8, 1.5], rtol=1e-6)
    np.testing.assert_allclose(cycles.coordinates[1, :3, 0], [0.0, 0.05, 0.1], atol=1e-6)
    phase = np.array([-0.5, 0.0, 1 / 60, 2.25])
    place, rate = cycles.at(phase, np.ones(4, dtype=int))
    np.testing.assert_allclose(place[:, 0], 1.5 * phase, atol=1e-6)
    np.testing.assert_allclose(rate[:, 0], 1.5, rtol=1e-5)
    np.testing.assert_allclose(rate[:, 1:], 0.0, atol=1e-5)


def test_coordinates_and_back() -> None:
    rng = np.random.default_rng(1)
    quat = normalize(rng.normal(size=(50, 4)))
    quat[quat[:, 0] < 0] *= -1
    qpos = np.hstack([rng.normal(size=(50, 3)), quat, rng.uniform(-1, 1, size=(50, 50))])
    assert to_coordinates(qpos).shape == (50, 56)
    np.testing.assert_allclose(from_coordinates(to_coordinates(qpos)), qpos, atol=1e-12)


# -- as clips ---------------------------------------------------------------------------------------------


def test_joints_are_the_humanoids() -> None:
    assert humanoid().joint_names == JOINTS


def test_walks_stand_in_for_clips(tmp_path: Path) -> None:
    clips = load_clips(f"refnn:{write_model(tmp_path / 'mine', gliding())}")
    assert [clip.name for clip in clips] == ["walk_080", "walk_090", "walk_100", "walk_110", "walk_120"]
    # 0.6 m + 0.6 s · 1.1 m/s = 1.26 m in 34.36 frames, of which 34 are taken.
    clip = clips[3]
    assert (clip.frames, clip.loop, clip.fps) == (35, True, 30.0)
    assert clip.meta["cadence"] == pytest.approx(120 * 30 / 34)
    assert clip.mean_speed == pytest.approx(1.1, rel=1e-6)
    np.testing.assert_allclose(clip.qvel[:, 0], 1.1, rtol=1e-4)
    np.testing.assert_allclose(clip.qpos[0, 1:], clip.qpos[-1, 1:], atol=1e-9)


def test_a_walker_steps_as_it_is_asked_to() -> None:
    clips = generated_clips(gliding())
    generator = Generator(gliding(), clips, ("thigh",))
    clip, at = np.array([2, 2]), np.array([0.0, 36.0])  # the walk at 1 m/s has 36 frames and 1.2 m
    walker = np.array([[1.1, 1.2, 1.0], [1.1, 1.2, 1.0]])
    qpos, qvel = generator.played(clip, at, walker, np.ones(2))
    np.testing.assert_allclose(qpos[:, 0], [0.0, 1.32], atol=1e-6)
    np.testing.assert_allclose(qvel[:, 0], 1.1 * 1.2, rtol=1e-5)
    with pytest.raises(RefNNError, match=r"stride is 1.68 m"):
        generator.played(clip, at, np.array([[1.4, 1, 1], [1.0, 1, 1]]), np.ones(2))


def test_legs_that_the_network_does_not_know_stretch_the_walk() -> None:
    network = gliding(("stride", "cadence"))
    generator = Generator(network, generated_clips(network), ("thigh",))
    qpos, _ = generator.played(np.array([2]), np.array([36.0]), np.array([[1.0, 1.0, 1.1]]), np.array([1.05]))
    assert qpos[0, 0] == pytest.approx(1.2 * 1.05, rel=1e-6)
    assert qpos[0, 2] == pytest.approx(standing_pose()[8] * 1.05, rel=1e-6)


# -- stacked networks -------------------------------------------------------------------------------------


def held(angle: float, high: float = 1.6) -> ReferenceNetwork:
    """Holds one pose, the right knee at `angle` rad."""
    bias = standing_pose()
    bias[STEP] = 0.0
    bias[POSE_LAYOUT.slices()["right_knee"]] = angle
    told = dataclasses.replace(facts(), high=np.array([high, 130.0, 1.2]))
    return ReferenceNetwork([(np.zeros((5, SIZE)), bias)], told)


def test_a_later_network_leads_where_it_is_confident() -> None:
    cascade = Cascade([held(0.2), held(1.2)], width=0.1)
    joints = make_cycles(held(1.2), facts().default[None]).coordinates[:, 0, 6:]
    away = joints.copy()
    away[:, JOINTS.index("right_knee_flexion")] -= 0.1 * np.sqrt(50)  # 0.1 rad, root mean square of 50 joints
    found = cascade({"stride": 1.2}, np.zeros(2), np.concatenate([joints, away]))
    trust = np.array([1.0, np.exp(-1.0)])
    np.testing.assert_allclose(found.weights, [1 - trust, trust], atol=1e-6)
    knee = POSE_LAYOUT.slices()["right_knee"]
    np.testing.assert_allclose(found.poses[:, knee][:, 0], 0.2 + trust * 1.0, atol=1e-6)


def test_a_network_is_not_confident_beyond_its_training() -> None:
    cascade = Cascade([held(0.2, high=1.3), held(1.2, high=1.3)])
    joints = make_cycles(held(1.2), facts().default[None]).coordinates[:, 0, 6:].repeat(2, 0)
    found = cascade({"stride": np.array([1.2, 1.5])}, np.zeros(2), joints)
    np.testing.assert_allclose(found.weights[1], [1.0, 0.0], atol=1e-6)
    with pytest.raises(ValueError, match=r"at least one network"):
        Cascade([])


# -- files ------------------------------------------------------------------------------------------------


def test_a_model_and_back(tmp_path: Path) -> None:
    network = gliding()
    read = load_network(write_model(tmp_path / "mine", network))
    params, phase = facts().default[None], np.array([0.3])
    np.testing.assert_array_equal(read(params, phase), network(params, phase))
    assert (read.facts.names, read.name) == (NAMES, "mine")


def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine", gliding())
    data = bytearray((folder / NETWORK).read_bytes())
    data[-30] ^= 1
    (folder / NETWORK).write_bytes(data)
    with pytest.raises(RefNNError, match=r"differs from its checksum"):
        load_network(folder)
    with open(folder / NETWORK, "r+b") as file:
        file.truncate(1 << 40)  # a hole, which takes no room on the disk
    with pytest.raises(RefNNError, match=r"refnn\.npz: 1099511627776 bytes, the limit is"):
        load_network(folder)
    (folder / NETWORK).unlink()
    with pytest.raises(RefNNError, match=r"refnn\.npz missing"):
        load_network(folder)
    with pytest.raises(RefNNError, match=r"nowhere: neither the folder of a model nor a bundled one"):
        load_network("nowhere")


@pytest.mark.parametrize(
    "change, told",
    [
        ({"names": ("stride", "pace", "scale.thigh")}, "stride and cadence among them"),
        ({"low": np.array([2.0, 80.0, 0.8])}, "low must be below high"),
        ({"mean": np.zeros(3)}, "mean has 3 values, expected 101"),
        ({"deviation": np.full(SIZE, np.nan)}, "deviation has a value that is not finite"),
        ({"speeds": np.array([1.2, 0.8])}, "speeds must be positive"),
    ],
)
def test_facts_that_cannot_be(change: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(facts(), **change)


def test_walks_and_sequences_and_back(tmp_path: Path) -> None:
    motions = np.random.default_rng(0).uniform(size=(5, 57))
    walks = Walks(np.ones((2, 2)), ("stride", "cadence"), motions, np.array([3, 2]), ("a", "b"), 30.0, "test", "MIT")
    read = load_walks(save_walks(tmp_path / "walks.npz", walks))
    np.testing.assert_array_equal(read.motions, motions)
    coordinates, phase = read.walk(1)
    np.testing.assert_array_equal(coordinates, motions[3:, :56])
    np.testing.assert_array_equal(phase, motions[3:, 56])
    assert (read.walkers, read.license) == (("a", "b"), "MIT")
    kept = load_sequences(save_sequences(tmp_path / "sequences.npz", sequences(3)))
    assert kept.motions.shape == (3, 2 * CYCLE, SIZE)
    with pytest.raises(WalkError, match=r"walks.npz: no readable sequences: format: it is 'gaitnet walks'"):
        load_sequences(tmp_path / "walks.npz")
    save_walks(tmp_path / "bad.npz", dataclasses.replace(walks, lengths=np.array([3, 3])))
    with pytest.raises(WalkError, match=r"lengths: expected 2 numbers above 0 that add up to 5"):
        load_walks(tmp_path / "bad.npz")
