"""Folders of captures to a folder of clips: each capture by itself, resumable, the unfit ones set aside.

OUT/NAME.npz            clips that are fit
OUT/unfit/NAME.npz      clips that are not, each with its `faults` in its metadata
OUT/set.json, set.png   what the set holds, and what was refused and why (see `pages.set_page`)
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from gait_envs.constants import __version__
from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture, SkeletonMotion
from gait_envs.mocap.cleaning.convert import Cleaning, convert, cut, look
from gait_envs.mocap.cleaning.repair import GapError
from gait_envs.mocap.cleaning.repeats import without_repeats
from gait_envs.mocap.formats.bvh_writer import as_capture
from gait_envs.mocap.formats.capture_file import stored_meta
from gait_envs.mocap.jobs import Job, Reading, check_targets, content_of, crash, digest, made_since, naming, open_job
from gait_envs.mocap.pages.clip_page import write_page
from gait_envs.mocap.retarget.pipeline import Retargeted, retarget, time_scale
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.reading.outputs import CLIP, check_drawing, check_same_kind
from gait_envs.reference.catalogue import UNFIT, read_entry
from gait_envs.reference.clip import FORMAT_VERSION, ClipError, load_clip, save_clip
from gait_envs.reference.licenses import UNKNOWN, check_licenses, check_robots

_STRIDES = 0.2, 2.0  # of the captured one
_HIGHEST = 0.5  # m, largest clearance at mid-swing


@dataclass(frozen=True)
class Recipe:
    """Options of retargeting, besides the robot."""

    cleaning: Cleaning = field(default_factory=Cleaning)
    reading: Reading = field(default_factory=Reading)
    start: float = 0.0
    end: float | None = None
    time: str = "keep"
    speed: float | None = None
    stride: float = 1.0  # length of the strides, of the captured ones at the robot's scale
    clearance: float | None = None  # m under the foot at mid-swing; None: the robot's own

    def __post_init__(self) -> None:
        """Validated here, so that a wrong value is one error and not one per capture."""
        time_scale(self.time, 1.0)
        if self.speed is not None and not 0 < self.speed < float("inf"):
            raise MotionError(f"speed {self.speed:g} m/s: expected a positive number")
        if not _STRIDES[0] <= self.stride <= _STRIDES[1]:
            raise MotionError(f"stride {self.stride:g}: expected {_STRIDES[0]:g} to {_STRIDES[1]:g}")
        if self.clearance is not None and not 0 <= self.clearance <= _HIGHEST:
            raise MotionError(f"swing clearance {self.clearance:g} m: expected 0 to {_HIGHEST:g}")
        if not 0 <= self.start < (float("inf") if self.end is None else self.end):
            end = "the end" if self.end is None else f"{self.end:g} s"
            raise MotionError(f"cannot cut from {self.start:g} s to {end}: expected 0 <= start < end")


@dataclass(frozen=True)
class Outcome:
    """The result of retargeting a capture."""

    job: Job
    clip: Path | None = None  # None: it was refused
    faults: tuple[str, ...] = ()  # why it is unfit or was refused
    kept: bool = False  # an earlier run had made it
    notes: tuple[str, ...] = ()  # what was guessed or repaired

    @property
    def verdict(self) -> str:
        """`failed` (no clip was made), `unfit` (the clip has faults) or `fit`."""
        return "failed" if self.clip is None else "unfit" if self.faults else "fit"


def retarget_file(job: Job, recipe: Recipe, body: Body) -> Retargeted:
    """The clip of one capture, cleaned first, with what it was made from and by which recipe in its metadata."""
    cleaning = recipe.cleaning
    mark = fingerprint(job, recipe, body)
    if recipe.clearance is not None:
        body = replace(body, swing_clearance=recipe.clearance)
    capture = open_job(job, recipe.reading, cleaning.repair)
    capture = replace(capture, blocks=as_capture(capture.read()).blocks)  # in memory: read more than once
    with naming(job.capture):
        capture = without_repeats(capture, cleaning.repair)
        motion, start, end = _cleaned(capture, recipe)
        result = retarget(
            motion, body, joint_map=cleaning.joint_map, start=start, end=end, time=recipe.time, speed=recipe.speed,
            stride=recipe.stride,
        )  # fmt: skip
    first, last = result.clip.meta["cut_s"]  # of what was left to cut
    told = {
        "capture": job.shown,
        "recipe": mark,
        "notes": [*dict.fromkeys(result.clip.meta["notes"])],
        "cut_s": [recipe.start + first - start, recipe.end if last == end else recipe.start + last - start],
    }
    return replace(result, clip=replace(result.clip, name=job.name, meta=result.clip.meta | told))


def _cleaned(capture: Capture, recipe: Recipe) -> tuple[SkeletonMotion, float, float | None]:
    """The capture converted, and what is still to be cut from it.

    Cut late, so that the whole capture says how long the legs are and where the floor is; but faults that cannot be
    mended do not count where they are cut away, and then it is cut first.
    """
    seen = look(capture, recipe.cleaning)
    whole = recipe.start == 0.0 and recipe.end is None
    if recipe.cleaning.treadmill is not None and not whole:  # who steps off the belt turns about
        part = cut(capture, seen, recipe.start, recipe.end)
        seen = replace(seen, facing=look(part, replace(recipe.cleaning, up=seen.up)).facing)
    try:
        return convert(capture, recipe.cleaning, seen).read(), recipe.start, recipe.end
    except GapError:
        if whole:
            raise
        part = cut(capture, seen, recipe.start, recipe.end)
        return convert(part, recipe.cleaning, replace(seen, rest_frames=0)).read(), 0.0, None


def targets(job: Job, out: Path) -> list[Path]:
    """Files that may be written, or removed, for a capture."""
    clips = [out / f"{job.name}.npz", out / UNFIT / f"{job.name}.npz"]
    return [*clips, *(clip.with_suffix(".png") for clip in clips)]


def check_folder(jobs: Sequence[Job], out: Path, robot: str, accepted: bool) -> None:
    """Refuse before any work a folder that the clips of these captures may not go to.

    It may hold clips of this robot, including those to be replaced; not one of the captures, nor any other .npz.
    Together with the clips to be made they must be under one licence, unless that was `accepted`. What lies where a
    page or the set's report goes must be one.
    """
    check_targets((job.capture, target) for job in jobs for target in targets(job, out))
    for target in (target for job in jobs for target in targets(job, out)):
        if target.suffix == ".npz":
            check_same_kind(target, *CLIP)
        else:
            check_drawing(target)
    check_same_kind(out / "set.json", "counts", "clips")
    check_drawing(out / "set.png")
    mine = {job.name for job in jobs}
    licenses = {job.shown: job.origin.get("license", UNKNOWN) for job in jobs}
    robots = dict.fromkeys(licenses, robot)
    for path in sorted([*out.glob("*.npz"), *(out / UNFIT).glob("*.npz")]):
        if stored_meta(path):
            raise MotionError(f"{path}: is a capture, not a clip; clips need a folder of their own (--out)")
        try:
            entry = read_entry(path, out)
        except ClipError:
            if path.stem in mine:  # damaged, and made again
                continue
            raise
        robots[entry.file] = entry.model
        if path.stem not in mine:
            licenses[entry.file] = entry.license
    check_licenses(licenses, accepted)
    check_robots(robots)


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
    `pictures` draws a page beside every clip that has none yet. A `MotionError` if one of the captures would be
    overwritten.
    """
    check_targets((job.capture, target) for job in jobs for target in targets(job, out))
    if workers < 1:
        raise MotionError(f"jobs is {workers}; at least one process is needed")
    body = load_body(robot)
    to_do = []
    for job in jobs:
        outcome = _made_before(job, recipe, body, out, pictures)
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
    notes: tuple[str, ...]
    places = {True: out / f"{job.name}.npz", False: out / UNFIT / f"{job.name}.npz"}
    try:
        result = retarget_file(job, recipe, body)
        clip = save_clip(places[not result.faults], result.clip)
    except (MotionError, ClipError, OSError) as error:
        clip, faults, notes = None, (str(error),), ()
    except Exception as error:  # a fault of ours must not cost the other captures
        clip, faults, notes = None, (crash(job.capture, error),), ()
    else:
        faults, notes = tuple(result.faults), tuple(result.clip.meta["notes"])
        page = places[not result.faults].with_suffix(".png")
        notes += _draw(page, result, body) if pictures else ()
    for place in places.values():
        if place != clip:  # what an earlier run made of it
            place.unlink(missing_ok=True)
            place.with_suffix(".png").unlink(missing_ok=True)
    return Outcome(job, clip, faults, notes=notes)


