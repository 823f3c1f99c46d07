"""The command lines of jobs: those that a person would type, with files that the server has chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from gait_envs.files import write_durably
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.db.tables import Job, Motion, TrainingSession
from gait_trainers.service.jobs.process import python
from gait_trainers.service.operations.configure import BUNDLED, INFINITE, MOTION
from gait_trainers.service.operations.motions import own_clip
from gait_trainers.service.settings import Settings

FILMED = 6.0  # s of a clip, at most
CAPTURES = {"bvh": "capture.bvh", "asf-amc": "capture.amc", "amass": "capture.npz"}


def command(db: Session, job: Job, settings: Settings) -> list[str]:
    """What to run for a job; writes the configuration of a training that begins."""
    if job.kind == "import":
        motion = db.get_one(Motion, job.motion_id)
        return python(
            "gait_trainers.service.jobs.convert", str(settings.motions / motion.id), motion.format, motion.body
        )
    if job.motion_id is not None:
        return _film_of_motion(settings.motions / job.motion_id, db.get_one(Motion, job.motion_id).figures or {})
    session = db.get_one(TrainingSession, job.session_id)
    run, results, known = settings.runs / session.id, settings.results / session.id, algorithm(session.algorithm)
    if job.kind == "film":
        return _film(session, run, results)
    if job.kind != "train":
        return python(*known.after(job.kind, run, results))
    if known.begun(run):
        return python(*known.resume(run, results, session.iterations))
    own = {given: _copied(given, session.id, settings) for given in session.motions if not given.startswith(BUNDLED)}
    write_durably(results / "config.yaml", known.written(with_files(session.config, own)).encode())
    clips = [own.get(given, given.removeprefix(BUNDLED)) for given in session.motions]
    return python(*known.start(run, results, clips))


def _copied(motion_id: str, session_id: str, settings: Settings) -> str:
    """A session's own copy of a clip, made where there is none yet: who owns the motion may delete it later."""
    copy = own_clip(settings, session_id, motion_id)
    if not copy.is_file():
        write_durably(copy, (settings.motions / motion_id / "clip.npz").read_bytes())
    return str(copy)


def _film(session: TrainingSession, run: Path, results: Path) -> list[str]:
    """Of the bundle if there is one, else of the latest checkpoint."""
    policy = results / "bundle" if (results / "bundle").is_dir() else run
    words = ["--video", str(results / "film.mp4"), "--width", "320", "--seconds", "6"]
    return python("gait_trainers", "play", str(policy), *words)


def _film_of_motion(folder: Path, figures: dict[str, Any]) -> list[str]:
    """The clip on its body; small, as many machines draw without a graphics card."""
    words = ["--out", str(folder / "film.mp4"), "--width", "240", "--height", "240"]
    if figures.get("seconds", 0.0) > FILMED:
        words += ["--end", str(FILMED)]
    return python("gait_envs.mocap.cli", "view", str(folder / "clip.npz"), *words)


def with_files(tree: Any, clips: Mapping[str, str]) -> Any:
    """A stored configuration, with the files of motions in place of their placeholders, and infinity as a number.

    clips: id of a motion -> file.
    """
    if isinstance(tree, dict):
        return {key: with_files(value, clips) for key, value in tree.items()}
    if isinstance(tree, list):
        return [with_files(value, clips) for value in tree]
    if isinstance(tree, str) and tree.startswith(MOTION):
        return clips[tree.removeprefix(MOTION)]
    return INFINITE.get(tree, tree) if isinstance(tree, str) else tree


def log_file(job: Job, settings: Settings) -> Path:
    """Where a job's output goes: a session's processes share one file."""
    if job.session_id is not None and job.kind not in ("film", "view"):
        return settings.results / job.session_id / "log.txt"
    if job.motion_id is not None and job.kind == "import":
        return settings.motions / job.motion_id / "log.txt"
    return settings.jobs / job.id / "log.txt"
