"""Rendering: off screen to arrays and videos, or in a window."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from weakref import WeakSet

import mujoco
import mujoco.viewer
import numpy as np
from mujoco.rendering.classic import gl_context

from gait_envs.errors import GaitNetError
from gait_envs.files import replacing
from gait_envs.reading.outputs import MADE_BY

GHOST = (0.15, 0.75, 0.45, 0.4)  # red, green, blue, opacity
FAST_SHADOWS = 1024  # edge of the shadow map in pixels, of films
HEADLESS = sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

if HEADLESS and "MUJOCO_GL" not in os.environ:
    # MuJoCo chose a window system when it was imported, perhaps before this module; without a display it is EGL.
    os.environ["MUJOCO_GL"] = "egl"
    try:
        from mujoco.egl import GLContext

        gl_context.GLContext = GLContext
    except (ImportError, AttributeError):  # no EGL here: `Offscreen` says so when it is asked to draw
        pass


class CameraError(GaitNetError, ValueError):
    """A camera that the model does not have."""


class RenderError(GaitNetError, RuntimeError):
    """Rendering is impossible here; the message says what is missing."""


def write_mp4(path: str | os.PathLike[str], frames: Iterable[np.ndarray], fps: float) -> None:
    """Encode pictures (height, width, 3) uint8 as an MP4 that every browser plays, written atomically.

    Needs imageio-ffmpeg. Raises `RenderError` without a frame, or with ffmpeg's message.
    """
    import imageio_ffmpeg

    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise RenderError(f"{path}: a video needs at least one frame")
    height, width, _ = first.shape
    # yuv420p, which every browser plays, needs even sizes.
    source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps:g} -i -"
    source += f" -metadata comment={MADE_BY}"
    target = "-an -c:v libx264 -crf 20 -pix_fmt yuv420p -vf pad=ceil(iw/2)*2:ceil(ih/2)*2 -movflags +faststart -f mp4"
    with replacing(path) as temporary:
        temporary.touch()  # if that fails, the system's error says more than ffmpeg's
        program = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
        command = [*program, *source.split(), *target.split(), str(temporary)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # ffmpeg's message, below, says why it stopped
                for picture in itertools.chain([first], pictures):
                    process.stdin.write(picture.tobytes())
            _, complaint = process.communicate()
        if process.returncode != 0:
            raise RenderError(f"{path}: ffmpeg failed: {complaint.decode(errors='replace').strip()}")


_open: WeakSet[_Renderer] = WeakSet()


class _Renderer(mujoco.Renderer):
    """MuJoCo's, which frees what it has of the graphics library in its own context and before that library ends.

    As it is, it frees the numbers of its objects in whatever context is current. Those are somebody else's objects
    there: the next picture of that one is upside down.
    """

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        super().__init__(model, height, width)
        if not _open:
            # The library's own end is registered by its first context; what is registered later is called earlier.
            atexit.unregister(_close_all)
            atexit.register(_close_all, os.getpid())
        _open.add(self)

    def close(self) -> None:
        if self._gl_context:
            self._gl_context.make_current()
        super().close()


def _close_all(pid: int) -> None:
    """At the end of the process, for those who never call `close`; a forked child has no contexts to close."""
    if os.getpid() == pid:
        for renderer in list(_open):
            renderer.close()


class Offscreen:
    """Renders states of one model into arrays, with its own `MjData`, so that rendering never affects physics."""

    def __init__(
        self,
        model: mujoco.MjModel,
        width: int = 640,
        height: int = 480,
        camera: str | int | None = "track",
        *,
        fast: bool = False,
    ) -> None:
        """Through a camera of the model, by name or number; None: one of our own that goes along with its first body,
        -1: MuJoCo's free camera, which stays where it is.

        `fast` is for films: on a machine without a graphics card, smooth edges, sharp shadows and reflections take
        four fifths of the time of a picture.
        """
        cameras = [model.camera(i).name for i in range(model.ncam)]
        if isinstance(camera, str) and camera not in cameras:
            raise CameraError(f"no camera {camera!r}; the model has {', '.join(cameras) or 'none'}")
        most = model.vis.global_
        if not (0 < width <= most.offwidth and 0 < height <= most.offheight):
            raise RenderError(
                f"a picture of {width} x {height}: the model allows 1 x 1 to {most.offwidth} x {most.offheight} pixels "
                "(visual/global, offwidth and offheight)"
            )
        self.model, self._data = model, mujoco.MjData(model)
        self._camera = _along(model) if camera is None else camera
        quality = model.vis.quality
        asked = quality.offsamples, quality.shadowsize
        try:
            if fast:
                quality.offsamples, quality.shadowsize = 0, min(FAST_SHADOWS, quality.shadowsize)
            self._renderer = _Renderer(model, height, width)
            self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] &= not fast
        except Exception as error:  # the GL back ends raise many kinds
            raise RenderError(
                f"cannot render off screen with MUJOCO_GL={os.environ.get('MUJOCO_GL', '(unset)')}: {error}. "
                "On a headless Linux machine install EGL (Debian: libegl1) or set MUJOCO_GL=osmesa."
            ) from error
        finally:
            quality.offsamples, quality.shadowsize = asked  # the model is its owner's

    def frame(
        self,
        qpos: np.ndarray,
        qvel: np.ndarray | None = None,
        *,
        depth: bool = False,
        ghost: np.ndarray | None = None,
        act: np.ndarray | None = None,
    ) -> np.ndarray:
        """(height, width, 3) uint8, or (height, width) float32 metres when `depth`; a translucent robot at `ghost`.

        Muscles are coloured by their activations `act` (na,), where these are given.
        """
        self._data.qpos[:] = qpos
        self._data.qvel[:] = 0.0 if qvel is None else qvel
        self._data.act[:] = 0.0 if act is None else act
        mujoco.mj_forward(self.model, self._data)
        (self._renderer.enable_depth_rendering if depth else self._renderer.disable_depth_rendering)()
        self._renderer.update_scene(self._data, self._camera, _muscle_colours(self.model))
        if ghost is not None:
            self._add_ghost(ghost)
        return self._renderer.render()

    def _add_ghost(self, qpos: np.ndarray) -> None:
        """Add the moving parts of the robot in this pose to the scene, in one colour that shows what is behind."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self._data)
        scene, first = self._renderer.scene, self._renderer.scene.ngeom
        moving, option = mujoco.mjtCatBit.mjCAT_DYNAMIC, mujoco.MjvOption()
        mujoco.mjv_addGeoms(self.model, self._data, option, mujoco.MjvPerturb(), moving, scene)
        for geom in scene.geoms[first : scene.ngeom]:
            geom.matid, geom.rgba[:] = -1, GHOST

    def close(self) -> None:
        """Release the renderer's graphics context."""
        self._renderer.close()


