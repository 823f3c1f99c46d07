"""Memory and speed of following a packed set as it grows: `python scripts/bench_set.py --clips 200 2000`.

Copies of the embedded walks of the robot are packed into a set; a process follows it with random actions for a while.
Anonymous memory is what the process holds; mapped pages count apart, since the system takes them back at will.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import gymnasium
import numpy as np

from gait_envs.cli import run_script
from gait_envs.reference.library import EMBEDDED_SETS, load_clips
from gait_envs.reference.packing import pack

IDS = {"wildrobot": "GaitNet/WildRobotImitation-v0", "humanoid": "GaitNet/HumanoidImitation-v0"}
ENVS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[200, 2000], help="sizes of the sets")
    parser.add_argument("--robot", choices=IDS, default="humanoid", help="the body")
    parser.add_argument("--seconds", type=float, default=20, help="of following, for each set")
    parser.add_argument("--follow", type=Path, help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    if args.follow is not None:
        print(json.dumps(follow(args.follow, args.robot, args.seconds)))
        return
    print(f"{'clips':>6}{'set MiB':>10}{'anonymous MiB':>15}{'mapped MiB':>12}{'steps/s':>10}{'opening s':>11}")
    for count in args.clips:
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder, "set")
            clips = islice(cycle(load_clips(EMBEDDED_SETS[args.robot])), count)
            pack((replace(clip, name=f"{clip.name}_{i}") for i, clip in enumerate(clips)), whole)
            size = sum(file.stat().st_size for file in whole.iterdir()) / 2**20
            words = [sys.executable, __file__, "--robot", args.robot, "--seconds", args.seconds, "--follow", whole]
            told = json.loads(subprocess.run([*map(str, words)], capture_output=True, check=True, text=True).stdout)
        row = (told["anonymous"], told["mapped"], told["speed"], told["opening"])
        print(f"{count:6}{size:10.0f}{row[0]:15.0f}{row[1]:12.0f}{row[2]:10.0f}{row[3]:11.1f}", flush=True)


def follow(packed: Path, robot: str, seconds: float) -> dict[str, float]:
    """MiB held and mapped by this process after following for a while, steps a second, and seconds of opening."""
    begin = time.perf_counter()
    env = gymnasium.make_vec(
        IDS[robot], ENVS, vectorization_mode="vector_entry_point", reference=str(packed), threads=1
    )
    env.reset(seed=0)
    start, steps = time.perf_counter(), 0
    rng = np.random.default_rng(0)
    while time.perf_counter() < start + seconds:
        env.step(rng.uniform(-0.3, 0.3, env.action_space.shape).astype(np.float32))
        steps += ENVS
    speed = steps / (time.perf_counter() - start)
    env.close()
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Rss")]
    memory = {words[0]: int(words[1]) / 1024 for words in lines}
    return {"anonymous": memory["RssAnon:"], "mapped": memory["RssFile:"], "speed": speed, "opening": start - begin}


if __name__ == "__main__":
    run_script(main)
