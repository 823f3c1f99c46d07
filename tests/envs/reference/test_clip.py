"""The motion format: what goes in comes out, and every fault is named with its file and key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait_envs.models.robot import wildrobot
from gait_envs.reference.clip import Clip, ClipError, check_fits, load_clip, save_clip, velocities
from gait_envs.rotations import quat_from_rotvec, quat_mul, yaw_quat

JOINTS = wildrobot().joint_names


def sample(frames: int = 6, **changes: Any) -> Clip:
    """A slow drift forward at 0.5 m/s, 50 Hz."""
    qpos = np.zeros((frames, 16))
    qpos[:, 0], qpos[:, 2], qpos[:, 3] = 0.01 * np.arange(frames), 0.46, 1.0
    qpos[:, 7:] = np.arange(9) / 10
    fields: dict[str, Any] = {
        "qpos": qpos,
        "qvel": velocities(qpos, 50.0),
        "fps": 50.0,
        "joint_names": JOINTS,
        "loop": True,
        "model": "wildrobot",
        "source": "drawn in a test",
        "license": "MIT",
    }
    return Clip(**fields | changes)


def turned(frame: int, length: float) -> np.ndarray:
    """Positions of `sample` with a quaternion of this length at one frame."""
    qpos = sample().qpos.copy()
    qpos[frame, 3:7] *= length
    return qpos


# -- there and back -------------------------------------------------------------------------------------


def test_a_clip_survives_its_file(tmp_path: Path) -> None:
    loads, torque = np.arange(24.0).reshape(6, 4), np.arange(54.0).reshape(6, 9)
    clip = sample(contacts=loads, torque=torque, meta={"speed": 0.5, "über": [1, 2]}, name="drift")
    path = save_clip(tmp_path / "deep" / "drift.npz", clip)
    back = load_clip(path)
    for field in dataclasses.fields(Clip):
        ours, theirs = getattr(back, field.name), getattr(clip, field.name)
        assert np.array_equal(ours, theirs), field.name
        assert type(ours) is type(theirs), field.name
    assert [p.name for p in path.parent.iterdir()] == ["drift.npz"]  # no temporary file left


def test_durations_count_intervals() -> None:
    clip = sample(51)
    assert clip.duration == 1.0  # 51 frames at 50 Hz are 50 intervals
    assert clip.mean_speed == pytest.approx(0.5)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_clip(tmp_path / "a.npz", sample())
    before = path.read_bytes()

    def full(*args: Any, **kwargs: Any) -> None:
        args[0].write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="disk full"):
        save_clip(path, sample(7))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


# -- bad clips ------------------------------------------------------------------------------------------


def with_nan(key: str, frame: int) -> Callable[[], Clip]:
    def make() -> Clip:
        array = np.zeros((6, 4)) if key == "contacts" else getattr(sample(), key).copy()
        array[frame, 2] = np.nan
        return sample(**{key: array})

    return make


@pytest.mark.parametrize(
    "make, message",
    [
        (with_nan("qpos", 3), "qpos is not finite at frame 3"),
        (with_nan("qvel", 0), "qvel is not finite at frame 0"),
        (with_nan("contacts", 5), "contacts is not finite at frame 5"),
        (lambda: sample(qpos=sample().qpos[:, :15]), r"qpos has shape \(6, 15\), expected \(6, 16\)"),
        (lambda: sample(qvel=sample().qvel[:5]), r"qvel has shape \(5, 15\), expected \(6, 15\)"),
        (lambda: sample(qpos=sample().qpos + 1j), "qpos holds complex128, expected real numbers"),
        (lambda: sample(contacts=np.ones((6, 4), dtype=complex)), "contacts holds complex128"),
        (lambda: sample(qvel=sample().qvel.astype(object)), "qvel holds object"),
        (lambda: sample(1), "qpos has 1 frames, at least 2"),
        (lambda: sample(fps=0.0), "fps is 0.0"),
        (lambda: sample(fps=float("nan")), "fps is nan"),
        (lambda: sample(joint_names=(*JOINTS[:8], "waist_yaw")), "joint_names repeats"),
        (lambda: sample(contacts=np.zeros((5, 4))), r"contacts has shape \(5, 4\)"),
        (lambda: sample(qpos=2 * sample().qpos), "quaternion at frame 0 has length 2.0000"),
        (lambda: sample(qpos=turned(3, 1.1)), "quaternion at frame 3 has length 1.1000"),
        (lambda: sample(qpos=np.zeros(16)), "qpos has shape"),
        (lambda: sample(qpos=np.array(1.0)), r"qpos has shape \(\), expected \(frames, 16\)"),
        (lambda: sample(qpos=np.full((6, 16), 1e300)), "qpos is too large at frame 0"),
    ],
)
def test_impossible_clips_are_refused(make: Callable[[], Clip], message: str) -> None:
    with pytest.raises(ClipError, match=message):
        make()


def contents(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def rewrite(path: Path, **changes: Any) -> Path:
    """The same file with some keys changed, or left out where the change is None."""
    np.savez(path, **{k: v for k, v in (contents(path) | changes).items() if v is not None})
    return path


BAD_KEYS: list[tuple[dict[str, Any], str]] = [
    ({"qpos": None}, "missing qpos; it holds format_version, fps, "),
    ({"license": None, "source": None}, "missing source, license"),
    ({"format_version": 2}, "format_version is 2, this GaitNet reads 1"),
    ({"format_version": "new"}, "invalid literal"),
    ({"qpos": np.full((6, 16), np.nan)}, "qpos is not finite at frame 0"),
    ({"joint_names": np.array(JOINTS[:8])}, "qpos has shape"),
    ({"joint_names": np.array(0)}, "joint_names"),
    ({"fps": np.array([50.0, 50.0])}, "fps"),
    ({"fps": -50.0}, "fps is -50"),
    ({"qvel": np.array(["a"])}, "qvel"),
    ({"meta": "{not json"}, "meta"),
    ({"meta": "[1]"}, "meta"),
    ({"qpos": np.array([{}], dtype=object)}, "pickle|Object arrays"),
]


@pytest.mark.parametrize("changes, message", BAD_KEYS, ids=[str(list(c)) + m[:12] for c, m in BAD_KEYS])
def test_bad_files_name_file_and_key(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = rewrite(save_clip(tmp_path / "walk.npz", sample()), **changes)
    with pytest.raises(ClipError, match=message) as caught:
        load_clip(path)
    assert "walk.npz" in str(caught.value)


@pytest.mark.parametrize("keep", [0, 10, 500, -30])
def test_a_truncated_file_is_not_a_clip(tmp_path: Path, keep: int) -> None:
    path = save_clip(tmp_path / "cut.npz", sample(200))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ClipError, match=r"cut.npz: not a readable clip"):
        load_clip(path)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("damage") / "intact.npz", sample())


@given(where=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_damaged_byte_is_named_or_harmless(intact: Path, where: int, flip: int) -> None:
    """Harmless: in the archive's own bookkeeping, such as a date."""
    data = bytearray(intact.read_bytes())
    data[where % len(data)] ^= flip
    damaged = intact.with_name("damaged.npz")
    damaged.write_bytes(data)
    try:
        found: Clip | ClipError = load_clip(damaged)
    except ClipError as error:
        found = error
    if isinstance(found, Clip):
        np.testing.assert_array_equal(found.qpos, sample().qpos)
    else:
        assert "damaged.npz" in str(found)


