"""A process that begins the training of a model: gathers its motions in a folder, prepares them, becomes `gait-train`.

    python -m gait_trainers.service.jobs.pretrain ALGORITHM RUN RESULTS CLIPS...

CLIPS are names of bundled sets and files of uploaded motions. RUN is where nothing can be continued yet: what a process
left there that was killed too early is removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gait_envs.files import replacing_folder
from gait_envs.reference.clip import Clip, save_clip
from gait_envs.reference.library import MotionLibrary
from gait_envs.reference.sources import open_clips
from gait_trainers.service.algorithms.models import CLIPS, ModelTraining
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.jobs.process import faults_in_a_line, python

LOOPED = 8.0  # s, for which a loop is continued: a clip of one gait cycle shows too little


def gather(sources: Sequence[str], folder: Path) -> None:
    """Write all clips into a folder: those of a bundled set by their names, an uploaded one by the motion's id."""
    with replacing_folder(folder) as temporary:
        for source in sources:
            for clip in open_clips(source):
                name = Path(source).parent.name if Path(source).is_file() else clip.name
                save_clip(temporary / f"{name}.npz", continued(clip))


def continued(clip: Clip, seconds: float = LOOPED) -> Clip:
    """A loop that is shorter than this, lap after lap; any other clip as it is."""
    if not clip.loop or clip.duration >= seconds:
        return clip
    frames = round(seconds * clip.fps) + 1
    at = np.arange(frames)
    library = MotionLibrary([clip], clip.joint_names, clip.fps)
    qpos, qvel = library.sample(np.zeros(frames, dtype=int), at / clip.fps)
    rows = at % (clip.frames - 1)  # the last frame is the first of the next lap
    contacts, torque = (None if table is None else table[rows] for table in (clip.contacts, clip.torque))
    return replace(clip, qpos=qpos, qvel=qvel, contacts=contacts, torque=torque, loop=False)


def main() -> None:
    """Exit status 2, and one line, for motions that cannot be used."""
    name, run, results, *sources = sys.argv[1:]
    known = algorithm(name)
    assert isinstance(known, ModelTraining)
    with faults_in_a_line():
        shutil.rmtree(run, ignore_errors=True)
        gather(sources, Path(results) / CLIPS)
    *before, last = (python(*command) for command in known.commands(Path(run), Path(results)))
    for words in before:
        if status := run_through(words):
            sys.exit(status if status > 0 else 2)
    become(last)


def run_through(words: Sequence[str]) -> int:
    """Its exit status."""
    return subprocess.run(words, stderr=subprocess.STDOUT, check=False).returncode


def become(words: list[str]) -> None:
    """This process goes on as that command, under its number, so that an interrupt reaches it."""
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
