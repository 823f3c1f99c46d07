"""Settings of the tasks: plain frozen dataclasses whose unknown keys are errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from gait_envs.reference.library import EMBEDDED, EMBEDDED_SETS
from gait_envs.simulation.checks import check_options, is_finite, is_real
from gait_envs.simulation.make import Drive
from gait_envs.simulation.randomize import RandomizeConfig
from gait_envs.tasks.rewards import default_weights
from gait_envs.tasks.success import SPEED_ERROR, above_standing_still

T = TypeVar("T")

DEFAULT_REWARD, TRACK_REWARD = default_weights("walk"), default_weights("track")
HUMANOID_REWARD, HUMANOID_TRACK_REWARD = default_weights("humanoid_walk"), default_weights("humanoid_track")
MUSCLE_REWARD = default_weights("muscle")
OBSERVATIONS = ("future", "phase", "none")
ACTUATIONS = ("torque", "muscle", "activation")
ACTION_BASES = ("reference", "home")
DISTANCE_RULES = ("mean", "any")
LONGEST = 1e6  # s between two commands
FASTEST = 100.0  # m/s or rad/s of a command
FARTHEST = 10_000  # frames to come
FINEST = 10_000.0  # Hz of physics steps
LARGEST_SCALE = 2.0  # half ranges: the whole range, from one end of it to the other


@dataclass(frozen=True)
class TaskConfig:
    """Options common to walking to a command and following a clip."""

    heading_gain: float = 1.0  # 1/s; gain of the heading correction in the observed yaw rate
    velocity_frame: str = "heading"  # frame of the observed root velocity: "heading" or "world"
    previous_action: str = "legs"  # "legs": waist, hips, knees (37 numbers in all); "all": 39
    action_filter: float = 0.7  # share of the new action in the low-pass filter
    action_scale: float = 1.0  # half ranges of a joint by which an action of 1 moves its target about the home pose
    reward_weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_REWARD))
    tracking_sharpness: float = 4.0  # s/m in exp(-k·|v - command|)
    target_height: float = 0.45  # m
    min_height: float = 0.2  # m; the root below this is a fall
    max_height: float = 0.7  # m; the root above this is a failure too
    max_tilt: float = 1.0  # rad between the root's axis and the vertical; more is a fall, pi and more none
    reset_noise: float = 0.05  # rad (and ten times it in rad/s); noise added to the home pose at reset
    reference: str | tuple[str, ...] | None = None  # clips to start from: the name of a set, a file or a folder
    rsi_probability: float = 0.0  # share of episodes that start from a reference frame
    randomize: RandomizeConfig = field(default_factory=RandomizeConfig)  # or a bool, or a mapping of its keys
    physics_rate: float | None = None  # Hz of physics steps, fewer for a quicker training; None: the model's own

    @property
    def drive(self) -> Drive:
        """What moves a body that has muscles."""
        return Drive()

    @property
    def body_params(self) -> Mapping[str, Any] | None:
        """The walker's default parameters; None where the body has none."""
        return None

    @property
    def distance_limit(self) -> float | None:
        """m, mean distance of the bodies from the reference that ends an episode; None without one."""
        return None

    def __post_init__(self) -> None:
        set_ = lambda key, value: object.__setattr__(self, key, value)  # noqa: E731 - frozen dataclass
        given: Any = self.randomize
        if isinstance(given, bool):
            set_("randomize", RandomizeConfig(enabled=given))
        elif isinstance(given, Mapping):
            set_("randomize", build(RandomizeConfig, {"enabled": True, **given}, "randomize"))
        elif not isinstance(given, RandomizeConfig):
            raise ValueError(f"randomize is {given!r}, allowed are true, false and a mapping of its keys")
        check_options(self)
        check_options(self.randomize, "randomize.")
        if not 0.0 <= self.min_height < self.max_height:
            raise ValueError(f"min_height {self.min_height} and max_height {self.max_height} must be 0 <= min < max")
        for key in ("reset_noise", "tracking_sharpness"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} is {getattr(self, key)}, allowed is 0 or more")
        if self.physics_rate is not None and not 0.0 < self.physics_rate <= FINEST:
            raise ValueError(f"physics_rate is {self.physics_rate} Hz, allowed is more than 0, to {FINEST:g}, or None")
        choices = {"velocity_frame": ("heading", "world"), "previous_action": ("legs", "all")}
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key} is {getattr(self, key)!r}, allowed are {allowed}")
        if not self.max_tilt > 0.0:
            raise ValueError(f"max_tilt is {self.max_tilt} rad, allowed is more than 0")
        if not 0.0 < self.action_filter <= 1.0:
            raise ValueError(f"action_filter is {self.action_filter}, allowed is (0, 1]")
        if not 0.0 < self.action_scale <= LARGEST_SCALE:
            raise ValueError(f"action_scale is {self.action_scale}, allowed is more than 0, to {LARGEST_SCALE:g}")
        if not 0.0 <= self.rsi_probability <= 1.0:
            raise ValueError(f"rsi_probability is {self.rsi_probability}, allowed is [0, 1]")
        if self.rsi_probability > 0 and self.reference is None:
            raise ValueError("rsi_probability needs a reference to start from; set reference")


