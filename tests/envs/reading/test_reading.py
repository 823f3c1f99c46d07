"""Strict readers: what they give, and what they refuse."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gait_envs.errors import GaitNetError, one_line
from gait_envs.reading import bounded
from gait_envs.reading.archive import Archive
from gait_envs.reading.text import parse_json, parse_table, read_text
from gait_envs.reading.yaml_text import parse_yaml


def test_trees_are_read_as_they_are() -> None:
    text = '{"a": [1, -2.5, true, null, "ä"], "b": {"c": 9223372036854775807}}'
    expected = {"a": [1, -2.5, True, None, "ä"], "b": {"c": 2**63 - 1}}
    assert parse_json(text, "x", GaitNetError) == parse_yaml(text, "x", GaitNetError) == expected
    assert parse_yaml("a: &x [1]\nb: *x", "x", GaitNetError) == {"a": [1], "b": [1]}
    assert parse_json("[" * 64 + "]" * 64, "x", GaitNetError) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 65 + "]" * 65, "x: nested more than 64 deep"),
        ("[" * 100_000, "x: nested more than 64 deep"),
        ('{"a": {"b": 1, "b": 2}}', "x: key 'b' is there twice"),
        ("[\n1,\n]", "x, line 3: not valid JSON: Expecting value"),
        ("9" * 5000, "x: the whole number 9999999999… has 5000 digits, at most 64 bits are read"),
        ("[99999999999999999999]", "x: 0: a whole number of 67 bits, at most 64 are read"),
        ('{"a": ["\\udfff"]}', "x: a.0: holds half a character (a lone surrogate)"),
    ],
)
def test_json_that_is_refused(text: str, said: str) -> None:
    with pytest.raises(GaitNetError) as error:
        parse_json(text, "x", GaitNetError)
    assert str(error.value) == said


@pytest.mark.parametrize("text", ["1" + ":59" * 100_000, "0x" + "f" * 100_000, "1" * 5000, "[" * 5000, "{a: " * 5000])
def test_yaml_that_would_take_long(text: str) -> None:
    with pytest.raises(GaitNetError, match=r"^x, line 1: not valid YAML: "):
        parse_yaml(text, "x", GaitNetError)


@pytest.mark.parametrize("bracket", "[{")
def test_brackets_are_counted_as_they_are_scanned(bracket: str) -> None:
    """Each is compared with all that are open: two thousand of them take half a second, sixty-five take none."""
    begin = time.process_time()
    with pytest.raises(GaitNetError, match=r"^x, line 1: not valid YAML: nested more than 64 deep$"):
        parse_yaml(bracket * 2000, "x", GaitNetError)
    assert time.process_time() - begin < 0.1
    assert parse_yaml("[" * 64 + "]" * 64, "x", GaitNetError) is not None


def test_tables() -> None:
    columns, rows = parse_table('a, b\n1,"2, or ""3"""\n\n4,5', "x", GaitNetError)
    assert columns == ["a", "b"]
    assert rows == [(2, ["1", '2, or "3"']), (4, ["4", "5"])]
    assert parse_table("", "x", GaitNetError) == ([], [])
    with pytest.raises(GaitNetError, match="x, line 3: not 2 values"):
        parse_table("a,b\n1,2\n3\n", "x", GaitNetError)


def test_what_is_no_text_file(tmp_path: Path) -> None:
    with pytest.raises(GaitNetError, match="not a file"):
        read_text(tmp_path, GaitNetError)
    with pytest.raises(FileNotFoundError, match="none"):
        read_text(tmp_path / "none", GaitNetError)
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for its writer
    with pytest.raises(GaitNetError, match="not a file"):
        read_text(tmp_path / "pipe", GaitNetError)
    (tmp_path / "mark").write_bytes("\ufeffä".encode())
    assert read_text(tmp_path / "mark", GaitNetError) == "ä"
    with pytest.raises(GaitNetError, match="larger than 4 bytes"):
        read_text(tmp_path / "mark", GaitNetError, limit=4)


def test_one_line() -> None:
    assert one_line("a\n b\tc") == "a b c"
    assert one_line("x" * 10, most=3) == "xxx…"
    assert one_line("a\x1b[2Jb\u202ec") == r"a\x1b[2Jb\u202ec"


# -- archives ---------------------------------------------------------------------------------------------


