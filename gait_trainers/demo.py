"""`make demo`: train a walking policy, then compare it with the bundled one.

It begins with the clone of a policy that tracks the embedded walk (`wildrobot_clone`), which has the gait and falls
within seconds; with `--scratch`, tracker and clone are trained first, from random networks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.console import Console

from gait_envs.assets import asset_path
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import TrainConfig
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.evaluation_tables import print_table
from gait_trainers.reports.training import write_report
from gait_trainers.reports.video import make_video
from gait_trainers.rl.train import train

BUNDLED, CLONE, REFERENCE = "policies/wildrobot_walk", "policies/wildrobot_clone", "wildrobot_walk"
COMMAND = (0.4, 0.0, 0.0)  # m/s, m/s, rad/s
EPISODES = 50


def demo_config(out: Path, seed: int, minutes: float, begin: Path) -> TrainConfig:
    """The laptop preset, begun from this run or bundle, until the robot walks or the time is up."""
    return load_config(
        preset="laptop",
        overrides={
            "run.out": str(out),
            "run.seed": seed,
            "run.minutes": minutes,
            "run.init": str(begin),
            "run.stop_when.command": COMMAND[0],
        },
    )


def main() -> None:
    """Train, evaluate, film and report, with the options of the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", action="store_true", help="begin with random networks, and train the clone too")
    parser.add_argument("--minutes", type=float, default=8.0, help="the longest to train (default: %(default)s)")
    args = parser.parse_args()

    console = Console()
    bundled, begun = load_policy(asset_path(BUNDLED)), time.monotonic()
    if args.scratch:
        from gait_trainers.imitation.from_clips import clone_tracker, track  # needs the package `imitation`

        console.print("[bold]Learning the gait[/bold], from random networks: PPO along clips, then a clone of it.")
        begin = clone_tracker(track(args.out, REFERENCE, seed=args.seed), args.out, REFERENCE, seed=args.seed)
    else:
        begin = asset_path(CLONE)
    console.print("[bold]Learning to walk[/bold], from a clone that has the gait and falls: AMP, until it does.")
    left = max(1.0, args.minutes - (time.monotonic() - begun) / 60)  # a minute at least, on a slow machine too
    result = train(demo_config(args.out, args.seed, left, begin))
    minutes = (time.monotonic() - begun) / 60
    run = result.run.path
    color = "green" if result.walks else "yellow"
    ended = result.stopped or "every iteration is done"
    verdict = "" if result.walks else "; it does not walk straight yet"
    console.print(f"[{color}]{ended}{verdict}[/{color}], after {result.steps:,} steps of it, {minutes:.1f} min in all")

    policies = {"trained just now": load_policy(run), "bundled": bundled}
    evaluations, videos = [], []
    for name, policy in policies.items():
        found = evaluate(policy, episodes=EPISODES, commands=[COMMAND], seed=1) | {"policy": name}
        evaluations.append(found)
        console.print(f"\n[bold]{name}[/bold]")
        print_table(found, console)
        video = run / f"{name.split()[0]}.mp4"
        try:
            make_video(policy, video, COMMAND)
            videos.append(video)
        except RuntimeError as error:  # no OpenGL here; everything else still works
            console.print(f"[yellow]no video: {error}[/yellow]")
    page = write_report(run, evaluations, policy=policies["trained just now"], command=COMMAND, videos=videos)
    console.print(f"\nreport   {page}\nvideos   {', '.join(map(str, videos)) or 'none'}")
    console.print(f"play it  gait-train play {run}")


if __name__ == "__main__":
    main()
