"""A trained policy as a folder of plain files: their names, what is checked, and reading them.

policy.onnx   observation (batch, d) -> action, action_mean, action_std; the normaliser is inside; a policy with a
              memory also takes start and its state, and gives the next state
policy.json   what every number means: observation table, joints, rates, filter, training, licence
style.onnx    optional: features (batch, frames · 29) -> score of the discriminator
muscle_nn.npz optional: the network that turns torques into activations (`gait_envs.control.muscle_network`)
SHA256SUMS    one line a file, as sha256sum writes them
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gait_envs.errors import one_line
from gait_envs.reading.loaders import FOLDER, loader
from gait_envs.reading.text import decode, parse_json, read_bytes, read_text
from gait_envs.reference.library import EMBEDDED_SETS
from gait_envs.tasks.base import Task
from gait_trainers.config.section import ConfigError
from gait_trainers.config.stored import check_stored
from gait_trainers.policies.base import BundleError, GaussianPolicy, PolicyError
from gait_trainers.policies.environment import EnvironmentOptionError, check_layout, make_env
from gait_trainers.policies.onnx_check import MAX_MODEL, Graph, check_graph
from gait_trainers.policies.onnx_policy import OnnxNetwork, onnx_style

FORMAT_VERSION = 1
MANIFEST, NETWORK, STYLE, CHECKSUMS = "policy.json", "policy.onnx", "style.onnx", "SHA256SUMS"
MUSCLES = "muscle_nn.npz"
REQUIRED = (MANIFEST, NETWORK, CHECKSUMS)
LIMITS = {MANIFEST: 4 << 20, NETWORK: MAX_MODEL, STYLE: MAX_MODEL}  # bytes of each file that is read whole
MAX_CHECKSUMS = 64 << 10  # bytes
MAX_LISTED = 1 << 30  # bytes of any other file that is listed, whose checksum is compared
MAX_FRAMES = 1000  # of the discriminator


@loader("bundle", FOLDER)
def load_bundle(folder: str | Path) -> GaussianPolicy:
    """Verify a bundle and make its policy; BundleError says what is wrong with it.

    Checked are the checksums, the manifest, the networks, and that today's environment observes what the policy was
    trained on: same quantities, same order, same units. What is checked is what runs: no file is read twice but the
    muscles' network, which the environment opens itself.
    """
    folder = Path(folder)
    files = checked_files(folder)
    manifest = read_manifest(files, folder / MANIFEST)
    task = _check_environment(manifest, folder)
    policy, mean = check_graph(files[NETWORK], folder / NETWORK), "action_mean"
    network = OnnxNetwork(folder / NETWORK, files[NETWORK])
    _check_memory(network, policy, manifest, folder)
    _check_size(folder / NETWORK, policy, {"observation": task.layout.size, mean: len(task.action_names)})
    style = None
    if STYLE in files:
        frames = manifest["style"]["frames"]
        scorer = check_graph(files[STYLE], folder / STYLE)
        style = onnx_style(folder / STYLE, frames, files[STYLE], manifest["style"].get("dilation", 1))
        _check_size(folder / STYLE, scorer, {"features": frames * task.amp_layout.size, "score": 1})
    return GaussianPolicy(
        name=folder.name,
        network=network,
        env_id=manifest["environment"]["id"],
        env_kwargs=manifest["environment"]["kwargs"],
        style=style,
        layout=manifest["observation"]["layout"],
        details=manifest,
    )


def checked_files(folder: Path) -> dict[str, bytes]:
    """What a bundle is made of, read once; every required file is there and every listed one is that exported.

    A file that `SHA256SUMS` does not list is never read. The muscles' network is checked, but not kept.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such folder; a bundle holds {', '.join(REQUIRED)}")
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing:
        raise BundleError(f"{folder}: {', '.join(missing)} missing; a bundle holds {', '.join(REQUIRED)}")
    listed = _read_checksums(folder / CHECKSUMS)
    present = [name for name in (MANIFEST, NETWORK, STYLE, MUSCLES) if (folder / name).exists()]
    files = {}
    for name in sorted({*present, *listed}):
        if name not in listed:
            raise BundleError(f"{folder / CHECKSUMS}: does not list {name}")
        if not (folder / name).is_file():
            raise BundleError(f"{folder}: {name} missing; {CHECKSUMS} lists it")
        if name in LIMITS:
            files[name] = read_bytes(folder / name, BundleError, LIMITS[name])
        elif (size := (folder / name).stat().st_size) > MAX_LISTED:
            raise BundleError(f"{folder / name}: {size} bytes; a file of a bundle has at most {MAX_LISTED}")
        found = hashlib.sha256(files[name]).hexdigest() if name in files else sha256(folder / name)
        if found != listed[name]:
            raise BundleError(f"{folder / name}: differs from its checksum; export or download the bundle again")
    return files


def _read_checksums(path: Path) -> dict[str, str]:
    """File name to digest, of `SHA256SUMS`."""
    listed: dict[str, str] = {}
    for number, line in enumerate(read_text(path, BundleError, MAX_CHECKSUMS).splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", digest) or not name or Path(name).name != name or "\0" in name:
            found = one_line(repr(line))
            raise BundleError(f"{path}, line {number}: expected '<sha256>  <file>', found {found}")
        if name in listed:
            raise BundleError(f"{path}, line {number}: {name} is listed twice")
        listed[name] = digest
    return listed


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """SHA256SUMS over every other file in the folder; `sha256sum -c SHA256SUMS` checks it too."""
    names = sorted(path.name for path in folder.iterdir() if path.name != CHECKSUMS)
    (folder / CHECKSUMS).write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))