def check_command(command: Sequence[float] | np.ndarray, name: str) -> None:
    """ValueError for a command (3,) m/s, m/s, rad/s that nobody could mean."""
    if not np.abs(np.asarray(command)).max() <= FASTEST:
        raise ValueError(f"{name} is {[float(v) for v in command]}, allowed is up to {FASTEST:g} m/s and rad/s")


@dataclass(frozen=True)
class WalkConfig(TaskConfig):
    """Options of walking to a command."""

    # Commands: forward and leftward velocity m/s in the heading frame, yaw rate rad/s.
    command_low: tuple[float, float, float] = (0.1, 0.0, 0.0)
    command_high: tuple[float, float, float] = (0.8, 0.0, 0.0)
    standing_probability: float = 0.0  # share of the commands that are (0, 0, 0), to stand still
    command_interval: float = 0.0  # s between new commands within an episode; 0 keeps one per episode
    curriculum: bool = False  # widen the forward range from its low end as commands are followed (`is_success`)

    def __post_init__(self) -> None:
        for key in ("command_low", "command_high"):
            value: Any = getattr(self, key)
            if is_real(value) or (isinstance(value, list | tuple) and len(value) != 3):
                shown = f"({value}, 0.0, 0.0)" if is_finite(value) else "(0.2, 0.0, 0.0)"
                raise ValueError(
                    f"{key} is {value}, expected three numbers: forward m/s, left m/s, turn rad/s, such as {shown}"
                )
        super().__post_init__()
        for key in ("command_low", "command_high"):
            object.__setattr__(self, key, tuple(float(v) for v in getattr(self, key)))
            check_command(getattr(self, key), key)
        if not 0.0 <= self.standing_probability <= 1.0:
            raise ValueError(f"standing_probability is {self.standing_probability}, allowed is [0, 1]")
        if not 0.0 <= self.command_interval <= LONGEST:
            raise ValueError(f"command_interval is {self.command_interval} s, allowed is 0 to {LONGEST:g}")
        for low, high, name in zip(self.command_low, self.command_high, ("vx", "vy", "yaw rate"), strict=True):
            if low > high:
                raise ValueError(f"command_low exceeds command_high for {name}: {low} > {high}")
        if self.curriculum and not above_standing_still(np.array([self.farthest_command(0.0)])).any():
            raise ValueError(
                f"curriculum: its first commands reach {np.hypot(*self.farthest_command(0.0)[:2]):g} m/s; standing "
                f"still follows them within the allowed {SPEED_ERROR:g} m/s, and the range would never open; raise "
                "command_low or command_high"
            )

    def range_of(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest commands (3,) m/s, m/s, rad/s; a curriculum opens the forward range with its level."""
        low, high = np.array(self.command_low), np.array(self.command_high)
        if self.curriculum:
            high[0] = low[0] + (high[0] - low[0]) * (0.3 + 0.7 * level)
        return low, high

    def farthest_command(self, level: float) -> np.ndarray:
        """The quickest command (3,) of that range, m/s, m/s, rad/s without their signs."""
        return np.abs(self.range_of(level)).max(axis=0)


@dataclass(frozen=True)
class TrackConfig(TaskConfig):
    """Options of following clips."""

    reward_weights: Mapping[str, float] = field(default_factory=lambda: dict(TRACK_REWARD))
    reference: str | tuple[str, ...] | None = EMBEDDED  # clips to follow: a set's name, a file, a folder, or refnn:NAME
    rsi_probability: float = 1.0  # share that start on a random frame; others on the first, or standing
    start_noise: float = 0.0  # rad (and ten times it in rad/s); noise where a clip that does not loop begins
    reference_observation: str = "future"  # "future" frames, the "phase" of the clip, or "none"
    future_frames: tuple[int, ...] = (1,)  # which future frames are observed, counted from the current one
    # Near a clip's end the observed future frames would repeat its last frame. Such states are followed by nothing, so
    # their bootstrapped values are arbitrary and training diverges. Episodes end before, except in evaluation.
    whole_clips: bool = False  # continue to a clip's last frame, beyond its last complete observation
    action_base: str = "reference"  # target pose of a zero action: the next frame, or the "home" pose
    feed_forward: bool = False  # shift targets by the torques that a clip requires, where it contains them
    pose_sharpness: float = 3.0  # 1/rad², k of the pose kernel; squared errors are summed over the joints
    rate_sharpness: float = 0.01  # s²/rad², k of the kernel of the joint velocities
    action_gain: float = 0.5  # share of a joint's half range by which an action of 1 moves its target
    max_distance: float = 0.25  # m, distance of the bodies from the reference that ends an episode; inf: none
    distance_rule: str = "mean"  # that distance: the bodies' "mean", or that of "any" body, the farthest

    @property
    def distance_limit(self) -> float | None:
        return self.max_distance

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "future_frames", tuple(self.future_frames))
        for key, allowed in (
            ("reference_observation", OBSERVATIONS),
            ("action_base", ACTION_BASES),
            ("distance_rule", DISTANCE_RULES),
        ):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key} is {getattr(self, key)!r}, allowed are {allowed}")
        frames = self.future_frames
        if not frames or any(not isinstance(k, int) or k < 1 for k in frames) or list(frames) != sorted(set(frames)):
            raise ValueError(f"future_frames is {frames}, expected ascending whole numbers of at least 1")
        if frames[-1] > FARTHEST:
            raise ValueError(f"future_frames has a number above {FARTHEST}")
        if self.start_noise < 0:
            raise ValueError(f"start_noise is {self.start_noise}, allowed is 0 or more")
        if self.action_base == "reference" and self.action_scale != 1.0:
            raise ValueError("action_scale is of actions about the home pose; set action_gain, or action_base='home'")
        for key in ("pose_sharpness", "rate_sharpness", "action_gain", "max_distance"):
            if not getattr(self, key) > 0:
                raise ValueError(f"{key} is {getattr(self, key)}, it must be greater than 0")


@dataclass(frozen=True)
class Actuation:
    """Options of how a human body is actuated: a mixin for a task's.

    Not a TaskConfig itself: a dataclass of two bases takes each field's default from the first base that has
    it, inherited or not, so that the task's own defaults would be lost.
    """

    actuation: str = "torque"  # "torque": servos; "muscle": pose to muscles; "activation": actions are activations
    muscle_controller: str = "qp"  # from a desired torque to activations: "qp" or "nn"
    muscle_network: str | None = None  # of "nn": file of its weights; None: the bundled muscle_nn.npz
    params: Mapping[str, Any] = field(default_factory=dict)  # walker parameters if reset gives none: see `parameters`

    @property
    def drive(self) -> Drive:
        """How the muscles are driven: by the action itself, or by a controller and its network."""
        return Drive("direct" if self.actuation == "activation" else self.muscle_controller, self.muscle_network)

    @property
    def body_params(self) -> Mapping[str, Any] | None:
        """The walker's parameters of every episode: the option `params`."""
        return self.params

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # the task's
        for key, allowed in (("actuation", ACTUATIONS), ("muscle_controller", ("qp", "nn"))):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key} is {getattr(self, key)!r}, allowed are {allowed}")
        if self.actuation != "muscle" and self.muscle_controller != "qp":
            raise ValueError(f"muscle_controller needs actuation='muscle', which is {self.actuation!r}")
        if self.muscle_network is not None and self.muscle_controller != "nn":
            raise ValueError(f"muscle_network needs muscle_controller='nn', which is {self.muscle_controller!r}")