def test_missing_files_and_wrong_names(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"nowhere.npz: no such clip"):
        load_clip(tmp_path / "nowhere.npz")
    with pytest.raises(ClipError, match=r"ends in \.npz"):
        save_clip(tmp_path / "walk.npy", sample())
    (tmp_path / "array.npz").write_bytes(b"")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with pytest.raises(ClipError, match=r"array.npz: not a readable clip"):
        load_clip(tmp_path / "array.npz")


def test_a_clip_must_fit_the_body() -> None:
    check_fits(sample(), JOINTS, 50.0)
    renamed = ("waist_yaw", "left_hip_yaw", *JOINTS[2:])
    with pytest.raises(ClipError, match=r"missing \['left_hip_pitch'\], unknown \['left_hip_yaw'\]"):
        check_fits(sample(joint_names=renamed), JOINTS)
    with pytest.raises(ClipError, match="order"):
        check_fits(sample(joint_names=JOINTS[::-1]), JOINTS)
    with pytest.raises(ClipError, match=r"fps is 30.*controlled at 50; resample"):
        check_fits(sample(fps=30.0), JOINTS, 50.0)


# -- velocities -----------------------------------------------------------------------------------------


def test_velocities_of_a_constant_screw() -> None:
    """Constant world velocity, constant body rate, constant joint rate: exact at every frame."""
    rate, body_rate = 50.0, np.array([0.3, -0.5, 1.1])
    times = np.arange(8)[:, None] / rate
    qpos = np.concatenate(
        [
            np.array([0.1, 0, 0.4]) + np.array([0.5, -0.2, 0.1]) * times,
            quat_mul(yaw_quat(np.array(0.7)), quat_from_rotvec(body_rate * times)),
            np.array([1.0, -2.0]) * times,
        ],
        axis=1,
    )
    expected = np.array([0.5, -0.2, 0.1, *body_rate, 1.0, -2.0])
    np.testing.assert_allclose(velocities(qpos, rate), np.tile(expected, (8, 1)), atol=1e-12)


def test_velocities_carry_mujoco_from_frame_to_frame() -> None:
    """MuJoCo's own integration of the difference lands on the next frame."""
    import mujoco

    model, rng = wildrobot().model, np.random.default_rng(0)
    qpos = np.tile(wildrobot().home_qpos, (2, 1))
    mujoco.mj_integratePos(model, qpos[1], rng.normal(size=15), 0.02)
    reached = qpos[0].copy()
    mujoco.mj_integratePos(model, reached, velocities(qpos, 50.0)[0], 0.02)
    np.testing.assert_allclose(reached, qpos[1], atol=1e-14)
