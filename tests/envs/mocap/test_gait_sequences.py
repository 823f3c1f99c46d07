"""Sequences of gait cycles by phase: labels by hand, what is left out, mirror images, phases from contacts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from gait_envs.mocap.cli import app
from gait_envs.mocap.gait_sequences import (
    Walk,
    as_walks,
    augment,
    interpolate,
    mirrored,
    phase_of,
    recorded,
    turned,
    two_cycles,
)
from gait_envs.models.mirror import mirror_of
from gait_envs.models.robot import humanoid
from gait_envs.reference.pose_features import POSE_LAYOUT
from gait_envs.reference.refnn.walks import WalkError, load_sequences, save_walks
from gait_envs.rotations import quat_yaw

FPS = 30.0
KNEE = 7 + 3  # of the right leg, in qpos


def walk(
    seconds: float = 5.0, speed: float = 1.2, cycle: float = 1.1, heading: float = 0.0, begin: float = 0.3
) -> Walk:
    """Glides straight ahead while the right knee swings once a cycle."""
    time = np.arange(round(seconds * FPS)) / FPS
    phase = begin + time / cycle
    qpos = np.zeros((len(time), 57))
    qpos[:, 0], qpos[:, 2], qpos[:, 3] = speed * time, 0.9, 1.0
    qpos[:, KNEE] = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    return Walk(turned(qpos, heading), phase, FPS, {"mass": 1.1, "scale.thigh": 0.9}, "one")


@pytest.mark.parametrize("heading", [0.0, 2.5])
def test_labels_are_measured(heading: float) -> None:
    dropped: Counter[str] = Counter()
    found = two_cycles(walk(heading=heading), dropped)
    # Phases from 0.3 to 4.8: cycles begin at 1, 2 and, as a sequence ends at a phase of 1.97, not at 3.
    assert len(found) == 2
    assert not dropped
    for motion, stride, cadence in found:
        assert stride == pytest.approx(1.2 * 1.1)
        assert cadence == pytest.approx(120 / 1.1)
        slices = POSE_LAYOUT.slices()
        np.testing.assert_allclose(motion[:, slices["root_displacement"]], [[1.32 / 30, 0.0]] * 60, atol=1e-9)
        np.testing.assert_allclose(motion[:, slices["root_rotation"]], [[1, 0, 0, 0, 1, 0]] * 60, atol=1e-9)
        wanted = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(60) / 30)
        np.testing.assert_allclose(motion[:, slices["right_knee"]][:, 0], wanted, atol=2e-3)


def test_what_is_left_out_is_counted() -> None:
    short, still = walk(seconds=2.0), walk(speed=0.2)
    time = np.arange(150) / FPS
    backwards = walk()._replace(qpos=turned(walk().qpos, 0.0) * np.r_[-1.0, np.ones(56)])
    slower = walk()
    slower = slower._replace(qpos=np.column_stack([1.2 * time - 0.12 * time**2, slower.qpos[:, 1:]]))
    circle = walk()
    circle.qpos[:, :2] = np.column_stack([3 * np.sin(0.4 * time), 3 - 3 * np.cos(0.4 * time)])
    circle.qpos[:, 3], circle.qpos[:, 6] = np.cos(0.2 * time), np.sin(0.2 * time)
    found = augment([walk(), short, still, backwards, slower, circle], "a test", "MIT")
    assert found.dropped == {
        "shorter than two cycles": 1,
        "hardly moves": 2,
        "walks sideways or backwards": 2,
        "uneven cycles": 2,
        "turns": 2,
    }
    assert found.sequences.names == ("stride", "cadence", "mass", "scale.thigh")
    np.testing.assert_allclose(found.sequences.params, [[1.32, 120 / 1.1, 1.1, 0.9]] * 2)
    with pytest.raises(WalkError, match=r"no sequence of two gait cycles is left"):
        augment([short], "a test", "MIT")


def test_an_image_lands_half_a_cycle_later() -> None:
    tables = mirror_of(humanoid())
    one = walk()._replace(params={"force.left_soleus": 0.5, "force.right_soleus": 0.9})
    image = mirrored(one, tables)
    assert image.params == {"force.left_soleus": 0.9, "force.right_soleus": 0.5}
    left_knee = 7 + humanoid().joint_names.index("left_knee_flexion")
    np.testing.assert_array_equal(image.qpos[:, left_knee], one.qpos[:, KNEE])
    np.testing.assert_array_equal(image.phase, one.phase + 0.5)
    both = augment([one], "a test", "MIT", tables).sequences
    # Phases from 0.8 to 5.3 hold three cycles' beginnings. An image belongs to the walker that it is of.
    assert (len(both.params), set(both.walkers)) == (2 + 3, {"one"})


def test_phase_from_contacts() -> None:
    load = np.zeros((80, 2))
    for start, stop in ((0, 5), (20, 40), (50, 72)):  # lands at 20 and at 50
        load[start:stop, 0] = 300.0
    load[30:38, 0] = 0.0  # not a swing: too short
    load[30, 1] = 5.0
    found = phase_of(load, 60.0)
    assert found is not None
    frames, phase = found
    assert (frames.start, frames.stop) == (0, 79)
    np.testing.assert_allclose(phase[[5, 20, 35, 50, 65]], [-0.5, 0.0, 0.5, 1.0, 1.5])
    assert phase_of(load[:45], 60.0) is None


def test_splines_pass_through_frames() -> None:
    one = walk()
    np.testing.assert_allclose(interpolate(one.qpos, np.array([0.0, 7.0, 149.0])), one.qpos[[0, 7, 149]], atol=1e-12)
    flipped = one.qpos.copy()
    flipped[8:, 3:7] *= -1  # the same rotations
    np.testing.assert_allclose(
        interpolate(flipped, np.array([7.5])), interpolate(one.qpos, np.array([7.5])), atol=1e-12
    )
    np.testing.assert_allclose(quat_yaw(turned(one.qpos, 0.7)[:, 3:7]), 0.7)


def test_clips_as_recorded_walks() -> None:
    walks = as_walks([walk(), walk(cycle=1.3)._replace(params={"captured": 1.0}, walker="two")], "a test", "MIT")
    assert walks.names == ("mass", "scale.thigh", "captured")
    np.testing.assert_allclose(walks.params, [[1.1, 0.9, 0.0], [1.0, 1.0, 1.0]])
    again = list(recorded(walks))
    np.testing.assert_allclose(np.diff(again[1].phase), np.diff(walk(cycle=1.3).phase))
    np.testing.assert_allclose(again[0].qpos, walk().qpos, atol=1e-12)


def test_the_command_takes_recorded_walks_of_the_wanted_subjects(tmp_path: Path) -> None:
    for name, walkers in (("a", ("6", "7")), ("b", ("8",))):
        save_walks(tmp_path / f"{name}.npz", as_walks([walk()._replace(walker=w) for w in walkers], name, f"of {name}"))

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["augment", str(tmp_path), "--out", str(tmp_path.parent / "out.npz"), *words])

    for words, wanted, licence in (
        ((), {"6", "7", "8"}, "of a; of b"),
        (("--without", "7"), {"6", "8"}, "of a; of b"),
        (("--without", "7", "--without", "6"), {"8"}, "of b"),
        (("--subject", "7"), {"7"}, "of a"),
    ):
        assert run(*words).exit_code == 0
        found = load_sequences(tmp_path.parent / "out.npz")
        assert (set(found.walkers), found.license) == (wanted, licence)
    assert "no walk of such a subject" in str(run("--subject", "9").exception)
    assert "--activity run: recorded walks have no activities" in str(run("--activity", "run").exception)
