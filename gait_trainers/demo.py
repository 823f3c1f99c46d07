"""`make demo`: train a walking policy from scratch, then compare it with the bundled one."""

from __future__ import annotations

import argparse
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

BUNDLED = "policies/wildrobot_walk"
COMMAND = (0.4, 0.0, 0.0)  # m/s, m/s, rad/s
EPISODES = 50


def demo_config(out: Path, seed: int, minutes: float) -> TrainConfig:
    """The laptop preset until the robot walks, or until the time is up."""
    return load_config(
        preset="laptop",
        overrides={
            "run.out": str(out),
            "run.seed": seed,
            "run.minutes": minutes,
            "run.stop_when.command": COMMAND[0],
        },
    )


def main() -> None:
    """Train, evaluate, film and report, with the options of the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=4.75, help="the longest to train (default: %(default)s)")
    args = parser.parse_args()

    console = Console()
    console.print(
        "[bold]Learning to walk from scratch[/bold]: PPO and an AMP discriminator, until it walks at 0.4 m/s."
    )
    bundled = load_policy(asset_path(BUNDLED))
    result = train(demo_config(args.out, args.seed, args.minutes))
    run = result.run.path
    color = "green" if result.walks else "yellow"
    ended = result.stopped or "every iteration is done"
    verdict = "" if result.walks else "; it does not walk straight yet"
    console.print(f"[{color}]{ended}{verdict}[/{color}], after {result.steps:,} steps")

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
