"""Policies with a memory: the arithmetic of the layers, masks of states, equal losses, resume, export, play."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.runs import differences, final_state, metrics
from helpers.still_clips import WALK
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.buffers import RecurrentRolloutBuffer
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.logger import Logger
from torch import nn

from gait_envs.tasks.symmetry import task_mirror
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError, NetworkConfig
from gait_trainers.models.actor_critic import build_policy
from gait_trainers.models.frames import stack
from gait_trainers.models.lstm_sequence import LSTMSequence
from gait_trainers.models.recurrent import RecurrentLayer
from gait_trainers.policies.base import BundleError
from gait_trainers.policies.bundle import write_checksums
from gait_trainers.policies.environment import make_env
from gait_trainers.policies.export import ExportError, export
from gait_trainers.policies.loading import load_policy
from gait_trainers.policies.onnx_policy import OnnxNetwork
from gait_trainers.rl.build import build
from gait_trainers.rl.ppo import SequenceBuffer
from gait_trainers.rl.train import resume, train

KINDS = ("lstm", pytest.param("gru", marks=pytest.mark.slow), "frames")
SMALL = {
    "algorithm": "ppo-amp",
    "env.num_envs": 8,
    "env.threads": 1,
    "env.kwargs.max_tilt": 0.06,  # rad; episodes are short: they begin inside the rollouts
    "ppo.n_steps": 16,
    "ppo.minibatches": 4,
    "ppo.epochs": 2,
    "networks.policy": [16],
    "networks.value": [16],
    "networks.memory_size": 6,
    "networks.memory_frames": 3,
    "networks.log_std_init": -1.0,
    "amp.hidden": [8],
    "amp.batch_size": 32,
    "amp.replay_size": 100,
    "run.iterations": 4,
    "run.checkpoint_every": 2,
    "run.tensorboard": False,
}


def config(kind: str, **more: object):
    return load_config(overrides=SMALL | {"networks.memory": kind} | more)


class Made(dict):
    """What is made for a kind of memory when it is first asked for."""

    def __init__(self, make: Callable[[str], Path]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, kind: str) -> Path:
        self[kind] = self.make(kind)
        return self[kind]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, reference_clip: Path) -> dict[str, Path]:
    """A run of four iterations with AMP for each kind of memory."""
    out = str(tmp_path_factory.mktemp("runs"))
    own = {"run.out": out, "amp.data": str(reference_clip)}
    return Made(lambda kind: train(config(kind, **own, **{"run.name": kind})).run.path)


@pytest.fixture(scope="module")
def bundles(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("bundles")
    return Made(lambda kind: export(runs[kind], out / kind))


# -- layers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, theirs", [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_a_layer_is_torchs_where_no_episode_begins(kind: str, theirs: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    ours, other = RecurrentLayer(kind, 5, 4), theirs(5, 4)
    other.load_state_dict(ours.state_dict())
    features, hidden, cell = torch.randn(7, 3, 5), torch.randn(3, 4), torch.randn(3, 4)
    outputs, after = ours(features, (hidden, cell), torch.zeros(7, 3, dtype=torch.bool))
    expected, last = other(features, (hidden[None], cell[None]) if kind == "lstm" else hidden[None])
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(after[0], (last[0] if kind == "lstm" else last)[0])
    weights = torch.randn(7, 3, 4)
    for found, state in ((outputs, after[0]), (expected, (last[0] if kind == "lstm" else last)[0])):
        ((found * weights).sum() + state.square().sum()).backward()
    theirs_by_name = dict(other.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs_by_name[name].grad)


def test_gradients_stop_where_an_episode_begins() -> None:
    """By finite differences, of everything that the LSTM's recurrence depends on."""
    torch.manual_seed(0)
    keep = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)[:, :, None]
    shapes = (3, 2, 12), (12, 3), (2, 3), (2, 3)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda *x: LSTMSequence.apply(*x, keep), inputs)
    outputs, _, _ = LSTMSequence.apply(*inputs, keep)
    outputs[2, 0].sum().backward()  # the third step of the first row begins an episode
    assert not inputs[0].grad[:2].any()
    assert inputs[0].grad[2, 0, :3].all()
    assert not inputs[0].grad[2, 0, 3:6].any()  # there is nothing to forget


