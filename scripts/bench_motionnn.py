"""How fast MotionNN trains, and how much memory its data take.

    python scripts/bench_motionnn.py clips

Frames per second of one-step training (mlp 3 x 256, batch 1,024, one thread), and the resident memory of a stream with
a few clips in memory over the folder, and over ten times as many clips (the folder's, repeated), once all were read.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from gait_envs.cli import run_script
from gait_envs.reference.sources import open_clips
from gait_trainers.data.windows import MotionStream
from gait_trainers.pretrain.motionnn.config import load_motion_config
from gait_trainers.pretrain.motionnn.training import build


def speed(clips: str, seconds: float) -> tuple[float, float]:
    """Frames per second of processor time and of the clock."""
    settings = {"loss.rollout": "single", "optim.batch_frames": 1024, "data.test_share": 0.0, "loss.noise": 0.0}
    training = build(load_motion_config(None, "laptop", settings), clips)
    training.step()
    frames, begun, clock = 0.0, time.process_time(), time.perf_counter()
    while time.process_time() - begun < seconds:
        frames += training.step()["frames"]
    training.stream.close()
    return frames / (time.process_time() - begun), frames / (time.perf_counter() - clock)


def memory(clips: str, times: int, resident: int) -> tuple[int, float]:
    """Clips, and MB in memory once a stream has read each of them."""
    source = open_clips([clips] * times)
    stream = MotionStream(source, resident=resident, refresh=1, workers=0)
    for _ in range(len(source)):
        stream.draw(64, 16)
    stream.close()
    status = Path("/proc/self/status").read_text().splitlines()
    return len(source), int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", help="folder of clips")
    parser.add_argument("--seconds", type=float, default=5.0, help="processor time of the measurement")
    parser.add_argument("--resident", type=int, default=32, help="clips in memory")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for times in (1, 10):
        count, used = memory(args.clips, times, args.resident)
        print(f"{count} clips, {args.resident} in memory: {used:.0f} MB")
    cpu, clock = speed(args.clips, args.seconds)
    print(f"one-step training: {cpu:,.0f} frames per second of processor time, {clock:,.0f} on the clock")


if __name__ == "__main__":
    run_script(main)
