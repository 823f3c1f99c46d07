"""Packed sets: bit for bit the answers of loose clips, and every fault named with its file and key."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn import JOINTS, ask, drift, library, wander

from gait_envs.mocap.capture import MotionError
from gait_envs.reference.clip import Clip, ClipError, save_clip
from gait_envs.reference.library import MotionLibrary, load_clips, open_clips
from gait_envs.reference.packed import PackedClips, load_packed
from gait_envs.reference.packing import pack
from gait_envs.reference.spooled import spooled


def some_clips() -> list[Clip]:
    loads = np.arange(28.0).reshape(7, 4)
    return [
        wander(5, 0, loop=True, meta={"subject": "a", "quality": {"speed": 0.5}}),
        wander(7, 1, contacts=loads, torque=loads[:, :2], source="elsewhere", meta={"subject": "ü"}),
        wander(9, 2, loop=True),
    ]


@pytest.fixture
def packed(tmp_path: Path) -> PackedClips:
    return pack(iter(some_clips()), tmp_path / "deep" / "set")


def test_a_packed_set_answers_bit_for_bit_the_same(packed: PackedClips) -> None:
    loose, mapped = library(*some_clips()), MotionLibrary(load_clips(packed.folder), JOINTS, 50.0)
    rng = np.random.default_rng(0)
    which, time = rng.integers(3, size=500), rng.uniform(-1, 3, 500)
    frame = rng.integers(-20, 60, 500)
    for query in (
        lambda found: found.sample(which, time),
        lambda found: found.at(which, frame),
        lambda found: found.draw(np.random.default_rng(1), 100),
        lambda found: (
            found.contacts,
            found.torque,
            found.speeds,
            found.turns,
            found.strides,
            found.durations,
            found.weights,
        ),
    ):
        for one, other in zip(query(loose), query(mapped), strict=True):
            np.testing.assert_array_equal(one, other)
    assert isinstance(mapped.qpos.base, np.memmap)
    assert not mapped.qpos.flags.writeable


def test_a_packed_set_keeps_its_clips(packed: PackedClips) -> None:
    assert sorted(path.name for path in packed.folder.parent.iterdir()) == ["set"]  # no temporary folder left
    assert packed.names == ("wander_0", "wander_1", "wander_2")
    assert packed.meta(1) == {"subject": "ü"}
    for at, original in enumerate(some_clips()):
        view, copy = packed[at], packed.read(at)
        for field in dataclasses.fields(Clip):
            for found in (view, copy):
                assert np.array_equal(getattr(found, field.name), getattr(original, field.name)), field.name
        assert np.shares_memory(view.qpos, packed.qpos)
        assert not np.shares_memory(copy.qpos, packed.qpos)
    assert [view.name for view in packed] == list(packed.names)
    assert [view.name for view in packed[1:]] == ["wander_1", "wander_2"]
    with pytest.raises(IndexError):
        packed[3]


def test_a_part_of_a_packed_set(packed: PackedClips) -> None:
    part = packed.select(["wander_2", "wander_0"])
    found = MotionLibrary(part, JOINTS, 50.0)
    np.testing.assert_array_equal(ask(found, 0, 0.05)[0], ask(library(*some_clips()), 2, 0.05)[0])
    with pytest.raises(ClipError, match=r"no clip 'x' \(2 missing\); it holds wander_0, wander_1, wander_2"):
        packed.select(["x", "wander_0", "y"])


def test_other_processes_map_the_set_themselves(tmp_path: Path) -> None:
    packed = pack([wander(5000, 0), wander(5000, 1)], tmp_path / "set")
    found = MotionLibrary(packed.select(["wander_1"]), JOINTS, 50.0)
    text = pickle.dumps(found)
    assert len(text) < 2000
    np.testing.assert_array_equal(ask(pickle.loads(text), 0, 3.3)[0], ask(found, 0, 3.3)[0])
    loose = library(*some_clips())
    loose.set_weights(np.array([1, 2, 4]))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loose)).weights, loose.weights)


def test_loads_that_nobody_knows_are_infinite(tmp_path: Path) -> None:
    packed = pack([wander(5, 0), wander(6, 1)], tmp_path / "none")
    np.testing.assert_array_equal(packed.contacts, np.full((11, 4), np.inf))
    # Known late, of two feet, between unknown ones.
    clips = [wander(5, 0), wander(6, 1, contacts=np.ones((6, 2))), wander(4, 2)]
    packed = pack(clips, tmp_path / "some")
    np.testing.assert_array_equal(packed.contacts, np.repeat([[np.inf] * 2, [1] * 2, [np.inf] * 2], [5, 6, 4], axis=0))
    assert [view.contacts is None for view in packed] == [True, False, True]


def test_torques_that_nobody_knows_are_infinite(tmp_path: Path) -> None:
    packed = pack([wander(5, 0), wander(6, 1, torque=np.ones((6, 2))), wander(4, 2)], tmp_path / "set")
    np.testing.assert_array_equal(packed.torque, np.repeat([[np.inf] * 2, [1] * 2, [np.inf] * 2], [5, 6, 4], axis=0))
    assert [view.torque is None for view in packed] == [True, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "other"}, "clip 'wander_9': model is other, clip 'wander_0' has body"),
        (
            {"joint_names": ("hip", "ankle")},
            r"joint_names is \('hip', 'ankle'\), clip 'wander_0' has \('hip', 'knee'\)",
        ),
        ({"fps": 30.0}, "fps is 30.0, clip 'wander_0' has 50.0"),
        ({"name": "wander_0"}, "clip 'wander_0' comes twice"),
        ({"name": "up/../../down"}, "clip 3 of the set: name is 'up/../../down'; a clip's name is that of a file"),
        ({"contacts": np.ones((5, 2))}, "contacts of 2 feet, clips before it have 4"),
        ({"license": "CC0"}, "2 licences in one set: CC0: wander_9; MIT: wander_0, wander_1"),
    ],
)
def test_what_does_not_belong_together_is_not_packed(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    odd = wander(5, 9, **change) if "fps" not in change else wander(5, 9, fps=30.0)
    with pytest.raises((ClipError, MotionError), match=message):
        pack([*some_clips()[:2], odd], tmp_path / "set")
    assert not list(tmp_path.iterdir())
    if "license" in change:
        assert len(pack([*some_clips(), odd], tmp_path / "set", accept_license=True)) == 4


def test_packing_writes_over_nothing(packed: PackedClips, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="set: exists already"):
        pack(some_clips(), packed.folder)
    with pytest.raises(ClipError, match="no clip to pack"):
        pack([], tmp_path / "none")


def edit(file: str, drop: str = "", **changes: Any) -> Callable[[Path], None]:
    """Change the JSON object in the file's first line."""

    def damage(folder: Path) -> None:
        first, *rest = (folder / file).read_text().splitlines()
        value = {key: told for key, told in json.loads(first).items() if key != drop} | changes
        (folder / file).write_text("\n".join([json.dumps(value), *rest]) + "\n")

    return damage


