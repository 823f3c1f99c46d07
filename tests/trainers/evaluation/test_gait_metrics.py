"""Gait figures against numbers worked out by hand."""

import numpy as np
import pytest

from gait_envs.biomechanics import events
from gait_envs.rotations import quat_from_rotvec, quat_mul, yaw_quat
from gait_trainers.evaluation import gait_metrics as gm

DT = 0.02
WEIGHT = 3.38 * gm.GRAVITY


def contacts(left: str, right: str) -> np.ndarray:
    """Timelines such as "1100" for each foot -> (T, 1, 2)."""
    return np.array([[c == "1" for c in left], [c == "1" for c in right]]).T[:, None]


def all_valid(contact: np.ndarray) -> np.ndarray:
    return np.ones(contact.shape[:2], bool)


# -- masks ---------------------------------------------------------------------------------------------


def test_masked_mean_ignores_masked_frames_even_when_they_are_nan():
    values = np.array([[1.0, 5.0], [3.0, np.nan], [np.nan, np.nan]])
    mask = np.array([[True, False], [True, False], [False, False]])
    np.testing.assert_equal(gm.masked_mean(values, mask), [2.0, np.nan])


def test_warmup_drops_the_first_second_and_spares_episodes_that_ended_within_it():
    valid = np.ones((61, 2), bool)
    valid[31:, 1] = False  # fell after 0.6 s
    measured = gm.after_warmup(valid, DT)
    assert measured[:, 0].sum() == 10  # frames 51 … 60
    assert not measured[50, 0]
    assert measured[51, 0]
    assert measured[:, 1].sum() == 31


# -- speed and path ------------------------------------------------------------------------------------


def test_heading_velocity_turns_with_the_root_but_does_not_tilt():
    # Heading +y (90° to the left), pitched by 0.3: walking along world +y at 0.5 m/s is forward.
    quat = quat_mul(yaw_quat(np.array(np.pi / 2)), quat_from_rotvec(np.array([0.0, 0.3, 0.0])))
    qpos = np.concatenate([[0, 0, 0.47], quat, np.zeros(9)])
    qvel = np.zeros(15)
    qvel[:3] = [-0.1, 0.5, 0.2]  # 0.1 m/s to the left, climbing
    # A turn of 2 rad/s about world z, seen from a body pitched by 0.3: ω_body = R(0.3)ᵀ z · 2.
    qvel[3:6] = [-2 * np.sin(0.3), 0.0, 2 * np.cos(0.3)]
    np.testing.assert_allclose(gm.heading_velocity(qpos, qvel), [0.5, 0.1, 2.0], atol=1e-12)


def test_speed_error_is_of_the_mean_velocity_and_rms_keeps_the_ripple():
    velocity = np.zeros((4, 1, 3))
    velocity[:, 0, 0] = [0.3, 0.5, 0.3, 0.5]  # mean 0.4, ripple 0.1
    velocity[:, 0, 1] = [0.2, -0.2, 0.1, -0.1]  # sways, mean 0
    valid = np.ones((4, 1), bool)
    assert gm.speed_error(velocity, np.array([[0.4, 0, 0]]), valid) == pytest.approx(0.0)
    assert gm.speed_error(velocity, np.array([[0.1, 0.4, 0]]), valid) == pytest.approx(0.5)  # 3-4-5
    assert gm.speed_rms(velocity, np.array([[0.4, 0, 0]]), valid) == pytest.approx(0.1)
    assert gm.speed_rms(velocity, np.array([[0.3, 0, 0]]), valid) == pytest.approx(np.sqrt(0.02))


def test_lateral_drift_of_a_straight_path_in_the_first_heading_scaled_to_ten_seconds():
    # Heading +y from (1, 1). After 5 s: 2 m ahead and 0.3 m to the right (world +x): 0.6 m per 10 s.
    position = np.zeros((251, 1, 2))
    position[:] = [1.0, 1.0]
    position[-1] = [1.3, 3.0]
    yaw, valid = np.full((251, 1), np.pi / 2), np.ones((251, 1), bool)
    drift = gm.lateral_drift(position, yaw, np.array([[0.9, 0.0, 0.0]]), valid, DT)
    assert drift == pytest.approx(0.6)
    # The same motion under a command to walk forward and 0.15 m to the right per metre is no drift.
    diagonal = gm.lateral_drift(position, yaw, np.array([[0.5, -0.075, 0.0]]), valid, DT)
    assert diagonal == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("rate", [0.5, -0.5])
