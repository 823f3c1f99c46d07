"""Pickles and what holds them are named in one line by whatever is asked to load them, and never loaded."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gait_envs.errors import GaitNetError
from gait_envs.mocap.jobs import Reading as Read
from gait_envs.mocap.jobs import find_captures, open_job
from gait_envs.reading.foreign import pickled
from gait_envs.reference.clip import load_clip
from gait_envs.reference.sources import load_clips
from gait_trainers.policies.loading import load_policy

LOADED: list[str] = []


class Trap:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return LOADED.append, ("loaded",)


def write(folder: Path, kind: str) -> Path:
    """A file, or a folder, of trajectories as others write them."""
    path = folder / {"pickle": "traj.pkl", "named as a capture": "walk.bvh", "named as a clip": "walk.npz",
                     "arrays": "traj.npz", "jsonpickle": "traj.json", "data set": "traj"}[kind]  # fmt: skip
    if kind == "jsonpickle":
        path.write_text(json.dumps([{"infos": {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["true"]}]}}]))
    elif kind == "arrays":
        infos = np.array([Trap()], dtype=object)
        np.savez(path, obs=np.zeros((2, 3)), acts=np.zeros((1, 2)), infos=infos, terminal=np.array([True]))
    elif kind == "data set":
        path.mkdir()
        for name in ("dataset_info.json", "state.json"):
            (path / name).write_text("{}")
        (path / "data-00000-of-00001.arrow").write_bytes(b"ARROW1\0\0")
    else:
        path.write_bytes(pickle.dumps(Trap()))
    return path


def retarget(path: Path) -> None:
    jobs, _ = find_captures([path])
    open_job(jobs[0], Read(), True)


@pytest.mark.parametrize("load", [load_clips, load_clip, load_policy, retarget])
@pytest.mark.parametrize(
    "kind", ["pickle", "named as a capture", "named as a clip", "arrays", "jsonpickle", "data set"]
)
def test_what_holds_pickles_is_named_and_never_loaded(tmp_path: Path, kind: str, load: Callable[[Path], Any]) -> None:
    path = write(tmp_path, kind)
    with pytest.raises(GaitNetError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path.name) in message
    assert "\n" not in message
    if not (load is load_clip and kind == "data set"):  # not a file
        assert "pickle" in message
    assert LOADED == []


def test_other_files_are_not_taken_for_pickles(tmp_path: Path) -> None:
    np.savez(tmp_path / "clip.npz", qpos=np.zeros((2, 9)), obs=np.zeros(1))
    (tmp_path / "plain.json").write_text('{"py": 1, "frames": []}')
    (tmp_path / "walk.bvh").write_text("HIERARCHY\nROOT py/object\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "binary").write_bytes(b"\x80\x81\x82")
    for path in [*tmp_path.iterdir(), tmp_path, tmp_path / "none"]:
        assert pickled(path) == ""
