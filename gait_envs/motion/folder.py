"""Folders of captures to a folder of clips: each capture by itself, resumable, the unfit ones set aside.

OUT/NAME.npz            clips that are fit
OUT/unfit/NAME.npz      clips that are not, each with its `faults` in its metadata
OUT/set.json, set.png   what the set holds, and what was refused and why (see `set_report`)
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from gait_envs import __version__
from gait_envs.motion.body import Body, load_body
from gait_envs.motion.catalogue import UNFIT, read_entry
from gait_envs.motion.clip import FORMAT_VERSION, ClipError, save_clip
from gait_envs.motion.convert import Cleaning, convert, look
from gait_envs.motion.importers import FORMATS, find_format, known_formats, open_with_gaps
from gait_envs.motion.landmarks import unit_metres, upright
from gait_envs.motion.report import write_page
from gait_envs.motion.retarget import Retargeted, retarget, time_scale
from gait_envs.motion.skeleton import MotionError
from gait_envs.motion.write_bvh import as_capture

_SUFFIXES = {suffix for format in FORMATS.values() for suffix in format.suffixes}


@dataclass(frozen=True)
class Recipe:
    """What decides how captures become clips, beside the robot."""

    joint_map: Mapping[str, str] | None = None
    unit: str | None = None
    up: str | None = None
    start: float = 0.0
    end: float | None = None
    time: str = "keep"
    speed: float | None = None
    repair: bool = True
    low_pass: float | None = None  # Hz

    def __post_init__(self) -> None:
        """A wrong choice is an error at once, not one for every capture."""
        if self.unit is not None:
            unit_metres(self.unit)
        if self.up is not None:
            upright(self.up)
        time_scale(self.time, 1.0)


@dataclass(frozen=True)
class Job:
    """One capture and the clip to make of it."""

    capture: Path
    name: str
    shown: str  # the capture's path below the folder that was given
    origin: Mapping[str, str] = field(default_factory=dict)  # source, license, subject, activity, where told


@dataclass(frozen=True)
class Outcome:
    """What became of a capture."""

    job: Job
    clip: Path | None = None  # None: it was refused
    faults: tuple[str, ...] = ()  # why it is unfit or was refused
    kept: bool = False  # an earlier run had made it

    @property
    def verdict(self) -> str:
        return "failed" if self.clip is None else "unfit" if self.faults else "fit"


def find_captures(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Job], list[Path]]:
    """A job for every capture, and the files passed over: with a capture's suffix, but with nothing of one inside.

    Files are taken as given, folders searched to the bottom. A clip is named by its capture's path below
    the folder given (`02/02_01.amc`: `02-02_01`), and by its suffix too where that is not enough. Raises
    `MotionError` for what is not there and for folders without a capture.
    """
    found: dict[Path, str] = {}
    passed: list[Path] = []
    for given in map(Path, paths):
        if given.is_dir():
            files = sorted(p for p in given.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
            captures = [file for file in files if _is_capture(file)]
            passed += [file for file in files if file not in captures]
            if not captures:
                raise MotionError(f"{given}: holds no capture; known: {known_formats()}")
            for file in captures:
                found.setdefault(file.resolve(), str(file.relative_to(given)))
        elif given.is_file():
            found.setdefault(given.resolve(), given.name)
        else:
            raise MotionError(f"{given}: no such file or folder")
    jobs = [Job(path, "-".join(Path(shown).with_suffix("").parts), shown) for path, shown in found.items()]
    names = [job.name for job in jobs]
    jobs = [replace(job, name=f"{job.name}-{job.capture.suffix[1:].lower()}") if names.count(job.name) > 1 else job
            for job in jobs]  # fmt: skip
    owners: dict[str, Job] = {}
    for job in jobs:
        other = owners.setdefault(job.name, job)
        if other is not job:
            raise MotionError(
                f"{other.capture} and {job.capture} would both become {job.name}.npz; retarget them apart"
            )
    return jobs, passed


def _is_capture(path: Path) -> bool:
    try:
        find_format(path)
    except MotionError:
        return False
    return True


def retarget_file(job: Job, recipe: Recipe, body: Body) -> Retargeted:
    """The clip of one capture, cleaned first, with what it was made from and by which recipe in its metadata."""
    capture = as_capture(open_with_gaps(job.capture, gaps=recipe.repair).read())  # in memory: read more than once
    cleaning = Cleaning(
        None, recipe.low_pass, recipe.repair, unit=recipe.unit, up=recipe.up, joint_map=recipe.joint_map
    )
    try:
        seen = look(capture, cleaning)
        result = retarget(
            convert(capture, cleaning, seen).read(), body, joint_map=recipe.joint_map, start=recipe.start,
            end=recipe.end, time=recipe.time, speed=recipe.speed, **job.origin,
        )  # fmt: skip
    except MotionError as error:  # it may know the motion, but not its file
        raise MotionError(str(error) if str(job.capture) in str(error) else f"{job.capture}: {error}") from error
    told = {
        "capture": job.shown,
        "recipe": fingerprint(job, recipe, body),
        "unit_m": seen.unit,
        "up": seen.up,
        "rest_frames_dropped": seen.rest_frames,
        "notes": [*dict.fromkeys(result.clip.meta["notes"])],
    }
    return replace(result, clip=replace(result.clip, name=job.name, meta=result.clip.meta | told))


def retarget_folder(
    jobs: Sequence[Job],
    recipe: Recipe,
    robot: str | os.PathLike[str],
    out: Path,
    workers: int = 1,
    pictures: bool = False,
) -> Iterator[Outcome]:
    """Make every clip that `out` does not hold yet, in any order; a capture that cannot be used stops no other.

    What an earlier run, even a killed one, made of the same captures with the same recipe and robot is kept.
    `pictures` draws a page beside every clip that is made.
    """
    if workers < 1:
        raise MotionError(f"jobs is {workers}; at least one process is needed")
    body = load_body(robot)
    to_do = []
    for job in jobs:
        outcome = _made_before(job, recipe, body, out)
        if outcome is None:
            to_do.append(job)
        else:
            yield outcome
    if workers == 1 or len(to_do) < 2:
        yield from (_make(job, recipe, body, out, pictures) for job in to_do)
        return
    with ProcessPoolExecutor(
        min(workers, len(to_do)), multiprocessing.get_context("spawn"), _start_worker, (robot, recipe, out, pictures)
    ) as pool:
        futures = [pool.submit(_work, job) for job in to_do]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise MotionError(
                "a process died, perhaps for want of memory; run again to go on, with fewer jobs"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _make(job: Job, recipe: Recipe, body: Body, out: Path, pictures: bool) -> Outcome:
    """Retarget one capture and put the clip where it belongs; every fault ends up in the outcome."""
    faults: tuple[str, ...]
    places = {True: out / f"{job.name}.npz", False: out / UNFIT / f"{job.name}.npz"}
    try:
        result = retarget_file(job, recipe, body)
        clip = save_clip(places[not result.faults], result.clip)
        if pictures:
            write_page(clip.with_suffix(".png"), result.clip, body, result.quality, result.faults, result.landmarks)
    except (MotionError, ClipError) as error:
        clip, faults = None, (str(error),)
    except Exception as error:  # a fault of ours must not cost the other captures
        clip, faults = None, (f"{job.capture}: {type(error).__name__}: {error}",)
    else:
        faults = tuple(result.faults)
    for place in places.values():
        if place != clip:  # what an earlier run made of it
            place.unlink(missing_ok=True)
            place.with_suffix(".png").unlink(missing_ok=True)
    return Outcome(job, clip, faults)


def _made_before(job: Job, recipe: Recipe, body: Body, out: Path) -> Outcome | None:
    """The outcome of an earlier run, if it holds: made by the same recipe, after the capture last changed."""
    for place in (out / f"{job.name}.npz", out / UNFIT / f"{job.name}.npz"):
        if place.is_file() and place.stat().st_mtime > job.capture.stat().st_mtime:
            try:
                entry = read_entry(place, out)
            except ClipError:
                continue  # damaged: made again
            if entry.recipe == fingerprint(job, recipe, body):
                return Outcome(job, place, entry.faults, kept=True)
    return None


def fingerprint(job: Job, recipe: Recipe, body: Body) -> str:
    """Of all that decides a clip but the capture's content: two clips of one capture with one fingerprint are equal."""
    parts = [__version__, FORMAT_VERSION, asdict(recipe), dict(job.origin), body.digest]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


_worker: tuple[Recipe, Body, Path, bool]  # of a process of the pool


def _start_worker(robot: str | os.PathLike[str], recipe: Recipe, out: Path, pictures: bool) -> None:
    global _worker
    _worker = (recipe, load_body(robot), out, pictures)


def _work(job: Job) -> Outcome:
    return _make(job, *_worker)