def save(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    "array",
    [np.arange(12.0).reshape(3, 4), np.asfortranarray(np.arange(12).reshape(3, 4)), np.float32(2), np.zeros((0, 3)),
     np.arange(6, dtype=">i4"), np.arange(300_000.0)],
)  # fmt: skip
def test_numbers_come_back(tmp_path: Path, array: np.ndarray) -> None:
    with Archive(save(tmp_path / "a.npz", x=array), GaitNetError, 1 << 24, "a") as archive:
        found = archive.array("x", "fi")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.asarray(array).dtype


@pytest.mark.parametrize("order", "<>")
def test_half_precision_becomes_single(tmp_path: Path, order: str) -> None:
    """A limit of a million, compared with numbers that end at 65,504, is a warning."""
    array = np.array([1.5, -2.0, np.inf]).astype(f"{order}f2")
    with Archive(save(tmp_path / "a.npz", x=array), GaitNetError, 1000, "a") as archive:
        found = archive.array("x", "f")
    assert found.dtype == np.float32
    assert (np.abs(found) < 1e6).tolist() == [True, True, False]


def test_text_and_flags_come_back(tmp_path: Path) -> None:
    with Archive(save(tmp_path / "a.npz", x=np.array(["a", "bc"]), y=True, z=""), GaitNetError, 100, "a") as archive:
        assert archive.array("x", "U").tolist() == ["a", "bc"]
        assert archive.array("y", "b")
        assert str(archive.array("z", "U")) == ""


def test_the_limit_is_for_all_arrays_together(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.zeros(10), y=np.zeros(10, "f4"), z=np.zeros(10**6))
    with Archive(path, GaitNetError, 160, "a") as archive:
        archive.array("x", "f")
        archive.array("y", "f")  # counts as float64
        with pytest.raises(GaitNetError, match=r"^a: x: its shape \(10,\) takes 80 bytes, the limit is 160 for all"):
            archive.array("x", "f")


def member(path: Path, data: bytes, how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as file:
        file.writestr("x.npy", data)
    return path


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (npy(np.zeros(3)) + b"more", r"the archive holds 28 bytes, its header says \(3,\)"),
        (npy(np.zeros(3))[:-1], "the archive holds 23 bytes"),
        (npy(np.array([{}])), "pickled Python objects, which are never read"),
        (npy(np.zeros(3, complex)), "holds complex128, expected numbers"),
        (b"", "EOF"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "its header has 4294967295 bytes, at most 16384 are read"),
        (npy(np.zeros((2, 0)))[:80].replace(b"(2, 0)", b"(-1,0)"), "shape|EOF|header"),
    ],
)
def test_members_that_are_not_read(tmp_path: Path, data: bytes, said: str) -> None:
    with (
        Archive(member(tmp_path / "a.npz", data), GaitNetError, 1000, "a") as archive,
        pytest.raises(GaitNetError, match=said) as error,
    ):
        archive.array("x", "fiu")
    assert str(error.value).startswith("a: x: ")
    assert "\n" not in str(error.value)


def test_other_compressions_are_refused(tmp_path: Path) -> None:
    """bz2 and lzma expand a whole block at a time, however little is asked for."""
    with (
        Archive(member(tmp_path / "a.npz", npy(np.zeros(3)), zipfile.ZIP_BZIP2), GaitNetError, 100, "a") as archive,
        pytest.raises(GaitNetError, match="compressed by another method"),
    ):
        archive.array("x", "f")


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    path = member(tmp_path / "a.npz", npy(np.zeros(3)), zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(bytes(24), bytes(23) + b"\x01", 1))
    with Archive(path, GaitNetError, 100, "a") as archive, pytest.raises(GaitNetError, match="x: Bad CRC-32"):
        archive.array("x", "f")


def test_a_huge_table_of_contents_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MAX_DIRECTORY", 10_000)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for i in range(1000):
            file.writestr(f"{i}.npy", b"")
    with pytest.raises(GaitNetError, match=r"no whole \.npz archive: its directory is larger than 10000 bytes"):
        Archive(tmp_path / "a.npz", GaitNetError, 100, "a")


def test_a_key_that_is_there_twice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", npy(1))
        file.writestr("x", npy(2))
    with pytest.raises(GaitNetError, match="an array is there twice"):
        Archive(tmp_path / "a.npz", GaitNetError, 100, "a")
