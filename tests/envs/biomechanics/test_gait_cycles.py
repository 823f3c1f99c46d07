"""Gait analysis against cycles made by hand, tables as files, and what instruments measure against physics."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import mujoco
import numpy as np
import pytest

from gait_envs.assets import asset_path
from gait_envs.biomechanics.clinical_angles import clinical_angles, wanted_angles
from gait_envs.biomechanics.events import stance_by_load
from gait_envs.biomechanics.gait_cycles import (
    BRIEF,
    LOADED,
    MUSCLE_GROUPS,
    PERCENT,
    UNLOADED,
    Cycle,
    Gait,
    GaitError,
    analyse,
    compare,
    find_cycles,
    headings,
    on_times,
    over_cycle,
    peaks,
    timing,
)
from gait_envs.biomechanics.normative import COLUMNS, EMG_FILE, FILES, NormativeError, bands_at, read_normative
from gait_envs.biomechanics.published_gait import figures_at, groups_of_speed
from gait_envs.core import Core
from gait_envs.models.robot import humanoid, muscle_humanoid, wildrobot
from gait_envs.reference.library import load_clips
from gait_envs.registry import make_task
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.simulation.instruments import Instruments, Samples

LEG = 0.9  # m

# -- cycles --------------------------------------------------------------------------------------------


def test_a_foot_stands_from_five_percent_of_the_weight_until_it_has_left() -> None:
    load = np.array([0.0, 0.03, 0.06, 0.9, 0.04, 0.03, 0.9, 0.03, 0.01, 0.04, 0.0])
    assert stance_by_load(load, LOADED, UNLOADED, 0.8).tolist() == [False, False] + 6 * [True] + 3 * [False]
    assert not stance_by_load(np.zeros(0), LOADED, UNLOADED, 0.8).size


def test_brief_touches_and_gaps_are_none() -> None:
    load = np.zeros(200)
    load[20:80] = load[120:180] = 1.0
    load[40:44] = 0.0  # 40 ms at 100 Hz: a bounce
    load[95:98] = 0.5  # a scuff
    on = stance_by_load(load, LOADED, UNLOADED, 100.0 * BRIEF)
    assert np.flatnonzero(np.diff(on.astype(int))).tolist() == [19, 79, 119, 179]
    assert find_cycles(on) == [Cycle(20, 80, 120)]


def test_cycles_go_from_strike_to_strike() -> None:
    on = np.zeros(100, dtype=bool)
    on[:5] = on[10:16] = on[20:27] = on[31:] = True  # the first was on the ground already, the last does not end
    assert find_cycles(on) == [Cycle(10, 16, 20), Cycle(20, 27, 31)]
    assert find_cycles(np.ones(50, dtype=bool)) == []


def test_a_line_over_a_cycle_is_a_line() -> None:
    curve = over_cycle(3.0 + 0.5 * np.arange(300.0), Cycle(40, 100, 141))
    assert np.allclose(curve, 3.0 + 0.5 * np.linspace(40, 141, 51), atol=1e-9)


def test_a_point_is_the_mean_about_it() -> None:
    values = np.zeros(300)
    values[110] = 1.0  # a triangle of area 1, all within one fiftieth of 100 samples... of 500
    curve = over_cycle(np.concatenate([np.zeros(50), values, np.zeros(400)]), Cycle(60, 300, 560))
    assert curve[10] == pytest.approx(1.0 / 10.0)  # the cycle has 500 samples, a point 10
    assert np.count_nonzero(np.abs(curve) > 1e-12) == 1


def test_the_way_has_no_sway_in_it() -> None:
    time = np.arange(600) / 100
    forward, aside = 1.2 * time, 0.03 * np.sin(2 * np.pi * time)
    turn = 0.4
    path = np.stack([np.cos(turn) * forward - np.sin(turn) * aside, np.sin(turn) * forward + np.cos(turn) * aside], 1)
    assert headings(path, 100) == pytest.approx(np.full(600, turn), abs=1e-9)


# -- comparing -----------------------------------------------------------------------------------------


def test_correlation_and_differences_by_hand() -> None:
    ours, mean, sd = np.array([1.0, 2.0, 3.0, 6.0]), np.array([2.0, 1.0, 4.0, 5.0]), np.array([1.0, 1.0, 3.0, 3.0])
    # Deviations (-2, -1, 0, 3) and (-1, -2, 1, 2): 10 / √(14 · 10); differences of 1 everywhere; a mean SD of 2.
    found = compare(ours, mean, sd)
    assert found == pytest.approx((10 / np.sqrt(140), 1.0, 0.5))
    assert np.isnan(compare(np.ones(4), mean, sd).correlation)
    assert compare(ours, mean, np.zeros(4)) == pytest.approx((10 / np.sqrt(140), 1.0, np.nan), nan_ok=True)


def test_timing_by_hand() -> None:
    curve, on = np.zeros(51), np.zeros(51, dtype=bool)
    curve[:10], curve[10:20], on[5:25] = 1.0, 0.1, True
    # Within: 5 · 1 + 10 · 0.1 = 6 of 11. On from 0.2: 10 points, 5 of them among the 20 published ones.
    assert timing(curve, on) == pytest.approx((6 / 11, 0.4, 5 / 25))


def test_on_times_stretch_with_the_stance() -> None:
    same = on_times([(0.0, 10.0), (90.0, 100.0)], 60.0, 0.6)
    assert PERCENT[same].tolist() == [0, 2, 4, 6, 8, 10, 90, 92, 94, 96, 98, 100]
    longer = on_times([(30.0, 60.0)], 60.0, 0.8)  # half of the stance to its end
    assert PERCENT[longer].tolist() == list(range(40, 81, 2))


# -- whole walks ---------------------------------------------------------------------------------------


def clip_samples(name: str, cycles: int = 4) -> tuple[Samples, tuple[str, ...], float]:
    """An embedded walk, gone round several times, with its torques and loads as what was measured."""
    clip = next(clip for clip in load_clips("human_walk") if clip.name == name)
    n = clip.frames - 1
    qpos = np.tile(clip.qpos[:n], (cycles, 1))
    qpos[:, 0] += np.repeat(np.arange(cycles), n) * (clip.qpos[-1, 0] - clip.qpos[0, 0])
    assert clip.contacts is not None
    assert clip.torque is not None
    load = np.tile(clip.contacts[:n], (cycles, 1)).reshape(-1, 2, 2).sum(axis=-1)
    ground = np.stack([0.1 * load, np.zeros_like(load), load], axis=-1)
    torque, rates = np.tile(clip.torque[:n], (cycles, 1)), np.tile(clip.qvel[:n], (cycles, 1))
    return Samples(qpos, rates, torque, ground, np.zeros((len(qpos), 0))), clip.joint_names, clip.fps


@pytest.fixture(scope="module")
def gait() -> Gait:
    samples, names, fps = clip_samples("walk_120")
    return analyse(samples, names, humanoid().mass, fps)


def test_the_embedded_walk_is_found_to_walk_as_published(gait: Gait) -> None:
    assert gait.speed == pytest.approx(1.2, abs=0.01)
    figures = figures_at(1.2, LEG)
    assert gait.stride_time == pytest.approx(figures.cycle, abs=1 / 30)
    assert gait.step_length == pytest.approx(0.6 * gait.stride_time, abs=0.01)
    assert gait.foot_off == pytest.approx(figures.foot_off, abs=0.04)
    bands = bands_at(gait.speed, LEG, None)
    for name in ("hip_flexion", "knee_flexion", "hip_adduction", "pelvis_rotation", "pelvis_obliquity", "vertical"):
        match = compare(gait.mean(name), *bands[name])
        assert match.correlation > 0.95, name
        assert match.rms_sd < 1.0, name


def test_moments_are_the_bodys_own_and_have_the_published_signs(gait: Gait) -> None:
    late, early = (PERCENT > 35) & (PERCENT < 55), (PERCENT > 8) & (PERCENT < 20)
    assert 1.0 < gait.mean("ankle_plantarflexion_moment")[late].max() < 1.9
    assert gait.mean("hip_abduction_moment")[early].max() > 0.4
    assert gait.mean("hip_extension_moment")[early].max() > 0.4 > 0 > gait.mean("hip_extension_moment")[late].min()
    assert gait.mean("ankle_power").max() == gait.mean("ankle_power")[PERCENT > 45].max() > 1.0
    # The ground was said to push forward by a tenth of what it carries.
    assert gait.mean("fore_aft") == pytest.approx(0.1 * gait.mean("vertical"), abs=1e-3)


def test_left_and_right_of_a_symmetric_walk_are_alike(gait: Gait) -> None:
    for name in ("pelvis_rotation", "pelvis_obliquity", "hip_adduction", "foot_progression", "knee_extension_moment"):
        left, right = (gait.curves[name][side].mean(axis=0) for side in ("left", "right"))
        assert np.corrcoef(left, right)[0, 1] > 0.97, name


def test_clinical_angles_take_wanted_ones_back() -> None:
    clip = next(clip for clip in load_clips("human_walk") if clip.name == "walk_100")
    figures, phase = figures_at(1.0, LEG), np.arange(clip.frames) / (clip.frames - 1)
    found = clinical_angles(clip.qpos, clip.joint_names, "right", np.zeros(clip.frames))
    assert set(found) <= set(figures.curves)
    wanted = wanted_angles(figures, phase)  # of the body's own joints; of the clinic's, the published figures
    for name in ("hip_flexion", "knee_flexion", "hip_adduction", "pelvis_tilt", "pelvis_obliquity"):
        assert np.degrees(np.abs(found[name] - figures.angle(name, phase)).mean()) < 3.0, name
    assert np.degrees(np.abs(found["hip_adduction"] + wanted["hip_abduction"]).mean()) < 3.0


def test_peaks_by_hand(gait: Gait) -> None:
    curves = {name: {side: rows.copy() for side, rows in both.items()} for name, both in gait.curves.items()}
    for side, top in (("left", 2.0), ("right", 4.0)):
        power = np.full((1, 51), -1.0)
        power[0, 5], power[0, 25:30] = 9.0, top  # early is no push-off; five points of a fiftieth each
        curves["ankle_power"][side] = power
    found = peaks(Gait(gait.speed, 1.0, gait.foot_off, curves))
    assert found["ankle_power_peak"] == 3.0
    assert found["push_off_work"] == pytest.approx(5 * 3.0 / 50)
    assert 55 < found["knee_flexion_peak"] < 66
    early = peaks(Gait(gait.speed, 1.0, 0.05, curves))  # a foot that is off before a tenth of the cycle has no stance
    assert np.isnan(early["dorsiflexion_peak"])
    assert early["ankle_power_peak"] == 3.0


def test_muscles_are_read_by_their_group() -> None:
    samples, names, fps = clip_samples("walk_120")
    muscles = muscle_humanoid().muscles
    assert muscles is not None
    units = list(muscles.names)
    activation = np.zeros((len(samples.qpos), len(units)))
    activation[:, units.index("left_med_gas")], activation[:, units.index("right_lat_gas")] = 0.6, 0.2
    with_muscles = Samples(samples.qpos, samples.qvel, samples.moment, samples.ground, activation)
    found = analyse(with_muscles, names, 73.0, fps, units)
    assert found.curves["gastrocnemius"]["left"] == pytest.approx(0.3)
    assert found.curves["gastrocnemius"]["right"] == pytest.approx(0.1)
    assert set(MUSCLE_GROUPS) <= set(found.curves)


@pytest.mark.parametrize("frames", [0, 1, 20])
def test_without_a_whole_cycle_there_is_no_gait(frames: int) -> None:
    samples, names, fps = clip_samples("walk_120")
    short = Samples(*(getattr(samples, name)[:frames] for name in ("qpos", "qvel", "moment", "ground", "activation")))
    with pytest.raises(GaitError, match="no whole cycle of the left foot"):
        analyse(short, names, 73.0, fps)


# -- instruments ---------------------------------------------------------------------------------------


@functools.cache
def walked(task: str) -> tuple[Samples, float, Core]:
    """The first half second of a body that gets no corrections, before it falls; of its left leg mostly the swing."""
    made = make_task(task, {"reference": "human_walk"})
    core = Core(made, 1, threads=1)
    core.seed([0])
    core.reset(options={"clip": "walk_120", "frame": 0})
    instruments = Instruments(core.physics)
    for _ in range(16):
        assert not core.step(np.zeros((1, len(made.action_names)))).terminated[0]
    return instruments.samples().walker(0, 0, 16 * core.robot.substeps), instruments.rate, core


@pytest.mark.parametrize("task", ["humanoid_track", "muscle_track"])
def test_instruments_change_nothing(task: str) -> None:
    watched = walked(task)[2]
    core = Core(make_task(task, {"reference": "human_walk"}), 1, threads=1)
    core.seed([0])
    core.reset(options={"clip": "walk_120", "frame": 0})
    for _ in range(16):
        core.step(np.zeros((1, len(core.task.action_names))))
    for name in ("qpos", "qvel", "foot_force", "torque"):
        assert np.array_equal(getattr(core.state, name), getattr(watched.state, name)), name


def test_plain_servos_give_what_mujoco_says_they_do() -> None:
    """WildRobot's have no stable PD: their force is that at a step's start. No joint is at its limit here."""
    robot = wildrobot()
    physics = BatchSimulation(robot, 1, 1)
    physics.reset(np.array([0]), robot.home_qpos[None], np.zeros((1, robot.model.nv)))
    instruments, seen = Instruments(physics), mujoco.MjData(robot.model)
    look, expected = physics.watch, []

    def watch() -> None:
        look()
        physics.batch.get_data(0, seen)
        mujoco.mj_forward(robot.model, seen)
        expected.append(seen.actuator_force + seen.qfrc_passive[6:])

    physics.watch = watch
    targets = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 1, 9))
    for target in targets:
        physics.step(robot.home + target)
    np.testing.assert_allclose(instruments.samples().moment[:, 0], expected, atol=1e-9)


@pytest.mark.parametrize("task", ["humanoid_track", "muscle_track"])
def test_the_floors_push_is_what_moves_the_body(task: str) -> None:
    """Newton's second law: impulses of floor and weight are what the whole body's momentum gains."""
    samples, rate, core = walked(task)
    model = mujoco.MjModel.from_xml_path(str(asset_path("humanoid/scene.xml")))
    data = mujoco.MjData(model)

    def velocity(i: int) -> np.ndarray:
        data.qpos[:], data.qvel[:] = samples.qpos[i], samples.qvel[i]
        mujoco.mj_forward(model, data)
        mujoco.mj_subtreeVel(model, data)
        return data.subtree_linvel[1].copy()

    pushed = samples.ground[:-1].sum(axis=(0, 1)) / rate
    mass, seconds = core.robot.mass, (len(samples.qpos) - 1) / rate
    gained = mass * (velocity(-1) - velocity(0)) + [0.0, 0.0, mass * 9.81 * seconds]
    assert pushed == pytest.approx(gained, abs=0.01 * gained[2])
    assert gained[2] > 100.0


@pytest.mark.parametrize("task", ["humanoid_track", "muscle_track"])
def test_moments_are_those_of_inverse_dynamics(task: str) -> None:
    """A leg in the air: what its joints must give for it to move as it does."""
    samples, rate, core = walked(task)
    model = mujoco.MjModel.from_xml_path(str(asset_path("humanoid/scene.xml")))
    data = mujoco.MjData(model)
    aloft = np.flatnonzero(samples.ground[:-1, 0, 2] == 0)
    assert len(aloft) > 60
    needed = []
    for i in aloft:
        data.qpos[:], data.qvel[:] = samples.qpos[i], samples.qvel[i]
        data.qacc[:] = (samples.qvel[i + 1] - samples.qvel[i]) * rate
        mujoco.mj_inverse(model, data)
        needed.append((data.qfrc_inverse + data.qfrc_passive)[6:])
    for joint in ("hip_flexion", "hip_abduction", "knee_flexion"):
        k = core.robot.joint_names.index(f"left_{joint}")
        ours, theirs = samples.moment[aloft, k], np.array(needed)[:, k]
        assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.08 * np.sqrt(np.mean(theirs**2)), joint


# -- published tables ----------------------------------------------------------------------------------


def write_tables(folder: Path) -> Path:
    """Tables of the right form: curve number c of a file is c + the group's number all along, its deviation 0.5."""
    (folder / "curves").mkdir(parents=True)
    for name, wanted in FILES.items():
        lines = [",".join(COLUMNS)]
        for c, variable in enumerate([*wanted.values(), *wanted.values()]):  # each again, as another curve's
            for at in PERCENT:
                for g, group in enumerate(groups_of_speed()):
                    lines.append(f"{variable},{at},{group},{c + g - 0.5},{c + g},{c + g + 0.5}")
        (folder / "curves" / name).write_text("\n".join(lines) + "\n")
    names = ("SOLEUS", "GASTRO", "TIBANT", "VASLAT", "BICFEM", "GLUMAX", "GLUMED")
    emg = {"NORMAL_STANCE_PHASE": 60, "Activation": {name: [0, 10, 90, 100, "na", "na"] for name in names}}
    (folder / EMG_FILE).write_text(json.dumps(emg))
    return folder


