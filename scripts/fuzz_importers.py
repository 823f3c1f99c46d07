"""Damage small captures at random and read them: every input must give a motion or a `MotionError`, soon.

    python scripts/fuzz_importers.py                         100,000 inputs over every registered format
    python scripts/fuzz_importers.py --formats bvh -n 5000   of one format
    python scripts/fuzz_importers.py --seed 7                other inputs

Anything else is a finding: another exception, a warning, a motion that is not finite or has wrong shapes, more
than a second, more memory than the limit. Its input and traceback go to the folder --out. An input follows from
seed, format and number alone, so a finding comes again with the same arguments.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.mocap.capture import Capture, MotionError
from gait_envs.mocap.cleaning.convert import Cleaning, convert
from gait_envs.mocap.formats import FORMATS, open_capture, open_with_gaps
from gait_envs.mocap.jobs import naming

INPUTS = 100_000
LIMIT = 1.0  # s an input
MEMORY = 4 << 30  # bytes of address space
KEPT = 5  # findings of one kind that are saved

# -- seeds: small files of every format -------------------------------------------------------------------

BVH = """HIERARCHY
ROOT Hips
{
\tOFFSET 0 0 0
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT Knee
\t{
\t\tOFFSET 0 -40.5 0
\t\tCHANNELS 3 Xrotation Yrotation Zrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0 -30 0
\t\t}
\t}
\tJOINT Chest
\t{
\t\tOFFSET 0 20 1e-3
\t\tCHANNELS 4 Yposition Zrotation Yrotation Xrotation
\t}
}
MOTION
Frames: 3
Frame Time: 0.0333333
0 90 0 0 0 0 0 0 0 20 1 2 3
1 90 2 90 -12.5 0 90 0 0 20 1 2 3
1 90 2 30 40 50 60 70 80 21 1 2 3
"""
ASF = """# a skeleton
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
  none
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name lfemur
    direction 0.34 -0.94 0
    length 7.6
    axis 0 0 20 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-inf inf)
  end
  begin
    id 2
    name ltibia
    direction 0.34 -0.94 0
    length 7.3
    axis 0 0 20 XYZ
    dof rx
  end
:hierarchy
  begin
    root lfemur
    lfemur ltibia
  end
