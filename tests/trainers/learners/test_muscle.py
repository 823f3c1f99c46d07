"""The muscles' network: its losses, its tuples, its training beside PPO, and beginning from other runs."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.runs import differences, final_state, metrics

from gait_envs.control.muscle import TorqueMap, jta_entries
from gait_envs.control.muscle_network import load_muscle_network, save_muscle_network
from gait_envs.control.static_optimization import share_torque
from gait_envs.models.robot import muscle_humanoid
from gait_envs.simulation.muscles import Refresh
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.learners.muscle.tuples import best_activations, fit, gather, row_size, split_rows
from gait_trainers.models.muscle_nn import Bounded, MuscleNN, muscle_losses
from gait_trainers.policies.bundle import BundleError, load_bundle
from gait_trainers.policies.environment import make_env
from gait_trainers.policies.export import export
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.build import Training, build
from gait_trainers.rl.train import resume, train
from gait_trainers.rl.warm_start import _widened, begin_from
from gait_trainers.runs.checkpoint import load_checkpoint
from gait_trainers.runs.normalizer import vec_normalize_state
from gait_trainers.runs.run_folder import Run

MUSCLES = muscle_humanoid().muscles
assert MUSCLES is not None
M, D, E = len(MUSCLES.names), len(MUSCLES.dofs), len(MUSCLES.entry_dof)
TORQUE, MUSCLE = "GaitNet/HumanoidImitation-v0", "GaitNet/MuscleHumanoidImitation-v0"


def torque_map(n: int, seed: int = 0) -> TorqueMap:
    """Moments of both signs up to 60 N·m and small passive torques."""
    rng = np.random.default_rng(seed)
    jta = np.zeros((n, D, M))
    jta[:, MUSCLES.entry_dof, MUSCLES.entry_muscle] = rng.uniform(-60, 60, (n, E))
    return TorqueMap(jta, rng.normal(0, 2, (n, D)))


def rows_of(state: TorqueMap, torque: np.ndarray) -> np.ndarray:
    return np.concatenate([jta_entries(MUSCLES, state.jta), torque, state.passive], axis=1).astype(np.float32)


# -- network and tuples -------------------------------------------------------------------------------------


def test_torch_and_numpy_give_the_same_and_the_file_goes_between_them(tmp_path: Path) -> None:
    network = MuscleNN(MUSCLES, (64, 32), torch.Generator().manual_seed(0))
    for layer in network.linear:
        torch.nn.init.uniform_(layer.bias, -0.1, 0.1, generator=torch.Generator().manual_seed(2))
    state, torque = torque_map(20), np.random.default_rng(1).normal(0, 100, (20, D))
    entries = jta_entries(MUSCLES, state.jta)
    with torch.no_grad():
        expected = network(torch.from_numpy(entries).float(), torch.from_numpy(torque).float()).numpy()
    assert 0.2 < (expected > 0).mean() < 0.9
    np.testing.assert_allclose(network.numpy()(entries, torque), expected, atol=1e-6)

    save_muscle_network(tmp_path / "nn.npz", network.get_layers(), MUSCLES)
    other = MuscleNN(MUSCLES, (64, 32), torch.Generator().manual_seed(1))
    other.set_layers(load_muscle_network(tmp_path / "nn.npz", MUSCLES).layers)
    assert differences(network.state_dict(), other.state_dict()) == []
    with pytest.raises(ValueError, match=rf"map {E + D} → 64, 64 → 32, 32 → {M}, expected {E + D} → 64, 64 → {M}"):
        MuscleNN(MUSCLES, (64,)).set_layers(network.get_layers())


def test_a_quiet_muscle_stirs_where_it_is_wanted_and_only_there() -> None:
    """Below 0 only what would raise an activation has a gradient; above, tanh's."""
    x = torch.tensor([-2.0, -2.0, 0.5], requires_grad=True)
    activation = Bounded.apply(x)
    (activation * torch.tensor([-3.0, 3.0, 3.0])).sum().backward()  # a loss that falls as the first one rises
    np.testing.assert_allclose(activation.detach(), [0, 0, np.tanh(0.5)])
    np.testing.assert_allclose(x.grad, [-3, 0, 3 * (1 - np.tanh(0.5) ** 2)], rtol=1e-6)


