"""MuscleNN in NumPy: its answer by hand, its bits alone and among many, its file, and what is no such file."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from helpers.bodies import walker_spec

from gait_envs.control.muscle_network import FORMAT, HIDDEN, MuscleNetwork, load_muscle_network, save_muscle_network
from gait_envs.models.muscles import find_muscles

MUSCLES = find_muscles(walker_spec(6).compile())
ENTRIES, DOFS, M = len(MUSCLES.entry_dof), len(MUSCLES.dofs), len(MUSCLES.names)


def layers(*hidden: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random layers of the right sizes."""
    rng, sizes = np.random.default_rng(seed), (ENTRIES + DOFS, *hidden, M)
    return [
        (rng.normal(0, (2 / a) ** 0.5, (a, b)).astype(np.float32), rng.normal(0, 0.1, b).astype(np.float32))
        for a, b in itertools.pairwise(sizes)
    ]


def inputs(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 30, (n, ENTRIES)), rng.normal(0, 60, (n, DOFS))


def test_an_answer_by_hand() -> None:
    """One hidden unit that takes the first torque less twice the first entry; three muscles listen to it."""
    first, last = np.zeros((ENTRIES + DOFS, 1)), np.zeros((1, M))
    first[0], first[ENTRIES] = -2.0, 1.0
    last[0, :3] = [1.0, -1.0, 0.5]
    bias = np.zeros(M)
    bias[2] = 0.25
    network = MuscleNetwork([(first, np.zeros(1)), (last, bias)], MUSCLES)
    entries, torque = np.zeros((2, ENTRIES)), np.zeros((2, DOFS))
    entries[:, 0], torque[:, 0] = 50.0, [200.0, 0.0]
    # 200/200 - 2·50/200 = 0.5; 0 - 0.5, a fifth of which passes: -0.1
    expected = np.zeros((2, M))
    expected[0, :3] = np.tanh(0.5), 0.0, np.tanh(0.5)
    expected[1, :3] = 0.0, np.tanh(0.1), np.tanh(0.2)
    np.testing.assert_allclose(network(entries, torque), expected, atol=1e-7)


def test_one_layer_is_a_network_and_none_is_not() -> None:
    network = MuscleNetwork([(np.zeros((ENTRIES + DOFS, M)), np.full(M, 0.5))], MUSCLES)
    np.testing.assert_allclose(network(*inputs(2)), np.full((2, M), np.tanh(0.5)), atol=1e-7)
    with pytest.raises(ValueError, match=f"the network has {ENTRIES + DOFS} outputs, expected one for each of {M}"):
        MuscleNetwork([], MUSCLES)


def test_against_float64() -> None:
    made = layers(64, 32)
    x = np.concatenate(inputs(20), axis=1) / 200
    for k, (weight, bias) in enumerate(made):
        x = x @ weight.astype(float) + bias
        x = np.where(x > 0, x, 0.2 * x) if k < 2 else np.clip(np.tanh(x), 0, 1)
    found = MuscleNetwork(made, MUSCLES)(*inputs(20))
    assert 0.2 < (found > 0).mean() < 0.8
    np.testing.assert_allclose(found, x, atol=2e-6)


def test_a_row_has_the_same_bits_alone_and_among_many() -> None:
    network = MuscleNetwork(layers(*HIDDEN), MUSCLES)
    entries, torque = inputs(21)
    many = network(entries, torque)
    for i in (*range(9), 20):  # every place in a block
        np.testing.assert_array_equal(network(entries[i : i + 1], torque[i : i + 1])[0], many[i])


def test_its_file(tmp_path: Path) -> None:
    made = layers(16, 8)
    save_muscle_network(tmp_path / "net.npz", made, MUSCLES)
    loaded = load_muscle_network(tmp_path / "net.npz", MUSCLES)
    for (w, b), (weight, bias) in zip(loaded.layers, made, strict=True):
        np.testing.assert_array_equal(w, weight)
        np.testing.assert_array_equal(b, bias)
    np.testing.assert_array_equal(loaded(*inputs(3)), MuscleNetwork(made, MUSCLES)(*inputs(3)))


def spoilt(change: dict) -> dict:
    (w0, b0), (w1, b1) = layers(4)
    good = {"format": np.array(FORMAT), "muscles": np.array(MUSCLES.names)}
    return {k: v for k, v in (good | {"weight_0": w0, "bias_0": b0, "weight_1": w1, "bias_1": b1} | change).items()
            if v is not None}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": np.array("clip")}, "its `format` is not 'gaitnet muscle network 1'"),
        ({"muscles": np.array(["soleus"])}, r"made for other muscles; the difference is \['left_m0'"),
        ({"muscles": np.array(7)}, r"made for other muscles; the difference is \['7'"),
        ({"muscles": np.array(MUSCLES.names[::-1])}, "made for other muscles; the difference is their order"),
        ({"bias_1": None}, r"holds \['bias_0', 'weight_0', 'weight_1'\]; expected weight_k"),
        ({"weight_0": np.zeros((3, 4))}, rf"layer 0 has a weight of shape \(3, 4\).*expected \({ENTRIES + DOFS}, out"),
        ({"bias_0": np.zeros(5)}, r"a bias of shape \(5,\)"),
        ({"weight_1": np.zeros((4, 5)), "bias_1": np.zeros(5)}, rf"has 5 outputs, expected one for each of {M}"),
        ({"bias_1": np.full(M, np.nan)}, "layer 1 has numbers that are not finite"),
        ({"bias_1": np.array([{}] * M)}, "is no muscle network, an .npz file: .*pickle"),
    ],
)
def test_what_is_no_network(tmp_path: Path, change: dict, said: str) -> None:
    path = tmp_path / "net.npz"
    np.savez(path, **spoilt(change))
    with pytest.raises(ValueError, match=said) as error:
        load_muscle_network(path, MUSCLES)
    assert "net.npz" in str(error.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with pytest.raises(ValueError, match=r"array\.npz is no muscle network"):
        load_muscle_network(tmp_path / "array.npz", MUSCLES)
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(ValueError, match=r"text\.npz is no muscle network"):
        load_muscle_network(tmp_path / "text.npz", MUSCLES)
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_muscle_network(tmp_path / "none.npz", MUSCLES)
    with pytest.raises(ValueError, match="layer 0"):
        save_muscle_network(tmp_path / "bad.npz", [(np.zeros((1, M)), np.zeros(M))], MUSCLES)
    assert not (tmp_path / "bad.npz").exists()
