"""A tracker of clips and another task on one simulation: how a tracker demonstrates for a walker.

A tracker observes its clip and corrects the clip's pose; a walker observes a command and moves targets about the home
pose. Their observations and actions mean different things, their bodies and servos are the same. So both tasks share
one simulation: the tracker asks for servo targets, the target task takes the action that gives these targets, and
every observation, reward and end is the target task's own. The command and the heading that the walker is to keep are
the clip's, averaged over two seconds and then held for as long: if they varied within a step, they would tell the phase
of the gait, and a clone would learn to step by them and fall where commands are constant. A clip that obeys another
command than its own velocity, as somebody does who starts to walk, says so: `meta["command"]`, m/s, m/s, rad/s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gait_envs.core import Core, StepResult
from gait_envs.reference.clip import Clip
from gait_envs.reference.library import MotionLibrary
from gait_envs.rotations import quat_yaw
from gait_envs.simulation.checks import is_finite
from gait_envs.tasks.base import Task
from gait_envs.tasks.player import Player
from gait_envs.tasks.walk import shake
from gait_trainers.evaluation.tracking import open_reference
from gait_trainers.imitation.demonstrations import DemonstrationError, Episode
from gait_trainers.policies.base import Policy

HOLD = 2.0  # s for which a command is held
SHIFT_EVERY = 3  # steps after which a clip may be put a frame on or back: it plays at 2/3 to 4/3 of its rate
RATE_TIME = 0.1  # s, by which differences of joint rates count as much as those of angles
Choose = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (obs, the expert's actions) -> what is done


class Collected:
    """Steps of n episodes as they happen; an episode is over with the first end of its row."""

    def __init__(self, obs: np.ndarray) -> None:
        """obs: (n, d) of the reset."""
        self.obs = [obs.copy()]
        self.labels: list[np.ndarray] = []
        self.results: list[StepResult] = []
        self.alive = [np.ones(len(obs), dtype=bool)]

    def add(self, label: np.ndarray, result: StepResult, obs: np.ndarray, cut: np.ndarray) -> bool:
        """A step: the expert's actions (n, nu), its result, the observations (n, d) after it, and which episodes (n,)
        end here for another reason. Returns whether any episode goes on."""
        self.labels.append(label.astype(np.float32))
        self.obs.append(obs.copy())
        self.results.append(result._replace(truncated=(result.truncated | cut) & ~result.terminated))
        self.alive.append(self.alive[-1] & ~(result.terminated | result.truncated | cut))
        return bool(self.alive[-1].any())

    def episodes(self) -> list[Episode]:
        """One for each row."""
        steps = np.sum(self.alive[:-1], axis=0)
        return [self._episode(i, int(count)) for i, count in enumerate(steps)]

    def _episode(self, i: int, steps: int) -> Episode:
        results, last = self.results[:steps], self.results[steps - 1]
        return Episode(
            np.stack([obs[i] for obs in self.obs[: steps + 1]]),
            np.stack([label[i] for label in self.labels[:steps]]),
            np.array([result.reward[i] for result in results]),
            bool(last.terminated[i]),
            bool(last.truncated[i]),
            {name: np.stack([result.info[name][i] for result in results]) for name in last.info},
        )


class Shared:
    """A tracker's task and a target task on one simulation, which the target's core steps."""

    def __init__(self, expert: Policy, reference: str | Sequence[str] | None, core: Core) -> None:
        tracking = open_reference(expert, reference).task
        _check_same_body(tracking, core.task, expert.name)
        self.expert, self.core = expert, core
        self.physics = _TargetSimulation(core, self._step)
        self.tracker = Core(tracking, core.n, simulation=self.physics, masks=False)  # type: ignore[arg-type]
        assert tracking.library is not None
        assert tracking.player is not None
        self.library: MotionLibrary = tracking.library
        self.player: Player = tracking.player
        self.obeyed = np.array([_obeyed(clip) for clip in self.library.clips])  # (clips, 3), NaN: its own velocity
        self.label = np.zeros((0, 0))  # (n, nu), the expert's actions in the latest step
        self.result: StepResult | None = None

    def run(self, seeds: Sequence[int], numbers: np.ndarray, choose: Choose | None) -> list[Episode]:
        """Episodes along the clips of the reference in turn; those of a clip that loops begin anywhere in it."""
        self._choose = choose
        for core in (self.core, self.tracker):
            core.seed(list(seeds))
        obs = self._begin(seeds, numbers % len(self.library.clips))
        state, starts = self.expert.initial_state(self.core.n), np.ones(self.core.n, dtype=bool)
        self.obs, taken = self._observe(0), 0
        collected, more = Collected(self.obs), True
        strayed = np.zeros(self.core.n, dtype=bool)  # from the clip, while the episode still ran
        while more:
            action, state = self.expert.act(obs, state, starts)
            step, taken = self.tracker.step(action), taken + 1  # which steps the target's core
            assert self.result is not None
            obs, starts = step.obs, step.terminated | step.truncated
            strayed |= step.terminated & collected.alive[-1]
            if choose is not None:
                self._bring_clip_along(taken)
                obs = self.tracker.observe()  # of the clip where it has been put
            self.obs = self._observe(taken)
            more = collected.add(self.label, self.result, self.obs, starts)
        episodes = collected.episodes()
        # Whoever loses the clip fails, whether the target task minds or not.
        return [
            Episode(e.obs, e.actions, e.rewards, e.terminated or bool(off), e.truncated and not off, e.info)
            for e, off in zip(episodes, strayed, strict=True)
        ]

    def _begin(self, seeds: Sequence[int], clips: np.ndarray) -> np.ndarray:
        """Reset both to these clips (n,); returns the tracker's observation.

        Where a clip says its command, as those that begin standing do, the body is as perturbed as the target
        environment's bodies are at reset.
        """
        self.tracker.reset(options={"clip": clips, "frame": _first_frames(self.library, clips, seeds)})
        rows = np.flatnonzero(~np.isnan(self.obeyed[clips, 0]))
        if len(rows):
            qpos, qvel = self.core.state.qpos.copy(), self.core.state.qvel.copy()
            noise = self.core.task.config.reset_noise
            for row in rows:
                rng = np.random.default_rng([seeds[int(row)], 1])
                qpos[row], qvel[row] = shake(self.core.robot, qpos[row], qvel[row], noise, rng)
            self.core.reset(rows, {"qpos": qpos, "qvel": qvel})
            self.tracker.state = self.core.state
        return self.tracker.observe()

    def _step(self, target: np.ndarray) -> None:
        """A control step towards the tracker's servo targets (n, nu) rad."""
        self.label = action_of(self.core, target)
        self.result = self.core.step(self.label if self._choose is None else self._choose(self.obs, self.label))

    def _bring_clip_along(self, taken: int) -> None:
        """Put the clip where the body is; every few steps also a frame on or back, if the body is nearer to that one.

        A student sees neither how far it is behind the clip nor the clip's phase. What the expert does to make up for
        them would be noise to it, and none of its episodes should end for that. The clip still goes on by itself, or
        it would wait for a student that stands.
        """
        player, memory, state = self.player, self.tracker.memory, self.core.state
        shifts = np.array([0, -1, 1] if taken % SHIFT_EVERY == 0 else [0])
        frames = np.maximum(memory.frame + shifts[:, None], 0)  # (k, n); the first of equals is taken
        played = [player.played(memory.clip, frame, memory.between, memory.walker) for frame in frames]
        off = [
            np.square(qpos[:, 7:] - state.qpos[:, 7:]).sum(axis=1)
            + np.square(RATE_TIME * (qvel[:, 6:] - state.qvel[:, 6:])).sum(axis=1)
            for qpos, qvel in played
        ]
        nearest, rows = np.argmin(off, axis=0), np.arange(self.core.n)
        memory.frame[:] = frames[nearest, rows]
        memory.origin[:] = state.qpos[:, :2] - np.stack([qpos for qpos, _ in played])[nearest, rows, :2]

    def _observe(self, taken: int) -> np.ndarray:
        """The target's observation, (n, d) float32, after so many steps."""
        hold, memory = round(HOLD / self.core.robot.dt), self.core.memory
        if taken % hold == 0:
            self.command, memory.heading[:] = self._ahead(hold)
        memory.command[:] = self.command
        return self.core.observe()

    def _ahead(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """The commands (n, 3) m/s, m/s, rad/s that the clips obey, by default their mean velocity over the next steps,
        and their heading (n,) rad now, without the pelvis's rotation within a stride."""
        clips, memory, n = self.library, self.tracker.memory, self.core.n
        clip, frame = np.repeat(memory.clip, steps), (memory.frame[:, None] + np.arange(steps)).ravel()
        command = self.player.commands[clips.index_at(clip, frame)].reshape(n, steps, 3).mean(axis=1)
        headings = np.unwrap(quat_yaw(clips.at(clip, frame)[0][:, 3:7]).reshape(n, steps), axis=1)
        heading = headings.mean(axis=1) - command[:, 2] * steps * self.core.robot.dt / 2
        return np.where(np.isnan(self.obeyed[memory.clip]), command, self.obeyed[memory.clip]), heading


class _TargetSimulation:
    """The target core's simulation as the tracker sees it: to step or reset it steps or resets the target core."""

    def __init__(self, core: Core, step: Callable[[np.ndarray], None]) -> None:
        self.core, self.take_step = core, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core.physics, name)

    def reset(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """All begin where the tracker begins."""
        self.core.reset(ids, {"qpos": qpos, "qvel": qvel})

    def step(self, target: np.ndarray, ids: np.ndarray | None = None) -> None:
        self.take_step(target)


def action_of(core: Core, target: np.ndarray) -> np.ndarray:
    """The actions (n, nu) by which the next servo targets of a core become these (n, nu) rad, as far as they can."""
    task = core.task
    share = task.config.action_filter
    filtered = (target - core.robot.home) / task.actions.scale
    return np.clip((filtered - (1.0 - share) * core.memory.filtered) / share, -1.0, 1.0)


def _obeyed(clip: Clip) -> list[float]:
    """The command that a clip says it obeys; NaN where it says none."""
    command = clip.meta.get("command")
    if command is None:
        return [math.nan] * 3
    if not (isinstance(command, list) and len(command) == 3 and all(map(is_finite, command))):
        raise DemonstrationError(f"{clip.name}: meta.command is {command!r}, expected [m/s ahead, m/s left, rad/s]")
    return [float(x) for x in command]


def _first_frames(library: MotionLibrary, clips: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    lasts = library.lengths[clips] - 1
    drawn = [np.random.default_rng(seed).integers(last) for seed, last in zip(seeds, lasts, strict=True)]
    return np.where(library.loops[clips], drawn, 0)


def _check_same_body(tracking: Task, target: Task, name: str) -> None:
    """DemonstrationError unless the target's actions are poses of the tracker's body about its home."""
    if target.follows:
        raise DemonstrationError(f"{name}: the target environment follows clips itself; let {name} act there directly")
    if tracking.robot.name != target.robot.name or tracking.action_names != target.action_names:
        raise DemonstrationError(
            f"{name} drives {tracking.robot.name}, {len(tracking.action_names)} joints; the target environment has "
            f"{target.robot.name}, {len(target.action_names)}"
        )
    if target.action_names != tuple(target.robot.joint_names):
        raise DemonstrationError(f"{name}: the target environment's actions are not poses of its joints")
