"""`policy.json`: what every number of a bundle means, and where its policy came from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from gait_envs.tasks.base import Task
from gait_envs.tasks.config import TrackConfig, WalkConfig
from gait_trainers.policies.base import Policy
from gait_trainers.policies.bundle import FORMAT_VERSION, MUSCLES
from gait_trainers.policies.environment import make_env
from gait_trainers.policies.onnx_policy import OUTPUTS


def describe(
    policy: Policy, training: Mapping[str, Any], parity: Mapping[str, Any], memory: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Everything needed to run the network on a robot; the others are sections that the export knows."""
    env = make_env(policy.env_id, threads=1, **policy.env_kwargs)
    robot, task = env.core.robot, env.core.task
    env.close()
    kwargs = {**policy.env_kwargs, **({"muscle_network": MUSCLES} if "muscle_network" in policy.env_kwargs else {})}
    manifest: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "license": "MIT",
        "environment": {
            "id": policy.env_id,
            "kwargs": kwargs,
            "robot": robot.name,
            "control_rate_hz": round(1.0 / robot.dt, 6),
            "physics_rate_hz": round(1.0 / robot.model.opt.timestep, 6),
        },
        "observation": {
            "input": "observation",
            "dtype": "float32",
            "size": task.layout.size,
            "normalized_by": "the network; feed raw values",
            "layout": task.layout.table(),
        },
        "command": describe_command(task),
        "action": describe_action(task),
        **({} if memory is None else {"memory": dict(memory)}),
        "training": dict(training),
        "parity": dict(parity),
        "exported_with": {name: version(name) for name in ("gaitnet", "torch", "onnx", "onnxruntime")},
    }
    if policy.style is not None:
        manifest["style"] = {"input": "features", "output": "score", "frames": policy.style.frames}
        manifest["style"]["dilation"] = policy.style.dilation
        manifest["style"]["layout"] = task.amp_layout.table()
    return manifest


def contract_hash(manifest: Mapping[str, Any]) -> str:
    """16 hexadecimal digits over what a program that runs the policy relies on: robot and rates, the rows of the
    observation, the command, the way from action to servo targets, and the memory.

    Weights, rewards, training and descriptions do not count: bundles of one hash are run by the same program.
    """
    parts = [
        {key: value for key, value in manifest["environment"].items() if key != "kwargs"},
        [[row[key] for key in ("name", "size", "unit")] for row in manifest["observation"]["layout"]],
        manifest["command"]["layout"],
        {key: value for key, value in manifest["action"].items() if key != "outputs"},
        manifest.get("memory"),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def describe_command(task: Task) -> dict[str, Any]:
    """The command that is observed, and its range where it is given rather than read off a clip."""
    layout = {"layout": ["forward m/s", "leftward m/s", "yaw rate rad/s"]}
    if isinstance(task.config, WalkConfig):
        return layout | {"low": list(task.config.command_low), "high": list(task.config.command_high)}
    return layout | {"from": "the reference clip"}


def describe_action(task: Task) -> dict[str, Any]:
    """How the network's action is filtered and turned into servo targets."""
    robot, config = task.robot, task.config
    base = "home_rad"
    if isinstance(config, TrackConfig) and config.action_base == "reference":
        base = "reference_rad"  # of the clip's next frame
        if robot.lead.any():
            base = "reference_rad + lead_s * reference_rad_s"
        if config.feed_forward:
            base += " + reference_torque_nm / kp_nm_rad"
    return {
        "outputs": dict(zip(OUTPUTS, ("clipped to [-1, 1]; use this", "before clipping", "exploration"), strict=True)),
        "joints": list(robot.joint_names),
        "home_rad": robot.home.tolist(),
        "scale_rad": task.actions.scale.tolist(),
        "lower_rad": robot.target_lower.tolist(),
        "upper_rad": robot.target_upper.tolist(),
        **({"lead_s": robot.lead.tolist()} if robot.lead.any() else {}),
        **({"kp_nm_rad": robot.kp.tolist()} if "kp_nm_rad" in base else {}),
        "filter_alpha": config.action_filter,
        "filter": "filtered = filter_alpha * action + (1 - filter_alpha) * filtered",
        "target_rad": f"clip({base} + scale_rad * filtered, lower_rad, upper_rad)",
    }


def readable_json(tree: Any) -> str:
    """Indented, with lists of plain values on one line each."""
    text = json.dumps(tree, indent=2, ensure_ascii=False)
    return re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda m: "[" + re.sub(r",\n\s+", ", ", m[1]) + "]", text) + "\n"