def test_a_folder_of_tables_is_read(tmp_path: Path) -> None:
    tables = read_normative(write_tables(tmp_path))
    slow, free = list(groups_of_speed().values())[1:3]
    speed = 0.5 * (slow + free) * np.sqrt(9.81 * LEG)  # half way between the second and the third group
    band = tables.at(speed, LEG)["knee_extension_moment"]
    assert np.allclose(band.mean, 2 + 1.5)
    assert np.allclose(band.sd, 0.5)
    assert set(bands_at(speed, LEG, tables)) >= {"fore_aft", "hip_power", "knee_flexion", "vertical"}
    assert tables.emg.intervals["soleus"] == [(0, 10), (90, 100)]


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("curves/joint_moments.csv", "variable,", "curve,", r"joint_moments.csv, line 1: columns curve"),
        (
            "curves/joint_power.csv",
            "Hip,0.0,very_slow,-0.5",
            "Hip,0.0,very_slow,x",
            r"joint_power.csv, line 2: 'x' is not a number",
        ),
        ("curves/joint_power.csv", "Hip,0.0,very_slow,-0.5", "Hip,0.0,very_slow", r"line 2: not 6 values"),
        ("curves/joint_power.csv", "Hip,0.0,very_slow,-0.5", "Hip,0.0,very_slow,nan", r"line 2: 'nan' is not finite"),
        (EMG_FILE, '"SOLEUS": [0, 10', '"SOLEUS": [20, 10', r"SOLEUS is \[20, 10"),
        (EMG_FILE, '"SOLEUS"', '"SOL"', r"key 'SOLEUS' missing"),
        (EMG_FILE, "60", "160", r"NORMAL_STANCE_PHASE is 160"),
        (EMG_FILE, "{", "", r"line 1: not valid JSON"),
    ],
)
def test_malformed_tables_are_refused(tmp_path: Path, name: str, old: str, new: str, message: str) -> None:
    folder = write_tables(tmp_path)
    spoil(folder / name, old, new)
    with pytest.raises(NormativeError, match=message):
        read_normative(folder)


