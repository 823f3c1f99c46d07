"""Folders of very many files: all of them are found, none stays open, and memory does not follow their number."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from helpers.soak import held, say, sizes
from helpers.still_clips import ROBOT, still
from helpers.walker import walker_bvh

from gait_envs.mocap.importing import ImportSettings, import_files
from gait_envs.mocap.jobs import find_captures
from gait_envs.reference.catalogue import read_entries
from gait_envs.reference.clip import save_clip
from gait_envs.reference.packing import pack
from gait_envs.reference.sources import open_clips
from gait_envs.reference.streaming import StreamingLibrary


def many(path: Path, size: int, folder: Path) -> Path:
    """A folder of so many links to one file."""
    folder.mkdir()
    for i in range(size):
        (folder / f"{path.stem}_{i:05d}{path.suffix}").hardlink_to(path)
    return folder


@sizes(often=60, full=10_000)
def test_a_folder_of_clips_is_listed_packed_and_streamed(size: int, tmp_path: Path) -> None:
    folder = many(save_clip(tmp_path / "still.npz", still("still", 9, speed=0.1)), size, tmp_path / "clips")
    begun = time.monotonic()
    files, _, memory = held()
    assert [entry.name for entry in read_entries(folder)] == [f"still_{i:05d}" for i in range(size)]
    clips = open_clips(folder)
    assert len(clips) == size
    packed = pack(clips, tmp_path / "packed")
    assert packed.names == clips.names
    rng = np.random.default_rng(0)
    for source in (clips, packed):
        library = StreamingLibrary(source, ROBOT.joint_names, 50.0, resident=32, refresh=100)
        for _ in range(20):
            clip, at = library.draw(rng, 10)
            qpos, _ = library.sample(clip, at)
            assert np.abs(qpos[:, 0] - 0.1 * at).max() < 1e-9
    del library, source, packed  # whose tables are open as long as it is there
    left, _, after = held()
    say(f"{size} clips listed, packed and streamed: {time.monotonic() - begun:.0f} s, {left - files:+} files, "
        f"{after - memory:+.1f} MB")  # fmt: skip
    assert left <= files
    assert after - memory < 64


@sizes(often=2, full=10_000)
def test_a_folder_of_captures_is_imported_and_then_kept(size: int, tmp_path: Path) -> None:
    folder = many(walker_bvh(tmp_path / "walk.bvh", seconds=0.2), size, tmp_path / "captures")
    out = tmp_path / "out"
    out.mkdir()
    begun = time.monotonic()
    jobs, passed = find_captures([folder])
    assert (len(jobs), passed) == (size, [])
    first, second, peaks = [], [], []
    for results in (first, second):
        files, _, memory = held()
        for result in import_files(jobs, ImportSettings(), out):
            results.append((result.path is not None, result.kept))
            if len(results) == max(1, size // 10):
                memory = held()[2]
        left, _, after = held()
        assert left <= files
        peaks.append(after - memory)
    assert set(first) == {(True, False)}
    assert set(second) == {(True, True)}
    assert len(list(out.glob("*.npz"))) == len(first) == len(second) == size
    say(f"{size} captures imported, then kept: {time.monotonic() - begun:.0f} s, {max(peaks):+.1f} MB")
    assert max(peaks) < 64
