"""Splits: no subject in two parts, the fractions kept, the same on every machine; and `gait-data split` and `pack`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.drawn import drift
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_envs.reference.clip import ClipError, save_clip
from gait_envs.reference.library import load_clips
from gait_envs.reference.packed import PackedClips, load_packed
from gait_envs.reference.split import group_of, hold_out, read_part, save_split, split

THREE = {"train": 0.8, "validation": 0.1, "test": 0.1}
BY_SUBJECT = {f"clip_{i:02d}": f"subject_{i % 10}" for i in range(40)}


def test_a_split_is_what_it_always_was() -> None:
    """A hash, not a generator: these parts must never change for this seed."""
    parts = split(BY_SUBJECT, THREE, seed=0)
    assert {part: len(names) for part, names in parts.items()} == {"train": 32, "validation": 4, "test": 4}
    assert {BY_SUBJECT[name] for name in parts["validation"]} == {"subject_5"}
    assert {BY_SUBJECT[name] for name in parts["test"]} == {"subject_7"}


def test_groups_held_out_are_the_test_and_the_others_the_training() -> None:
    parts = hold_out(BY_SUBJECT, "subject", ["subject_2", "subject_7"])
    assert parts["test"] == [f"clip_{i:02d}" for i in range(40) if i % 10 in (2, 7)]
    assert parts["train"] == [f"clip_{i:02d}" for i in range(40) if i % 10 not in (2, 7)]
    with pytest.raises(ClipError, match="no clip of subject 'subject_99'; there are subject_0, subject_1"):
        hold_out(BY_SUBJECT, "subject", ["subject_99"])
    with pytest.raises(ClipError, match="no clip is left to train on"):
        hold_out(BY_SUBJECT, "subject", set(BY_SUBJECT.values()))


def test_a_split_does_not_depend_on_the_order_of_clips() -> None:
    backwards = dict(reversed(BY_SUBJECT.items()))
    assert split(backwards, THREE) == split(BY_SUBJECT, THREE)
    assert split(BY_SUBJECT, THREE, seed=1) != split(BY_SUBJECT, THREE)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=3, max_size=30),
    shares=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_every_clip_is_in_one_part_and_every_group_too(sizes: list[int], shares: list[int], seed: int) -> None:
    groups = {f"{g}/{i}": f"group {g}" for g, size in enumerate(sizes) for i in range(size)}
    parts = split(groups, {f"part {i}": share / sum(shares) for i, share in enumerate(shares)}, seed)
    assert sorted(name for names in parts.values() for name in names) == sorted(groups)
    owners = [{groups[name] for name in names} for names in parts.values()]
    assert all(owners)
    assert sum(map(len, owners)) == len(sizes)
    for names, share in zip(parts.values(), shares, strict=True):  # over its fraction by less than one group
        assert len(names) < len(groups) * share / sum(shares) + max(sizes)


def test_every_part_gets_something() -> None:
    """Three subjects, one of them nearly everything: tenths would round to nothing."""
    groups = {str(i): "a" for i in range(20)} | {"20": "b", "21": "c"}
    for seed in range(10):
        assert all(split(groups, THREE, seed).values())


@pytest.mark.parametrize(
    ("groups", "parts", "message"),
    [
        (
            {"x": "a", "y": "b"},
            THREE,
            r"clips for 3 parts \(train, validation, test\): a, b; group them",
        ),
        ({}, {"train": 1.0}, r"too few groups of clips for 1 parts \(train\): none"),
        (BY_SUBJECT, {"train": 0.8, "test": 0.1}, "train=0.8, test=0.1: the fractions add up to 0.9, expected 1"),
        (BY_SUBJECT, {"train": 1.5, "test": -0.5}, "train=1.5, test=-0.5: expected names with fractions above 0"),
        (BY_SUBJECT, {"train": float("nan")}, "train=nan: expected"),
        (BY_SUBJECT, {}, "parts none"),
    ],
)
def test_impossible_splits_are_refused(groups: dict[str, str], parts: dict[str, float], message: str) -> None:
    with pytest.raises(ClipError, match=message):
        split(groups, parts)


def test_clips_are_grouped_by_what_they_say() -> None:
    meta = {"subject": "35", "activity": ""}
    assert [group_of("c", meta, by) for by in ("subject", "activity", "clip")] == ["35", "unknown", "c"]
    with pytest.raises(ClipError, match="by 'name': expected one of subject, activity, clip"):
        group_of("c", meta, "name")


# -- the file ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve clips of four subjects."""
    for i in range(12):
        meta = {"subject": f"{i % 4:02d}", "activity": "walk" if i < 6 else "run"}
        save_clip(tmp_path / "clips" / f"c{i:02d}.npz", drift(meta=meta))
    return tmp_path / "clips"