def write(name: str, text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_text(text)

    return damage


def remove(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()

    return damage


def store(name: str, table: np.ndarray) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        np.save(folder / name, table, allow_pickle=True)

    return damage


def pipe(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def wrapping(folder: Path) -> None:
    """Lengths whose sum is the number of rows, as 64 bits count."""
    lines = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    rows = sum(line["length"] for line in lines)
    lines[0]["length"], lines[1]["length"] = 2**63 - 1, 2**63 - 1
    lines[2]["length"] = rows + 2
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def cut(folder: Path) -> None:
    (folder / "qvel.npy").write_bytes((folder / "qvel.npy").read_bytes()[:-8])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "qvel.npy: not a readable table: "),
        (store("qpos.npy", np.array([{}] * 21)), "qpos.npy: not a readable table: .*Python objects"),
        (write("qpos.npy", ""), "qpos.npy: not a readable table"),
        (remove("contacts.npy"), "contacts.npy: no such file"),
        (
            store("contacts.npy", np.ones(21)),
            r"contacts.npy: holds float64 of shape \(21,\), .* float64 of \(21, feet\)",
        ),
        (store("qpos.npy", np.ones((21, 9), "f4")), r"holds float32 of shape \(21, 9\), the set asks for float64 of"),
        (store("qpos.npy", np.ones((9, 21)).T), "the set asks for float64"),  # columns first
        (remove("clips.jsonl"), "clips.jsonl: no such file"),
        (write("clips.jsonl", ""), "clips.jsonl: holds no clip"),
        (write("clips.jsonl", "{"), "clips.jsonl: line 1: not readable as JSON"),
        (edit("clips.jsonl", drop="loop"), "clips.jsonl: line 1: missing loop; it holds name, length, source"),
        (edit("clips.jsonl", length="5"), "line 1: length is '5', expected int"),
        (edit("clips.jsonl", length=1), "line 1: length is 1, at least 2"),
        (edit("clips.jsonl", length=6), r"qpos.npy: holds .*\(21, 9\), the set asks .*\(22, 9\)"),
        (edit("clips.jsonl", name="wander_1"), "line 2: the name 'wander_1' comes twice"),
        (edit("packed.json", format_version=1), "packed.json: format_version is 1, this GaitNet reads 2"),
        (edit("packed.json", drop="fps"), "packed.json: missing fps; it holds format_version, model"),
        (write("packed.json", "[1]"), "packed.json: expected an object"),
        (edit("packed.json", joint_names=["hip"]), r"qpos.npy: holds .* the set asks for float64 of \(21, 8\)"),
        (edit("packed.json", joint_names=["hip", 2]), "packed.json: joint_names is"),
        (edit("packed.json", fps=float("nan")), "packed.json: fps is nan, expected a positive number"),
        (wrapping, "clips.jsonl: line 1: length is 9223372036854775807, at least 2"),
        (edit("clips.jsonl", name="../up"), "clips.jsonl: line 1: name is '../up'; a clip's name is that of a file"),
        (edit("clips.jsonl", name="/tmp/up"), "name is '/tmp/up'; a clip's name is that of a file"),
        (edit("clips.jsonl", name=".."), r"name is '\.\.'; a clip's name is that of a file"),
        (edit("clips.jsonl", name="a\nb"), r"name is 'a\\nb'; a clip's name is that of a file"),
        *[
            pytest.param(
                pipe(name), f"{name}: not a file", marks=pytest.mark.skipif(os.name == "nt", reason="no pipes")
            )
            for name in ("packed.json", "clips.jsonl", "qpos.npy")
        ],
    ],
)
def test_a_damaged_set_is_refused_by_file_and_key(packed: PackedClips, damage, message: str) -> None:
    damage(packed.folder)
    with pytest.raises(ClipError, match=message):
        load_packed(packed.folder)


