"""`gait-train play`: watch a policy walk or follow a clip, in a window or in a video made without one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gait_trainers.commands.checks import beyond_training, refuse_others, warn
from gait_trainers.commands.options import (
    MOST_SECONDS,
    EnvOption,
    PolicyArgument,
    ReferenceOption,
    SeedOption,
    StochasticOption,
)
from gait_trainers.evaluation.walking import parse_command
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import follows_clips
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.video import PlayError, make_tracking_video, make_video
from gait_trainers.reports.window import clip_episode, watch, watch_clip
from gait_trainers.web.viewer import PORT, watch_in_browser


def command(
    policy: PolicyArgument,
    video: Annotated[Path | None, typer.Option(help="Film to this .mp4 or .gif instead of opening a window.")] = None,
    viewer: Annotated[
        Literal["window", "web"], typer.Option(help="A window here, or a page served to a browser.")
    ] = "window",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of --viewer web, on 127.0.0.1.")] = PORT,
    command: Annotated[
        str | None, typer.Option(help="Command to walk to, VX or VX,VY,YAW_RATE in m/s and rad/s.", show_default="0.4")
    ] = None,
    reference: ReferenceOption = None,
    clip: Annotated[
        str | None, typer.Option(help="The clip of the reference to follow.", show_default="its first")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=MOST_SECONDS,
            help="Length of the walk, in seconds.",
            show_default="10, or the whole clip; without end in a browser",
        ),
    ] = None,
    camera: Annotated[str, typer.Option(help="Camera of the video: track or side.")] = "track",
    width: Annotated[int, typer.Option(min=160, max=1280, help="Width of the video in pixels; it is 4:3.")] = 640,
    seed: SeedOption = 0,
    stochastic: StochasticOption = False,
    env: EnvOption = None,
) -> None:
    """Show a policy that walks or tracks a clip, in a window or as a video."""
    loaded = load_policy(policy, env)
    refuse_others(loaded, command=command, reference=reference, clip=clip)
    if command is not None:
        warn(beyond_training(loaded, [parse_command(command)]))
    common: dict[str, Any] = {"seed": seed, "stochastic": stochastic}
    if viewer == "web":
        if video is not None:
            raise PlayError("--video films without a viewer; leave out --viewer web")
        serve(loaded, command, clip, reference, seconds, port=port, **common)
        return
    pictured: dict[str, Any] = {"camera": camera, "width": width}
    if follows_clips(loaded.env_id):
        if video is None:
            watch_clip(loaded, clip, reference, seconds, **common)
            return
        name, found = make_tracking_video(loaded, video, clip, reference, seconds=seconds, **pictured, **common)
        rollout, cause = found.rollout, found.ends["cause"][0]
        end = "" if found.ends["success"][0] else ", then it strayed" if cause == "strayed" else ", then it fell"
        typer.echo(f"{video}: {name}, {(len(rollout.valid) - 1) * rollout.dt:.1f} s{end}")
        return
    wanted, seconds = parse_command(command or "0.4"), seconds or 10.0
    if video is None:
        watch(loaded, {"command": wanted}, seconds=seconds, **common)
        return
    rollout = make_video(loaded, video, wanted, seconds=seconds, **pictured, **common)
    length = (len(rollout.valid) - 1) * rollout.dt
    typer.echo(f"{video}: {length:.1f} s" + (", then it fell" if length < seconds - rollout.dt else ""))


def serve(
    policy: Policy,
    command: str | None,
    clip: str | None,
    reference: list[str] | None,
    seconds: float | None,
    **common: Any,
) -> None:
    """A page that shows the policy, until interrupted or for `seconds`."""
    options: dict[str, Any] = {"command": parse_command(command or "0.4")}
    if follows_clips(policy.env_id):
        episode = clip_episode(policy, clip, reference, None)
        options, common["env_kwargs"] = episode.options, episode.env_kwargs

    def announce(address: str) -> None:
        typer.echo(f"{policy.name} walks at {address}; stop it with Ctrl-C")

    watch_in_browser(policy, options, seconds=seconds, announce=announce, **common)
