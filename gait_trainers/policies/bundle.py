"""A trained policy as a folder of plain files, and what any policy looks like to those who run it.

policy.onnx   observation (batch, d) -> action, action_mean, action_std; the normaliser is inside
policy.json   what every number means: observation table, joints, rates, filter, training, licence
style.onnx    optional: features (batch, frames · 29) -> score of the discriminator
muscle_nn.npz optional: the network that turns torques into activations (`gait_envs.control.muscle_network`)
SHA256SUMS    one line a file, as sha256sum writes them
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

import gait_envs  # noqa: F401 - registers the environments
from gait_envs.errors import GaitNetError
from gait_envs.tasks.base import Task
from gait_envs.tasks.config import TaskConfig, TrackConfig
from gait_trainers.config.schema import env_options

FORMAT_VERSION = 1
MANIFEST, NETWORK, STYLE, CHECKSUMS = "policy.json", "policy.onnx", "style.onnx", "SHA256SUMS"
MUSCLES = "muscle_nn.npz"
REQUIRED = (MANIFEST, NETWORK, CHECKSUMS)
OUTPUTS = ("action", "action_mean", "action_std")

# How to train is no property of the trained policy; these environment options stay out of bundles and
# evaluations start from their defaults, unless asked otherwise.
TRAINING_KWARGS = ("reference", "rsi_probability", "curriculum", "command_interval", "randomize")


class EnvironmentOptionError(GaitNetError, ValueError):
    """An environment that cannot be made with the options given."""


class PolicyError(GaitNetError, ValueError):
    """Something that is no policy, or none for this environment: says what was found and what may be given."""


class BundleError(PolicyError):
    """A bundle that cannot be used: says which file, which key, and what was expected."""


@dataclass(frozen=True)
class Style:
    """A discriminator: scores windows of consecutive style features, oldest frame first."""

    frames: int
    score: Callable[[np.ndarray], np.ndarray]  # (m, frames · d) float32 -> (m,)


@dataclass
class Policy:
    """A policy ready to act, whether it came from a bundle, a run folder or a live training."""

    name: str
    forward: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # (n, d) float32 -> mean, std (n, nu)
    env_id: str
    env_kwargs: dict[str, Any]
    style: Style | None = None
    reference: str | Sequence[str] | None = None  # clips that a run was trained on; None: the environment's
    details: dict[str, Any] = field(default_factory=dict)  # policy.json of a bundle

    def act(self, obs: np.ndarray, deterministic: bool = True, rng: np.random.Generator | None = None) -> np.ndarray:
        """Actions (n, nu) in [-1, 1] for observations (n, d); `rng` draws when not deterministic."""
        mean, std = self.forward(np.asarray(obs, dtype=np.float32))
        if not deterministic:
            rng = np.random.default_rng() if rng is None else rng
            mean = mean + std * rng.standard_normal(mean.shape, dtype=np.float32)
        return np.clip(mean, -1.0, 1.0)


def deployment_kwargs(env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The environment options that a policy needs wherever it runs, without those of its training."""
    return {key: value for key, value in env_kwargs.items() if key not in TRAINING_KWARGS}


def make_env(env_id: str, num_envs: int = 1, **kwargs: Any) -> Any:
    """The vector form of an environment; without automatic resets unless asked for."""
    options = {"autoreset_mode": AutoresetMode.DISABLED, **kwargs}
    try:
        env = gym.make_vec(env_id, num_envs, vectorization_mode="vector_entry_point", **options)
    except (TypeError, ValueError, gym.error.Error) as error:
        raise EnvironmentOptionError(f"cannot make {env_id}: {error}") from error
    return env.unwrapped


def in_environment(policy: Policy, env_id: str, say: Callable[[str], None] = lambda _: None) -> Policy:
    """The policy in another environment that shows it the same and does the same with its actions.

    Options that the other one does not know, and the reward's weights, stay behind; `say` is told which.
    """
    if env_id == policy.env_id:
        return policy
    options = env_options(env_id)
    known = None if options is None else {field.name for field in dataclasses.fields(options)} - {"reward_weights"}
    kept = {key: value for key, value in policy.env_kwargs.items() if known is None or key in known}
    there = make_env(env_id, threads=1, **deployment_kwargs(kept)).core.task
    check_task(policy, there, env_id)
    left = sorted(policy.env_kwargs.keys() - kept.keys())
    if left:
        say(f"{policy.name} in {env_id}: without {', '.join(left)}")
    return dataclasses.replace(policy, env_id=env_id, env_kwargs=kept)


def check_task(policy: Policy, there: Task, env_id: str) -> None:
    """PolicyError unless the task `there`, of environment `env_id`, shows and does what that of the policy does."""
    here = make_env(policy.env_id, threads=1, **deployment_kwargs(policy.env_kwargs)).core.task
    where = f"{policy.name} in {env_id}"
    seen, shown = ([row.name for row in task.layout] for task in (here, there))
    if seen != shown:
        raise PolicyError(f"{where}: it observes {', '.join(seen)}; that environment shows {', '.join(shown)}")
    check_layout(here.layout.table(), there.layout.table(), where)
    if here.action_names != there.action_names:
        moves, moved = (", ".join(task.action_names) for task in (here, there))
        raise PolicyError(f"{where}: its actions move {moves}; in that environment, {moved}")
    bases = [getattr(task.config, "action_base", "home") for task in (here, there)]
    if bases[0] != bases[1]:
        raise PolicyError(f"{where}: its actions correct the {bases[0]} pose, that environment's the {bases[1]} pose")
    for key, own in _meaning(here.config).items():
        other = getattr(there.config, key, own)
        if other != own:
            raise PolicyError(f"{where}: it was trained with {key} {own!r}; that environment has {other!r}")