def test_a_state_is_zero_where_an_episode_begins_and_true_elsewhere() -> None:
    """One unit whose gates are all at sigmoid(0) and whose candidate is tanh(x): c' = c/2 + tanh(x)/2."""
    layer = RecurrentLayer("lstm", 1, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_ih_l0[2, 0] = 1.0
    x = torch.full((3, 2, 1), 0.5)
    starts = torch.tensor([[False, True], [False, False], [True, False]])
    _, (hidden, cell) = layer(x, (torch.zeros(2, 1), torch.full((2, 1), 4.0)), starts)
    u = np.tanh(0.5) / 2
    # Row 0 carries 4 until its third step, which begins an episode; row 1 forgets 4 at once, then adds up.
    np.testing.assert_allclose(cell[:, 0].detach(), [u, ((0 / 2 + u) / 2 + u) / 2 + u], rtol=1e-6)
    torch.testing.assert_close(hidden, torch.tanh(cell) / 2)
    _, (_, before) = layer(x[:2], (torch.zeros(2, 1), torch.full((2, 1), 4.0)), starts[:2])
    np.testing.assert_allclose(before[0].detach(), [(4 / 2 + u) / 2 + u], rtol=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_symmetric_recurrent_policy_is_equivariant_along_whole_sequences(kind: str) -> None:
    env = make_env(WALK, threads=1)
    mirrors = task_mirror(env.core.task)
    env.close()
    torch.manual_seed(0)
    networks = NetworkConfig(memory=kind, memory_size=8, policy=[8], value=[8], symmetric=True)
    policy = build_policy(networks, 37, 9, mirrors._asdict())
    obs = np.random.default_rng(0).normal(size=(2, 5, 37)).astype(np.float32)
    zeros = torch.zeros(1, 2, 8)
    flat = lambda x: torch.from_numpy(np.ascontiguousarray(x)).reshape(10, 37)  # noqa: E731
    with torch.no_grad():
        ours, image = (
            policy.get_distribution(flat(x), (zeros, zeros), torch.zeros(10))[0].distribution.mean.numpy()
            for x in (obs, mirrors.observation(obs))
        )
        value, mirrored = (
            policy.predict_values(flat(x), (zeros, zeros), torch.zeros(10)) for x in (obs, mirrors.observation(obs))
        )
    np.testing.assert_allclose(mirrors.action(ours), image, atol=1e-6)
    torch.testing.assert_close(value, mirrored)
    assert np.abs(ours - image).max() > 1e-4


# -- learning ---------------------------------------------------------------------------------------------


def test_the_losses_are_those_of_sb3_contrib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rollout, with episodes that begin inside it, as whole sequences and as sb3-contrib pads it."""
    training = build(config("lstm", algorithm="ppo"))
    model = training.model
    model.set_logger(Logger(None, []))
    model.learn(8 * 16)
    buffer = model.rollout_buffer
    assert isinstance(buffer, SequenceBuffer)
    assert buffer.episode_starts[1:].sum() > 4
    policy = model.policy

    padded = RecurrentRolloutBuffer(16, model.observation_space, model.action_space, (16, 1, 8, 6), n_envs=8)
    for step in range(16):
        seen = [getattr(buffer, key)[step] for key in ("observations", "actions", "rewards", "episode_starts")]
        found = [torch.from_numpy(getattr(buffer, key)[step]) for key in ("values", "log_probs")]
        padded.add(*seen, *found, lstm_states=buffer.first_states)  # later pieces begin with an episode, at zero
    padded.advantages, padded.returns = buffer.advantages.copy(), buffer.returns.copy()
    monkeypatch.setattr(np.random, "randint", lambda high: 0)  # where its pass over the rollout begins
    (theirs,) = padded.get(None)
    ours = buffer.sequences(np.arange(8))
    assert len(theirs.mask) > len(ours.mask)  # it is padded

    def losses(data, process) -> tuple[torch.Tensor, ...]:
        policy._process_sequence = process
        values, log_prob, entropy = policy.evaluate_actions(
            data.observations, data.actions, data.lstm_states, data.episode_starts
        )
        kept = data.mask > 0
        ratio = torch.exp(log_prob - data.old_log_prob)[kept]
        surrogate = torch.min(data.advantages[kept] * ratio, data.advantages[kept] * ratio.clamp(0.8, 1.2)).mean()
        error = (data.returns - values.flatten())[kept].square().mean()
        policy.zero_grad()
        (error - surrogate - entropy[kept].mean()).backward()
        return surrogate, error, *(p.grad.clone() for p in policy.parameters() if p.grad is not None)

    class Called(nn.Module):
        """Our layer, called as sb3-contrib calls torch's."""

        def __init__(self, layer: RecurrentLayer) -> None:
            super().__init__()
            self.input_size, self.layer = layer.input_size, layer

        def forward(self, features, states):
            out, state = self.layer(features, (states[0][0], states[1][0]), torch.zeros(features.shape[:2]).bool())
            return out, (state[0][None], state[1][None])

    contrib = lambda x, states, starts, lstm: RecurrentActorCriticPolicy._process_sequence(  # noqa: E731
        x, states, starts, Called(lstm)
    )
    found, expected = losses(ours, type(policy)._process_sequence), losses(theirs, contrib)
    assert len(found) > 10
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_state_is_carried_over_the_border_of_two_rollouts() -> None:
    training = build(config("gru", **{"algorithm": "ppo", "env.kwargs.max_tilt": 9, "env.kwargs.min_height": 0}))
    model = training.model
    model.set_logger(Logger(None, []))
    model.learn(8 * 16)
    before = [x.clone() for x in model._last_lstm_states.pi]
    assert before[0].abs().min() > 0
    model.learn(8 * 16, reset_num_timesteps=False)
    torch.testing.assert_close(model.rollout_buffer.first_states.pi[0], before[0], rtol=0, atol=0)
    assert not model.rollout_buffer.episode_starts[0].any()
    assert isinstance(model, RecurrentPPO)


def test_minibatches_are_of_whole_environments() -> None:
    with pytest.raises(ConfigError, match=r"minibatches = 3 does not divide env\.num_envs = 8: with networks\.memory"):
        config("lstm", **{"ppo.minibatches": 3, "ppo.n_steps": 12})
    with pytest.raises(ConfigError, match="even number of units"):
        build(config("lstm", **{"networks.memory_size": 5, "networks.symmetric": True}))


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_equals_uninterrupted(kind: str, runs: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs[kind], tmp_path / kind))
    sorted((run / "checkpoints").glob("step_*.pt"))[-1].unlink()
    resume(run)
    state = final_state(run)
    assert differences(final_state(runs[kind]), state) == []
    assert metrics(run) == metrics(runs[kind])
    assert len(state["metrics"]["episodes"]) > 4
    kept = state["memory"]
    assert {key: np.shape(value) for key, value in kept.items() if key == "window"} or kept["pi"][0].abs().max() > 0


# -- frames -----------------------------------------------------------------------------------------------


def test_a_window_is_filled_with_the_first_observation_of_its_episode() -> None:
    obs, window = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0, 7.0, 8.0], [0.0, 0.0, 9.0, 9.0]])
    found = stack(window, obs, np.array([False, True]))
    np.testing.assert_array_equal(found, [[5, 6, 7, 8, 1, 2], [3, 4, 3, 4, 3, 4]])


