"""A policy in a browser that is fed from here, for machines without a display (extra: viewer).

Physics and policy run in this process; the browser draws, and sends commands. Anybody who reaches the port can do so,
which is why it is bound to this machine; a remote one is reached by `ssh -L`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from gait_envs.core import Core
from gait_envs.models.robot import Robot
from gait_envs.models.shapes import shapes
from gait_envs.tasks.config import WalkConfig
from gait_trainers.policies.base import Policy
from gait_trainers.reports.video import PlayError
from gait_trainers.web.meshes import mesh

HOST, PORT = "127.0.0.1", 8080
CELL = 0.5  # m, of the floor's grid
PUSH = 0.4  # m/s
WINDOW = 1.0  # s over which the measured speed is averaged


class Scene:
    """The robot's bodies on a floor, and a panel of commands, in every browser that is connected."""

    def __init__(self, robot: Robot, name: str, command: tuple[Any, Any] | None, port: int = PORT) -> None:
        """command: least and greatest values, (3,) m/s, m/s, rad/s each; None: there is nothing to command.
        port: the first one that is tried; where it is taken, the next free one is used.
        """
        try:
            import viser
        except ModuleNotFoundError:
            raise PlayError("--viewer web needs viser; install it with: pip install 'gaitnet[viewer]'") from None
        self.server = viser.ViserServer(host=HOST, port=port, label=f"{name} · GaitNet", verbose=False)
        self._robot = robot
        self._scene = self.server.scene
        self._build(robot)
        self.address = f"http://{HOST}:{self.server.get_port()}"
        self.reset_asked = False
        self.push_asked = False
        self._panel(name, command)
        self.begin()

    def _build(self, robot: Robot) -> None:
        scene, model = self._scene, robot.model
        height = float(robot.home_qpos[2])
        scene.set_up_direction("+z")
        self.server.initial_camera.position = (1.9 * height, -2.4 * height, 1.4 * height)
        self.server.initial_camera.look_at = (0.0, 0.0, 0.8 * height)
        self._floor = scene.add_grid("/floor", 40.0, 40.0, cell_size=CELL, section_size=2 * CELL, plane_opacity=0.35)
        self._bodies = {
            body: scene.add_frame(f"/robot/{model.body(body).name}", show_axes=False)
            for body in range(robot.pelvis, model.nbody)
        }
        for number, shape in enumerate(shapes(robot)):
            vertices, faces = mesh(shape)
            scene.add_mesh_simple(
                f"/robot/{model.body(shape.body).name}/{number}",
                vertices.astype(np.float32),
                faces.astype(np.uint32),
                color=np.array(shape.rgba[:3]),
                position=model.geom_pos[shape.geom],
                wxyz=model.geom_quat[shape.geom],
            )

    def _panel(self, name: str, command: tuple[Any, Any] | None) -> None:
        gui = self.server.gui
        gui.configure_theme(show_logo=False, show_share_button=False)
        self._text = gui.add_markdown(f"**{name}**")
        self._sliders: list[Any] = []
        if command is not None:
            first = [min(0.4, float(command[1][0])), 0.0, 0.0]
            names = ("forward, m/s", "left, m/s", "turn, rad/s")
            for label, low, high, value in zip(names, *command, first, strict=True):
                wide = max(float(high), float(low) + 0.01)  # a slider needs a range even where the command is fixed
                value = min(max(value, float(low)), wide)
                self._sliders.append(gui.add_slider(label, float(low), wide, 0.01, value, disabled=low == high))
            gui.add_button("stand still").on_click(lambda _: self._stand())
        gui.add_button("push").on_click(lambda _: setattr(self, "push_asked", True))
        gui.add_button("reset").on_click(lambda _: setattr(self, "reset_asked", True))

    def _stand(self) -> None:
        for slider in self._sliders:
            slider.value = min(max(0.0, slider.min), slider.max)

    @property
    def command(self) -> np.ndarray | None:
        """What the sliders say, (3,) m/s, m/s, rad/s; None without sliders."""
        return np.array([slider.value for slider in self._sliders], dtype=float) if self._sliders else None

    def begin(self) -> None:
        """An episode begins: its speed is measured from here, and not over the reset."""
        self._speeds: list[np.ndarray] = []

    def show(self, core: Core, info: Mapping[str, Any]) -> None:
        """Draw the state of a core's first sub-environment, the walker in the middle of a floor that slides below."""
        data = core.physics.get_data(0)
        root = data.xpos[self._robot.pelvis].copy()
        root[2] = 0.0
        with self.server.atomic():
            for body, frame in self._bodies.items():
                frame.position = data.xpos[body] - root
                frame.wxyz = data.xquat[body]
            self._floor.position = -np.mod(root, 2 * CELL)
        self._say(core.robot.dt, info)

    def _say(self, dt: float, info: Mapping[str, Any]) -> None:
        self._speeds.append(np.array([info["x_velocity"], info["y_velocity"], info["yaw_rate"]], dtype=float))
        del self._speeds[: -max(1, round(WINDOW / dt))]
        forward, left, turn = np.mean(self._speeds, axis=0)
        asked = " · ".join(f"{x:.2f}" for x in info["command"])
        self._text.content = f"asked {asked}\n\nmeasured {forward:.2f} · {left:.2f} m/s · {turn:.2f} rad/s"

    def close(self) -> None:
        """Stop the server."""
        self.server.stop()