@pytest.mark.parametrize("name", ["curves/joint_power.csv", EMG_FILE])
def test_tables_in_another_encoding_are_refused(tmp_path: Path, name: str) -> None:
    path = write_tables(tmp_path) / name
    path.write_bytes(path.read_bytes() + b"\xe4")
    with pytest.raises(NormativeError, match=rf"{path.name}: not UTF-8 text"):
        read_normative(tmp_path)


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(NormativeError, match="no such folder"):
        read_normative(tmp_path / "none")
    folder = write_tables(tmp_path)
    text = (folder / "curves" / "grf_bodyweight.csv").read_text()
    (folder / "curves" / "grf_bodyweight.csv").write_text(text.replace(",fast,", ",quick,"))
    with pytest.raises(NormativeError, match="no row of 'Vertical' at 0 % of group 'fast'"):
        read_normative(folder)
    (folder / "curves" / "joint_power.csv").unlink()
    with pytest.raises(NormativeError, match=r"joint_power\.csv missing"):
        read_normative(folder)


@pytest.mark.skipif("GAITNET_MOCAP" not in os.environ, reason="GAITNET_MOCAP names no folder of captures")
def test_the_published_tables_are_read_as_published() -> None:
    bands = bands_at(0.429 * np.sqrt(9.81 * LEG), LEG, read_normative(Path(os.environ["GAITNET_MOCAP"]) / "gait"))
    # Means at the free speed: the workbook's rows at 10 and 50 % of the cycle.
    assert bands["knee_extension_moment"].mean[5] == pytest.approx(0.3266, abs=1e-3)
    assert bands["ankle_plantarflexion_moment"].mean[25] == pytest.approx(1.186, abs=1e-3)
    assert bands["fore_aft"].mean[5] == pytest.approx(-0.162, abs=1e-3)
    assert (bands["vertical"].sd > 0).all()
    # What is embedded is of the same workbook.
    embedded = bands_at(0.429 * np.sqrt(9.81 * LEG), LEG, None)["vertical"]
    assert compare(embedded.mean, *bands["vertical"]).correlation > 0.99
