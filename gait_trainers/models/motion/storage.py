"""Files of motion models: an `.npz` without pickle that holds the spec, the weights and the normaliser.

    format_version, kind     1, "motion model"
    spec                     JSON, see `ModelSpec`
    entries                  JSON: name, size and unit of each row of the inputs, as the code must find them again
    extras                   JSON: what training leaves for evaluation and generation
    weights/<name>           parameters and buffers, float32
    extras/<name>            arrays, float32

A path is a file, or a folder that holds `model.npz` (a run, or a bundled model); a name is that of a bundled model.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gait_envs.assets import asset_path
from gait_envs.errors import GaitNetError, one_line
from gait_envs.files import replacing
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import parse_json
from gait_trainers.config.checking import checked
from gait_trainers.config.kinds import check_kind
from gait_trainers.config.section import ConfigError
from gait_trainers.models.motion.model import MotionModel
from gait_trainers.models.motion.spec import ModelSpec
from gait_trainers.models.sizes import MAX_PARAMETERS

FORMAT_VERSION = 1
KIND = "motion model"
FILE = "model.npz"
FOLDER = "models"  # of the assets
MAX_BYTES = 8 * (MAX_PARAMETERS + (1 << 20))  # of all arrays together
MAX_EXTRAS = 64  # arrays


class ModelError(GaitNetError, ValueError):
    """A motion model that cannot be used; names the file and the key."""


def save_motion_model(
    path: str | os.PathLike[str], model: MotionModel, extras: Mapping[str, Any] | None = None
) -> Path:
    """Write a model whole or not at all. extras: arrays, and plain values that JSON can hold."""
    path = Path(path)
    extras = extras or {}
    arrays: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "spec": model.spec.model_dump_json(),
        "entries": json.dumps(_table(model)),
        "extras": json.dumps({key: value for key, value in extras.items() if not isinstance(value, np.ndarray)}),
    }
    arrays |= {f"weights/{key}": value.detach().cpu().numpy() for key, value in model.state_dict().items()}
    arrays |= {f"extras/{key}": value for key, value in extras.items() if isinstance(value, np.ndarray)}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def load_motion_model(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> MotionModel:
    """A motion model, ready to predict and to encode; ModelError says what is wrong with its file."""
    return read_motion_model(path, limit)[0]


@loader("motion model", ".npz")
def read_motion_model(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> tuple[MotionModel, dict[str, Any]]:
    """A motion model in evaluation mode, and its extras, whose arrays together take at most `limit` bytes."""
    file = find_model(path)
    with Archive(file, ModelError, limit, f"{file}: not a readable motion model") as archive:
        version = _scalar(archive, "format_version", "iu")
        if version != FORMAT_VERSION:
            raise archive.fault("format_version", f"is {one_line(version)}, this GaitNet reads {FORMAT_VERSION}")
        if _scalar(archive, "kind", "U") != KIND:
            raise archive.fault("kind", f"expected {KIND!r}")
        try:
            spec = checked(ModelSpec, _json(archive, "spec"), f"{archive.where}: spec")
            expected = check_size(spec)
        except ConfigError as error:
            raise ModelError(str(error)) from None
        except ValueError as error:
            raise archive.fault("spec", one_line(error, 500)) from None
        weights = {key: _weight(archive, key, shape) for key, shape in expected.items()}
        extras = _extras(archive)
        told = _json(archive, "entries")
        model = MotionModel(spec)
        if told != _table(model):
            raise archive.fault("entries", "not the inputs that this version makes of the spec's encoding")
        if not bool((weights["std"] > 0).all()):
            raise archive.fault("weights/std", "not positive")
    model.load_state_dict(weights)
    return model.eval(), extras


def check_size(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's parameters and buffers, without memory for them, so that nobody can ask for more than a file
    holds; ValueError beyond `MAX_PARAMETERS`."""
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in MotionModel(spec).state_dict().items()}
    if (count := sum(math.prod(shape) for shape in shapes.values())) > MAX_PARAMETERS:
        raise ValueError(f"{count} parameters, at most {MAX_PARAMETERS} are read")
    return shapes


def find_model(path: str | os.PathLike[str]) -> Path:
    """The file of a model that is given as a file, a folder or the name of a bundled model."""
    given = Path(path)
    if not given.exists() and len(given.parts) == 1:
        try:
            given = asset_path(f"{FOLDER}/{path}")
        except FileNotFoundError as error:
            raise ModelError(
                f"{path}: neither a motion model, nor a run folder, nor a bundled model ({error})"
            ) from None
    if not given.is_dir():
        if not given.is_file():
            raise ModelError(f"{given}: no such motion model")
        return given
    if (given / FILE).is_file():
        return given / FILE
    try:
        check_kind(given / "config.yaml", "motionnn")
    except ConfigError as error:
        raise ModelError(str(error)) from None
    if (given / "config.yaml").is_file():
        raise ModelError(f"{given / FILE}: no such motion model yet; gait-train motionnn --resume {given} ends the run")
    raise ModelError(f"{given / FILE}: no such motion model")


def _table(model: MotionModel) -> list[list[Any]]:
    return [[row.name, row.size, row.unit] for row in model.entries]


def _weight(archive: Archive, key: str, shape: tuple[int, ...]) -> torch.Tensor:
    if f"weights/{key}" not in archive.keys:
        raise archive.fault(f"weights/{key}", "is missing")
    array = archive.array(f"weights/{key}", "f")
    if array.shape != shape:
        raise archive.fault(f"weights/{key}", f"has shape {one_line(array.shape)}, the spec asks for {shape}")
    if not np.isfinite(array).all() or np.abs(array).max(initial=0.0) > 1e6:
        raise archive.fault(f"weights/{key}", "not finite, or beyond a million")
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _extras(archive: Archive) -> dict[str, Any]:
    names = [key.removeprefix("extras/") for key in archive.keys if key.startswith("extras/")]
    if len(names) > MAX_EXTRAS:
        raise archive.fault("extras", f"{len(names)} arrays, at most {MAX_EXTRAS} are read")
    extras = _json(archive, "extras")
    for name in names:
        array = archive.array(f"extras/{name}", "fiu")
        if not np.isfinite(array).all():
            raise archive.fault(f"extras/{name}", "not finite")
        extras[name] = array
    return extras


def _scalar(archive: Archive, key: str, kinds: str) -> Any:
    if key not in archive.keys:
        raise archive.fault(key, "is missing")
    array = archive.array(key, kinds, MAX_TEXT_ARRAY)
    if array.ndim:
        raise archive.fault(key, f"has shape {one_line(array.shape)}, expected a single value")
    return array.item()


def _json(archive: Archive, key: str) -> Any:
    tree = parse_json(_scalar(archive, key, "U"), f"{archive.where}: {key}", ModelError)
    if key != "entries" and not isinstance(tree, dict):
        raise archive.fault(key, "expected a JSON object")
    return tree
