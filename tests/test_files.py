"""A file is written whole or not at all, and what cannot be written is named."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gait_envs.files import is_leftover, replacing, replacing_folder


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    for text in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert temporary.parent == path.parent
            assert temporary.suffix == ".tmp"
        assert path.read_text() == text
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new")
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "notes").write_text("")
    with pytest.raises(IsADirectoryError) as found, replacing(tmp_path / "folder.txt") as temporary:
        temporary.write_text("new")
    assert (found.value.filename, found.value.filename2) == (str(tmp_path / "folder.txt"), None)
    with pytest.raises(OSError, match="notes") as missing, replacing(tmp_path / "notes" / "a.txt") as temporary:
        temporary.write_text("new")
    assert "tmp'" not in str(missing.value).removesuffix("'")
    assert sorted(os.listdir(tmp_path)) == ["folder.txt", "notes"]
    with pytest.raises(OSError, match="name too long") as long, replacing(tmp_path / ("x" * 300)) as temporary:
        temporary.write_text("new")
    assert long.value.filename == str(tmp_path / ("x" * 300))


@pytest.mark.parametrize("kind", ["folder", "file", "link", "nothing"])
def test_a_folder_takes_the_place_of_whatever_was_there(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "a", tmp_path / "other"
    put(path, other, kind)
    with replacing_folder(path) as temporary:
        (temporary / "new").touch()
    assert os.listdir(path) == ["new"]
    assert os.listdir(other) == ["old"]
    assert sorted(os.listdir(tmp_path)) == ["a", "other"]


@pytest.mark.parametrize("kind", ["folder", "file", "link", "nothing"])
def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As on Windows where another program has a file of the new folder open."""
    path, other = tmp_path / "a", tmp_path / "other"
    put(path, other, kind)
    before = sorted(tmp_path.rglob("*"))
    rename = Path.rename

    def held(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise PermissionError(13, "Permission denied", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", held)
    with pytest.raises(PermissionError) as found, replacing_folder(path) as temporary:
        (temporary / "new").touch()
    assert found.value.filename == str(path)
    assert sorted(tmp_path.rglob("*")) == before


def put(path: Path, other: Path, kind: str) -> None:
    other.mkdir()
    (other / "old").touch()
    if kind == "folder":
        path.mkdir()
        (path / "old").touch()
    elif kind == "file":
        path.write_text("old")
    elif kind == "link":
        path.symlink_to(other)


def test_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    path, both = tmp_path / "a.txt", threading.Barrier(2)

    def write(text: str) -> bool:
        with replacing(path) as temporary:
            temporary.write_text(text)
            both.wait(30)
            whole = temporary.read_text() == text
            both.wait(30)
        assert is_leftover(temporary)
        return whole

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(write, ("first", "second")))
    assert path.read_text() in ("first", "second")
    assert os.listdir(tmp_path) == ["a.txt"]
