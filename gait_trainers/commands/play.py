"""Watches a policy walk or follow a clip: in a window, or in a video made without one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import typer
from PIL import Image, ImageDraw, ImageFont

from gait_envs.errors import GaitNetError
from gait_envs.files import check_writable, replacing
from gait_envs.render import Offscreen, write_mp4
from gait_trainers.commands.options import EnvOption, PolicyArgument, ReferenceOption, StochasticOption
from gait_trainers.evaluation.gait_metrics import Rollout, heading_velocity
from gait_trainers.evaluation.rollout import Recording, record
from gait_trainers.evaluation.tracking import follow, follows_clips, open_reference, plan_whole, shortened
from gait_trainers.evaluation.walking import Command, load_policy, parse_command, refuse_others
from gait_trainers.policies.bundle import Policy, make_env

FORMATS = (".mp4", ".gif")
FPS = 25  # of videos: GIF viewers slow down what is faster, and software rendering takes 0.1 s a picture
SMOOTHING = 0.4  # s over which the speed shown is averaged, about a step
INK, PAPER = (32, 38, 46), (255, 255, 255)


class PlayError(GaitNetError, RuntimeError):
    """Nothing can be shown here; says what to do instead."""


# -- video ---------------------------------------------------------------------------------------------


def make_video(
    policy: Policy,
    path: str | Path,
    command: Command = (0.4, 0.0, 0.0),
    *,
    seconds: float = 10.0,
    camera: str = "track",
    seed: int = 0,
    stochastic: bool = False,
    width: int = 640,
) -> Rollout:
    """Film one episode, which ends early where the robot falls; the format is the file's ending.

    The command and the speed are written in.
    """
    check_format(path)
    rollout, _ = record(policy, np.array([command]), seconds=seconds, seed=seed, stochastic=stochastic)
    speed = smoothed(heading_velocity(rollout.qpos, rollout.qvel)[:, 0], max(1, round(SMOOTHING / rollout.dt)))
    env = make_env(policy.env_id, threads=1, **policy.env_kwargs)
    captions = [describe(rollout.command[0], velocity) for velocity in speed]
    env.reset()  # gives the walker its own lengths
    film(env.core.physics.own_model(0), path, rollout, captions, camera=camera, width=width)
    env.close()
    return rollout


def make_tracking_video(
    policy: Policy,
    path: str | Path,
    clip: str | None = None,
    reference: str | Sequence[str] | None = None,
    *,
    seconds: float | None = None,
    camera: str = "track",
    seed: int = 0,
    stochastic: bool = False,
    width: int = 640,
) -> tuple[str, Recording]:
    """Film one episode along a clip (None: the first of the reference), which ends early where the robot fails.

    The clip itself is a translucent robot; its name and the bodies' mean distance from it are written in. Returns
    the name and what happened.
    """
    check_format(path)
    opened = shortened(open_reference(policy, reference), seconds)
    task, library = opened.task, opened.task.library
    assert library is not None
    number = 0 if clip is None else library.index(clip)
    name = library.names[number]
    plan = plan_whole(opened, np.array([number]), seed)
    found = follow(policy, task, plan, np.array([0]), stochastic=stochastic)
    ghosts = found.columns["reference_qpos"][:, 0]
    captions = [f"{name}   {error:.0f} mm off" for error in found.columns["mpjpe_global"][:, 0]]
    film(found.model, path, found.rollout, captions, camera=camera, width=width, ghosts=ghosts)
    return name, found


def check_format(path: str | Path) -> None:
    """PlayError unless the file's ending names a format, before anything is simulated; OSError if it cannot be."""
    if Path(path).suffix not in FORMATS:
        raise PlayError(f"{path}: videos end in {' or '.join(FORMATS)}")
    check_writable(path)