"""
AMC = """#!OML
:FULLY-SPECIFIED
:DEGREES
1
root 10.4 16.7 -30.1 -2.5 -9.8 -3
lfemur -28 -1 -20.2
ltibia 22.4
2
root 10.3 16.7 -29.9 -2.7 -10 -2.8
lfemur -27 -1.1 -20.1
ltibia 22
"""


def unit_rows(*shape: int) -> np.ndarray:
    """Small turns: a body that flails from frame to frame would be taken for a rest pose and a cut."""
    values = np.array([1.0, 0, 0, 0]) + 0.02 * np.random.default_rng(0).normal(size=(*shape, 4))
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def deepmimic() -> bytes:
    turns = unit_rows(3, 8).round(6).tolist()
    rows = [[0.0333, 0, 0.9, 0, *q[0], *q[1], *q[2], *q[3], 0.1, *q[4], *q[5], 0.2, *q[6], -0.1, *q[7], *q[0], 0.3]
            for q in turns]  # fmt: skip
    return json.dumps({"Loop": "wrap", "Frames": rows}, indent=1).encode()


def archive(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def smpl(poses: str, place: str, rate: str) -> bytes:
    turns = np.random.default_rng(1).normal(size=(3, 72)) * 0.02
    return archive(**{poses: turns, place: np.ones((3, 3)), rate: np.array(60.0), "gender": "neutral"})


# Format -> sets of files that belong together; the first is the one that is opened.
SEEDS: dict[str, list[dict[str, bytes]]] = {
    "bvh": [{"seed.bvh": BVH.encode()}],
    "asfamc": [{"seed.amc": AMC.encode(), "seed.asf": ASF.encode()}],
    "capture": [
        {
            "seed.npz": archive(
                format="capture",
                format_version=1,
                names=np.array(["hips", "knee"]),
                parents=np.array([-1, 0]),
                offsets=np.ones((2, 3)),
                rotations=unit_rows(3, 2).astype("f4"),
                translations=np.ones((3, 2, 3), "f4"),
                fps=60.0,
                unit=1.0,
                up="+z",
                meta=json.dumps({"origin": {"license": "CC0"}, "history": ["made"], "notes": []}),
            )
        }
    ],
    "smpl": [
        {"seed.npz": smpl("poses", "trans", "mocap_framerate")},
        {"seed.npz": smpl("pose_aa", "root_trans_offset", "fps")},
    ],
    "deepmimic": [{"seed.txt": deepmimic()}],
    "isaac": [
        {
            "seed.npz": archive(
                local_rotation_xyzw=unit_rows(3, 2),
                root_translation=np.zeros((3, 3)),
                node_names=np.array(["pelvis", "left_foot"]),
                parent_indices=np.array([-1, 0]),
                local_translation=np.ones((2, 3)),
                fps=np.array(30),
            )
        }
    ],
    "positions": [
        {"seed.npz": archive(positions=np.ones((3, 2, 3)), names=np.array(["a", "b"]), fps=np.array(30.0))},
        {"seed.csv": b"time,a_x,a_y,a_z,b_x,b_y,b_z\n0,0,1,0,0,2,0\n0.01,0,1,0,0,2.5,0\n0.02,1e-3,1,0,0,2,-1\n"},
    ],
}

# -- mutations --------------------------------------------------------------------------------------------

NUMBERS = ("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1e999", "0", "-0", "-1", "-5", "3", "999999999999",
           "99999999999999999999", "9" * 5000, "0x10", "1_0", "1,5", "1.5.2", "++1", "1e", ".", "٣", "")  # fmt: skip
WORDS = ("{", "}", "ROOT", "JOINT", "End", "Site", "OFFSET", "CHANNELS", "MOTION", "Frames:", "Frame Time:", "begin",
         "end", ":root", ":hierarchy", ":bonedata", "dof", "rx", "tx", "root", "lfemur", "null", "true", "[", "]",
         '"Frames"', ",", "#", "\0", "\ufeff", "\r", "\x0c", "é", "x" * 3000)  # fmt: skip


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    choice = rng.randrange(5)
    if choice == 0:
        return data[:at]
    if choice == 1:
        return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
    if choice == 2:
        return data[:at] + data[at + rng.randrange(1, 40) :]
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4) if data else 0):
        where = rng.randrange(len(changed))
        changed[where] = rng.randrange(256) if choice == 3 else changed[where] ^ (1 << rng.randrange(8))
    return bytes(changed)


def damage_text(data: bytes, rng: random.Random) -> bytes:
    """One edit of a line, or of a word within one."""
    lines = data.decode("utf-8", "replace").splitlines(keepends=True) or [""]
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    choice = rng.randrange(8)
    if choice == 0:
        lines.insert(other, lines[at])
    elif choice == 1:
        del lines[at]
    elif choice == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif choice == 3:
        lines[at : at + 1] = [lines[at]] * rng.choice((2, 20, 300))
    else:
        words = lines[at].split(" ")
        word = rng.randrange(len(words))
        end = "\n" if words[word].endswith("\n") else ""
        if choice == 4:
            words.insert(word, rng.choice(WORDS))
        elif choice == 5:
            words[word] = rng.choice(WORDS) + end
        elif choice == 6:
            del words[word]
        else:
            words[word] = rng.choice(NUMBERS) + end
        lines[at] = " ".join(words)
    return "".join(lines).encode("utf-8", "surrogatepass")


def damage_arrays(data: bytes, rng: random.Random) -> bytes:
    """One member of an archive changed, dropped, or given a header that does not fit its data."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception:  # damaged beyond that, or objects, which are written here and never read
        return damage_bytes(data, rng)
    if not arrays:
        return data
    key = rng.choice(list(arrays))
    array, choice = arrays[key], rng.randrange(9)
    if choice == 0:
        del arrays[key]
    elif choice == 1:
        arrays[rng.choice([*arrays, "poses", "positions", "other"])] = array
    elif choice == 2 and array.dtype.kind in "fi" and array.size:
        array = arrays[key] = array.astype(float)
        array.flat[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, 1e308, -1e308, 1e-320, -1, 0, 1e6))
    elif choice == 3:
        arrays[key] = array.astype(rng.choice(("f2", "f4", "i8", "u1", "U9", "O", "c16", "?"))) \
            if array.dtype.kind in "fi" else array.astype("O")  # fmt: skip
    elif choice == 4:
        arrays[key] = rng.choice((array[None], array.ravel(), array.T, array[..., None], np.asfortranarray(array)))
    elif choice == 5 and array.ndim:
        arrays[key] = array[: rng.randrange(len(array) + 1)]
    elif choice == 6 and array.ndim > 1:
        arrays[key] = array[:, : rng.randrange(array.shape[1] + 1)]
    elif choice == 7:
        arrays[key] = np.array(rng.choice((0, -1, np.nan, np.inf, 1e308, "x", "", 60)))
    elif choice == 8:
        return with_false_shape(arrays, key, rng)
    return archive(**arrays)


