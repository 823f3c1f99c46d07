"""`gait-data view`: a clip on its body, in a window or as a video or a strip of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import matplotlib.image
import numpy as np
import typer

from gait_envs.errors import MotionError
from gait_envs.files import replacing
from gait_envs.mocap.commands.clip_options import SOURCES, choose_clip
from gait_envs.mocap.commands.printing import say
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.reading.outputs import check_drawing, signature
from gait_envs.reference.clip import Clip
from gait_envs.render import HEADLESS, Offscreen, Window, write_mp4

VIDEOS, STRIPS = (".mp4",), (".png", ".jpg")
_PICTURES, _ROWS = 12, 2  # of a strip
_SIZE = 480  # pixels
_MOST = 4096  # pixels; a model may draw fewer


def view_command(
    source: Annotated[str, typer.Argument(metavar="CLIP_OR_SET", help=SOURCES)],
    clip: Annotated[str | None, typer.Option(help="Clip of a set to show, by name; by default its first.")] = None,
    robot: Annotated[
        str | None, typer.Option(help="Name or retarget YAML of a robot; by default the clip's robot.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Video (.mp4) or strip of pictures (.png) to write; by default a window opens.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Camera of the model; by default track, if the model has it.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of a picture, in pixels; by default 480.")] = None,
    height: Annotated[int | None, typer.Option(help="Height of a picture, in pixels; by default 480.")] = None,
    slow: Annotated[float, typer.Option(help="Slow-motion factor of the window or the video.")] = 1.0,
    start: Annotated[float, typer.Option(help="Start of the excerpt, in seconds.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="End of the excerpt, in seconds.")] = None,
) -> None:
    """Play a clip on its robot, in a window or as a video or pictures."""
    if out is not None and out.suffix.lower() not in (*VIDEOS, *STRIPS):
        raise MotionError(f"--out {out}: a video ends in {VIDEOS[0]}, a strip of pictures in {' or '.join(STRIPS)}")
    if out is not None:
        check_drawing(out)
    for option, pixels in (("width", width), ("height", height)):
        if pixels is not None and not 16 <= pixels <= _MOST:
            raise MotionError(f"--{option} {pixels}: expected 16 to {_MOST} pixels")
        if pixels is not None and out is None:
            raise MotionError(f"--{option} is of a picture; say with --out where to write one")
    if not 0.02 <= slow <= 50:
        raise MotionError(f"--slow {slow:g}: expected 0.02 to 50")
    found, body = choose_clip(source, clip, robot)
    qpos = found.qpos[_span(found, start, end)]
    camera, size = _camera(body, camera), (width or _SIZE, height or _SIZE)
    if out is None:
        _play(qpos, found.fps / slow, body, camera)
        return
    if out.suffix.lower() in VIDEOS:
        write_mp4(out, _pictures(qpos, body, camera, *size), found.fps / slow)
    else:
        chosen = np.unique(np.linspace(0, len(qpos) - 1, _PICTURES).round().astype(int))
        _write_strip(out, list(_pictures(qpos[chosen], body, camera, *size)))
    say(f"picture  {out}")


def _span(clip: Clip, start: float, end: float | None) -> slice:
    stop = clip.duration if end is None else end
    if not 0 <= start < stop <= clip.duration + 1e-6:
        raise MotionError(f"cannot show {start:g} s to {stop:g} s: the clip lasts {clip.duration:.3f} s")
    return slice(round(start * clip.fps), round(stop * clip.fps) + 1)


def _camera(body: Body, asked: str | None) -> str | None:
    """The camera that was asked for, by default "track" if the model has it; None: one of our own."""
    named = [body.model.camera(i).name for i in range(body.model.ncam)]
    if asked is not None and asked not in named:
        raise MotionError(f"no camera {asked!r}; the model has {', '.join(named) or 'none'}")
    return asked or ("track" if "track" in named else None)


def _pictures(qpos: np.ndarray, body: Body, camera: str | None, width: int, height: int) -> Iterator[np.ndarray]:
    """Pictures (height, width, 3) of the body in every pose."""
    screen = Offscreen(body.model, width, height, camera)
    try:
        for pose in qpos:
            yield screen.frame(pose).copy()
    finally:
        screen.close()


def _write_strip(path: Path, frames: list[np.ndarray]) -> None:
    """Pictures in rows, evenly through the clip, whole or not at all."""
    columns = -(-len(frames) // _ROWS)
    frames = frames + [np.full_like(frames[0], 255)] * (columns * _ROWS - len(frames))
    rows = [np.concatenate(frames[i : i + columns], axis=1) for i in range(0, len(frames), columns)]
    with replacing(path) as temporary:
        matplotlib.image.imsave(temporary, np.concatenate(rows), format=path.suffix[1:].lower(), **signature(path))


def _play(qpos: np.ndarray, fps: float, body: Body, camera: str | None) -> None:
    """Over and over in a window at `fps`, through this camera to begin with, until it is closed."""
    if HEADLESS:
        raise MotionError("no display to open a window on; write a file: --out video.mp4 or --out strip.png")
    window = Window(body.model, -1 if camera is None else body.model.camera(camera).id)
    try:
        while window.is_open:
            for pose in qpos:
                window.show(pose, dt=1.0 / fps)
    finally:
        window.close()
