"""Bytes of a checkpoint: a state in, the very same state out, or an error.

    GaitNet checkpoint 3 sha256 <64 hex digits>\\n    of all bytes that follow
    a file of torch.save: {"format_version": 3, "state": …}

The first line comes first so that no damage can make a file pass for an older one, which has none. Versions 1 and 2 are
the plain file of torch.save; of those the CRC-32 that the format keeps of every record is checked. Everything is read
with torch's `weights_only=True`: tensors, containers and plain scalars, never code.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gait_envs.errors import one_line

FORMAT_VERSION = 3
MAX_CHECKPOINT = 1 << 30  # bytes of a file
UNSIGNED = (1, 2)  # versions without the first line
ZIP = b"PK\x03\x04"  # what a file of torch.save begins with


class Damaged(ValueError):
    """Bytes that are not those of a whole checkpoint; says in one line why."""


def encode(state: Mapping[str, Any]) -> bytes:
    """The file of a state: arrays, tensors, containers and plain scalars."""
    buffer = io.BytesIO()
    torch.save({"format_version": FORMAT_VERSION, "state": to_tensors(state)}, buffer)
    content = buffer.getvalue()
    return first_line(content) + content


def decode(data: bytes) -> dict[str, Any]:
    """The state in a file, in today's layout; Damaged where a bit of it is not as it was written."""
    signed = not data.startswith(ZIP)
    content = _signed(data) if signed else data
    _check_records(content, crc=not signed)
    try:
        tree = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        found = tree["format_version"]
        state = from_tensors(tree["state"])
    except Exception as error:  # torch raises many kinds for foreign bytes
        raise Damaged(one_line(error)) from error
    if found not in ((FORMAT_VERSION,) if signed else UNSIGNED):
        known = ", ".join(map(str, (*UNSIGNED, FORMAT_VERSION)))
        raise Damaged(f"format version {found!r:.40}, this version reads {known}")
    try:
        return from_version_1(state) if found == 1 else dict(state)
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(one_line(error)) from error


def first_line(content: bytes) -> bytes:
    """What stands before the content of a file."""
    return f"GaitNet checkpoint {FORMAT_VERSION} sha256 {hashlib.sha256(content).hexdigest()}\n".encode()


def _signed(data: bytes) -> bytes:
    """What follows the first line, as it was written."""
    line, end, content = data.partition(b"\n")
    if not data.startswith(b"GaitNet checkpoint ") or not end:
        raise Damaged("its first line is not that of a checkpoint")
    if line + end != first_line(content):
        version = line.split()[2:3]
        if version and version[0].isdigit() and int(version[0][:9]) > FORMAT_VERSION:
            raise Damaged(f"format version {version[0].decode()}, this version reads up to {FORMAT_VERSION}")
        raise Damaged("its checksum does not match: it was changed or cut short after it was written")
    return content


def _check_records(content: bytes, *, crc: bool) -> None:
    """Damaged for a record that is compressed, as torch.save's are not, or that differs from its CRC-32."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            packed = [info.filename for info in archive.infolist() if info.compress_type != zipfile.ZIP_STORED]
            bad = archive.testzip() if crc and not packed else None
    except Exception as error:  # zipfile raises many kinds for damaged bytes
        raise Damaged(one_line(error)) from error
    if packed:
        raise Damaged(f"its record {packed[0]!r:.80} is compressed, as no record of a checkpoint is")
    if bad is not None:
        raise Damaged(f"its record {bad!r:.80} does not match its CRC-32")


def from_version_1(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a checkpoint of format version 1, in today's layout.

    Version 1 knew two learners, and kept each under a key of its own. Of an episode it kept whether it survived, not
    whether it followed.
    """
    kept = {key: value for key, value in state.items() if key not in ("amp", "muscle")}
    learners = {name: state[name] for name in ("amp", "muscle") if state.get(name) is not None}
    episodes = [(*episode, None) for episode in state["metrics"]["episodes"]]
    return kept | {"learners": learners, "metrics": state["metrics"] | {"episodes": episodes}}


# Tensors, containers and plain scalars are all that is read. An array is kept as a tensor with a tag, so that it comes
# back as an array.
_ARRAY = "__ndarray__"


def to_tensors(tree: Any) -> Any:
    if isinstance(tree, np.ndarray):
        return {_ARRAY: torch.from_numpy(np.array(tree, order="C"))}
    if isinstance(tree, np.generic):
        return tree.item()
    if isinstance(tree, Mapping):
        return {key: to_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(to_tensors(value) for value in tree)
    return tree


def from_tensors(tree: Any) -> Any:
    if isinstance(tree, dict):
        if set(tree) == {_ARRAY}:
            return _bounded(tree[_ARRAY]).numpy()
        return {key: from_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(from_tensors(value) for value in tree)
    return _bounded(tree) if isinstance(tree, torch.Tensor) else tree


def _bounded(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself; ValueError for one that is larger than what is stored of it, as strides of 0 make it."""
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} holds fewer values than that")
    return tensor