def test_losses_by_hand() -> None:
    """Every muscle at tanh(0.5), whatever is asked."""
    network = MuscleNN(MUSCLES, (8,))
    with torch.no_grad():
        network.linear[-1].weight.zero_()
        network.linear[-1].bias.fill_(0.5)
    state, torque = torque_map(6), np.random.default_rng(1).normal(0, 50, (6, D))
    losses = muscle_losses(
        network, torch.from_numpy(jta_entries(MUSCLES, state.jta)).float(), torch.from_numpy(torque).float()
    )
    missed = state.jta.sum(axis=2) * np.tanh(0.5) - torque
    assert losses.torque.item() == pytest.approx(np.square(missed / 100).sum(axis=1).mean(), rel=1e-5)
    assert losses.effort.item() == pytest.approx(M * np.tanh(0.5) ** 2, rel=1e-5)


def test_a_tuple_is_the_chosen_refresh_of_its_simulation() -> None:
    """Simulation 1 diverged before the second refresh, and what is left of 2 is not finite."""
    first, second = torque_map(3, seed=0), torque_map(2, seed=1)
    second.passive[1, 0] = np.nan
    demand = np.arange(3 * D, dtype=float).reshape(3, D)
    refreshes = [
        Refresh(np.array([0, 1, 2]), first, demand, np.zeros((3, M))),
        Refresh(np.array([0, 2]), second, demand[[0, 2]] + 100, np.zeros((2, M))),
    ]
    rows, ids = gather(refreshes, np.array([1, 0, 0]), MUSCLES)
    assert ids.tolist() == [1, 2, 0]
    assert rows.shape == (3, row_size(MUSCLES))
    tuples = split_rows(rows, MUSCLES)
    np.testing.assert_allclose(tuples.entries[0], jta_entries(MUSCLES, first.jta)[1], rtol=1e-6)
    np.testing.assert_allclose((tuples.torque + tuples.passive)[2], demand[0] + 100, rtol=1e-5)
    assert gather(refreshes, np.array([1, 1, 1]), MUSCLES)[1].tolist() == [0]  # neither 1 nor 2 has one
    assert gather([], np.zeros(3, int), MUSCLES)[0].shape == (0, row_size(MUSCLES))


def test_fit_against_static_optimisation() -> None:
    state, rng = torque_map(5), np.random.default_rng(2)
    torque = (state.jta @ rng.uniform(0.2, 0.8, (5, M, 1)))[..., 0]  # in reach
    tuples = split_rows(rows_of(state, torque), MUSCLES)
    desired = np.sqrt(np.square(torque + state.passive).mean())
    at_rest = fit(tuples, np.zeros((5, M)), MUSCLES)
    assert at_rest.residual == pytest.approx(np.sqrt(np.square(torque).mean()) / desired, rel=1e-5)
    assert at_rest.energy == 0
    activations = best_activations(tuples, MUSCLES)
    np.testing.assert_allclose(activations, share_torque(state.jta, torque).activations, atol=1e-4)
    best = fit(tuples, activations, MUSCLES)
    assert best.residual < 1e-3
    assert best.energy == pytest.approx(np.square(activations).mean())


# -- training ------------------------------------------------------------------------------------------------

TINY = {
    "env.num_envs": 4,
    "env.threads": 1,
    "env.kwargs.future_frames": [1],
    "ppo.n_steps": 8,
    "ppo.minibatches": 2,
    "networks.policy": [16],
    "networks.value": [16],
    "networks.log_std_init": -2.0,
    "run.iterations": 5,
    "run.checkpoint_every": 1,
    "run.keep_checkpoints": 9,
    "run.tensorboard": False,
}
MUSCLE_TINY = TINY | {
    "algorithm": "muscle",
    "env.id": MUSCLE,
    "muscle.hidden": [32],
    "muscle.batch_size": 16,
    "muscle.updates": 4,
    "muscle.buffer_size": 100,
    "muscle.held_out": 0.25,
    "muscle.handover": 10.0,  # begins with the end of the first rollout
    "muscle.handover_iterations": 2,
}


def settings(out: Path, name: str, reference: str, tree: dict = MUSCLE_TINY, **more: object) -> TrainConfig:
    own = {"run.out": str(out), "run.name": name, "env.kwargs.reference": reference}
    return load_config(overrides=tree | own | {key.replace("__", "."): value for key, value in more.items()})


