"""How fast are the motion tools? Each section beside other libraries that do the same, where they are installed.

    python scripts/bench_motion.py                 every section
    python scripts/bench_motion.py reading         one section
    python scripts/bench_motion.py reading --json  the same as one JSON object on the last line
    python scripts/bench_motion.py --quick         shorter, for a look

One process, one core. The contestants of a section take turns, several times over, so that whatever else the
machine does meets them alike; figures are medians over the turns.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from gait_envs.cli import run_script
from gait_envs.mocap.capture import MotionError
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.jobs import Job, find_captures
from gait_envs.mocap.retarget.folder import Recipe, retarget_file
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.reference.clip import Clip
from gait_envs.reference.library import MotionLibrary
from gait_envs.reference.packing import pack

TURNS = 5


# -- reading: a BVH file to local rotations ---------------------------------------------------------------

JOINTS, FRAMES = 60, 4000  # 183 channels; a body with fingers
SLOW_FRAMES = 100  # for a reader of milliseconds a frame


def random_bvh(path: Path, frames: int, seed: int = 0) -> None:
    """A chain of joints with random angles, six decimals, as animation tools write them."""
    lines = ["HIERARCHY"]
    for joint in range(JOINTS):
        positions = "CHANNELS 6 Xposition Yposition Zposition" if joint == 0 else "CHANNELS 3"
        lines += [f"{'JOINT' if joint else 'ROOT'} joint{joint}", "{", "OFFSET 1.5 10.25 -3.125"]
        lines += [f"{positions} Zrotation Xrotation Yrotation"]
    lines += ["End Site", "{", "OFFSET 0 0 1", "}", *"}" * JOINTS, "MOTION", f"Frames: {frames}", "Frame Time: 0.01"]
    values = np.random.default_rng(seed).uniform(-180, 180, (frames, 3 * JOINTS + 3))
    lines += [" ".join(f"{value:.6f}" for value in row) for row in values]
    path.write_text("\n".join(lines) + "\n")


def read_ours(path: Path) -> np.ndarray:
    return read_capture(path).rotations[:, :JOINTS]


def read_pymotion(path: Path) -> np.ndarray:
    from pymotion.io.bvh import BVH

    bvh = BVH()
    bvh.load(str(path))
    return bvh.get_data()[0]


def read_pybvh(path: Path) -> np.ndarray:
    import pybvh

    return pybvh.read_bvh_file(str(path), world_up="+y", warn_on_world_up_disagreement=False).to_quat()[1]


def read_bvhio(path: Path) -> np.ndarray:
    import bvhio

    joints = [joint for joint, _, _ in bvhio.readAsBvh(str(path)).Root.layout()]
    return np.array([[[*pose.Rotation.to_list()] for pose in joint.Keyframes] for joint in joints]).swapaxes(0, 1)


READERS: dict[str, tuple[Callable[[Path], np.ndarray], int]] = {
    "gaitnet": (read_ours, FRAMES),
    "pymotion": (read_pymotion, FRAMES),
    "pybvh": (read_pybvh, FRAMES),
    "bvhio": (read_bvhio, SLOW_FRAMES),
}


def reading(quick: bool) -> dict[str, Any]:
    """Frames a second from a BVH file to local rotations as quaternions (T, J, 4)."""
    shorter = 4 if quick else 1
    readers = {name: reader for name, reader in READERS.items() if name == "gaitnet" or installed(name)}
    with tempfile.TemporaryDirectory() as folder:
        files = {frames: Path(folder, f"{frames}.bvh") for frames in (FRAMES // shorter, SLOW_FRAMES // shorter)}
        for frames, path in files.items():
            random_bvh(path, frames)
        jobs = {name: (read, files[frames // shorter]) for name, (read, frames) in readers.items()}
        seconds = take_turns({name: lambda read=read, path=path: read(path) for name, (read, path) in jobs.items()})
        truth = {path: read_ours(path) for path in files.values()}
        off = {name: float(rotation_gap(read(path), truth[path]).max()) for name, (read, path) in jobs.items()}
    speed = {name: readers[name][1] // shorter / seconds[name] for name in readers}
    print(f"reading BVH, {JOINTS} joints: frames a second (largest difference of a rotation from ours, degrees)")
    for name in READERS:
        figures = (
            f"{speed[name]:12,.0f}   ({np.degrees(off[name]):.1e})" if name in speed else "not installed".rjust(14)
        )
        print(f"  {name:12}{figures}")
    return {"joints": JOINTS, "frames_per_second": speed, "rotation_difference_rad": off}


def rotation_gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle (...,), rad, between unit quaternions: q and -q are one rotation."""
    return 4 * np.arcsin(0.5 * np.minimum(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


# -- library: poses of many clips at any times ------------------------------------------------------------

CLIPS, CLIP_FRAMES, CLIP_JOINTS = 2000, 500, 9  # a million frames
BATCH, LOOP_BATCH = 4096, 512  # queries at a time; fewer for a loop over them
RESIDENT, REFRESHES, GROWTH = 32, 60, 10

PEAK = """
import sys
import numpy as np
from gait_envs.reference.library import MotionLibrary, open_clips
from gait_envs.reference.streaming import StreamingLibrary

kind, folder, batch, resident, refreshes = *sys.argv[1:3], *map(int, sys.argv[3:])
clips, rng, library = open_clips(folder), np.random.default_rng(0), None
if kind == "streaming":
    library = StreamingLibrary(clips, clips.joint_names, clips.fps, resident=resident, refresh=batch)
elif kind == "all":
    library = MotionLibrary(list(clips), clips.joint_names, clips.fps)
for _ in range(refreshes if library else 0):
    library.sample(*library.draw(rng, batch))
print(next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def random_clips(count: int, seed: int = 0) -> Iterator[Clip]:
    """Clips of a walk's size and of no meaning; every second one is a loop, and turns."""
    rng = np.random.default_rng(seed)
    names = tuple(f"joint_{j}" for j in range(CLIP_JOINTS))
    meta = {
        "activity": "walk",
        "up": "y",
        "history": ["scaled", "resampled"],
        "quality": {f"q{k}": 0.1 for k in range(12)},
    }
    for i in range(count):
        qpos = rng.normal(size=(CLIP_FRAMES, 7 + CLIP_JOINTS))
        qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
        qvel = rng.normal(size=(CLIP_FRAMES, 6 + CLIP_JOINTS))
        yield Clip(qpos, qvel, 50.0, names, i % 2 == 0, "body", "bench", "MIT", f"clip_{i:05d}", meta=meta)


def one_by_one(clips: Sequence[Clip], clip: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Positions (k, nq) as one would first write it: a loop over the queries."""
    found = []
    for at, second in zip(clip, time, strict=True):
        frame = second * clips[at].fps
        row = min(int(frame), clips[at].frames - 2)
        before, after, share = clips[at].qpos[row], clips[at].qpos[row + 1], frame - row
        qpos = before + share * (after - before)
        cosine = before[3:7] @ after[3:7]
        angle, near = np.arccos(min(abs(cosine), 1.0)), after[3:7] * (1 if cosine >= 0 else -1)
        if angle > 1e-9:
            qpos[3:7] = (np.sin((1 - share) * angle) * before[3:7] + np.sin(share * angle) * near) / np.sin(angle)
        found.append(qpos)
    return np.stack(found)


def library(quick: bool) -> dict[str, Any]:
    """Queries a second at any times, and the memory that streaming takes while the set grows tenfold."""
    clips = list(random_clips(CLIPS // (10 if quick else 1)))
    library, rng = MotionLibrary(clips, clips[0].joint_names, clips[0].fps), np.random.default_rng(0)
    draws = [library.draw(rng, BATCH) for _ in range(20)]
    whole = [(clip, np.rint(time * library.fps).astype(int)) for clip, time in draws]
    few = [array[:LOOP_BATCH] for array in draws[0]]
    seconds = take_turns(
        {
            "sample": lambda: [library.sample(*draw) for draw in draws],
            "at": lambda: [library.at(*draw) for draw in whole],
            "a loop": lambda: one_by_one(clips, *few),
        }
    )
    speed = {name: (LOOP_BATCH if name == "a loop" else BATCH * len(draws)) / seconds[name] for name in seconds}
    off = float(np.abs(library.sample(*few)[0] - one_by_one(clips, *few)).max())
    print(f"library, {len(clips)} clips of {CLIP_FRAMES} frames, batches of {BATCH}: queries a second")
    for name, value in speed.items():
        print(f"  {name:12}{value:12,.0f}")
    print(f"  largest difference of sample from the loop: {off:.0e}")
    memory = {count: library_memory(count) for count in (len(clips) // GROWTH, len(clips))}
    print(f"peak memory of the process, MiB; streaming {RESIDENT} clips, {REFRESHES} refreshes")
    print(f"  {'clips':>8}{'on disk':>12}{'opened':>12}{'streaming':>12}{'all read':>12}")
    for count, row in memory.items():
        print(f"  {count:8}{row['disk']:12.1f}{row['opened']:12.1f}{row['streaming']:12.1f}{row['all']:12.1f}")
    return {"frames": CLIP_FRAMES * len(clips), "batch": BATCH, "queries_per_second": speed, "difference": off,
            "memory_mib": memory}  # fmt: skip


def library_memory(count: int) -> dict[str, float]:
    """MiB of a packed set of random clips, and of the processes that open, stream or read it, at their highest."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "set")
        pack(random_clips(count), packed)
        found = {"disk": sum(file.stat().st_size for file in packed.iterdir()) / 2**20}
        for kind in ("opened", "streaming", "all"):
            words = [sys.executable, "-c", PEAK, kind, packed, BATCH, RESIDENT, REFRESHES]
            found[kind] = float(subprocess.run([*map(str, words)], capture_output=True, check=True, text=True).stdout)
    return found


# -- memory: a capture of any length, imported ------------------------------------------------------------

MEMORY_JOINTS, MEMORY_FRAMES = 30, (10_000, 100_000, 1_000_000)
CONVERT = """
import json, sys, time
from pathlib import Path
import numpy as np
from gait_envs.mocap.cleaning.convert import Cleaning, convert
from gait_envs.mocap.formats import open_capture
from gait_envs.mocap.formats.capture_file import write_capture
from gait_envs.mocap.capture import Capture, Skeleton

frames, joints, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
skeleton = Skeleton(tuple(f"joint{i}" for i in range(joints)), np.arange(-1, joints - 1), np.full((joints, 3), 0.1))
# Not getrusage's ru_maxrss, which starts from the parent's.
peak = lambda: next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

def blocks(size):
    for start in range(0, frames, size):
        time = np.arange(start, min(start + size, frames))[:, None] / 120
        half = 0.2 * np.sin(2 * np.pi * time + np.arange(joints))
        rotations = np.stack([np.cos(half), np.sin(half), 0 * half, 0 * half], axis=-1)
        translations = np.tile(skeleton.offsets, (len(time), 1, 1))
        translations[:, 0, 0] = time[:, 0]
        yield rotations, translations

begin, start = peak(), time.perf_counter()
raw = write_capture(folder / "raw.npz", Capture(skeleton, 120.0, frames, blocks, unit=1.0, up="+z"))
written, middle = peak(), time.perf_counter()
write_capture(folder / "out.npz", convert(open_capture(raw), Cleaning(low_pass=8.0, fps=50.0)))
print(json.dumps({"before_mib": begin, "written_mib": written, "converted_mib": peak(),
                  "write_s": middle - start, "convert_s": time.perf_counter() - middle,
                  "disk_mib": raw.stat().st_size / 2**20}))
"""


def memory(quick: bool) -> dict[str, Any]:
    """Most memory of a process that writes a capture and converts it (repair, low-pass, 120 to 50 Hz)."""
    found = {}
    print(f"converting, {MEMORY_JOINTS} joints: most memory (MiB) after imports, writing, converting; seconds of each")
    for frames in MEMORY_FRAMES[: 2 if quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-c", CONVERT, str(frames), str(MEMORY_JOINTS), folder]
            figures = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)
        found[frames] = figures
        levels = "".join(f"{figures[key]:8.0f}" for key in ("before_mib", "written_mib", "converted_mib"))
        print(f"  {frames:9,} frames, {figures['disk_mib']:5.0f} on disk {levels}   "
              f"{figures['write_s']:6.1f} {figures['convert_s']:6.1f}", flush=True)  # fmt: skip
    return {"joints": MEMORY_JOINTS, "frames": found}


# -- retarget: captured walks to clips of WildRobot -------------------------------------------------------

NO_WALK = ("run", "jog", "jump", "cartwheel", "hop")  # words of a label that also says walk
MOCAP: Path | None = None  # the folder given by --mocap


def retarget(quick: bool) -> dict[str, Any]:
    """How quickly walks are retargeted, and how good they come out: a folder's own captures, nothing is kept.

    With a MANIFEST.csv in the folder (path, label), the captures whose label says walk; else all of them.
    """
    if MOCAP is None:
        print("retarget: needs captures of your own; name their folder with --mocap")
        return {}
    body = load_body("wildrobot")
    rows: dict[str, list[dict[str, float]]] = {}
    reasons: list[str] = []
    for path, source in walks(MOCAP)[:: 5 if quick else 1]:
        job = Job(path, path.stem, path.name)
        start = time.process_time()
        try:
            result = retarget_file(job, Recipe(), body)
        except MotionError as error:
            rows.setdefault(source, []).append({"fit": 0.0})
            reasons.append(f"{source} {path.stem}: {error}")
            continue
        took = time.process_time() - start
        figures = {**result.quality, "fit": float(not result.faults), "took": took}
        rows.setdefault(source, []).append(figures)
        reasons += [f"{source} {path.stem}: {'; '.join(result.faults)}"] if result.faults else []
    table = {source: retarget_row(figures) for source, figures in sorted(rows.items())}
    table["all"] = retarget_row([figure for figures in rows.values() for figure in figures])
    print(f"{'retarget to wildrobot':22}" + "".join(f"{heading:>11}" for heading in next(iter(table.values()))))
    for source, row in table.items():
        print(f"  {source:20}" + "".join(f"{value:11.4g}" for value in row.values()))
    for reason in reasons:
        print(f"  unfit: {reason}")
    return {"sources": table, "unfit": reasons}


def walks(folder: Path) -> list[tuple[Path, str]]:
    """Captures of walking below a folder, and the folder (two levels down) that each is from."""
    manifest = folder / "MANIFEST.csv"
    if manifest.is_file():
        with open(manifest, newline="", encoding="utf-8") as file:
            labelled = [(folder / row["path"], row["label"].lower()) for row in csv.DictReader(file)]
        paths = [path for path, label in labelled if "walk" in label and not any(word in label for word in NO_WALK)]
        paths = [path for path in paths if path.suffix in (".bvh", ".amc") and "malformed" not in path.parts]
    else:
        paths = [job.capture for job in find_captures([folder])[0]]
    return [(path, "/".join(path.relative_to(folder).parts[:-1][:2])) for path in sorted(paths)]


def retarget_row(figures: Sequence[dict[str, float]]) -> dict[str, float]:
    """One line of the table: the set's size, speed on one core, the figures to hold, and the share that is fit."""
    made = [figure for figure in figures if "took" in figure]
    row: dict[str, float] = {"walks": len(figures)}
    if made:
        row["x real"] = sum(f["seconds"] for f in made) / sum(f["took"] for f in made)
        row["ankle mm"] = statistics.mean(f["ankle_path_mm"] for f in made)
        row["slip cm/s"] = 100 * statistics.median(f["slip_median"] for f in made)
        row["slip worst"] = 100 * max(f["slip_median"] for f in made)
        row["beyond"] = sum(f["limit_violations"] for f in made)
        row["under mm"] = max(f["penetration_mm"] for f in made)
        row["off mm"] = statistics.mean(f["balance_mm"] for f in made)
        row["can do %"] = statistics.mean(f["feasible_percent"] for f in made)
    row["fit %"] = 100 * statistics.mean(f["fit"] for f in figures)
    return row


# -- what the sections share ------------------------------------------------------------------------------


def installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def take_turns(jobs: dict[str, Callable[[], Any]], turns: int = TURNS) -> dict[str, float]:
    """Median seconds of each job over the turns, after one turn to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(turns + 1):
        for name in list(jobs)[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            jobs[name]()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


SECTIONS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "reading": reading,
    "library": library,
    "memory": memory,
    "retarget": retarget,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="shorter turns")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--mocap", type=Path, help="a folder of captures, for the section retarget")
    args = parser.parse_args()
    global MOCAP
    MOCAP = args.mocap
    unknown = set(args.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {sorted(unknown)[0]!r}; there are {', '.join(SECTIONS)}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load}, numpy {np.__version__}")
    found = {name: SECTIONS[name](args.quick) for name in args.sections or SECTIONS}
    if args.json:
        print(json.dumps({"load_before": load, "numpy": np.__version__, **found}))


if __name__ == "__main__":
    run_script(main)