def watch_in_browser(
    policy: Policy,
    options: Mapping[str, Any],
    *,
    port: int = PORT,
    seconds: float | None = None,
    seed: int = 0,
    stochastic: bool = False,
    env_kwargs: Mapping[str, Any] | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve a policy in real time until interrupted, or for `seconds`; episodes begin with these reset options."""
    env = gym.make(policy.env_id, **{"max_episode_steps": -1, **policy.env_kwargs, **(env_kwargs or {})})
    core: Core = env.unwrapped.core  # type: ignore[attr-defined]
    config = core.task.config
    limits = (config.command_low, config.command_high) if isinstance(config, WalkConfig) else None
    scene = Scene(core.robot, policy.name, limits, port)
    announce(scene.address)
    try:
        _run(scene, env, policy, options, seconds, seed, stochastic)
    except KeyboardInterrupt:
        pass
    finally:
        scene.close()
        env.close()


def _run(
    scene: Scene,
    env: gym.Env[Any, Any],
    policy: Policy,
    options: Mapping[str, Any],
    seconds: float | None,
    seed: int,
    stochastic: bool,
) -> None:
    core: Core = env.unwrapped.core  # type: ignore[attr-defined]
    rng, dt = np.random.default_rng(seed), core.robot.dt
    obs, info = env.reset(seed=seed, options=dict(options))
    state, starts = policy.initial_state(1), np.ones(1, dtype=bool)
    due, steps = time.monotonic(), 0
    while seconds is None or steps < round(seconds / dt):
        if scene.command is not None:
            obs = steer(core, scene.command)
        if scene.push_asked:
            scene.push_asked, angle = False, rng.uniform(-np.pi, np.pi)
            core.physics.push(np.array([0]), PUSH * np.array([[np.cos(angle), np.sin(angle)]]))
        action, state = policy.act(obs[None], state, starts, deterministic=not stochastic, rng=rng)
        obs, _, terminated, truncated, info = env.step(action[0])
        scene.show(core, info)
        starts[:] = terminated or truncated or scene.reset_asked
        if starts[0]:
            scene.reset_asked = False
            obs, info = env.reset(options=dict(options))
            scene.begin()
        steps += 1
        due = max(due + dt, time.monotonic() - dt)  # a slow machine falls behind, and does not catch up
        time.sleep(max(0.0, due - time.monotonic()))


def steer(core: Core, command: np.ndarray) -> np.ndarray:
    """Set the command (3,) m/s, m/s, rad/s; returns the observation (d,) with it."""
    core.memory.command[:] = command
    return core.observe()[0]