def test_a_set_for_another_body_is_refused(packed: PackedClips) -> None:
    with pytest.raises(ClipError, match=r"joints differ: missing \['ankle'\]"):
        MotionLibrary(packed, ("hip", "ankle"), 50.0)


def test_damaged_frames_show_when_the_clip_is_asked_for(packed: PackedClips) -> None:
    table = np.load(packed.folder / "qpos.npy")
    table[6, 0] = np.nan
    np.save(packed.folder / "qpos.npy", table)
    damaged = load_packed(packed.folder)
    with pytest.raises(ClipError, match=r"set: clip 'wander_1': qpos is not finite at frame 1"):
        damaged[1]
    # A library answers from the tables, so that it looks at every clip first.
    assert len(MotionLibrary(damaged.select(["wander_0", "wander_2"]), damaged.joint_names, 50.0).clips) == 2
    with pytest.raises(ClipError, match=r"set: clip 'wander_1': qpos is not finite at frame 1"):
        MotionLibrary(damaged, damaged.joint_names, 50.0)


def test_a_set_that_is_replaced_while_it_is_open_is_refused(packed: PackedClips) -> None:
    index = packed.folder / "clips.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(reversed(lines)))
    with pytest.raises(ClipError, match=r"clips\.jsonl: has changed since the set was opened: clip 'wander_0'"):
        packed.meta(0)
    index.write_text("x" * 1000)
    with pytest.raises(ClipError, match=r"clips\.jsonl: byte 0: not readable as JSON"):
        packed[0]


# -- sources ----------------------------------------------------------------------------------------------


def test_clips_are_found_by_file_folder_and_list(tmp_path: Path) -> None:
    for name in ("b", "a"):
        save_clip(tmp_path / f"{name}.npz", drift())
    assert [clip.name for clip in load_clips(tmp_path)] == ["a", "b"]
    assert [clip.name for clip in load_clips([str(tmp_path / "b.npz"), str(tmp_path)])] == ["b", "a", "b"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClipError, match=r"holds no \.npz clip"):
        load_clips(tmp_path / "empty")
    with pytest.raises(ClipError, match="neither a clip, nor a folder of clips, nor an embedded set"):
        load_clips("no_such_walk")


def test_a_packed_set_is_a_source_like_any_other(packed: PackedClips, tmp_path: Path) -> None:
    save_clip(tmp_path / "z.npz", drift())
    both = load_clips([packed.folder, tmp_path / "z.npz"])
    assert [clip.name for clip in both] == ["wander_0", "wander_1", "wander_2", "z"]
    assert isinstance(load_clips([packed.folder]), PackedClips)
    lazy = open_clips([packed.folder, tmp_path / "z.npz"])
    (tmp_path / "z.npz").unlink()  # nothing is read before it is asked for
    assert lazy[0].name == "wander_0"
    assert [clip.name for clip in lazy[1:3]] == ["wander_1", "wander_2"]
    with pytest.raises(ClipError, match="no such clip"):
        lazy[3]


def test_what_is_derived_of_a_packed_set_is_mapped_and_the_same(packed: PackedClips) -> None:
    """Whatever the order of the clips; rows of clips that were left out are blank."""
    clips = some_clips()
    chosen = packed.select([clips[2].name, clips[0].name])
    found = MotionLibrary(chosen, JOINTS, 50.0).derived((2,), lambda qpos: qpos[:, :2] * 3)
    assert isinstance(found.base, np.memmap)
    assert not found.flags.writeable
    first, third = clips[0].qpos[:, :2] * 3, clips[2].qpos[:, :2] * 3
    np.testing.assert_array_equal(found, np.concatenate([first, np.zeros((7, 2)), third]))
    loose = library(*clips).derived((2,), lambda qpos: qpos[:, :2] * 3)
    np.testing.assert_array_equal(loose[:5], first)


def test_no_room_for_what_is_derived_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gait_envs.reference.spooled.tempfile.TemporaryFile", full)
    monkeypatch.setattr("gait_envs.reference.spooled.tempfile.gettempdir", lambda: "/somewhere")
    with pytest.raises(ClipError, match=r"/somewhere: cannot hold 1 MiB .* \(No space left on device\)"):
        spooled((2**17,), [])