def _meaning(config: TaskConfig) -> dict[str, Any]:
    """The options that say what observations of the same name, and actions, mean."""
    keys = ["velocity_frame", "heading_gain", "action_filter"]
    if isinstance(config, TrackConfig):
        keys += ["action_gain", "feed_forward"] if config.action_base == "reference" else []
        keys += ["future_frames"] if config.reference_observation == "future" else []
    return {key: getattr(config, key) for key in keys}


def load_bundle(folder: str | Path) -> Policy:
    """Verify a bundle and make its policy; BundleError says what is wrong with it.

    Checked are the checksums, the manifest, and that today's environment observes what the policy was trained
    on: same quantities, same order, same units.
    """
    folder = Path(folder)
    verify_checksums(folder)
    manifest = read_manifest(folder / MANIFEST)
    environment = manifest["environment"]
    if "muscle_network" in environment["kwargs"]:  # a file of the bundle
        environment["kwargs"]["muscle_network"] = str((folder / MUSCLES).resolve())
    _check_environment(manifest, folder / MANIFEST)
    style = None
    if (folder / STYLE).exists():
        style_session = open_session(folder / STYLE)
        style = Style(
            frames=int(manifest["style"]["frames"]),
            score=lambda windows: style_session.run(["score"], {"features": windows})[0],
        )
    return Policy(
        name=folder.name,
        forward=onnx_forward(folder / NETWORK),
        env_id=environment["id"],
        env_kwargs=environment["kwargs"],
        style=style,
        details=manifest,
    )


def verify_checksums(folder: Path) -> None:
    """Every required file is there and every listed file is the one that was exported."""
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such folder; a bundle holds {', '.join(REQUIRED)}")
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing:
        raise BundleError(f"{folder}: {', '.join(missing)} missing; a bundle holds {', '.join(REQUIRED)}")
    listed = {}
    for number, line in enumerate((folder / CHECKSUMS).read_text().splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or Path(name).name != name:
            raise BundleError(f"{folder / CHECKSUMS}, line {number}: expected '<sha256>  <file>', found {line!r}")
        listed[name] = digest
    present = [name for name in (MANIFEST, NETWORK, STYLE, MUSCLES) if (folder / name).exists()]
    for name in sorted({*present, *listed}):
        if name not in listed:
            raise BundleError(f"{folder / CHECKSUMS}: does not list {name}")
        if not (folder / name).is_file():
            raise BundleError(f"{folder}: {name} missing; {CHECKSUMS} lists it")
        if sha256(folder / name) != listed[name]:
            raise BundleError(f"{folder / name}: differs from its checksum; export or download the bundle again")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_checksums(folder: Path) -> None:
    """SHA256SUMS over every other file in the folder; `sha256sum -c SHA256SUMS` checks it too."""
    names = sorted(path.name for path in folder.iterdir() if path.name != CHECKSUMS)
    (folder / CHECKSUMS).write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))


def read_manifest(path: Path) -> dict[str, Any]:
    """policy.json with the keys that running it needs."""
    try:
        manifest = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise BundleError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from None
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(f"{path}: format_version is {version!r}, this version reads {FORMAT_VERSION}")
    needed = ["environment.id", "environment.kwargs", "observation.layout", "action.joints"]
    if (path.parent / STYLE).exists():
        needed.append("style.frames")
    for dotted in needed:
        value: Any = manifest
        for part in dotted.split("."):
            if not isinstance(value, dict) or part not in value:
                raise BundleError(f"{path}: key {dotted!r} missing")
            value = value[part]
    return manifest


def _check_environment(manifest: Mapping[str, Any], path: Path) -> None:
    """The environment of the manifest exists here, and observes and drives what the policy was trained on."""
    environment = manifest["environment"]
    try:
        env = make_env(environment["id"], threads=1, **environment["kwargs"])
    except EnvironmentOptionError as error:
        raise BundleError(f"{path}: {error}") from None
    core = env.core
    check_layout(manifest["observation"]["layout"], core.task.layout.table(), str(path))
    joints = list(core.robot.joint_names)
    env.close()
    if manifest["action"]["joints"] != joints:
        raise BundleError(f"{path}: actions drive {manifest['action']['joints']}, the robot has {joints}")


def check_layout(found: list[dict[str, Any]], expected: list[dict[str, Any]], where: str) -> None:
    """The same rows in the same places; only the descriptions may differ."""
    for row, ours in zip(found, expected, strict=False):
        for key in ours.keys() - {"description"}:
            if row.get(key) != ours[key]:
                raise BundleError(
                    f"{where}: observation row {ours['index']} has {key} {row.get(key)!r}, "
                    f"the environment has {ours[key]!r} ({ours['name']})"
                )
    if len(found) != len(expected):
        names = [row["name"] for row in expected]
        raise BundleError(f"{where}: observation has {len(found)} rows, the environment has {names}")


def open_session(path: Path) -> Any:
    """An ONNX Runtime session on one thread: these networks are far too small to share."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exception classes are private
        raise BundleError(f"{path}: not a usable ONNX network: {error}") from None


def onnx_forward(path: Path) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Observations (n, d) float32 -> unclipped mean and std (n, nu)."""
    session = open_session(path)
    inputs, outputs = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]
    if inputs != ["observation"] or tuple(outputs) != OUTPUTS:
        raise BundleError(f"{path}: maps {inputs} to {outputs}, expected ['observation'] to {list(OUTPUTS)}")

    def forward(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, std = session.run(["action_mean", "action_std"], {"observation": obs})
        return mean, std

    return forward
