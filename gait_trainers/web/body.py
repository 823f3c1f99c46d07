"""What the page's JavaScript gets beside `policy.json`: the body, its simulation, and the task's own numbers.

Names and sizes of observations, the action's scale and its filter are in `policy.json`, which the page reads too.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.control.muscle_network import MuscleNetwork, load_muscle_network
from gait_envs.errors import GaitNetError
from gait_envs.models.portable import PortableModel, portable
from gait_envs.models.robot import Robot
from gait_envs.models.shapes import shapes
from gait_envs.simulation.make import MUSCLE_NETWORK
from gait_envs.tasks.base import Task
from gait_envs.tasks.layouts import held_actions
from gait_envs.tasks.view import STEER
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import make_env
from gait_trainers.web.muscles import describe_muscles
from gait_trainers.web.reference import describe_reference

FORMAT = "gaitnet page 1"


class PageError(GaitNetError, ValueError):
    """A policy that the page cannot run, or a folder that it cannot be written to."""


def observable() -> list[str]:
    """Names of the observation rows that the page's JavaScript computes: `static/rows.json`."""
    rows: list[str] = json.loads(static_text("rows.json"))
    return rows


def static_text(name: str) -> str:
    """A text file of the page."""
    return (resources.files("gait_trainers.web") / "static" / name).read_text(encoding="utf-8")


class Described(NamedTuple):
    """What a page is made of, beside the policy."""

    body: dict[str, Any]  # body.json
    model: PortableModel
    reference: dict[str, Any] | None  # reference.json, of a policy that follows clips
    muscles: MuscleNetwork | None  # policy/muscles.onnx, of a body that muscles move


def describe_body(policy: Policy) -> Described:
    """The page of a policy; PageError says why the page cannot run it."""
    if "memory" in policy.details:
        raise PageError(f"{policy.name}: a policy with a memory; the page runs feedforward policies")
    env = make_env(
        policy.env_id, threads=1, **{**policy.env_kwargs, "reset_noise": 0.0, "randomize": {"enabled": False}}
    )
    task, core = env.core.task, env.core
    check_task(task, policy)
    noise = policy.env_kwargs.get("reset_noise", type(task.config).reset_noise)  # rad, of the joints where it begins
    reference = describe_reference(env) if task.follows else None
    env.reset(seed=0, options={"clip": 0, "frame": 0} if task.follows else {"command": np.zeros(3)})
    start, data = core.state.qpos[0].tolist(), core.physics.get_data(0)
    drawn = [
        shape._asdict() | {"place": data.geom_xpos[shape.geom].tolist(), "turn": data.geom_xmat[shape.geom].tolist()}
        for shape in shapes(task.robot)
    ]
    env.close()
    model = portable(task.robot)
    body = {
        "format": FORMAT,
        "name": policy.name,
        "model": {
            "scene": model.scene,
            "files": sorted(model.files),
            "edits": {name: np.asarray(value).tolist() for name, value in model.edits.items()},
        },
        "shapes": drawn,  # where they are at the start
        **describe_robot(task.robot),
        "start_qpos": start,
        **describe_task(task),
        "reset_noise": noise,
        "muscles": None if task.robot.muscles is None else describe_muscles(core.physics),
    }
    network = None
    if task.robot.muscles is not None:
        own = policy.env_kwargs.get("muscle_network") or asset_path(MUSCLE_NETWORK)
        network = load_muscle_network(own, task.robot.muscles)
    return Described(body, model, reference, network)


def check_task(task: Task, policy: Policy) -> None:
    """PageError unless the page knows everything that this task observes and does."""
    where = f"{policy.name} in {policy.env_id}"
    if task.player is not None and task.player.generator is not None:
        raise PageError(f"{where}: a network makes its reference; the page plays clips")
    if task.robot.muscles is not None and task.config.drive.controller != "nn":
        raise PageError(
            f"{where}: its muscles follow the controller {task.config.drive.controller!r}; the page runs that of "
            "muscle_controller='nn', and bodies with servos"
        )
    unknown = [row.name for row in task.layout if row.name not in observable()]
    if unknown:
        raise PageError(f"{where}: it observes {', '.join(unknown)}; the page computes {', '.join(observable())}")
    if task.action_names != task.robot.joint_names:
        raise PageError(f"{where}: its actions move {', '.join(task.action_names)}; the page has one target a joint")


def describe_robot(robot: Robot) -> dict[str, Any]:
    """Where things are in the model's arrays."""
    return {
        "substeps": robot.substeps,
        "dt": robot.dt,  # s per control step
        "gyro": robot.gyro.start,  # first of three in sensordata
        "servos": robot.servos.tolist(),  # which joints have one
        "controls": robot.model.actuator_ctrladr[robot.servo_actuators].tolist(),  # of these
        "lower_rad": robot.lower.tolist(),
        "upper_rad": robot.upper.tolist(),
        "half_range_rad": robot.half_range.tolist(),
    }


def describe_task(task: Task) -> dict[str, Any]:
    """Options of the task that observations and falls depend on."""
    config = task.config
    return {
        "follows": task.follows,
        "held_actions": held_actions(task.robot, config).tolist(),  # those that previous_action shows
        "velocity_frame": config.velocity_frame,
        "heading_gain": config.heading_gain,  # 1/s
        "steer": STEER,  # rad/s, limit of the heading's correction
        "min_height": config.min_height,  # m
        "max_height": config.max_height,
        "max_tilt": config.max_tilt,  # rad
        # Falls are counted from the clip's own root height and tilt, while it must be followed.
        "falls_from_clip": task.follows and not task.settings.free,
        "home_height": float(task.robot.home_qpos[2]),  # m
    }