def test_lateral_drift_on_an_arc_is_the_distance_to_the_circle(rate):
    # 0.4 m/s at ±0.5 rad/s is a circle of 0.8 m; its centre lies 0.8 m to the left (right) of the start.
    angle = 1.7  # not where the clock says: slow or fast along the arc is speed error, not drift
    centre = np.array([0.0, np.sign(rate) * 0.8])
    on_arc = centre + 0.8 * np.array([np.sin(angle), -np.sign(rate) * np.cos(angle)])
    position = np.zeros((501, 2, 2))
    position[-1, 0] = on_arc
    position[-1, 1] = centre + (on_arc - centre) * 1.25  # 0.2 m outside
    yaw, valid = np.zeros((501, 2)), np.ones((501, 2), bool)
    drift = gm.lateral_drift(position, yaw, np.array([[0.4, 0.0, rate]] * 2), valid, DT)
    np.testing.assert_allclose(drift, [0.0, 0.2], atol=1e-12)


def test_drift_when_told_to_stand_is_the_distance_wandered():
    position = np.zeros((501, 1, 2))
    position[-1, 0] = [0.3, 0.4]
    yaw, valid = np.zeros((501, 1)), np.ones((501, 1), bool)
    assert gm.lateral_drift(position, yaw, np.zeros((1, 3)), valid, DT) == pytest.approx(0.5)


def test_heading_drift_counts_whole_turns_and_stops_at_the_last_valid_frame():
    frames = np.arange(501)
    turning = 0.75 * frames * DT  # 7.5 rad in 10 s, commanded 0.7: 0.5 rad off
    yaw = np.stack([turning, np.where(frames <= 250, 0.02 * frames * DT, 3.0)], axis=1)
    wrapped = (yaw + np.pi) % (2 * np.pi) - np.pi
    valid = np.ones((501, 2), bool)
    valid[251:, 1] = False  # 0.1 rad in 5 s, then garbage
    drift = gm.heading_drift(wrapped, np.array([0.7, 0.0]), valid, DT)
    np.testing.assert_allclose(drift, np.degrees([0.5, 0.2]))


def test_swaying_within_strides_is_no_mean_drift():
    """Four strides of half a second sway by 0.1 rad about 0.02 rad; the last frame is at the peak."""
    time = np.arange(501) * DT
    yaw = (0.02 + 0.1 * np.cos(2 * np.pi * (time - time[-1]) / 0.5))[:, None]
    yaw[0] = 0.0
    valid = np.ones((501, 1), bool)
    command = np.zeros(1)
    assert gm.heading_drift(yaw, command, valid, DT)[0] == pytest.approx(np.degrees(0.12))
    assert gm.mean_heading_drift(yaw, command, valid, DT)[0] == pytest.approx(np.degrees(0.02))


def test_followed_asks_for_all_three_and_what_is_unknown_is_not_followed():
    success = np.array([True, True, True, True, False])
    speed = np.array([0.15, 0.151, 0.0, 0.0, 0.0])
    drift = np.array([15.0, 0.0, 15.1, np.nan, 0.0])
    assert gm.followed(success, speed, drift).tolist() == [True, False, False, False, False]


def test_a_fall_within_two_seconds_is_no_drift():
    yaw, valid = np.linspace(0, 1.0, 501)[:, None], np.ones((501, 1), bool)
    valid[90:] = False
    assert np.isnan(gm.heading_drift(yaw, np.zeros(1), valid, DT)).all()
    assert np.isnan(gm.lateral_drift(np.ones((501, 1, 2)), yaw, np.zeros((1, 3)), valid, DT)).all()


# -- contact -------------------------------------------------------------------------------------------