def _along(model: mujoco.MjModel) -> mujoco.MjvCamera:
    """A camera that stays beside the model's first body, far enough away to see all of it."""
    mujoco.mj_forward(model, data := mujoco.MjData(model))
    camera = mujoco.MjvCamera()
    camera.type, camera.trackbodyid = mujoco.mjtCamera.mjCAMERA_TRACKING, 1
    camera.azimuth, camera.elevation = 120.0, -10.0
    spread = np.linalg.norm(data.xpos[1:] - data.xpos[1], axis=1).max()
    camera.distance = 4.0 * max(float(spread), 0.1)
    return camera


def _muscle_colours(model: mujoco.MjModel) -> mujoco.MjvOption:
    option = mujoco.MjvOption()
    _show_muscles(model, option)
    return option


def _show_muscles(model: mujoco.MjModel, option: mujoco.MjvOption) -> None:
    """Draw the muscles of a model that has any as their activations colour them."""
    if model.na:
        option.flags[mujoco.mjtVisFlag.mjVIS_ACTUATOR] = option.flags[mujoco.mjtVisFlag.mjVIS_ACTIVATION] = True


class Window:
    """MuJoCo's passive viewer at real time."""

    def __init__(self, model: mujoco.MjModel, camera: int = -1) -> None:
        """Through a camera of the model, by its number; -1: a free one, which the mouse moves."""
        if HEADLESS:  # asking GLFW anyway would end the process
            raise RenderError("no display to open a window on; use render_mode='rgb_array'")
        self._data = mujoco.MjData(model)
        self.model = model
        self._viewer = mujoco.viewer.launch_passive(model, self._data)
        with self._viewer.lock():
            _show_muscles(model, self._viewer.opt)
            if camera >= 0:
                self._viewer.cam.type, self._viewer.cam.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, camera
        self._clock = time.monotonic()

    @property
    def is_open(self) -> bool:
        """False once the user has closed the window."""
        return self._viewer.is_running()

    def show(
        self,
        qpos: np.ndarray,
        qvel: np.ndarray | None = None,
        dt: float = 0.02,
        act: np.ndarray | None = None,
    ) -> None:
        """Show a state, then wait until its moment has passed."""
        self._data.qpos[:] = qpos
        self._data.qvel[:] = 0.0 if qvel is None else qvel
        self._data.act[:] = 0.0 if act is None else act
        mujoco.mj_forward(self.model, self._data)
        self._viewer.sync()
        self._clock = max(self._clock + dt, time.monotonic() - dt)
        time.sleep(max(0.0, self._clock - time.monotonic()))

    def close(self) -> None:
        """Close the window; it may be closed already."""
        self._viewer.close()


def body_rows(model: mujoco.MjModel, qpos: np.ndarray, camera: str, size: int) -> slice:
    """Rows of square pictures through a camera, from above the body's head to below its feet in all states (k, nq)."""
    data, moving = mujoco.MjData(model), model.geom_bodyid > 0
    half_height = np.tan(np.radians(model.camera(camera).fovy[0]) / 2)  # of the picture, at a depth of 1
    ends = []
    for state in qpos:
        data.qpos[:] = state
        mujoco.mj_forward(model, data)
        view = data.camera(camera)
        place = (data.geom_xpos[moving] - view.xpos) @ view.xmat.reshape(3, 3)  # to the right, up, towards the camera
        reach = model.geom_rbound[moving]
        ends.append([((place[:, 1] + side * reach) / -place[:, 2] / half_height) for side in (1, -1)])
    above, below = np.max([top for top, _ in ends]) + 0.04, np.min([bottom for _, bottom in ends]) - 0.04
    return slice(max(0, int(size / 2 * (1 - above))), min(size, int(size / 2 * (1 - below)) + 1))