@pytest.fixture(scope="module")
def run(human_reference: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that its network drives half of in the second rollout, and all of from the third on."""
    return train(settings(tmp_path_factory.mktemp("runs"), "whole", human_reference)).run.path


@pytest.fixture(scope="module")
def torque_run(human_reference: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = TINY | {"algorithm": "ppo", "env.id": TORQUE, "run.iterations": 2, "ppo.normalize_reward": True}
    return train(settings(tmp_path_factory.mktemp("torque"), "torque", human_reference, tree)).run.path


@pytest.mark.parametrize("iteration", [0, 1, 3])  # before, while and after the network takes over
def test_continued_equals_uninterrupted(run: Path, tmp_path: Path, iteration: int) -> None:
    copy = Run(Path(shutil.copytree(run, tmp_path / "copy")))
    copy.drop_checkpoints_after(iteration * 32)
    assert len(list((copy.path / "checkpoints").iterdir())) == 2 * (iteration + 1)  # each with its network
    resume(copy.path)
    expected, found = final_state(run), final_state(copy.path)
    assert expected["learners"]["muscle"]["drives"]
    assert differences(expected, found) == []
    assert metrics(copy.path) == metrics(run)


def test_the_figures_of_a_run(run: Path) -> None:
    rows = metrics(run)
    assert [row["muscle_drives"] for row in rows] == ["0", "0.5", "1", "1", "1"]
    assert [row["muscle_tuples"] for row in rows] == ["24", "48", "72", "96", "100"]  # three of four, and then full
    for row in rows:
        ours, best, gap = (float(row[name]) for name in ("muscle_residual", "qp_residual", "muscle_gap"))
        assert ours > best > 0
        assert gap == pytest.approx(np.sqrt(ours**2 - best**2), rel=1e-3)
        assert 0 < float(row["muscle_energy"]) < 1
        assert 0 < float(row["drive_residual"]) < 2
        assert 0 < float(row["drive_energy"]) < 1


def test_the_network_learns_and_only_what_is_not_held_out(human_reference: str, tmp_path: Path) -> None:
    training = build(settings(tmp_path, "x", human_reference, muscle__updates=150, muscle__hidden=[64]))
    base, muscle = training.base, training.learners["muscle"].callback
    assert muscle is not None
    rng = np.random.default_rng(0)
    base.seed(0)
    base.reset()
    for _ in range(8):
        base.step(rng.uniform(-0.3, 0.3, (4, 50)).astype(np.float32))
        muscle._on_step()
    assert (len(muscle.buffer), len(muscle.held_out)) == (24, 8)
    kept = {row.tobytes() for row in muscle.buffer.data[:24]}
    assert kept.isdisjoint(row.tobytes() for row in muscle.held_out.data[:8])
    before, held = muscle.measure(), muscle.held_out.data.copy()
    after = muscle.update()
    assert after["muscle_residual"] < 0.7 * before["muscle_residual"]
    np.testing.assert_array_equal(muscle.held_out.data, held)
    assert muscle.share == 0.5
    assert [list(muscle.physics.controllers)[i] for i in muscle.physics._driver[muscle.order]] == ["nn"] * 2 + [
        "qp"
    ] * 2
    entries, torque, _ = split_rows(held[:8], MUSCLES)
    with torch.no_grad():
        expected = muscle.network(torch.from_numpy(entries), torch.from_numpy(np.ascontiguousarray(torque))).numpy()
    np.testing.assert_allclose(muscle.physics.controllers["nn"].network(entries, torque), expected, atol=1e-6)
    base.close()


def test_a_network_that_is_not_good_enough_does_not_drive(human_reference: str, tmp_path: Path) -> None:
    for own in ({"muscle__handover": 1e-3}, {"muscle__controller": "qp"}):
        training = build(settings(tmp_path, "x", human_reference, **own))
        muscle = training.learners["muscle"].callback
        training.base.reset()
        training.base.step(np.zeros((4, 50), np.float32))
        muscle._on_step()
        muscle.update()
        assert muscle.share == 0.0
        assert list(muscle.physics.controllers) == ["qp"]
        training.base.close()


def test_a_frozen_policy_stays_while_its_network_learns(torque_run: Path, human_reference: str, tmp_path: Path) -> None:
    own = {"muscle__policy_frozen": True, "run__init": str(torque_run), "run__iterations": 2}
    out = train(settings(tmp_path, "frozen", human_reference, ppo__normalize_reward=True, **own)).run
    first, last = (load_checkpoint(out.checkpoints()[i]) for i in (0, -1))
    assert differences(first["policy"], last["policy"]) == []
    assert differences(first["vec_normalize"]["mean"], last["vec_normalize"]["mean"]) == []
    assert differences(first["learners"]["muscle"]["network"], last["learners"]["muscle"]["network"])


# -- beginning from others -------------------------------------------------------------------------------------


def begun(config: TrainConfig) -> tuple[Training, dict]:
    """A training that has begun with other networks, and what it notes of them."""
    training = build(config)
    assert config.run.init is not None
    note = begin_from(config.run.init, config, training.model, training.learners)
    training.base.close()
    return training, note


def test_begins_with_the_networks_of_a_run_that_servos_move(
    torque_run: Path, human_reference: str, tmp_path: Path
) -> None:
    config = settings(tmp_path, "x", human_reference, run__init=str(torque_run), ppo__normalize_reward=True)
    training, note = begun(config)
    source = load_checkpoint(Run(torque_run).checkpoints()[-1])
    assert differences(source["policy"], training.model.policy.state_dict()) == []
    normalizers = vec_normalize_state(training.model.get_vec_normalize_env())
    assert source["vec_normalize"]["return_var"] != 1
    for state in (normalizers, source["vec_normalize"]):
        state.pop("returns")  # of running episodes
    assert differences(source["vec_normalize"], normalizers) == []
    taken = ["policy", "value", "normalizer"]
    assert note == {
        "path": str(torque_run), "steps": 64, "environment": TORQUE, "taken": taken, "licenses": ["MIT"],
    }  # fmt: skip


def test_wider_networks_begin_with_the_same_outputs(torque_run: Path, human_reference: str, tmp_path: Path) -> None:
    wider = {"networks__policy": [24], "networks__value": [20], "ppo__normalize_reward": True}
    policies = [
        begun(settings(tmp_path, "x", human_reference, run__init=str(torque_run), **own))[0].model.policy
        for own in ({"ppo__normalize_reward": True}, wider)
    ]
    obs = torch.linspace(-3, 3, 8)[:, None].repeat(1, *policies[0].observation_space.shape)
    values, wide_values = (policy.predict_values(obs) for policy in policies)
    torch.testing.assert_close(wide_values, values)
    means, wide_means = (policy.get_distribution(obs).distribution.mean for policy in policies)
    torch.testing.assert_close(wide_means, means)


def test_layers_between_wider_ones_pass_on_the_same() -> None:
    narrow, wide = (
        torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in itertools.pairwise((4, *hidden, 3))))
        for hidden in ((6, 5), (9, 7))
    )
    widened = _widened(narrow.state_dict(), wide.state_dict())
    assert widened is not None
    assert (widened["0.weight"][6:] == wide[0].weight[6:]).all()  # new units can learn
    wide.load_state_dict(widened)
    x = torch.linspace(-1, 1, 20).reshape(5, 4)
    torch.testing.assert_close(wide(x), narrow(x))
    assert _widened(wide.state_dict(), narrow.state_dict()) is None


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(run, tmp_path_factory.mktemp("out") / "walker")


def test_begins_with_the_networks_of_a_bundle(bundle: Path, run: Path, human_reference: str, tmp_path: Path) -> None:
    training, note = begun(settings(tmp_path, "x", human_reference, run__init=str(bundle)))
    source, policy = load_checkpoint(Run(run).checkpoints()[-1]), training.model.policy.state_dict()
    for name, values in source["policy"].items():
        if "value_net" not in name:  # which no bundle has
            np.testing.assert_allclose(policy[name], values, rtol=1e-5, atol=1e-7)
    normalizers = vec_normalize_state(training.model.get_vec_normalize_env())
    for key in ("mean", "var"):
        np.testing.assert_allclose(normalizers[key], source["vec_normalize"][key], rtol=1e-5, atol=1e-12)
    assert normalizers["count"] == 5 * 32
    assert (
        differences(source["learners"]["muscle"]["network"], training.learners["muscle"].callback.network.state_dict())
        == []
    )
    assert note["taken"] == ["policy", "normalizer", "muscle network"]


def test_a_run_notes_what_it_began_from(run: Path, human_reference: str, tmp_path: Path) -> None:
    again = train(settings(tmp_path, "again", human_reference, run__init=str(run), run__iterations=1)).run
    note = json.loads(again.provenance_file.read_text())["init"]
    taken = ["policy", "value", "normalizer", "muscle network"]
    assert note == {
        "path": str(run), "steps": 160, "environment": MUSCLE, "taken": taken, "licenses": ["MIT"],
    }  # fmt: skip
    first = load_checkpoint(again.checkpoints()[0])
    assert differences(load_checkpoint(Run(run).checkpoints()[-1])["policy"], first["policy"]) == []


@pytest.mark.parametrize(
    "own, message",
    [
        (
            {"env__kwargs__future_frames": [1, 2]},
            r"run\.init: .*observation row .* the environment has ",
        ),
        (
            {"networks__policy": [8, 8]},
            r"networks\.policy \[16\] and networks\.value \[16\], that do not fit .*8, 8",
        ),
        (
            {"env__kwargs__action_gain": 0.9},
            r"run\.init: .* it was trained with action_gain 0\.3; that environment has 0\.9",
        ),
        ({"env__kwargs__feed_forward": False}, "with feed_forward True; that environment has False"),
        ({"env__kwargs__future_frames": [2]}, r"with future_frames \(1,\); that environment has \(2,\)"),
        ({"muscle__hidden": [0]}, r"muscle\.hidden\.0: .*greater than or equal to 1"),
        ({"networks__policy": [8]}, r"networks\.policy \[16\] and .* do not fit into .* networks\.policy \[8\]"),
        ({"networks__activation": "tanh"}, "actions differ from its own by .* networks.activation is 'tanh'"),
        ({"ppo__normalize_obs": False}, r"observations of .* are normalised, see ppo\.normalize_obs"),
        ({"muscle__hidden": [16]}, r"expected 307 → 16, 16 → 92: see muscle\.hidden"),
        ({"run__init": "nowhere"}, r"run\.init: nowhere: no such file or folder"),
    ],
)
def test_what_it_cannot_begin_from(run: Path, human_reference: str, tmp_path: Path, own: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(settings(tmp_path, "not", human_reference, **({"run__init": str(run)} | own)))
    assert not (tmp_path / "not").exists()


# -- afterwards ------------------------------------------------------------------------------------------------


def test_a_bundle_carries_the_network_that_moves_the_body(bundle: Path, run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(bundle, tmp_path / "elsewhere"))
    policy, from_run = load_bundle(moved), load_policy(run)
    assert json.loads((moved / "policy.json").read_text())["environment"]["kwargs"]["muscle_network"] == "muscle_nn.npz"
    own = Run(run).checkpoints()[-1].with_suffix(".npz")
    assert from_run.env_kwargs["muscle_network"] == str(own.resolve())
    assert (moved / "muscle_nn.npz").read_bytes() == own.read_bytes()
    env = make_env(policy.env_id, threads=1, **policy.env_kwargs)
    trained = load_checkpoint(Run(run).checkpoints()[-1])["learners"]["muscle"]["network"]
    weight, _ = env.core.physics.controllers["nn"].network.layers[0]
    np.testing.assert_array_equal(weight, trained["layers.0.weight"].numpy().T)
    (moved / "muscle_nn.npz").write_bytes(b"spoilt")
    with pytest.raises(BundleError, match=r"muscle_nn\.npz: differs from its checksum"):
        load_bundle(moved)


def test_before_the_network_drives_static_optimisation_does(run: Path) -> None:
    assert "muscle_network" not in load_policy(Run(run).checkpoints()[0]).env_kwargs


# -- configuration ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "own, message",
    [
        ({"env__id": TORQUE}, f"algorithm muscle needs muscles that follow poses, not env.id {TORQUE}"),
        ({"env__kwargs__actuation": "activation"}, "needs muscles that follow poses"),
        (
            {"env__kwargs__muscle_controller": "nn"},
            r"env\.kwargs\.muscle_controller: algorithm muscle chooses the controller itself",
        ),
        ({"muscle__hiden": [3]}, r"unknown key 'muscle\.hiden' \(did you mean 'hidden'\?\)"),
        ({"muscle__handover": 0}, r"muscle\.handover: Input should be greater than 0"),
    ],
)
def test_impossible_settings(human_reference: str, tmp_path: Path, own: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(tmp_path, "x", human_reference, **own)


def test_one_environment_is_too_few(human_reference: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"env\.num_envs is 1; algorithm muscle needs 2 or more"):
        build(settings(tmp_path, "x", human_reference, env__num_envs=1))