def test_stance_adds_toe_and_heel_and_outvotes_single_frames():
    force = np.zeros((6, 1, 4))
    force[1:4, 0, :2] = 1.0  # left: 2 N over toe and heel for three frames
    force[3, 0, 2] = 50.0  # right: one bouncing frame
    contact = events.stance(force, 1.5, np.ones((6, 1), bool))
    np.testing.assert_array_equal(contact[:, 0, 0], [0, 1, 1, 1, 0, 0])
    assert not contact[:, 0, 1].any()


def test_support_shares_by_hand():
    contact = contacts("11110000", "00111001")
    shares = gm.support_shares(contact, all_valid(contact))
    assert shares["double_support"] == pytest.approx(2 / 8)
    assert shares["flight"] == pytest.approx(2 / 8)
    assert shares["single_support"] == pytest.approx(4 / 8)
    late = all_valid(contact)
    late[:4] = False
    assert gm.support_shares(contact, late)["single_support"] == pytest.approx(2 / 4)


@pytest.mark.parametrize(
    "left, right, share",
    [
        ("110011001100", "001100110011", 1.0),  # L R L R L R
        ("110110110", "000000000", 0.0),  # hops on the left
        ("11011000110", "00000110001", 3 / 4),  # L L R L R: the first pair stays on a side
        ("111111", "111111", np.nan),  # stands
    ],
)
def test_alternation_by_hand(left, right, share):
    contact = contacts(left, right)
    np.testing.assert_allclose(gm.alternation(contact, all_valid(contact)), share)


def test_alternation_does_not_pair_phases_of_different_episodes():
    walk = contacts("1100", "0011")
    both = np.concatenate([walk, walk[:, :, ::-1]], axis=1)  # L R and R L: one change each
    np.testing.assert_allclose(gm.alternation(both, all_valid(both)), [1.0, 1.0])
    hop = np.concatenate([contacts("1100", "0000"), contacts("0000", "1100")], axis=1)
    assert np.isnan(gm.alternation(hop, all_valid(hop))).all()


def test_foot_slip_is_horizontal_and_only_of_standing_feet():
    contact = contacts("110", "001")
    velocity = np.zeros((3, 1, 2, 3))
    velocity[0, 0, 0] = [0.3, 0.4, 9.0]  # slips at 0.5
    velocity[1, 0, 0] = [0.0, 0.1, 0.0]
    velocity[:2, 0, 1] = 7.0  # swings
    velocity[2, 0, 1] = [0.0, 0.0, 1.0]  # pivots in place
    assert gm.foot_slip(contact, velocity, all_valid(contact)) == pytest.approx(0.6 / 3)
    nothing = contacts("000", "000")
    assert np.isnan(gm.foot_slip(nothing, velocity, all_valid(nothing)))


# -- steps ---------------------------------------------------------------------------------------------


def test_steps_by_hand_time_length_and_side():
    # Touchdowns: right at frame 2, left at 5, right at 7 (left's stance at frame 0 began before us).
    contact = contacts("110001111", "001100011")
    yaw = np.full((9, 1), np.pi / 2)  # heading +y: length is along y
    foot_pos = np.zeros((9, 1, 2, 3))
    foot_pos[5, 0] = [[0, 0.50, 0], [0, 0.20, 0]]
    foot_pos[7, 0] = [[9, 0.50, 0], [0, 0.75, 0]]
    time, length = events.steps(contact, all_valid(contact), foot_pos, yaw, DT)
    np.testing.assert_array_equal(time.side, [0, 1])
    np.testing.assert_allclose(time.values, [3 * DT, 2 * DT])
    np.testing.assert_allclose(length.values, [0.30, 0.25])


def test_steps_do_not_cross_episodes_nor_the_first_measured_frame():
    contact = np.concatenate([contacts("0110", "0000"), contacts("0000", "0011")], axis=1)
    time, _ = events.steps(contact, all_valid(contact), np.zeros((4, 2, 2, 3)), np.zeros((4, 2)), DT)
    assert time.values.size == 0
    walk = contacts("0111", "0001")
    late = all_valid(walk)
    late[0] = False  # the left touchdown at frame 1 is then not seen
    assert events.touchdowns(walk, late).sum() == 1