# -- bundles ----------------------------------------------------------------------------------------------


def follow(policy, steps: int, seed: int = 0) -> np.ndarray:
    """Actions (steps, 4, 9) along episodes of 9 steps, each with its own beginning."""
    rng, state, actions = np.random.default_rng(seed), policy.initial_state(4), []
    for step in range(steps):
        starts = np.arange(4) == step % 9 if step else np.ones(4, bool)
        action, state = policy.act(rng.normal(size=(4, 37)).astype(np.float32), state, starts)
        actions.append(action)
    return np.array(actions)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_acts_as_its_run(kind: str, runs: dict[str, Path], bundles: dict[str, Path]) -> None:
    run, bundle = load_policy(runs[kind]), load_policy(bundles[kind])
    np.testing.assert_allclose(follow(bundle, 30), follow(run, 30), atol=1e-5)
    told = bundle.details["memory"]["states"]
    sizes = {"lstm": {"hidden": 6, "cell": 6}, "gru": {"hidden": 6}, "frames": {"window": 74}}
    assert {row["input"]: row["shape"][0] for row in told} == sizes[kind]
    assert [row["output"] for row in told] == [f"next_{name}" for name in sizes[kind]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_acts_as_its_run_for_a_thousand_steps(kind, runs, bundles) -> None:
    np.testing.assert_allclose(
        follow(load_policy(bundles[kind]), 1000), follow(load_policy(runs[kind]), 1000), atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_forgets_whatever_the_state_holds(kind: str, bundles: dict[str, Path]) -> None:
    network = load_policy(bundles[kind]).network
    obs, starts = np.random.default_rng(0).normal(size=(2, 37)).astype(np.float32), np.ones(2, bool)
    fresh = network.initial_state(2)
    spoilt = tuple(np.full_like(x, np.nan) for x in fresh)
    for a, b in zip(network(obs, fresh, starts), network(obs, spoilt, starts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_graph_that_forgets_is_not_written(runs: dict[str, Path], tmp_path: Path, monkeypatch) -> None:
    plain = OnnxNetwork.run
    forgetful = lambda self, outputs, obs, state, starts: plain(self, outputs, obs, state, np.ones_like(starts))  # noqa: E731
    monkeypatch.setattr(OnnxNetwork, "run", forgetful)
    with pytest.raises(ExportError, match="onnxruntime and torch differ by"):
        export(runs["lstm"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bundle_whose_memory_is_not_that_of_its_network_is_refused(bundles: dict[str, Path], tmp_path: Path) -> None:
    for change in ({"memory": None}, {"memory": {"states": []}}):
        folder = Path(shutil.copytree(bundles["lstm"], tmp_path / str(len(str(change)))))
        manifest = json.loads((folder / "policy.json").read_text())
        (folder / "policy.json").write_text(json.dumps(manifest | change))
        write_checksums(folder)
        with pytest.raises(BundleError, match=r"policy\.json: memory is .*, the network has"):
            load_policy(folder)


@pytest.mark.slow
def test_a_graph_with_other_states_is_refused(bundles: dict[str, Path], tmp_path: Path) -> None:
    import onnx

    folder = Path(shutil.copytree(bundles["gru"], tmp_path / "renamed"))
    model = onnx.load(folder / "policy.onnx")
    model.graph.output[-1].name = "secret"
    for node in model.graph.node:
        for at, name in enumerate(node.output):
            node.output[at] = "secret" if name == "next_hidden" else name
        for at, name in enumerate(node.input):
            node.input[at] = "secret" if name == "next_hidden" else name
    onnx.save(model, folder / "policy.onnx")
    write_checksums(folder)
    with pytest.raises(BundleError, match=r"maps \['observation', 'start', 'hidden'\] to .*'secret'"):
        load_policy(folder)


@pytest.mark.parametrize("kind", ["lstm", "frames"])
def test_a_training_begins_from_a_bundle_with_a_memory(kind, bundles, tmp_path, reference_clip) -> None:
    own = {"run.out": str(tmp_path), "run.name": "next", "run.iterations": 1, "amp.data": str(reference_clip)}
    train(config(kind, **own, **{"run.init": str(bundles[kind])}))
    other = config("gru" if kind == "lstm" else "none", **own, **{"run.init": str(bundles[kind])})
    with pytest.raises(ConfigError, match=r"run\.init: "):
        train(other)