def test_a_part_of_a_split_is_a_source(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_split(tmp_path / "lists" / "split.json", folder, "clip", 7, {"train": ["c03", "c01"], "test": ["c00"]})
    assert json.loads(path.read_text()) == {
        "clips": "../clips",
        "by": "clip",
        "seed": 7,
        "parts": {"train": ["c03", "c01"], "test": ["c00"]},
    }
    assert [clip.name for clip in load_clips(f"{path}#train")] == ["c03", "c01"]
    assert [clip.name for clip in load_clips([f"{path}#test", f"{path}#train"])] == ["c00", "c03", "c01"]
    monkeypatch.chdir(path.parent)  # the set is found from the file, wherever one stands
    assert [clip.name for clip in load_clips("split.json#test")] == ["c00"]
    assert [p.name for p in path.parent.iterdir()] == ["split.json"]


@pytest.mark.parametrize(
    ("text", "part", "message"),
    [
        ('{"clips": ".", "parts": {"a": ["x"], "b": ["y"]}}', "#c", r"no part 'c'; name one of s.json#a, s.json#b"),
        ('{"clips": ".", "parts": {"a": ["x"]}}', "", r"no part ''; name one of s.json#a"),
        ('{"clips": ".", "parts": {"a": []}}', "#a", r"parts.a is \[\], expected a list of clips' names"),
        ('{"clips": ".", "parts": {"a": [1]}}', "#a", r"parts.a is \[1\]"),
        ('{"parts": {"a": ["x"]}}', "#a", "not a split: expected an object with clips"),
        ("[]", "#a", "not a split"),
        ("{", "#a", "not a readable split"),
        ('{"clips": "clips", "parts": {"a": ["x"]}}', "#a", r"clips: no clip 'x' \(1 missing\); it holds c00, c01"),
        ('{"clips": "nowhere", "parts": {"a": ["x"]}}', "#a", "nowhere: neither a clip"),
        ('{"clips": "s.json#a", "parts": {"a": ["x"]}}', "#a", r"its clips are .*s.json#a, a part of a split"),
    ],
)
def test_what_is_wrong_with_a_split_is_named(folder: Path, tmp_path: Path, text: str, part: str, message: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(ClipError, match=message):
        load_clips(f"{path}{part}")


# -- commands ---------------------------------------------------------------------------------------------


def test_the_split_command(run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.json"
    words = ("--by", "subject", "--parts", "train=0.5, test=0.5", "--seed", 3, "--out", out)
    code, text, errors = run("split", folder, *words)
    assert (code, errors) == (0, "")
    assert "50%" in text
    (where, train), (_, test) = read_part(out, "train"), read_part(out, "test")
    assert where.resolve() == folder
    assert len(train) == len(test) == 6
    subjects = [{clip.meta["subject"] for clip in load_clips(f"{out}#{part}")} for part in ("train", "test")]
    assert not subjects[0] & subjects[1]
    assert json.loads(out.read_text())["seed"] == 3
    # A packed set of the same clips is split alike, and its parts stay mapped.
    run("pack", folder, "--out", tmp_path / "packed")
    run("split", tmp_path / "packed", *words[:-1], tmp_path / "other.json")
    assert read_part(tmp_path / "other.json", "train")[1] == train
    assert isinstance(load_clips(f"{tmp_path / 'other.json'}#train"), PackedClips)


def test_the_split_command_holds_groups_out(run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.json"
    assert run("split", folder, "--hold-out", "03", "--out", out)[0] == 0
    assert read_part(out, "test")[1] == ["c03", "c07", "c11"]
    assert len(read_part(out, "train")[1]) == 9
    code, _, errors = run("split", folder, "--hold-out", "03", "--parts", "train=1", "--out", out)
    assert code != 0
    assert "--hold-out makes the parts train and test itself; leave --parts out" in errors


def test_clips_that_say_nothing_stay_together(run, folder: Path, tmp_path: Path) -> None:
    for name in ("d", "e"):
        save_clip(folder / f"{name}.npz", drift())
    out = tmp_path / "split.json"
    code, _, errors = run("split", folder, "--parts", "train=0.5,test=0.5", "--out", out)
    assert code == 0
    assert "2 of 14 clips do not say their subject; they stay together as one group" in errors
    assert any({"d", "e"} <= set(read_part(out, part)[1]) for part in ("train", "test"))
    code, _, errors = run("split", folder, "--by", "clip", "--out", out)
    assert (code, errors) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "nowhere: no such folder"),
        (("{folder}", "--parts", "train"), "--parts train: 'train' is not of the form name=fraction"),
        (("{folder}", "--parts", "a=0.5,a=0.5"), "part names must be unique"),
        (("{folder}", "--parts", "a=0.5"), "add up to 0.5"),
        (("{folder}", "--by", "speed"), "by 'speed': expected one of subject, activity, clip"),
        (("{folder}", "--by", "activity"), "too few groups of clips for 3 parts (train, validation, test): run, walk"),
    ],
)
def test_faults_of_split_are_one_line(run, folder: Path, tmp_path: Path, monkeypatch, words, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = run("split", *(word.format(folder=folder) for word in words))
    assert code == 2
    assert message in errors.replace("\n", " ")
    assert "Traceback" not in errors
    assert not (tmp_path / "split.json").exists()


def test_a_set_without_subjects_is_not_split_by_them(run, tmp_path: Path) -> None:
    save_clip(tmp_path / "a.npz", drift())
    code, _, errors = run("split", tmp_path, "--out", tmp_path / "split.json")
    assert code == 2
    assert "no clip says its subject; split by clip" in errors.replace("\n", " ")


def test_the_pack_command(run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    code, text, errors = run("pack", folder / "c01.npz", folder / "c00.npz", "--out", out)
    assert (code, errors) == (0, "")
    assert "2 clips, 12 frames" in text
    assert load_packed(out).names == ("c01", "c00")
    code, _, errors = run("pack", folder, "--out", out)
    assert code == 2
    assert "exists already" in errors


def test_pack_asks_about_licences(run, folder: Path, tmp_path: Path) -> None:
    save_clip(folder / "z.npz", drift(license="CC-BY-NC-4.0"))
    out = tmp_path / "set"
    code, _, errors = run("pack", folder, "--out", out)
    assert code == 2
    assert "2 licences in one set: CC-BY-NC-4.0: z; MIT: c00" in errors.replace("\n", " ")
    assert not out.exists()
    assert run("pack", folder, "--out", out, "--accept-license")[0] == 0
    assert len(load_packed(out)) == 13