def film(
    model: Any,
    path: str | Path,
    rollout: Rollout,
    captions: Sequence[str],
    *,
    camera: str = "track",
    width: int = 640,
    ghosts: np.ndarray | None = None,
) -> None:
    """Draw a rollout's first episode into a video, with a caption a frame, and poses (T, nq) as ghosts.

    Muscles, where they move the body, have the colours of their activations.
    """
    every = max(1, round(1.0 / (FPS * rollout.dt)))
    view = Offscreen(model, width, width * 3 // 4, camera)
    activation = None if rollout.activation is None else rollout.activation[:, 0]
    row = lambda values, i: None if values is None else values[i]  # noqa: E731
    pictures = (
        caption(view.frame(rollout.qpos[i, 0], ghost=row(ghosts, i), act=row(activation, i)), captions[i])
        for i in range(0, int(rollout.valid[:, 0].sum()), every)
    )
    try:
        write_video(Path(path), pictures, fps=1.0 / (every * rollout.dt))
    finally:
        view.close()


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` rows up to each row, of fewer at the start; (T, k) -> (T, k)."""
    total = np.cumsum(np.concatenate([np.zeros_like(values[:1]), values]), axis=0)
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)[:, None]


def describe(command: np.ndarray, velocity: np.ndarray) -> str:
    """Commanded and reached velocity; sideways and turning only where they are commanded."""
    names = ("forward", "left", "turn")
    units = ("m/s", "m/s", "rad/s")
    parts = [
        f"{name} {reached:+.2f} of {wanted:+.2f} {unit}"
        for i, (name, reached, wanted, unit) in enumerate(zip(names, velocity, command, units, strict=True))
        if i == 0 or wanted != 0.0
    ]
    return "   ".join(parts)


def caption(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture with a line of text in its lower left corner."""
    image = Image.fromarray(picture)
    size = max(11, image.width // 40)
    draw = ImageDraw.Draw(image, "RGBA")
    at, font = (size, image.height - 2 * size), ImageFont.load_default(size)
    left, top, right, bottom = draw.textbbox(at, text, font=font)
    pad = size // 2
    draw.rounded_rectangle((left - pad, top - pad, right + pad, bottom + pad), pad, fill=(*PAPER, 190))
    draw.text(at, text, font=font, fill=INK)
    return np.asarray(image)


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Encode pictures (height, width, 3) uint8; the file appears whole or not at all."""
    if path.suffix != ".gif":
        write_mp4(path, frames, fps)
        return
    with replacing(path) as temporary:
        _write_gif(temporary, frames, fps)


def _write_gif(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    pictures = list(frames)
    # One palette for all frames, so that the background does not flicker and unchanged parts compress; the
    # octree keeps the small bright parts of the robot, which a median cut gives to the sky.
    sample = Image.fromarray(np.concatenate(pictures[:: max(1, len(pictures) // 8)]))
    palette = sample.quantize(128, method=Image.Quantize.FASTOCTREE)
    images = [Image.fromarray(p).quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    images[0].save(
        path, "GIF", save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, optimize=True
    )


# -- window --------------------------------------------------------------------------------------------


def has_display() -> bool:
    """Whether a window can be expected to open."""
    return not sys.platform.startswith("linux") or any(os.environ.get(k) for k in ("DISPLAY", "WAYLAND_DISPLAY"))


def watch(
    policy: Policy,
    options: Mapping[str, Any],
    *,
    seconds: float = 60.0,
    seed: int = 0,
    stochastic: bool = False,
    env_kwargs: Mapping[str, Any] | None = None,
) -> None:
    """Show a policy in MuJoCo's viewer, in real time; episodes begin with these reset options, one after another."""
    if not has_display():
        raise PlayError("there is no display to open a window on; film it instead with --video walk.mp4")
    env = gym.make(policy.env_id, render_mode="human", **(policy.env_kwargs | dict(env_kwargs or {})))
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed, options=dict(options))
    try:
        for _ in range(round(seconds / env.unwrapped.core.robot.dt)):  # type: ignore[attr-defined]
            action = policy.act(obs[None], deterministic=not stochastic, rng=rng)[0]
            obs, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                obs, _ = env.reset(options=dict(options))
    except KeyboardInterrupt:
        pass
    finally:
        env.close()


# -- command line --------------------------------------------------------------------------------------


def command(
    policy: PolicyArgument,
    video: Annotated[Path | None, typer.Option(help="Video to write, .mp4 or .gif, in place of a window.")] = None,
    command: Annotated[
        str | None, typer.Option(help="Command VX or VX,VY,YAW_RATE, in m/s and rad/s.", show_default="0.4")
    ] = None,
    reference: ReferenceOption = None,
    clip: Annotated[
        str | None, typer.Option(help="Clip of the reference to track, by name.", show_default="its first")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="Length of the episode, in seconds.", show_default="10, or the whole clip"),
    ] = None,
    camera: Annotated[str, typer.Option(help="Camera of the video: track or side.")] = "track",
    width: Annotated[
        int, typer.Option(min=160, max=1280, help="Width of the video in pixels; its height is three quarters of that.")
    ] = 640,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the episode.")] = 0,
    stochastic: StochasticOption = False,
    env: EnvOption = None,
) -> None:
    """Show a policy that walks or tracks a clip, in a window or as a video."""
    loaded = load_policy(policy, env)
    refuse_others(loaded, command=command, reference=reference, clip=clip)
    common: dict[str, Any] = {"seed": seed, "stochastic": stochastic}
    pictured: dict[str, Any] = {"camera": camera, "width": width}
    if follows_clips(loaded.env_id):
        if video is None:
            _watch_clip(loaded, clip, reference, seconds, **common)
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


def _watch_clip(
    policy: Policy, clip: str | None, reference: Sequence[str] | None, seconds: float | None, **common: Any
) -> None:
    """A window on one clip, from its first frame to its end."""
    opened = shortened(open_reference(policy, reference), seconds)
    library = opened.task.library
    assert library is not None
    number = 0 if clip is None else library.index(clip)
    steps = int(plan_whole(opened, np.array([number]), 0).steps[0])
    kwargs = {"reference": opened.task.config.reference, "whole_clips": True, "max_episode_steps": steps}
    watch(policy, {"clip": number, "frame": 0}, seconds=steps * opened.task.robot.dt, env_kwargs=kwargs, **common)