NEEDED: dict[str, type] = {
    "environment.id": str, "environment.kwargs": dict, "observation.layout": list, "action.joints": list,
}  # fmt: skip


def read_manifest(files: Mapping[str, bytes], path: Path) -> dict[str, Any]:
    """policy.json with the keys that running it needs, each of its kind."""
    manifest = parse_json(decode(files[MANIFEST], str(path), BundleError), str(path), BundleError)
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(f"{path}: format_version is {one_line(repr(version))}, this version reads {FORMAT_VERSION}")
    for dotted, kind in (NEEDED | ({"style.frames": int} if STYLE in files else {})).items():
        value = at(manifest, dotted, path)
        if type(value) is not kind:
            raise BundleError(f"{path}: {dotted} is {one_line(repr(value))}, expected {_JSON_KINDS[kind]}")
    if not all(isinstance(row, dict) for row in manifest["observation"]["layout"]):
        raise BundleError(f"{path}: observation.layout must be a list of objects")
    if STYLE in files and not 1 <= manifest["style"]["frames"] <= MAX_FRAMES:
        raise BundleError(f"{path}: style.frames is {manifest['style']['frames']}, expected 1 to {MAX_FRAMES}")
    if STYLE in files:
        dilation, most = manifest["style"].get("dilation", 1), MAX_FRAMES // manifest["style"]["frames"]
        if type(dilation) is not int or not 1 <= dilation <= most:
            raise BundleError(f"{path}: style.dilation is {one_line(repr(dilation))}, expected 1 to {most}")
    return manifest


_JSON_KINDS = {str: "text", dict: "an object", list: "a list", int: "a whole number"}


def at(manifest: Mapping[str, Any], dotted: str, path: Path) -> Any:
    """The value at "environment.id"; BundleError where there is none."""
    value: Any = manifest
    for part in dotted.split("."):
        if not isinstance(value, dict) or part not in value:
            raise BundleError(f"{path}: key {dotted!r} missing")
        value = value[part]
    return value


def _check_environment(manifest: Mapping[str, Any], folder: Path) -> Task:
    """The task of the manifest's environment, which exists here, and observes and drives what the policy was trained
    on. The muscles' network in its options becomes the path of the bundle's own file."""
    path, environment = folder / MANIFEST, manifest["environment"]
    env_id, kwargs = environment["id"], environment["kwargs"]
    embedded = kwargs.get("reference") in (None, *EMBEDDED_SETS.values())
    if not embedded or kwargs.get("muscle_network", MUSCLES) != MUSCLES:
        raise BundleError(f"{path}: environment.kwargs name a file outside of the bundle")
    try:
        check_stored(env_id, kwargs, str(path))
        if "muscle_network" in kwargs:
            kwargs["muscle_network"] = str((folder / MUSCLES).resolve())
        env = make_env(env_id, threads=1, **kwargs)
    except (EnvironmentOptionError, ConfigError) as error:
        told = str(error)
        raise BundleError(told if told.startswith(str(path)) else f"{path}: {one_line(told, 500)}") from None
    task = env.core.task
    env.close()
    try:
        check_layout(manifest["observation"]["layout"], task.layout.table(), str(path))
    except PolicyError as error:
        raise BundleError(str(error)) from None
    joints = list(task.robot.joint_names)
    if manifest["action"]["joints"] != joints:
        raise BundleError(f"{path}: actions drive {one_line(manifest['action']['joints'])}, the robot has {joints}")
    return task


def _check_memory(network: OnnxNetwork, graph: Graph, manifest: Mapping[str, Any], folder: Path) -> None:
    """BundleError unless the graph gives the state that it takes, and the manifest says the same of it."""
    path = folder / NETWORK
    for name in network.names:
        before, after = graph.shapes[name], graph.shapes.get(f"next_{name}")
        if before != after or not all(isinstance(length, int) for length in before[1:]):
            raise BundleError(f"{path}: next_{name} has the shape {one_line(after)}, {name} {one_line(before)}")
    told, found = manifest.get("memory"), describe_memory(network.shapes)
    if told != found:
        raise BundleError(f"{folder / MANIFEST}: memory is {one_line(repr(told))}, the network has {found}")


def describe_memory(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any] | None:
    """Section `memory` of the manifest, by the shapes of the state's arrays; None: there is none."""
    if not shapes:
        return None
    return {
        "start": "bool; true where the observation is the first of an episode: the state is then not used",
        "states": [
            {"input": name, "output": f"next_{name}", "dtype": "float32", "shape": list(shape)}
            for name, shape in shapes.items()
        ],
        "use": "pass each output as the input of the next step; any finite values will do at a start",
    }


def _check_size(path: Path, graph: Graph, expected: Mapping[str, int]) -> None:
    for name, size in expected.items():
        if graph.size(name) != size:
            raise BundleError(f"{path}: {name} has {graph.size(name)} numbers a row, expected {size}")
