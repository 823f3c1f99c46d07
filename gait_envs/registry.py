"""Every environment in one table: its id, its body, its task, the task's options, its time limit, its preset.

Another package adds a robot or a task with `register_environment`. An entry point of the group `gaitnet.environments`
that names a function without arguments has this done on `import gait_envs`.
"""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from gymnasium.envs import registration

from gait_envs.errors import GaitNetError

if TYPE_CHECKING:
    from gait_envs.models.robot import Robot
    from gait_envs.tasks.base import Task
    from gait_envs.tasks.config import TaskConfig

GROUP = "gaitnet.environments"  # of the entry points


class RegistryError(GaitNetError, ValueError):
    """An environment that cannot be registered, or is unknown."""


@dataclass(frozen=True)
class Environment:
    """A row of the table. What is imported only when the environment is made may be given as "module:name"."""

    id: str  # of `gymnasium.make`
    task: str  # short name: the argument `task` of `GaitEnv` and `GaitVectorEnv`
    robot: str | Callable[[Any], Robot]  # its body under these options
    make: str | Callable[[Robot, Any], Task]  # its task, for a body and options
    options: str | type[TaskConfig]  # dataclass whose fields are the keyword arguments, with the body's own defaults
    steps: int  # time limit, control steps
    preset: str | None = None  # of `gait-train`, measured to train it

    def options_type(self) -> type[TaskConfig]:
        """The dataclass of its options."""
        kind: type[TaskConfig] = _found(self.options)
        return kind

    def make_task(self, config: Mapping[str, Any]) -> Task:
        """Its task with these options, on a copy of its body; raises TypeError for an unknown key."""
        from gait_envs.reference.clip import ClipError, OtherBodyError
        from gait_envs.tasks.config import from_keywords

        options = from_keywords(self.options_type(), config, f"the {self.task} task")
        robot = self.shared_robot(options).copy()
        try:
            task: Task = _found(self.make)(robot, options)
        except OtherBodyError as error:
            others = " or ".join(_of_body(error.model, self.make))
            raise ClipError(f"{error}" + (f". Clips of {error.model!r} are for {others}" if others else "")) from None
        return task

    def shared_robot(self, options: TaskConfig) -> Robot:
        """Its body, as it is before anybody edits a copy."""
        robot: Robot = _found(self.robot)(options)
        rate = options.physics_rate
        if rate is not None and abs(robot.model.opt.timestep * rate - 1.0) > 1e-9:
            raise ValueError(
                f"physics_rate is {rate:g} Hz, and the robot of {self.id} is simulated at "
                f"{1.0 / robot.model.opt.timestep:g}: it must pass options.physics_rate to load_robot"
            )
        return robot


_ROBOT, _HUMAN = "gait_envs.models.robot:for_wildrobot", "gait_envs.models.robot:for_human"
_WALK, _TRACK = "gait_envs.tasks.walk:walk", "gait_envs.tasks.track:track"
_OPTIONS = "gait_envs.tasks.config:"
# Time limits are 10 s: WildRobot is controlled at 50 Hz, the humanoid at 30.
OWN = (
    Environment("GaitNet/WildRobot-v0", "walk", _ROBOT, _WALK, f"{_OPTIONS}WalkConfig", 500, "laptop"),
    Environment("GaitNet/WildRobotImitation-v0", "track", _ROBOT, _TRACK, f"{_OPTIONS}TrackConfig", 500, "imitate"),
    Environment("GaitNet/Humanoid-v0", "humanoid_walk", _HUMAN, _WALK, f"{_OPTIONS}HumanoidWalkConfig", 300),
    Environment(
        "GaitNet/HumanoidImitation-v0", "humanoid_track", _HUMAN, _TRACK, f"{_OPTIONS}HumanoidTrackConfig", 300,
        "imitate_humanoid",
    ),
    Environment(
        "GaitNet/MuscleHumanoid-v0", "muscle_walk", _HUMAN, _WALK, f"{_OPTIONS}MuscleHumanoidWalkConfig", 300
    ),
    Environment(
        "GaitNet/MuscleHumanoidImitation-v0", "muscle_track", _HUMAN, _TRACK, f"{_OPTIONS}MuscleHumanoidTrackConfig",
        300, "muscle",
    ),
)  # fmt: skip

ENVIRONMENTS: dict[str, Environment] = {}  # by the short name of the task
IDS: dict[str, str] = {}  # id to the short name of its task


def register_environment(row: Environment) -> None:
    """Add an environment to this table and to Gymnasium.

    Raises `RegistryError` where its id or the short name of its task is another's.
    """
    for other in ENVIRONMENTS.values():
        if other != row and (other.id == row.id or other.task == row.task):
            raise RegistryError(f"{row.id}, task {row.task!r}: {other.id}, task {other.task!r}, is already registered")
    ENVIRONMENTS[row.task], IDS[row.id] = row, row.task
    if row.id not in registration.registry:
        registration.register(
            id=row.id,
            entry_point="gait_envs.env:GaitEnv",
            vector_entry_point="gait_envs.vector_env:GaitVectorEnv",
            max_episode_steps=row.steps,
            kwargs={"task": row.task},
        )
        # Gymnasium imports the module before the colon and looks for the rest; `gymnasium.spec`, and libraries that
        # look into the registry themselves (rl_zoo3), look for the whole.
        registration.registry[f"gait_envs:{row.id}"] = registration.registry[row.id]


def register_all() -> None:
    """Our own environments, then those of other packages; one that fails is warned about and left out."""
    for row in OWN:
        register_environment(row)
    for plugin in metadata.entry_points(group=GROUP):
        try:
            plugin.load()()
        except Exception as error:  # a broken plug-in must not prevent ours from being registered
            warnings.warn(
                f"environments of the plug-in {plugin.name!r} ({plugin.value}) are left out: {error!r}", stacklevel=2
            )


def find(task: str) -> Environment:
    """The row of a task's short name; raises ValueError that lists the known ones."""
    if task not in ENVIRONMENTS:
        raise RegistryError(f"unknown task {task!r}; known are {', '.join(ENVIRONMENTS)}")
    return ENVIRONMENTS[task]


def find_id(env_id: str) -> Environment | None:
    """The row of an id; None for an id from elsewhere."""
    return ENVIRONMENTS[IDS[env_id]] if env_id in IDS else None


def make_task(task: str, config: Mapping[str, Any]) -> Task:
    """A task on its body with these options; raises ValueError for an unknown name, TypeError for an unknown key."""
    return find(task).make_task(config)


def _of_body(model: str, make: Any) -> list[str]:
    """The ids of environments with that body, those of the same task first."""
    rows = [row for row in ENVIRONMENTS.values() if row.shared_robot(row.options_type()()).name == model]
    same = [row.id for row in rows if row.make == make]
    return same or [row.id for row in rows]


def _found(what: Any) -> Any:
    return pkgutil.resolve_name(what) if isinstance(what, str) else what