@dataclass(frozen=True)
class HumanoidWalkConfig(Actuation, WalkConfig):
    """Walking to a command, with a human body's figures."""

    previous_action: str = "all"  # "legs": spine, hips, knees, ankles; "all": every servo
    action_filter: float = 1.0  # share of the new action in the low-pass filter
    reward_weights: Mapping[str, float] = field(default_factory=lambda: dict(HUMANOID_REWARD))
    tracking_sharpness: float = 2.0  # s/m in exp(-k·|v - command|)
    target_height: float = 0.9  # m
    min_height: float = 0.6  # m; the root below this is a fall
    max_height: float = 1.3  # m; the root above this is a failure too
    command_low: tuple[float, float, float] = (0.5, 0.0, 0.0)
    command_high: tuple[float, float, float] = (1.5, 0.0, 0.0)


@dataclass(frozen=True)
class HumanoidTrackConfig(Actuation, TrackConfig):
    """Following clips, with a human body's figures."""

    previous_action: str = "all"  # "legs": spine, hips, knees, ankles; "all": every servo
    action_filter: float = 1.0  # share of the new action in the low-pass filter
    reward_weights: Mapping[str, float] = field(default_factory=lambda: dict(HUMANOID_TRACK_REWARD))
    tracking_sharpness: float = 2.0  # s/m in exp(-k·|v - command|)
    target_height: float = 0.9  # m
    min_height: float = 0.6  # m; the root below this is a fall
    max_height: float = 1.3  # m; the root above this is a failure too
    reference: str | tuple[str, ...] | None = EMBEDDED_SETS["humanoid"]
    pose_sharpness: float = 2.0  # 1/rad², k of the pose kernel; squared errors are summed over the joints
    rate_sharpness: float = 0.05  # s²/rad², k of the kernel of the joint velocities
    action_gain: float = 0.3  # share of a joint's half range by which an action of 1 moves its target
    feed_forward: bool = True  # shift targets by the torques that a clip requires, where it contains them