def test_asymmetry_by_hand():
    # Episode 0: left 0.30, 0.34 (mean 0.32), right 0.40, 0.40: |0.32 − 0.40| / 0.36. Episode 1: one a side.
    found = events.Events(
        episode=np.array([0, 0, 0, 0, 1, 1]),
        side=np.array([0, 1, 0, 1, 0, 1]),
        values=np.array([0.30, 0.40, 0.34, 0.40, 1.0, 2.0]),
    )
    np.testing.assert_allclose(found.asymmetry(3), [0.08 / 0.36, np.nan, np.nan])
    np.testing.assert_allclose(found.mean(3), [0.36, 1.5, np.nan])


def test_stance_times_count_only_whole_stances():
    contact = contacts("1101110", "0111100")
    times = events.stance_times(contact, all_valid(contact), DT)
    np.testing.assert_array_equal(times.side, [0, 1])  # left's first stance began before the recording
    np.testing.assert_allclose(times.values, [3 * DT, 4 * DT])


def test_rebounds_are_swings_too_short_to_be_steps():
    """Of swings of 8, 2, 8 and 4 frames the second is a rebound: half of the long ones is still a swing."""
    left, right = "11000000001001100000000111", "11111111111111111000011111"
    contact = np.concatenate([contacts(left, right), contacts("1" * 26, "1" * 9 + "0" * 9 + "1" * 8)], axis=1)
    np.testing.assert_allclose(events.rebounds(contact, all_valid(contact)), [0.25, np.nan])  # one swing tells nothing
    short = all_valid(contact)
    short[:5] = False  # the first swing begins before what is measured: of 2, 8 and 4
    np.testing.assert_allclose(events.rebounds(contact, short)[0], 1 / 3)


# -- effort and falls ----------------------------------------------------------------------------------


def test_cost_of_transport_counts_braking_and_leaves_sway_out():
    torque = np.zeros((4, 1, 9))
    rate = np.zeros((4, 1, 9))
    torque[:, 0, :2], rate[:, 0, 0], rate[:, 0, 1] = 2.0, 1.5, -0.5  # |3| + |−1| = 4 W
    velocity = np.zeros((4, 1, 3))
    velocity[:, 0, 0] = 0.5
    velocity[:, 0, 1] = [0.4, -0.4, 0.4, -0.4]
    valid = np.ones((4, 1), bool)
    cost = gm.cost_of_transport(torque, rate, velocity, valid, 3.38)
    assert cost == pytest.approx(4.0 / (WEIGHT * 0.5))
    assert np.isnan(gm.cost_of_transport(torque, rate, np.zeros((4, 1, 3)), valid, 3.38))


@pytest.mark.parametrize(
    "tilt, cause",
    [
        ([0.0, 1.2, 0.0], "forward"),
        ([0.0, -1.2, 0.0], "backward"),
        ([-1.2, 0.1, 0.0], "left"),
        ([1.2, 0.1, 0.0], "right"),
        ([0.0, 0.2, 0.0], "low"),
        ([0.0, 3.0, 0.0], "forward"),
        ([0.0, np.nan, 0.0], "diverged"),
    ],
)
@pytest.mark.parametrize("heading", [0.0, 2.0])
def test_fall_causes_are_told_from_the_lean_whatever_the_heading(tilt, cause, heading):
    quat = quat_mul(yaw_quat(np.array(heading)), quat_from_rotvec(np.array(tilt)))
    qpos = np.concatenate([[0, 0, 0.2], quat, np.zeros(9)])[None]
    assert gm.fall_cause(qpos).tolist() == [cause]


# -- all of it -----------------------------------------------------------------------------------------


