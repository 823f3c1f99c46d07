"""Windows, discriminator, style reward, replay, and the order in which they act."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers.scripted_env import ScriptedEnv
from stable_baselines3 import PPO

from gait_envs.layout import Layout, Row
from gait_envs.models.mirror import SignedPermutation
from gait_envs.models.robot import Robot, humanoid, wildrobot
from gait_envs.reference.amp_features import amp_layout, clip_features
from gait_envs.reference.library import EMBEDDED_SETS, load_clips
from gait_trainers.learners.amp import callback as callback_module
from gait_trainers.learners.amp.callback import AMPCallback
from gait_trainers.learners.amp.reward import AMPRewardWrapper, clip_reward, quadratic_reward
from gait_trainers.learners.amp.scale import describe_still, std_floors, still_features
from gait_trainers.learners.amp.spec import AMPConfig
from gait_trainers.learners.amp.windows import ReferenceWindows, WindowStack, clip_windows
from gait_trainers.learners.replay import ReplayBuffer, mix
from gait_trainers.models.discriminator import Discriminator, accuracy, discriminator_losses, feature_statistics
from gait_trainers.rl.sb3_vec import SB3VecEnv

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


def wrapped(lengths: list[int], falls: list[bool], frames: int, weight: float = 1.0) -> AMPRewardWrapper:
    """Scores 0.001 times the time shown in the newest frame, on features (index, episode, time)."""
    discriminator = linear_discriminator([0.0] * (3 * frames - 1) + [0.001], frames=frames)
    return AMPRewardWrapper(SB3VecEnv(ScriptedEnv(lengths, falls)), discriminator, frames=frames, weight=weight)


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


SMALL = AMPConfig(hidden=[16], batch_size=64, updates=3, replay_size=1000, learning_rate=3e-3)


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


def test_input_noise_falls_linearly() -> None:
    config = SMALL.model_copy(update={"input_noise": 0.5, "input_noise_final": 0.1, "input_noise_decay": 4})
    callback = make_callback(config, np.random.default_rng(0).normal(size=(50, 3)))
    seen = []
    for callback.iteration in (0, 1, 4, 9):
        seen.append(callback.input_noise())
    assert seen == pytest.approx([0.5, 0.4, 0.1, 0.1])


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
