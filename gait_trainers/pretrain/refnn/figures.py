"""What a RefNN is judged by: errors of held-out walkers, and what its generated walks do on the floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gait_envs.biomechanics.events import stance_by_motion, step_figures
from gait_envs.models.robot import Robot, humanoid
from gait_envs.models.soles import sole_positions
from gait_envs.reference.pose_features import PARTS, POSE_LAYOUT
from gait_envs.reference.refnn.cycles import make_cycles
from gait_envs.reference.refnn.network import ReferenceNetwork
from gait_envs.reference.refnn.walks import SEQUENCE, from_coordinates
from gait_envs.rotations import quat_yaw, six_dof_to_matrix
from gait_trainers.pretrain.refnn.data import PHASE

SECONDS, FPS = 10.0, 30.0  # of a generated walk
LOW, SLOW, SHORTEST = 0.02, 0.5, 0.06  # m, m/s, s: a part of a sole stands while it is lower and slower, for so long
_GROUPS = {
    "legs": [part.name for part in PARTS[:10]],
    "trunk": ["spine", "torso", "neck"],
    "head_and_arms": [part.name for part in PARTS[13:]],
}
_SLICES = POSE_LAYOUT.slices()


def group_errors(network: ReferenceNetwork, params: np.ndarray, motions: np.ndarray) -> dict[str, float]:
    """Root mean square errors on sequences (B, 60, 101) with parameters (B, P), by group of numbers.

    Rotations in degrees, the root's step from phase to phase and its height in mm; `stride_percent` is the mean
    absolute error of the way of a cycle.
    """
    phase = np.tile(PHASE, len(params))
    found = network(np.repeat(params, SEQUENCE, axis=0), phase)
    wanted = motions.reshape(-1, POSE_LAYOUT.size).astype(np.float64)
    step, height = _SLICES["root_displacement"], _SLICES["root_height"]
    out = {
        "root_rotation_deg": _rms(_angles(found, wanted, "root_rotation")),
        "root_step_mm": 1e3 * _rms(found[:, step] - wanted[:, step]),
        "root_height_mm": 1e3 * _rms(found[:, height] - wanted[:, height]),
    }
    for group, names in _GROUPS.items():
        out[f"{group}_deg"] = _rms(np.stack([_angles(found, wanted, name) for name in names]))
    ways = [poses[:, step].reshape(-1, SEQUENCE, 2).sum(axis=1)[:, 0] for poses in (found, wanted)]
    return out | {"stride_percent": 100.0 * float(np.mean(np.abs(ways[0] / ways[1] - 1.0)))}


def _rms(error: np.ndarray) -> float:
    """Root mean square of all elements."""
    return float(np.sqrt(np.mean(np.square(error))))


def _angles(found: np.ndarray, wanted: np.ndarray, name: str) -> np.ndarray:
    """Angle (n,) in degrees between two rotations of a joint, or difference of a hinge's angles."""
    a, b = found[:, _SLICES[name]], wanted[:, _SLICES[name]]
    if a.shape[1] == 1:
        return np.degrees(np.abs(a - b))[:, 0]
    trace = np.sum(six_dof_to_matrix(a) * six_dof_to_matrix(b), axis=(-2, -1))
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1.0, 1.0)))


def walk_figures(network: ReferenceNetwork, params: np.ndarray, robot: Robot | None = None) -> dict[str, np.ndarray]:
    """Figures (n,) of walks of 10 s that the network generates for parameters (n, P).

    Stride (m), cadence (steps/min) and speed (m/s) are measured from the feet's touchdowns and the root's way, as in a
    capture. `slip` and `slip_mean` (m/s) are the median and the mean horizontal speed of standing parts of the soles,
    `depth` (m) how far a sole is below the floor at worst. Of a body of other lengths only the poses are looked at.
    """
    robot = robot or humanoid()
    names = network.facts.names
    asked = {key: params[:, names.index(key)] for key in ("stride", "cadence")}
    cycles = make_cycles(network, params)
    rows: list[dict[str, float]] = []
    for i in range(len(params)):
        rate = asked["cadence"][i] / 120.0  # cycles a second
        phase = np.arange(round(SECONDS * FPS)) / FPS * rate
        qpos = from_coordinates(cycles.at(phase, np.full(len(phase), i))[0])
        rows.append(_on_floor(robot, qpos) | {"speed": float(qpos[-1, 0] - qpos[0, 0]) * FPS / (len(qpos) - 1)})
    table = {key: np.array([row.get(key, np.nan) for row in rows]) for key in rows[0]}
    asked["speed"] = asked["stride"] * asked["cadence"] / 120.0
    return table | {f"{key}_asked": values for key, values in asked.items()}


def _on_floor(robot: Robot, qpos: np.ndarray, fps: float = FPS) -> dict[str, float]:
    """Stride (m), cadence (steps/min), slip (m/s) and depth (m) of poses (T, nq); NaN where nothing can be measured."""
    places = sole_positions(robot, qpos)  # (T, 4, 3)
    lowest = float(np.median(places[..., 2].min(axis=1)))  # of a body whose legs are the model's, about 0
    velocity = np.gradient(places, 1 / fps, axis=0)
    speed = np.linalg.norm(velocity, axis=-1)
    stands = np.stack(
        [stance_by_motion(places[:, k, 2] - lowest, speed[:, k], LOW, SLOW, SHORTEST * fps) for k in range(4)], axis=1
    )
    slide = np.linalg.norm(velocity[..., :2], axis=-1)[stands]
    feet = np.stack([stands[:, :2].any(axis=1), stands[:, 2:].any(axis=1)], axis=1)
    place = places.reshape(len(qpos), 2, 2, 3).mean(axis=2)[..., :2]
    found = step_figures(feet, place, quat_yaw(qpos[:, 3:7]), fps)
    return {
        "stride": found.get("stride_length", np.nan),
        "cadence": found.get("cadence", np.nan),
        "slip": float(np.median(slide)) if slide.size else np.nan,
        "slip_mean": float(np.mean(slide)) if slide.size else np.nan,
        "depth": max(0.0, lowest - float(places[..., 2].min())),
    }


def summary(walks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Means over walks: asked against produced in percent, slip in cm/s, None where nothing could be measured; and in
    how many walks no steps could be."""
    out: dict[str, Any] = {"walks": len(walks["speed"])}
    for key in ("stride", "cadence", "speed"):
        error = 100.0 * np.abs(walks[key] / walks[f"{key}_asked"] - 1.0)
        out[f"{key}_percent"], out[f"{key}_percent_max"] = _known(np.mean, error), _known(np.max, error)
    out["slip_cm_s"] = _known(np.median, 100.0 * walks["slip"])
    out["slip_mean_cm_s"] = _known(np.mean, 100.0 * walks["slip_mean"])
    out["depth_mm"] = _known(np.max, 1e3 * walks["depth"])
    return out | {"unmeasured": int(np.isnan(walks["cadence"]).sum())}


def _known(figure: Callable[[np.ndarray], Any], values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(figure(known)) if len(known) else None
