"""A trained policy as a folder of plain files: their names, what is checked, and reading them.

policy.onnx   observation (batch, d) -> action, action_mean, action_std; the normaliser is inside
policy.json   what every number means: observation table, joints, rates, filter, training, licence
style.onnx    optional: features (batch, frames · 29) -> score of the discriminator
muscle_nn.npz optional: the network that turns torques into activations (`gait_envs.control.muscle_network`)
SHA256SUMS    one line a file, as sha256sum writes them
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gait_envs.loaders import FOLDER, loader
from gait_trainers.policies.base import BundleError, GaussianPolicy, PolicyError
from gait_trainers.policies.environment import EnvironmentOptionError, check_layout, make_env
from gait_trainers.policies.onnx_policy import onnx_network, onnx_style

FORMAT_VERSION = 1
MANIFEST, NETWORK, STYLE, CHECKSUMS = "policy.json", "policy.onnx", "style.onnx", "SHA256SUMS"
MUSCLES = "muscle_nn.npz"
REQUIRED = (MANIFEST, NETWORK, CHECKSUMS)


@loader("bundle", FOLDER)
def load_bundle(folder: str | Path) -> GaussianPolicy:
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
    style = onnx_style(folder / STYLE, int(manifest["style"]["frames"])) if (folder / STYLE).exists() else None
    return GaussianPolicy(
        name=folder.name,
        network=onnx_network(folder / NETWORK),
        env_id=environment["id"],
        env_kwargs=environment["kwargs"],
        style=style,
        layout=manifest["observation"]["layout"],
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
    """SHA-256 of the file's contents, in hexadecimal; OSError if it cannot be read."""
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
    table, joints = env.core.task.layout.table(), list(env.core.robot.joint_names)
    env.close()
    try:
        check_layout(manifest["observation"]["layout"], table, str(path))
    except PolicyError as error:
        raise BundleError(str(error)) from None
    if manifest["action"]["joints"] != joints:
        raise BundleError(f"{path}: actions drive {manifest['action']['joints']}, the robot has {joints}")
