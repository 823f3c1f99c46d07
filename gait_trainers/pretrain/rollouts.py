"""Records a policy that follows looping clips under sampled parameters of the walker: the data of a RefNN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gait_envs.biomechanics.events import runs
from gait_envs.constants import GRAVITY
from gait_envs.core import Core
from gait_envs.reference.clip import Clip
from gait_envs.reference.refnn.walks import COORDINATES, Walks, to_coordinates
from gait_envs.simulation.parameters import ParamSpace
from gait_trainers.evaluation.rollout import BATCH, EvaluationError, record_episodes
from gait_trainers.evaluation.tracking import open_reference, shortened
from gait_trainers.policies.base import Policy

SETTLE = 2.0  # s of each walk that are left out at its start
STILL = 1e-6  # rad
STANDS = 0.05  # body weights on a foot from which it stands
# Factors on what the clip and the body have; the policy decides how many of such walkers stay on their feet.
RANGES = {"stride": (0.85, 1.15), "cadence": (0.85, 1.15)}


class Rollouts(NamedTuple):
    """What was recorded, and what was left out."""

    walks: Walks
    dropped: dict[str, int]  # why: how many walkers


def record_walks(
    policy: Policy,
    walkers: int,
    *,
    reference: str | Sequence[str] | None = None,
    ranges: Mapping[str, tuple[float, float]] = RANGES,
    seconds: float = 10.0,
    seed: int = 0,
    threads: int = 0,
) -> Rollouts:
    """Walks of `walkers` walkers whose parameters are drawn uniformly from `ranges`, each along a random clip.

    Clips must be single gait cycles that loop. A kind such as "scale" stands for all its parameters. Walkers that do
    not last `seconds` are left out and counted. Stride (m per cycle) and cadence (steps/min) are those asked for.
    EvaluationError for a range that the body does not allow, for other clips, and where no walker lasts.
    """
    opened = shortened(open_reference(policy, reference), seconds)
    task, library = opened.task, opened.task.library
    assert library is not None
    still = still_joints(library.qpos)
    starts = np.array([touchdown(clip, task.robot.mass) for clip in library.clips])
    names, low, high = drawn(task.param_space, ranges)
    rng = np.random.default_rng(seed)
    clips = rng.integers(len(library.clips), size=walkers)
    factors = rng.uniform(low, high, size=(walkers, len(names)))
    frames = rng.integers(library.lengths[clips] - 1)
    motions, lengths, kept, dropped = [], [], [], Counter[str]()
    for first in range(0, walkers, BATCH):
        rows = np.arange(first, min(first + BATCH, walkers))
        options = {
            "clip": clips[rows],
            "frame": frames[rows],
            "params": [dict(zip(names, row.tolist(), strict=True)) for row in factors[rows]],
        }
        core = Core(task, len(rows), threads=threads, max_episode_steps=opened.time_limit)
        core.costly_info = False
        found = record_episodes(
            policy, core, (seed + rows).tolist(), options, remembered=("frame", "between"),
            limits=np.full(len(rows), opened.time_limit),
        )  # fmt: skip
        dropped.update(str(cause) for cause in found.ends["cause"] if cause)
        settle = round(SETTLE / task.robot.dt)
        for i in np.flatnonzero(found.ends["success"]):
            clip = clips[rows[i]]
            at = found.columns["frame"][settle:, i] + found.columns["between"][settle:, i] - starts[clip]
            phase = at / (library.lengths[clip] - 1) % 1.0
            motions.append(np.column_stack([to_coordinates(still(found.rollout.qpos[settle:, i])), phase]))
            lengths.append(len(phase))
            kept.append(rows[i])
    if not kept:
        raise EvaluationError(f"{policy.name}: no walker lasted {seconds:g} s; {dict(dropped)}")
    kept_rows = np.array(kept)
    params = asked(task, names, factors[kept_rows], clips[kept_rows])
    walks = Walks(
        params=np.stack(list(params.values()), axis=1),
        names=tuple(params),
        motions=np.concatenate(motions).reshape(-1, COORDINATES + 1),
        lengths=np.array(lengths),
        walkers=tuple(f"{policy.name}/{seed}/{i}" for i in kept_rows),
        fps=task.robot.control_rate,
        source=f"policy {policy.name} in {policy.env_id}, seed {seed}",
        license=str(policy.details.get("license", "")),
    )
    return Rollouts(walks, dict(dropped))


def still_joints(references: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that puts the joints which no frame of the references (T, nq) moves to where these hold them.

    Servos give way by some degrees there, which is no part of the gait: a reference made of it would ask for it.
    """
    held = np.flatnonzero(np.ptp(references[:, 7:], axis=0) < STILL) + 7
    angles = references[0, held]

    def put(qpos: np.ndarray) -> np.ndarray:
        out = qpos.copy()
        out[:, held] = angles
        return out

    return put


def drawn(
    space: ParamSpace, ranges: Mapping[str, tuple[float, float]]
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the drawn parameters, and their bounds (k,) each; raises EvaluationError for what cannot be drawn."""
    bounds: dict[str, tuple[float, float]] = {}
    for key, (low, high) in ranges.items():
        own = [i for i, name in enumerate(space.names) if name == key or name.startswith(f"{key}.")]
        if not own:
            raise EvaluationError(f"unknown parameter {key!r}; this body has {', '.join(space.names[:12])}")
        for i in own:
            if not space.low[i] <= low <= high <= space.high[i]:
                allowed = f"{space.low[i]:g} to {space.high[i]:g}"
                raise EvaluationError(f"{key} from {low:g} to {high:g}: allowed for {space.names[i]} is {allowed}")
            bounds[space.names[i]] = (low, high)
    low_high = np.array(list(bounds.values())).reshape(-1, 2)
    return tuple(bounds), low_high[:, 0], low_high[:, 1]


def asked(task: Any, names: Sequence[str], factors: np.ndarray, clips: np.ndarray) -> dict[str, np.ndarray]:
    """Parameters (n,) by name: stride in m a cycle, cadence in steps/min, all others as factors."""
    library, robot = task.library, task.robot
    own = dict(zip(names, factors.T, strict=True))
    one = np.ones(len(clips))
    scale = np.stack([own.get(f"scale.{name}", one) for name in robot.segments.names], axis=1)
    stride = np.linalg.norm(library.strides[clips], axis=1) * robot.segments.leg_ratio(scale)
    params = {
        "stride": stride * own.get("stride", one),
        "cadence": 120.0 / library.durations[clips] * own.get("cadence", one),
    }
    return params | {name: own[name] for name in names if name not in params}


def touchdown(clip: Clip, mass: float) -> int:
    """The frame of a looping clip at which its right foot lands: phase 0 of the gait cycle. mass: kg.

    Raises EvaluationError unless the clip loops over a single cycle with known contacts.
    """
    if not clip.loop or clip.contacts is None:
        raise EvaluationError(f"clip {clip.name!r}: expected a clip that loops and knows its contacts")
    stands = clip.contacts[:-1, 2:4].sum(axis=1) > STANDS * mass * GRAVITY  # the last frame is the first again
    away = int(np.argmin(stands))  # some frame in the air, from which the cycle is read round
    landed = [start for start, _ in runs(np.roll(stands, -away))]
    if stands.all() or len(landed) != 1:
        raise EvaluationError(
            f"clip {clip.name!r}: the right foot lands {len(landed)} times in the loop, expected once"
        )
    return (landed[0] + away) % len(stands)
