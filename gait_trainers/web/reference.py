"""The clips that a page's policy follows: `reference.json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from gait_envs.tasks.base import Task
from gait_envs.tasks.config import TrackConfig

MOST_CLIPS = 8  # of a larger set, this many, evenly chosen


def describe_reference(env: Any) -> dict[str, Any]:
    """What the page's JavaScript plays: frames at the control rate, with what follows from them.

    env: the policy's environment, in its vector form; it is reset to the beginning of each clip
    """
    task: Task = env.core.task
    config, robot = task.config, task.robot
    assert isinstance(config, TrackConfig)
    assert task.player is not None
    count = len(task.player.clips.names)
    chosen = range(count) if count <= MOST_CLIPS else np.linspace(0, count - 1, MOST_CLIPS).round().astype(int)
    return {
        "future_frames": list(config.future_frames),
        "base": config.action_base,  # the pose that an action corrects: "reference" or "home"
        "lead_s": robot.lead.tolist(),
        "kp_nm_rad": robot.kp.tolist() if config.feed_forward else None,
        "clips": [_clip(env, int(number)) for number in chosen],
    }


def _clip(env: Any, number: int) -> dict[str, Any]:
    """One clip, and the state in which an episode along it begins."""
    task: Task = env.core.task
    player = task.player
    assert player is not None
    clips = player.clips
    env.reset(seed=0, options={"clip": number, "frame": 0})
    state = env.core.state
    rows = slice(int(clips.starts[number]), int(clips.starts[number] + clips.lengths[number]))
    torque = clips.torque[rows]
    return {
        "name": clips.names[number],
        "loop": bool(clips.loops[number]),
        "last": int(player.last_frames[number]),  # where an episode ends that does not loop
        "stride": clips.strides[number].tolist(),  # m, displacement of one lap
        "turn": float(clips.turns[number]),  # rad of one lap
        "qpos": clips.qpos[rows].tolist(),
        "qvel": clips.qvel[rows].tolist(),
        "command": player.commands[rows].tolist(),
        "torque": np.where(np.isfinite(torque), torque, 0.0).tolist() if task.config.feed_forward else None,  # type: ignore[attr-defined]
        "start_qpos": state.qpos[0].tolist(),
        "start_qvel": state.qvel[0].tolist(),
    }