def walk_rollout(shorter_right: int = 0, frames: int = 551) -> gm.Rollout:
    """A paper walker: 0.4 s a step of 0.2 m, 0.1 s of double support, along +x at 0.5 m/s."""
    t = np.arange(frames)
    phase = t % 40
    left = phase < 25  # stands 0.5 s of 0.8
    right = ((t + 20 - shorter_right) % 40) < 25 - shorter_right
    qpos = np.zeros((frames, 1, 16))
    qpos[:, 0, 0], qpos[:, 0, 2], qpos[:, 0, 3] = 0.5 * t * DT, 0.47, 1.0
    qvel = np.zeros((frames, 1, 15))
    qvel[:, 0, 0] = 0.5
    qvel[:, 0, 6] = 1.0
    force = np.zeros((frames, 1, 4))
    force[:, 0, 0], force[:, 0, 3] = 20.0 * left, 20.0 * right
    foot_pos = np.zeros((frames, 1, 2, 3))
    foot_pos[:, 0, 0, 0] = np.where(left, 0.2, 0.0)  # whichever foot lands is 0.2 m ahead
    foot_pos[phase < 20, 0, 0, 0], foot_pos[phase < 20, 0, 1, 0] = 0.2, 0.0
    foot_pos[phase >= 20, 0, 0, 0], foot_pos[phase >= 20, 0, 1, 0] = 0.0, 0.2
    return gm.Rollout(
        qpos, qvel, force, foot_pos, np.zeros((frames, 1, 2, 3)), np.full((frames, 1, 9), 0.5),
        np.array([[0.4, 0.0, 0.0]]), np.ones((frames, 1), bool), DT, np.array([3.38]),
    )  # fmt: skip


def test_a_symmetric_walk_gets_the_figures_it_was_drawn_with():
    m = {name: value[0] for name, value in gm.episode_metrics(walk_rollout()).items()}
    assert m["speed_error"] == pytest.approx(0.1)
    assert m["lateral_drift"] == pytest.approx(0.0)
    assert m["heading_drift_deg"] == pytest.approx(0.0)
    assert m["step_symmetry"] == pytest.approx(0.0, abs=1e-9)
    assert m["single_support"] == pytest.approx(0.75, abs=0.02)
    assert m["double_support"] == pytest.approx(0.25, abs=0.02)
    assert m["alternation"] == 1.0
    assert m["step_length"] == pytest.approx(0.2)
    assert m["stance_time"] == pytest.approx(0.5)
    assert m["cadence"] == pytest.approx(150.0)  # a step every 0.4 s, 10 s measured
    assert m["foot_slip"] == 0.0
    assert m["cost_of_transport"] == pytest.approx(0.5 / (WEIGHT * 0.5))


def test_a_limp_shows_in_stance_times():
    m = gm.episode_metrics(walk_rollout(shorter_right=5))
    assert m["stance_time_symmetry"][0] == pytest.approx(0.1 / 0.45)  # 0.5 s left, 0.4 s right
    assert m["step_symmetry"][0] >= m["stance_time_symmetry"][0]


def test_a_fallen_robot_s_frames_after_the_fall_change_nothing():
    whole = walk_rollout(frames=301)
    garbage = walk_rollout()
    valid = garbage.valid.copy()
    valid[301:] = False
    for name in ("qpos", "qvel", "foot_force", "foot_vel", "torque"):
        getattr(garbage, name)[301:] = 1e3
    cut = gm.Rollout(**{**garbage.__dict__, "valid": valid})
    expected, got = gm.episode_metrics(whole), gm.episode_metrics(cut)
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], atol=1e-12, err_msg=name)


def test_each_body_has_its_own_mass():
    """Two bodies with the same load on a foot, 15 N: one of 10 kg stands on it (5 % of its weight is 4.9 N), one of 40
    kg does not; the same power at the same speed costs it a quarter."""
    force = np.zeros((3, 2, 4))
    force[..., 0] = 15.0
    stands = gm.stance(force, 0.05 * np.array([10.0, 40.0]) * 9.81, np.ones((3, 2), bool))
    assert stands[:, 0].tolist() == [[True, False]] * 3
    assert not stands[:, 1].any()
    torque, rate = np.ones((3, 2, 1)), np.full((3, 2, 1), 2.0)
    velocity = np.zeros((3, 2, 3))
    velocity[..., 0] = 0.5
    cost = gm.cost_of_transport(torque, rate, velocity, np.ones((3, 2), bool), np.array([10.0, 40.0]))
    np.testing.assert_allclose(cost, [2.0 / (10 * 9.81 * 0.5), 2.0 / (40 * 9.81 * 0.5)])