def _draw(page: Path, result: Retargeted, body: Body) -> tuple[str, ...]:
    """Draw the clip's page; what is to be said if that fails, which does not cost the clip."""
    try:
        write_page(page, result.clip, body, result.quality, result.faults, result.landmarks)
    except Exception as error:
        page.unlink(missing_ok=True)  # of an earlier clip
        return (f"no page: {crash(page, error)}",)
    return ()


def _made_before(job: Job, recipe: Recipe, body: Body, out: Path, pictures: bool) -> Outcome | None:
    """The outcome of an earlier run, if it holds: made by the same recipe, after the capture last changed."""
    for place in (out / f"{job.name}.npz", out / UNFIT / f"{job.name}.npz"):
        if not made_since(job, place):
            continue
        try:
            clip = load_clip(place)
        except ClipError:
            continue  # damaged: made again
        if clip.meta.get("recipe") != fingerprint(job, recipe, body):
            continue
        if pictures and not place.with_suffix(".png").is_file():
            return None  # the page also shows the captured body, which the clip does not keep
        return Outcome(job, place, tuple(clip.meta["faults"]), kept=True, notes=tuple(clip.meta["notes"]))
    return None


def fingerprint(job: Job, recipe: Recipe, body: Body) -> str:
    """Of all that decides a clip: two clips with one fingerprint are equal."""
    content = content_of(job, recipe.reading)
    return digest(__version__, FORMAT_VERSION, asdict(recipe), dict(job.origin), body.digest, content)


_worker: tuple[Recipe, Body, Path, bool]  # of a process of the pool


def _start_worker(robot: str | os.PathLike[str], recipe: Recipe, out: Path, pictures: bool) -> None:
    global _worker
    _worker = (recipe, load_body(robot), out, pictures)


def _work(job: Job) -> Outcome:
    return _make(job, *_worker)
