"""Windows, discriminator, style reward, replay, and the order in which they act."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.scripted_env import ScriptedEnv
from stable_baselines3 import PPO

from gait_envs.assets import asset_path
from gait_envs.layout import Layout, Row
from gait_envs.models.mirror import SignedPermutation
from gait_envs.models.robot import Robot, humanoid, wildrobot
from gait_envs.reference.amp_features import amp_layout, clip_features
from gait_envs.reference.clip import load_clip, save_clip
from gait_envs.reference.library import EMBEDDED_SETS, load_clips
from gait_trainers.config.layers import load_config
from gait_trainers.config.schedule import Settings
from gait_trainers.config.section import ConfigError
from gait_trainers.learners.amp import callback as callback_module
from gait_trainers.learners.amp import learner as learner_module
from gait_trainers.learners.amp.callback import AMPCallback
from gait_trainers.learners.amp.learner import AMPLearner, artefacts
from gait_trainers.learners.amp.reward import AMPRewardWrapper, clip_reward, quadratic_reward
from gait_trainers.learners.amp.scale import describe_still, std_floors, still_features
from gait_trainers.learners.amp.spec import SPEC, AMPConfig
from gait_trainers.learners.amp.windows import ReferenceWindows, WindowStack, clip_windows
from gait_trainers.learners.replay import ReplayBuffer, mix
from gait_trainers.models.discriminator import Discriminator, accuracy, discriminator_losses, feature_statistics
from gait_trainers.rl.build import build
from gait_trainers.rl.sb3_vec import SB3VecEnv
from gait_trainers.rl.train import clip_licenses

# -- windows ----------------------------------------------------------------------------------------------


def test_clip_windows_oldest_frame_first() -> None:
    frames = np.array([[1, 10], [2, 20], [3, 30]])
    assert clip_windows(frames, 2).tolist() == [[1, 10, 2, 20], [2, 20, 3, 30]]
    assert clip_windows(frames, 3).tolist() == [[1, 10, 2, 20, 3, 30]]
    with pytest.raises(ValueError, match="3 frames holds no window of 4"):
        clip_windows(frames, 4)


def test_frames_of_a_dilated_window_lie_apart() -> None:
    frames = np.arange(7)[:, None]
    assert clip_windows(frames, 3, 2).tolist() == [[0, 2, 4], [1, 3, 5], [2, 4, 6]]
    with pytest.raises(ValueError, match="7 frames holds no window of 3, 4 apart"):
        clip_windows(frames, 3, 4)
    stack = WindowStack(1, 3, 1, 2)
    stack.reset(np.array([True]), np.array([[0.0]]))
    seen = []
    for frame in range(1, 7):
        windows, valid = stack.push(np.array([[float(frame)]]))
        seen.append(windows[0].tolist() if valid[0] else None)
    assert seen == [None, None, None, [0, 2, 4], [1, 3, 5], [2, 4, 6]]


def test_half_of_the_policys_windows_are_mirrored_frame_by_frame() -> None:
    mirror = SignedPermutation(np.array([1, 0]), np.array([1.0, -1.0]))  # (a, b) -> (b, -a)... of each frame
    amp = make_callback(AMPConfig(frames=2, hidden=[8]), np.random.default_rng(0).normal(size=(9, 3)))
    windows = np.tile(np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32), (1000, 1))
    out = amp._half_mirrored(windows, mirror)
    assert {tuple(row) for row in out.tolist()} == {(1, 2, 3, 4), (2, -1, 4, -3)}
    assert (out[:, 0] == 1).mean() == pytest.approx(0.5, abs=0.05)
    assert out.dtype == np.float32
    assert (windows == [1, 2, 3, 4]).all()


def test_reference_windows_stay_inside_a_clip_and_clips_are_equally_likely() -> None:
    # A frame is (clip, time); the clips differ in length a hundredfold.
    clips = [np.stack([np.full(n, c), np.arange(n)], axis=1) for c, n in enumerate((5, 500))]
    reference = ReferenceWindows(clips, 3)
    drawn = reference.sample(4000, np.random.default_rng(0)).reshape(-1, 3, 2)
    assert (drawn[:, :, 0] == drawn[:, :1, 0]).all()
    assert (np.diff(drawn[:, :, 1], axis=1) == 1).all()
    assert drawn[:, 0, 0].mean() == pytest.approx(0.5, abs=0.04)
    assert set(drawn[drawn[:, 0, 0] == 0][:, 0, 1]) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("length", [1, 2, 3])
def test_window_stack_never_spans_a_reset(length: int) -> None:
    stack = WindowStack(1, length, 1)
    stack.reset(np.array([True]), np.array([[0.0]]))
    seen = []
    for frame in (1.0, 2.0, 3.0):
        windows, valid = stack.push(np.array([[frame]]))
        seen.append(windows[0].tolist() if valid[0] else None)
    expected = {1: [[1], [2], [3]], 2: [[0, 1], [1, 2], [2, 3]], 3: [None, [0, 1, 2], [1, 2, 3]]}
    assert seen == expected[length]
    stack.reset(np.array([True]), np.array([[50.0]]))
    windows, valid = stack.push(np.array([[51.0]]))
    assert valid[0] == (length <= 2)
    assert not valid[0] or windows[0].tolist() == [50.0, 51.0][-length:]


def test_a_window_stack_goes_on_where_its_state_was_taken() -> None:
    stack, other = WindowStack(2, 3, 1), WindowStack(2, 3, 1)
    stack.reset(np.array([True, True]), np.zeros((2, 1)))
    stack.push(np.ones((2, 1)))
    stack.reset(np.array([False, True]), np.full((2, 1), 5.0))
    other.set_state(stack.get_state())
    for frame in (2.0, 3.0):
        windows, valid = stack.push(np.full((2, 1), frame))
        again, same = other.push(np.full((2, 1), frame))
        np.testing.assert_array_equal(again[same], windows[valid])
        np.testing.assert_array_equal(same, valid)
        assert valid.tolist() == [True, frame == 3.0]


# -- discriminator ------------------------------------------------------------------------------------------


def linear_discriminator(weight: list[float], bias: float = 0.0, frames: int = 1) -> Discriminator:
    """D(x) = w·x + b on inputs of mean 0 and deviation 1."""
    d = len(weight) // frames
    discriminator = Discriminator(np.array([[-1.0] * d, [1.0] * d]), frames, hidden=())
    with torch.no_grad():
        discriminator.layers[0].weight.copy_(torch.tensor([weight]))
        discriminator.layers[0].bias.fill_(bias)
    return discriminator


def test_losses_by_hand() -> None:
    discriminator = linear_discriminator([0.5, -1.0], bias=0.25)
    real = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # scores 0.75, -0.75
    fake = torch.tensor([[0.5, 0.0]])  # score 0.5
    losses = discriminator_losses(discriminator, real, fake)
    assert losses.lsgan.item() == pytest.approx(0.5 * ((0.25**2 + 1.75**2) / 2 + 0.5**2))
    assert losses.r1.item() == pytest.approx(0.5**2 + 1.0**2)
    smoothed = discriminator_losses(discriminator, real, fake, label_smoothing=0.1)
    assert smoothed.lsgan.item() == pytest.approx(0.5 * ((0.15**2 + 1.65**2) / 2 + 0.4**2))


def test_r1_is_taken_on_real_windows_and_trains_the_weights() -> None:
    # d(r1)/dw = 2 w, whatever the inputs.
    discriminator = linear_discriminator([0.5, -1.0])
    discriminator_losses(discriminator, torch.randn(8, 2), torch.randn(8, 2)).r1.backward()
    assert discriminator.layers[0].weight.grad[0].tolist() == pytest.approx([1.0, -2.0])


def test_r1_is_the_slope_at_reference_windows_alone() -> None:
    # D(x) = 3 elu(2 x): of slope 6 where x > 0, as all reference windows are, and 6 exp(2 x) where x < 0.
    discriminator = Discriminator(np.array([[-1.0], [1.0]]), hidden=(1,), use_spectral_norm=False)
    with torch.no_grad():
        discriminator.layers[0].weight.fill_(2.0)
        discriminator.layers[1] = torch.nn.Identity()  # the layer normalisation of a single number is constant
        discriminator.layers[3].weight.fill_(3.0)
    above, below = torch.tensor([[0.5], [1.0], [2.0]]), torch.tensor([[-1.0]])
    assert discriminator_losses(discriminator, above, below).r1.item() == pytest.approx(36.0)
    assert discriminator_losses(discriminator, below, above).r1.item() == pytest.approx(36.0 * np.exp(-4.0))


def test_noise_is_added_to_both_kinds_of_normalised_windows() -> None:
    """Scores of D(x) = x: with noise of deviation 0.5, targets 1 and 0 are missed by 0.25 / 2 each, in the mean."""
    discriminator = linear_discriminator([1.0])
    real, fake = torch.ones(20_000, 1), torch.zeros(20_000, 1)
    assert discriminator_losses(discriminator, real, fake).lsgan.item() == 0.0
    noise = {"noise": 0.5, "generator": torch.Generator().manual_seed(0)}
    assert discriminator_losses(discriminator, real, fake, **noise).lsgan.item() == pytest.approx(0.25, rel=0.03)


def test_normalisation_uses_fixed_reference_statistics_for_every_frame() -> None:
    frames = np.array([[0.0, 5.0], [2.0, 5.0]])  # mean (1, 5), deviation (1, 0 -> floor)
    discriminator = Discriminator(frames, frames=2, hidden=(4,), std_floor=0.5)
    x = torch.tensor([[3.0, 6.0, 1.0, 5.0]])
    assert discriminator.normalize(x)[0].tolist() == [2.0, 2.0, 0.0, 0.0]
    assert not {name for name, _ in discriminator.named_parameters()} & {"mean", "std"}


def test_initialisation_is_orthogonal() -> None:
    discriminator = Discriminator(np.random.default_rng(0).normal(size=(9, 6)), hidden=(4,), use_spectral_norm=False)
    hidden, out = discriminator.layers[0].weight, discriminator.layers[-1].weight
    assert torch.allclose(hidden @ hidden.T, 2.0 * torch.eye(4), atol=1e-5)
    assert out.norm().item() == pytest.approx(0.01)


def test_layers_without_spectral_norm_have_layer_normalisation() -> None:
    plain = Discriminator(np.zeros((2, 6)), hidden=(32, 16), use_spectral_norm=False)
    assert [type(layer).__name__ for layer in plain.layers] == [*["Linear", "LayerNorm", "ELU"] * 2, "Linear"]
    assert [layer.normalized_shape for layer in plain.layers if isinstance(layer, torch.nn.LayerNorm)] == [(32,), (16,)]


def test_spectral_norm_bounds_each_hidden_layer() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(np.random.default_rng(0).normal(size=(9, 6)), hidden=(32, 16))
    for layer in (discriminator.layers[0], discriminator.layers[2]):
        with torch.no_grad():
            layer.parametrizations.weight.original.mul_(7.0)
            layer.parametrizations.weight.original[0] += 3.0
    discriminator.train()
    for _ in range(50):  # a power iteration each
        discriminator(torch.randn(4, 6))
    discriminator.eval()
    for layer in (discriminator.layers[0], discriminator.layers[2]):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1.0, abs=1e-3)


def test_accuracy_counts_both_sides() -> None:
    assert accuracy(torch.tensor([0.6, 0.4]), torch.tensor([0.1, 0.2, 0.3, 0.9])) == pytest.approx(0.5 * (0.5 + 0.75))
    assert accuracy(torch.tensor([0.5]), torch.tensor([0.5])) == 0.0  # undecided is not right


# -- scale of features ---------------------------------------------------------------------------------------


LAYOUT = Layout((Row("joint_position", 2, "rad", ""), Row("joint_velocity", 2, "rad/s", ""), Row("height", 1, "m", "")))


def test_floors_fit_the_unit_and_what_is_still_is_named() -> None:
    assert std_floors(LAYOUT).tolist() == [0.02, 0.02, 0.2, 0.2, 0.005]
    frames = np.array([[0.0, 1.0, -1.0, 7.0, 0.90], [0.1, 1.0, 1.0, 7.0, 0.91]])  # deviations 0.05, 0, 1, 0, 0.005
    mean, std = feature_statistics(frames, std_floors(LAYOUT))
    assert std == pytest.approx([0.05, 0.02, 1.0, 0.2, 0.005])
    assert mean == pytest.approx([0.05, 1.0, 0.0, 7.0, 0.905])
    still = still_features(frames, LAYOUT, ("hip", "knee"))
    assert still == {"joint_position": ["knee"], "joint_velocity": ["knee"]}
    assert describe_still(still, 5).startswith("the reference holds 2 of 5 style features still")
    assert describe_still(still, 5).endswith("joint_position of knee; joint_velocity of knee")
    with pytest.raises(ValueError, match="units N; floors are known for rad,"):
        std_floors(Layout((Row("load", 1, "N", ""),)))


@pytest.mark.parametrize("robot, count", [(wildrobot, 0), (humanoid, 36)])
def test_every_embedded_reference_is_scaled_by_what_its_units_bear(robot: Callable[[], Robot], count: int) -> None:
    body = robot()
    layout = amp_layout(len(body.joint_names), body.traits.contact_scale)
    clips = load_clips(EMBEDDED_SETS[body.name])
    frames = np.concatenate([clip_features(clip, body.traits.contact_scale) for clip in clips])
    still = still_features(frames, layout, body.joint_names)
    assert sum(map(len, still.values())) == count
    deviation = frames.astype(float).std(axis=0)
    _, std = feature_statistics(frames, std_floors(layout))
    if not count:  # nothing is changed where everything varies
        np.testing.assert_array_equal(std, deviation.astype(np.float32))
    # A hundredth of a radian, and a tenth of a radian a second, in what the reference holds still is hardly seen.
    for unit, small in (("rad", 0.01), ("rad/s", 0.1)):
        of_unit = np.repeat([row.unit == unit for row in layout], [row.size for row in layout])
        assert (small / std[of_unit]).max() <= 0.5


# -- reward ---------------------------------------------------------------------------------------------------


def test_style_rewards_by_hand() -> None:
    score = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5, 3.0])
    assert clip_reward(score).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    assert quadratic_reward(score).tolist() == [0.0, 0.0, 0.75, 1.0, 0.75, 0.0]
    peng = (1 - 0.25 * ((2 * score - 1) - 1).square()).clamp(min=0)  # targets -1 and 1
    assert torch.allclose(quadratic_reward(score), peng)


def wrapped(
    lengths: list[int], falls: list[bool], frames: int, weight: float = 1.0, spare_standing: bool = False
) -> AMPRewardWrapper:
    """Scores 0.001 times the time shown in the newest frame, on features (index, episode, time)."""
    discriminator = linear_discriminator([0.0] * (3 * frames - 1) + [0.001], frames=frames)
    env = SB3VecEnv(ScriptedEnv(lengths, falls))
    return AMPRewardWrapper(env, discriminator, frames=frames, weight=weight, spare_standing=spare_standing)


def test_reward_is_task_plus_weight_times_style_of_the_state_reached() -> None:
    env = wrapped([2, 9], [True, False], frames=2, weight=100.0)
    env.reset()
    expected = [
        # time reached: reward t + 10 i, style 0.001 t; environment 0 falls at t = 2 and starts again
        [1 + 0.1, 11 + 0.1],
        [2 + 0.2, 12 + 0.2],
        [1 + 0.1, 13 + 0.3],
    ]
    for row in expected:
        _, reward, _, _ = env.step(np.zeros((2, 1), np.float32))
        assert reward == pytest.approx(row)


def test_standing_is_given_the_style_of_the_others_and_no_window() -> None:
    """The first environment is told to stand, the others to walk; the last one has just begun its second episode."""
    env = wrapped([9, 9, 2], [False, False, True], frames=3, weight=100.0, spare_standing=True)
    env.reset()
    # Style 0.001 t of the walkers once three frames are complete; the mean of theirs for the one that stands.
    for expected in ([0.0, 0.0, 0.0], [0.2, 0.2, 0.2], [0.3, 0.3, 0.0]):
        _, reward, _, _ = env.step(np.zeros((3, 1), np.float32))
        task = reward - 100.0 * env.style
        assert 100.0 * env.style == pytest.approx(expected)
        assert task - task[0] == pytest.approx([0.0, 10.0, task[2] - task[0]])
        assert not env.valid[0]
    windows = env.take_rollout().reshape(-1, 3, 3)
    assert sorted(windows[:, -1, 0].tolist()) == [1.0, 1.0, 2.0]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_stored_windows_are_consecutive_frames_of_one_episode(frames: int) -> None:
    lengths, steps = [3, 4, 50], 24
    env = wrapped(lengths, [True, False, False], frames)
    env.reset()
    for _ in range(steps):
        env.step(np.zeros((3, 1), np.float32))
        assert (env.style[~env.valid] == 0).all()
    windows = env.take_rollout().reshape(-1, frames, 3)
    assert (windows[:, :, :2] == windows[:, :1, :2]).all()  # one environment, one episode
    assert (np.diff(windows[:, :, 2], axis=1) == 1).all()  # consecutive
    # Every episode gives windows ending at each of its steps, the last included, once it has enough frames.
    lost = max(frames - 2, 0)
    for i, length in enumerate(lengths):
        episodes, rest = divmod(steps, length)
        assert (windows[:, 0, 0] == i).sum() == episodes * (length - lost) + max(rest - lost, 0)
        if episodes:
            assert windows[windows[:, 0, 0] == i][:, -1, 2].max() == length
    assert len(env.take_rollout()) == 0


def test_scoring_leaves_the_discriminator_as_it_is() -> None:
    discriminator = Discriminator(np.random.default_rng(0).normal(size=(9, 3)), hidden=(8,))
    env = AMPRewardWrapper(SB3VecEnv(ScriptedEnv([3], [True])), discriminator, frames=1, weight=1.0)
    before = {key: value.clone() for key, value in discriminator.state_dict().items()}
    env.reset()
    for _ in range(5):
        env.step(np.zeros((1, 1), np.float32))
    assert all(torch.equal(value, before[key]) for key, value in discriminator.state_dict().items())


# -- replay ------------------------------------------------------------------------------------------------------


def test_replay_is_a_ring() -> None:
    rng, replay = np.random.default_rng(0), ReplayBuffer(30, 1)
    for value in range(12):
        replay.add(np.full((3, 1), value), rng)
    assert len(replay) == 30
    assert sorted(set(replay.data[:, 0])) == list(range(2, 12))  # the oldest two are gone


def test_a_large_rollout_leaves_room_for_ten() -> None:
    rng, replay = np.random.default_rng(0), ReplayBuffer(100, 1)
    replay.add(np.arange(5000.0)[:, None], rng)
    assert len(replay) == 10
    assert len(set(replay.data[:10, 0])) == 10
    assert replay.data[:10].max() > 1000  # drawn from all of it
    odd = ReplayBuffer(25, 1)
    odd.add(np.arange(50.0)[:, None], rng)
    assert len(odd) == 3  # a tenth of 25, rounded up


def test_mix_keeps_the_ratio() -> None:
    rng, replay = np.random.default_rng(0), ReplayBuffer(100, 1)
    fresh = np.ones((20, 1), np.float32)
    assert mix(fresh, replay, 40, 0.25, rng)[1] == 40  # an empty memory
    replay.add(np.full((10, 1), 7.0), rng)
    batch, new = mix(fresh, replay, 40, 0.25, rng)
    assert (new, batch.shape) == (30, (40, 1))
    assert ((batch == 7).sum(), (batch == 1).sum()) == (10, 30)


def make_callback(config: AMPConfig, reference: np.ndarray) -> AMPCallback:
    windows = ReferenceWindows([reference], config.frames)
    torch.manual_seed(0)
    discriminator = Discriminator(windows.frames, config.frames, config.hidden)
    env = SB3VecEnv(ScriptedEnv([4, 6], [True, False]))
    return AMPCallback(AMPRewardWrapper(env, discriminator, frames=config.frames, weight=0.5), windows, config, seed=0)


def flat_row(real: float, fake: float, apart: float) -> dict[str, float]:
    return {"disc_real_std": real, "disc_fake_std": fake, "disc_real_mean": 0.5 + apart, "disc_fake_mean": 0.5}


SMALL = AMPConfig(hidden=[16], batch_size=64, updates=3, replay_size=1000, learning_rate=3e-3)


def test_noise_that_ends_elsewhere_needs_time_for_it() -> None:
    with pytest.raises(ConfigError, match=r"amp\.input_noise_final needs amp\.input_noise_decay"):
        load_config(overrides={"amp.input_noise_final": 0.0})
    load_config(overrides={"amp.input_noise_final": 0.0, "amp.input_noise_decay": 5})


def test_a_robot_without_embedded_clips_needs_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_module, "EMBEDDED_SETS", {})
    with pytest.raises(ConfigError, match=r"no embedded clips of the robot 'wildrobot'; name clips"):
        build(load_config(overrides={"env.num_envs": 1}))


def test_remembered_windows_really_reach_the_discriminator(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []

    def spy(discriminator, real, fake, **kwargs):
        batches.append(fake.numpy().copy())
        return discriminator_losses(discriminator, real, fake, **kwargs)

    monkeypatch.setattr(callback_module, "discriminator_losses", spy)
    callback = make_callback(SMALL, np.random.default_rng(0).normal(size=(50, 3)))
    callback.update(np.full((40, 3), 1.0, np.float32))
    callback.update(np.full((40, 3), 2.0, np.float32))
    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert (first == 1).all()
    assert (second == 1).mean() == 0.5
    assert (second == 2).mean() == 0.5


# -- training ---------------------------------------------------------------------------------------------------


def test_discriminator_learns_to_tell_two_motions_apart() -> None:
    rng = np.random.default_rng(0)
    callback = make_callback(SMALL.model_copy(update={"r1_gamma": 0.1}), rng.normal(size=(400, 3)))
    for _ in range(60):
        metrics = callback.update(rng.normal(loc=3.0, size=(200, 3)).astype(np.float32))
    assert metrics["disc_acc"] > 0.95
    assert metrics["disc_real_mean"] > 0.7 > 0.3 > metrics["disc_fake_mean"]
    assert {"disc_loss", "disc_r1", "disc_real_std", "disc_fake_std"} <= set(metrics)


def test_no_update_above_the_accuracy_ceiling() -> None:
    rng = np.random.default_rng(0)
    callback = make_callback(
        SMALL.model_copy(update={"r1_gamma": 0.1, "accuracy_ceiling": 0.8}), rng.normal(size=(400, 3))
    )
    rows = [callback.update(rng.normal(loc=3.0, size=(200, 3)).astype(np.float32)) for _ in range(40)]
    assert all((row["disc_updates"] == 0) == (row["disc_acc"] > 0.8) for row in rows)
    assert any(row["disc_updates"] == 0 for row in rows)


def test_the_loss_is_lsgan_and_half_of_gamma_times_r1() -> None:
    # D(x) = w x + b at w = 0.5, b = 0, on reference windows x of 1 and -1 and policy windows of 0:
    # loss = mean((w x + b - 1)^2) / 2 + b^2 / 2 + gamma / 2 w^2
    gamma, w = 5.0, 0.5
    config = SMALL.model_copy(update={"r1_gamma": gamma, "label_smoothing": 0.0, "input_noise": 0.0})
    callback = make_callback(config, np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]))
    callback.discriminator = linear_discriminator([w, 0.0, 0.0])
    callback.optimizer = torch.optim.SGD(callback.discriminator.parameters(), lr=0.1)
    callback._step(np.zeros((8, 3), np.float32))
    layer = callback.discriminator.layers[0]
    by_w, by_b = layer.weight.grad[0, 0].item(), layer.bias.grad[0].item()
    mean = (by_b + 1.0) / w  # of the windows that were drawn: d loss / d b = w mean(x) - 1
    assert abs(mean) < 0.5
    assert by_w == pytest.approx(w - mean + gamma * w, abs=1e-5)
    assert layer.weight[0, 0].item() == pytest.approx(w - 0.1 * by_w)


def test_an_update_has_the_noise_and_the_labels_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SMALL.model_copy(update={"input_noise": 0.3, "label_smoothing": 0.1})
    callback, seen = make_callback(config, np.random.default_rng(0).normal(size=(50, 3))), []

    def losses(*windows: torch.Tensor, **settings: Any) -> Any:
        seen.append(settings)
        return discriminator_losses(*windows, **settings)

    monkeypatch.setattr("gait_trainers.learners.amp.callback.discriminator_losses", losses)
    callback._step(np.zeros((8, 3), np.float32))
    assert seen == [{"noise": 0.3, "label_smoothing": 0.1, "generator": callback.generator}]


def test_at_the_usual_ceiling_even_a_perfect_discriminator_is_trained() -> None:
    callback = make_callback(SMALL, np.tile([[1.0, 0.0, 0.0], [0.9, 0.0, 0.0]], (20, 1)))
    callback.discriminator = linear_discriminator([1.0, 0.0, 0.0])
    metrics = callback.update(np.full((40, 3), -1.0, np.float32))
    assert (metrics["disc_acc"], metrics["disc_updates"]) == (1.0, SMALL.updates)
    assert metrics["disc_real_mean"] == pytest.approx(0.95, abs=0.02)
    assert metrics["disc_real_std"] == pytest.approx(0.05, abs=0.002)
    assert (metrics["disc_fake_mean"], metrics["disc_fake_std"]) == (-1.0, 0.0)


def test_noise_alone_blurs_the_second_accuracy() -> None:
    config = SMALL.model_copy(update={"input_noise": 100.0, "batch_size": 2000})
    callback = make_callback(config, np.tile([[1.0, 0.0, 0.0], [0.9, 0.0, 0.0]], (20, 1)))
    callback.discriminator = linear_discriminator([1.0, 0.0, 0.0])
    measured = callback.measure(np.full((40, 3), -1.0, np.float32))
    assert measured["disc_acc"] == 1.0
    assert measured["disc_acc_noisy"] == pytest.approx(0.5, abs=0.03)
    assert callback.measure(np.full((40, 3), -1.0, np.float32))["disc_acc_noisy"] == measured["disc_acc_noisy"]


def test_input_noise_falls_linearly() -> None:
    config = SMALL.model_copy(update={"input_noise": 0.5, "input_noise_final": 0.1, "input_noise_decay": 4})
    callback = make_callback(config, np.random.default_rng(0).normal(size=(50, 3)))
    seen = []
    for callback.iteration in (0, 1, 4, 9):
        seen.append(callback.input_noise())
    assert seen == pytest.approx([0.5, 0.4, 0.1, 0.1])
    callback.config = config.model_copy(update={"input_noise_final": None})
    assert callback.input_noise() == 0.5


def test_rewards_come_from_the_discriminator_as_it_was_before_its_update() -> None:
    callback = make_callback(SMALL, np.random.default_rng(0).normal(size=(50, 3)))
    env = callback.wrapper
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=16, gamma=0.0, seed=0, device="cpu")
    old = {key: value.clone() for key, value in callback.discriminator.state_dict().items()}
    model.learn(16, callback=callback)
    assert any(not torch.equal(value, old[key]) for key, value in callback.discriminator.state_dict().items())

    # The same steps again, scored with the old discriminator (the scripted motion ignores actions).
    replica = Discriminator(np.zeros((1, 3)), hidden=SMALL.hidden)
    replica.load_state_dict(old)
    again = AMPRewardWrapper(SB3VecEnv(ScriptedEnv([4, 6], [True, False])), replica, frames=1, weight=0.5)
    again.reset()
    expected = np.array([again.step(np.zeros((2, 1), np.float32))[1] for _ in range(8)])
    assert model.rollout_buffer.rewards == pytest.approx(expected, abs=1e-6)


def test_generators_of_the_policy_are_left_alone() -> None:
    callback = make_callback(SMALL, np.random.default_rng(0).normal(size=(50, 3)))
    torch.manual_seed(3)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    callback.update(np.ones((40, 3), np.float32))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


# -- the learner --------------------------------------------------------------------------------------------------


TRAINING = {
    "algorithm": "ppo-amp",
    "env.num_envs": 2,
    "ppo.n_steps": 8,
    "ppo.minibatches": 2,
    "networks.policy": [8],
    "networks.value": [8],
    "amp.hidden": [8],
    "amp.frames": 3,
    "amp.dilation": 2,
    "amp.weight": 0.7,
    "amp.reward": "quadratic",
}


def test_the_learner_is_as_configured(reference: str) -> None:
    config = load_config(overrides=TRAINING | {"env.kwargs.reference": reference, "amp.replay_size": 77})
    training = build(config)
    learner = training.learners["amp"]
    size = learner.layout.size
    assert learner.wrapper.stack.frames.shape == (2, 5, size)  # a window of 3, 2 apart, spans 5
    assert (learner.wrapper.stack.dilation, learner.wrapper.weight) == (2, 0.7)
    assert learner.wrapper.style_reward is quadratic_reward
    assert learner.reference.windows.shape[1] == 3 * size == len(learner.discriminator.mean)
    assert len(learner.callback.replay.data) == 77
    assert learner.mirror is learner.callback.mirror is None
    # The turning of straight walks is still; its scale is its unit's floor.
    warning, *others = learner.warnings()
    assert warning.startswith(f"the reference holds 3 of {size} style features still")
    assert [line.split()[3] for line in others] == ["left_knee_pitch", "right_knee_pitch"]  # see test_amp_commands.py
    assert learner.discriminator.std.numpy() == pytest.approx(
        np.tile(feature_statistics(learner.reference.frames, std_floors(learner.layout))[1], 3)
    )
    learner.wrapper.style, learner.wrapper.valid = np.array([0.25, 9.0]), np.array([True, False])
    assert learner.step_metrics()["amp_reward"].tolist() == [0.25]
    learner.apply_schedule(Settings({}, 0.2, None))
    learner.apply_schedule(Settings({}, None, 1.0))
    assert learner.wrapper.weight == 0.2

    left = artefacts(config.section("amp"), learner.get_state(), Path("step_1.pt"))
    windows = torch.randn(5, 3 * size)
    assert left.scorer is not None
    assert torch.equal(left.scorer(windows), learner.discriminator.eval()(windows))
    assert (left.frames, left.dilation, left.scorer.training) == (3, 2, False)

    other = {"env.kwargs.reference": reference, "amp.mirror_policy": True, "amp.mirror": True}
    config = load_config(overrides=TRAINING | other | {"amp.feature_std_floor": 50.0, "amp.spectral_norm": False})
    changed = AMPLearner(config, training.base)
    assert (changed.discriminator.std == 50.0).all()
    assert len(changed.mirror) == size
    assert len(changed.reference.windows) == 2 * len(learner.reference.windows)
    assert not hasattr(changed.discriminator.layers[0], "parametrizations")
    training.base.close()


def test_defaults() -> None:
    assert AMPConfig().model_dump() == {
        "data": None, "weight": 0.5, "mirror": False, "frames": 1, "dilation": 1, "mirror_policy": False,
        "reward": "clip", "hidden": [1024, 512, 256], "spectral_norm": True, "learning_rate": 1e-4, "batch_size": 2048,
        "updates": 3, "r1_gamma": 5.0, "input_noise": 0.02, "input_noise_final": None, "input_noise_decay": 0,
        "label_smoothing": 0.0, "accuracy_ceiling": 1.0, "feature_std_floor": None, "replay_size": 100_000,
            "spare_standing": False,
        "replay_ratio": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "allowed", "refused"),
    [
        ("frames", (1, 50), (0, 51)),
        ("dilation", (1, 50), (0, 51)),
        ("learning_rate", (1e-9,), (0,)),
        ("batch_size", (1,), (0,)),
        ("updates", (1,), (0,)),
        ("weight", (0,), (-0.1,)),
        ("r1_gamma", (0,), (-0.1,)),
        ("input_noise", (0,), (-0.1,)),
        ("input_noise_final", (0, None), (-0.1,)),
        ("input_noise_decay", (0,), (-1,)),
        ("label_smoothing", (0, 0.49), (-0.1, 0.5)),
        ("accuracy_ceiling", (0.51, 1), (0.5, 1.01)),
        ("feature_std_floor", (1e-9, None), (0,)),
        ("replay_size", (0,), (-1,)),
        ("replay_ratio", (0, 1), (-0.1, 1.1)),
    ],
)
def test_bounds_of_options(key: str, allowed: tuple, refused: tuple) -> None:
    for value in allowed:
        assert getattr(AMPConfig(**{key: value}), key) == value
    for value in refused:
        with pytest.raises(ValueError, match=key):
            AMPConfig(**{key: value})


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"disc_acc": 0.99, "amp_reward": 0.01}, ["disc_acc stuck at 1"]),
        ({"disc_acc": 0.99, "amp_reward": 0.03}, []),
        ({"disc_acc": 0.97, "amp_reward": 0.01}, []),
        ({"disc_acc": 0.99}, []),
        ({"disc_acc": 0.515}, ["disc_acc stuck at 0.5"]),
        ({"disc_acc": 0.485}, ["disc_acc stuck at 0.5"]),
        ({"disc_acc": 0.53}, []),
        ({}, []),
        # Neither side's scores vary by 0.05, and their means are less than 0.1 apart.
        (flat_row(0.04, 0.04, 0.09), ["flat discriminator"]),
        (flat_row(0.04, 0.04, -0.09), ["flat discriminator"]),
        (flat_row(0.04, 0.06, 0.09), []),
        (flat_row(0.06, 0.04, 0.09), []),
        (flat_row(0.04, 0.04, 0.11), []),
    ],
)
def test_what_counts_as_trouble(row: dict[str, float], named: list[str]) -> None:
    assert [check.name for check in SPEC.checks if check.holds(row)] == named


def test_the_licences_of_the_style_are_those_of_its_clips(tmp_path: Path) -> None:
    clip = load_clip(asset_path("motions/wildrobot_walk/walk_040_calm_0.npz"))
    file = save_clip(tmp_path / "walk.npz", dataclasses.replace(clip, license="ODbL"))
    overrides = {
        "algorithm": "ppo-amp", "env.num_envs": 2, "env.threads": 1, "ppo.n_steps": 8, "ppo.minibatches": 1,
        "networks.policy": [8], "networks.value": [8], "amp.hidden": [8], "amp.data": str(file),
    }  # fmt: skip
    assert clip_licenses(build(load_config(overrides=overrides))) == ["ODbL"]
    begins = {"env.kwargs.reference": "wildrobot_walk", "env.kwargs.rsi_probability": 0.5}
    assert clip_licenses(build(load_config(overrides=overrides | begins))) == sorted({"ODbL", clip.license})