def with_false_shape(arrays: dict[str, np.ndarray], key: str, rng: random.Random) -> bytes:
    """An archive in which one member claims another shape than its data have."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=True)
            content = member.getvalue()
            if name == key:
                shape = (rng.choice((0, 2, 10**6, 10**12, 10**18)), *array.shape[1:])
                header = np.lib.format.header_data_from_array_1_0(array) | {"shape": shape}
                claimed = io.BytesIO()
                np.lib.format.write_array_header_1_0(claimed, header)
                content = claimed.getvalue() + array.tobytes()
            out.writestr(f"{name}.npy", content)
    return file.getvalue()


def damaged(files: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """One to four edits of one of the files."""
    name = rng.choice(list(files))
    data = files[name]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        by_meaning = damage_arrays if name.endswith(".npz") else damage_text
        with np.errstate(all="ignore"):
            data = (by_meaning if rng.random() < 0.75 else damage_bytes)(data, rng)
    return files | {name: data}


# -- the check --------------------------------------------------------------------------------------------


class TooSlowError(BaseException):
    """Not an `Exception`, so that no reader swallows it."""


@dataclass
class Finding:
    kind: str  # the exception and the line that raised it
    text: str
    files: dict[str, bytes]


def check(format: str, files: dict[str, bytes], folder: Path, limit: float = LIMIT) -> Finding | None:
    """Read one input; None if it gave a sound motion or a `MotionError` that names the file."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    path = folder / next(iter(files))

    def ring(*_: object) -> None:
        raise TooSlowError(f"over {limit:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            look(format, path)
    except MotionError as error:
        named = any(str(folder / name) in str(error) for name in files)
        return None if named else finding(error, files, "names no file: ")
    except (Exception, TooSlowError) as error:
        return finding(error, files)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return None


def look(format: str, path: Path) -> None:
    """Read and check a motion: as it is in the file, then the way `gait-data import` reads it, gaps and all."""
    read_through(open_capture(path, format))
    with naming(path):  # not every seed has legs that could tell unit and axis
        read_through(convert(open_with_gaps(path, format), Cleaning(unit="cm", up="y")))


def read_through(capture: Capture) -> None:
    nodes, frames = len(capture.skeleton.names), 0
    assert len(set(capture.skeleton.names)) == nodes, "names are not unique"
    assert (capture.skeleton.parents < np.arange(nodes)).all(), "a parent comes after its child"
    assert np.isfinite(capture.skeleton.offsets).all(), "offsets are not finite"
    assert 0 < capture.fps < np.inf, f"fps is {capture.fps}"
    for rotations, translations in capture.blocks(2):
        count = len(rotations)
        assert 0 < count <= 2, f"a block of {count} frames"
        assert rotations.shape == (count, nodes, 4), f"rotations {rotations.shape}"
        assert translations.shape == (count, nodes, 3), f"translations {translations.shape}"
        assert np.isfinite(translations).all(), "translations are not finite"
        assert np.abs(np.linalg.norm(rotations, axis=-1) - 1).max() < 1e-6, "quaternions are not unit"
        frames += count
    assert frames == capture.frames, f"{frames} frames of {capture.frames}"


def finding(error: BaseException, files: dict[str, bytes], what: str = "") -> Finding:
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = "".join(traceback.format_exception(error))
    return Finding(f"{what}{type(error).__name__} at {Path(where.filename).name}:{where.lineno}", text, files)


def fuzz(formats: list[str], inputs: int, seed: int, advance: Callable[[], None] = lambda: None) -> list[Finding]:
    """Findings of `inputs` damaged files, the formats taking turns; raises where a format has no seed."""
    missing = [name for name in formats if name not in SEEDS]
    if missing:
        raise KeyError(f"no seed file for {', '.join(missing)}: add one to SEEDS")
    found = []
    for name in formats:
        for files in SEEDS[name]:
            with tempfile.TemporaryDirectory() as folder:
                whole = check(name, files, Path(folder), 10 * LIMIT)  # the first read also imports the reader
                look(name, Path(folder, next(iter(files))))  # an undamaged seed must be a motion
            found += [whole] if whole else []
    for n in range(inputs):
        name = formats[n % len(formats)]
        rng = random.Random(f"{seed} {name} {n}")
        files = damaged(rng.choice(SEEDS[name]), rng)
        with tempfile.TemporaryDirectory() as folder:
            fault = check(name, files, Path(folder))
        if fault:
            found.append(fault)
        advance()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--inputs", type=int, default=INPUTS)
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz_findings"), help="folder for what is found")
    args = parser.parse_args()
    from rich.progress import Progress

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with Progress() as progress:
        task = progress.add_task(", ".join(args.formats), total=args.inputs)
        found = fuzz(args.formats, args.inputs, args.seed, lambda: progress.advance(task))
    kinds: Counter[str] = Counter()
    for fault in found:
        kinds[fault.kind] += 1
        if kinds[fault.kind] <= KEPT:
            folder = args.out / f"{list(kinds).index(fault.kind):02}_{kinds[fault.kind]}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "traceback.txt").write_text(fault.text)
            for name, data in fault.files.items():
                (folder / name).write_bytes(data)
    for kind, count in kinds.most_common():
        print(f"{count:7} {kind}")
    print(f"{args.inputs} inputs, {len(found)} findings" + (f", saved in {args.out}" if found else ""))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
