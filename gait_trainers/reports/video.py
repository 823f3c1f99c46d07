"""Videos of a policy: one episode, rendered off screen, with captions, as .mp4 or .gif."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

from gait_envs.errors import GaitNetError
from gait_envs.files import check_writable, replacing
from gait_envs.reading.outputs import MADE_BY, check_drawing
from gait_envs.render import Offscreen, write_mp4
from gait_trainers.evaluation.gait_metrics import Rollout, heading_velocity
from gait_trainers.evaluation.rollout import Recording, record
from gait_trainers.evaluation.tracking import follow, open_reference, plan_whole, shortened
from gait_trainers.evaluation.walking import Command
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import make_env

FORMATS = (".mp4", ".gif")
FPS = 25  # of videos: GIF viewers slow down what is faster, and without a graphics card every picture takes a while
SMOOTHING = 0.4  # s over which the speed shown is averaged, about a step
INK, PAPER = (32, 38, 46), (255, 255, 255)


class PlayError(GaitNetError, RuntimeError):
    """Nothing can be displayed here; the message says what to do instead."""


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
    """PlayError unless the file's ending names a format, before anything is simulated; OSError if it cannot be written,
    OutputError if something else lies there."""
    if Path(path).suffix not in FORMATS:
        raise PlayError(f"{path}: videos end in {' or '.join(FORMATS)}")
    check_drawing(Path(path))
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
    view = Offscreen(model, width, width * 3 // 4, camera, fast=True)
    activation = None if rollout.activation is None else rollout.activation[:, 0]
    row = lambda values, i: None if values is None else values[i]  # noqa: E731
    shown = range(0, int(rollout.valid[:, 0].sum()), every)
    pictures = (
        caption(view.frame(rollout.qpos[i, 0], ghost=row(ghosts, i), act=row(activation, i)), captions[i])
        for i in track(shown, "drawing", console=Console(stderr=True), transient=True)
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
    """Encode pictures (height, width, 3) uint8; written atomically."""
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
        path, "GIF", save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, optimize=True,
        comment=MADE_BY,
    )  # fmt: skip