@dataclass(frozen=True)
class MuscleHumanoidWalkConfig(HumanoidWalkConfig):
    """Walking to a command by muscles."""

    actuation: str = "muscle"
    reward_weights: Mapping[str, float] = field(default_factory=lambda: HUMANOID_REWARD | MUSCLE_REWARD)


@dataclass(frozen=True)
class MuscleHumanoidTrackConfig(HumanoidTrackConfig):
    """Following clips by muscles."""

    actuation: str = "muscle"
    reward_weights: Mapping[str, float] = field(default_factory=lambda: HUMANOID_TRACK_REWARD | MUSCLE_REWARD)


def build(kind: type[T], values: Mapping[str, Any], where: str = "config") -> T:
    """Make the dataclass from a mapping; an unknown key is an error that lists the known ones."""
    unknown, known = unknown_keys(kind, values)
    if unknown:
        raise TypeError(f"unknown key {', '.join(map(repr, unknown))} in {where}; known are {', '.join(known)}")
    return kind(**values)


def from_keywords(kind: type[T], values: Mapping[str, Any], what: str) -> T:
    """Make the dataclass from the keyword arguments of `what`.

    An unknown one is refused in Python's own words: libraries that offer an argument to see whether an environment
    takes it (TorchRL's `frameskip`) recognise the refusal by them.
    """
    unknown, known = unknown_keys(kind, values)
    if unknown:
        told = ", ".join(map(repr, unknown))
        hint = VECTOR_HINT if set(unknown) & {"autoreset_mode", "num_envs", "threads"} else ""
        raise TypeError(f"{what} got an unexpected keyword argument {told}{hint}; known are {', '.join(known)}")
    return kind(**values)


VECTOR_HINT = " (of the vector form alone: gymnasium.make_vec)"


def unknown_keys(kind: type[Any], values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The keys that the dataclass does not have, and those that it has."""
    known = [f.name for f in dataclasses.fields(kind)]
    return [key for key in values if key not in known], known
