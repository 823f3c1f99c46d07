"""Damage small files at random and read them: every input must give a result or a clear error, soon.

    python scripts/fuzz.py                             100,000 inputs over every loader of files from outside
    python scripts/fuzz.py --only bvh clip -n 5000     of loaders whose names contain one of these
    python scripts/fuzz.py --seed 7                    other inputs

The loaders are those of `gait_envs.reading.loaders`, their whole files the examples of the tests. A clear error is a
`GaitNetError` or an `OSError` whose message is one line and names the file. Anything else is a finding: another
exception, a warning, a result that its next user cannot bear, over 1 s of processor time (10 s on the clock), over
500 MB of memory. Its input and traceback go to the folder --out. An input follows from seed, loader and number alone,
so a finding comes again with the same arguments.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]  # damage, helpers
from damage import damaged  # noqa: E402
from helpers.examples import EXAMPLES, Example  # noqa: E402

from gait_envs.errors import GaitNetError  # noqa: E402
from gait_envs.reading.loaders import LOADERS, Loader, all_loaders  # noqa: E402

INPUTS = 100_000
LIMIT = 1.0  # s of processor time an input
WAITED = 10.0  # times that much on the clock
MEMORY = 2 << 30  # bytes of address space beside what the process has
MOST = 500.0  # MB of resident memory that one input may add
KEPT = 5  # findings of one kind that are saved


class TooSlowError(BaseException):
    """Not an `Exception`, so that no reader swallows it."""


@dataclass
class Finding:
    kind: str  # the exception and the line that raised it
    text: str
    files: dict[str, bytes]


class Peak:
    """Resident memory, MB: the most that one input added, and the most that the process had while it read."""

    added = whole = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")  # the kernel's record of the peak starts here
        before = resident("VmRSS")
        yield
        most = resident("VmHWM")
        self.added, self.whole = max(self.added, most - before), max(self.whole, most)


def resident(entry: str) -> float:
    """An entry of the kernel's account of this process, MB."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{entry}:")]
    return int(line.split()[1]) * 1.024e-3  # from KiB


def check(loader: Loader, example: Example, folder: Path, limit: float = LIMIT) -> Finding | None:
    """Read one input; None if it gave a sound result or an error that is one line and names a file."""
    for name, data in example.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    path = folder / example.path
    names = [str(folder / name) for name in (*example.files, example.path)]
    try:
        with warnings.catch_warnings(), within(limit):
            warnings.simplefilter("error")
            example.look(path, loader.read(path, *example.arguments))
    except (GaitNetError, OSError) as error:
        message = str(error)
        if not any(name in message for name in names):
            return finding(error, example.files, "names no file: ")
        return finding(error, example.files, "several lines: ") if "\n" in message.strip() else None
    except (Exception, TooSlowError) as error:
        return finding(error, example.files)
    return None


@contextmanager
def within(limit: float) -> Iterator[None]:
    """Limits of time, by the processor's clock and, more generously, by the wall's, and of memory."""

    def ring(*_: object) -> None:
        raise TooSlowError(f"over {limit:g} s")

    before = [signal.signal(number, ring) for number in (signal.SIGPROF, signal.SIGALRM)]
    space = resource.getrlimit(resource.RLIMIT_AS)
    signal.setitimer(signal.ITIMER_PROF, limit)
    signal.setitimer(signal.ITIMER_REAL, WAITED * limit)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + MEMORY, space[1]))
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, space)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


def address_space() -> int:
    """Bytes that this process has reserved."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def finding(error: BaseException, files: dict[str, bytes], what: str = "") -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)]
    where = (own or frames)[-1]
    text = "".join(traceback.format_exception(error))
    return Finding(f"{what}{type(error).__name__} at {Path(where.filename).name}:{where.name}", text, files)


def fuzz(
    name: str, inputs: int, seed: int, advance: Callable[[], None] = lambda: None, peak: Peak | None = None
) -> list[Finding]:
    """Findings of `inputs` damaged files of one loader; KeyError where it has no example. Memory goes into `peak`."""
    peak = peak or Peak()
    loader, examples = LOADERS[name], EXAMPLES[name]()
    found, limits = [], []
    for example in examples:
        with tempfile.TemporaryDirectory() as folder:
            whole = check(loader, example, Path(folder), 60.0)  # the first read also imports what it needs
            found += [whole] if whole else []
            loader.read(Path(folder, example.path), *example.arguments)  # an example that is refused proves nothing
        limits.append(example.limit)
    for n in range(inputs):
        rng = random.Random(f"{seed} {name} {n}")
        at = rng.randrange(len(examples))
        example = examples[at]
        files = damaged(example.files, rng, example.whole)
        if rng.random() < 0.8:
            files = example.seal(files)
        with tempfile.TemporaryDirectory() as folder:
            one = Peak()
            with one.measured():
                fault = check(loader, example.with_files(files), Path(folder), limits[at])
        peak.added, peak.whole = max(peak.added, one.added), max(peak.whole, one.whole)
        if one.added > MOST:
            fault = fault or Finding("memory", f"reading it took {one.added:.0f} MB", files)
        found += [fault] if fault else []
        advance()
    return found


def save(found: list[Finding], out: Path) -> None:
    """Some findings of each kind, a folder each."""
    kinds: Counter[str] = Counter()
    for fault in found:
        kinds[fault.kind] += 1
        if kinds[fault.kind] <= KEPT:
            folder = out / f"{list(kinds).index(fault.kind):02}_{kinds[fault.kind]}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "traceback.txt").write_text(fault.text)
            for name, data in fault.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--inputs", type=int, default=INPUTS, help="shared by the loaders")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the loaders' names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz_findings"), help="folder for what is found")
    args = parser.parse_args()
    from rich.progress import Progress

    names = [name for name in all_loaders("gait_envs", "gait_trainers") if any(part in name for part in args.only)]
    if not names:
        parser.error(f"--only {' '.join(args.only)} fits no loader")
    faulthandler.enable()
    found: dict[str, list[Finding]] = {}
    peaks = {name: Peak() for name in names}
    with Progress() as progress:
        task = progress.add_task("fuzzing", total=args.inputs)
        for name in names:
            progress.update(task, description=name)
            found[name] = fuzz(name, args.inputs // len(names), args.seed, lambda: progress.advance(task), peaks[name])
            save(found[name], args.out / name.replace(" ", "_"))
    for name in names:
        one = peaks[name]
        memory = f"an input took at most {one.added:.0f} MB, the process {one.whole:.0f} MB"
        print(f"{name}: {len(found[name])} findings in {args.inputs // len(names)} inputs; {memory}")
        for kind, count in Counter(fault.kind for fault in found[name]).most_common():
            print(f"{count:7} {kind}")
    sys.exit(any(found.values()))


if __name__ == "__main__":
    main()
