"""One rule for every command that takes a folder: 0, 1 where some files failed, 2 where nothing could be done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.walker import walker_bvh

from gait_envs.assets import asset_path

BAD = {".bvh": "HIERARCHY", ".npz": "no archive"}
# A command, the ending of what it reads, and whether it goes on past a file that it cannot use.
COMMANDS = {
    "import": (".bvh", "import {0} --out {1}", True),
    "import to BVH": (".bvh", "import {0} --out {1} --to bvh", True),
    "retarget": (".bvh", "retarget {0} --out {1}", True),
    "inspect": (".npz", "inspect {0}", True),
    "export": (".npz", "export {0} --out {1}", True),
    "export to clips": (".npz", "export {0} --to clip --fps 25 --out {1}", True),
    "split": (".npz", "split {0} --by subject --out {1}.json", False),
    "pack": (".npz", "pack {0} --out {1}", False),
    "augment": (".npz", "augment {0} --out {1}.npz", False),
}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Path]:
    """A file of each kind that every command can use."""
    clip = sorted(asset_path("motions/wildrobot_walk").glob("*.npz"))[0]
    return {".bvh": walker_bvh(tmp_path / "whole.bvh", seconds=1.0), ".npz": clip}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_status_tells_how_much_was_done(run, whole: dict[str, Path], tmp_path: Path, name: str) -> None:
    suffix, words, goes_on = COMMANDS[name]
    folder, made = tmp_path / "in", tmp_path / "made"
    folder.mkdir()
    (folder / f"bad{suffix}").write_text(BAD[suffix])

    def status(out: str) -> tuple[int, str]:
        code, told, errors = run(*words.format(folder, tmp_path / out).split())
        assert "Traceback" not in errors
        return code, told + errors

    code, told = status("none")
    assert (code, f"bad{suffix}" in told) == (2, True)
    shutil.copy(whole[suffix], folder / f"whole{suffix}")
    code, told = status("made")
    assert (code, f"bad{suffix}" in told) == (1 if goes_on else 2, True)
    if not goes_on:  # all of it, or nothing
        assert not list(tmp_path.glob(f"{made.name}*"))
    (folder / f"bad{suffix}").unlink()
    if goes_on:
        assert status("made")[0] == 0
