"""Damage to files: of their bytes, lines and words, of arrays, and of the trees in JSON, YAML and checkpoints."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import PurePath
from typing import Any

import numpy as np
import yaml

NUMBERS = ("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1e999", "0", "-0", "-1", "-5", "3", "999999999999",
           "99999999999999999999", "9" * 5000, "0x10", "1_0", "1,5", "1.5.2", "++1", "1e", ".", "٣", "", "0b", "1:99",
           "2001-13-45", "-9223372036854775809", "1e5", "True", "~")  # fmt: skip
WORDS = ("{", "}", "ROOT", "JOINT", "End", "Site", "OFFSET", "CHANNELS", "MOTION", "Frames:", "Frame Time:", "begin",
         "end", ":root", ":hierarchy", ":bonedata", "dof", "rx", "tx", "root", "lfemur", "null", "true", "[", "]",
         '"Frames"', ",", "#", "\0", "\ufeff", "\r", "\x0c", "é", "x" * 3000, "[" * 3000, '{"a":' * 3000, "&a [*a]",
         "*a", "- ", ": ", "? ", "<<:", "!!python/name:os.system", "!!binary x", "!!timestamp x", "'", '"', "%", "|",
         "\ud800", "../..", "/dev/zero")  # fmt: skip
VALUES: tuple[Any, ...] = (None, True, False, -1, 0, 1, 2, 10**9, 10**30, -(2**63), 1.5, float("nan"), float("inf"),
                           1e308, "", "x", "nan", "a\nb", "../..", "x" * 3000, [], {}, [[]], [None], {"a": 1}, [1, "x"],
                           [float("nan")] * 3)  # fmt: skip


def damaged(files: dict[str, bytes], rng: random.Random, whole: tuple[str, ...] = ()) -> dict[str, bytes]:
    """One to four edits of one of the files that are not to stay whole."""
    name = rng.choice([name for name in files if name not in whole])
    data = files[name]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        if rng.random() < 0.25:
            data = damage_bytes(data, rng)
            continue
        with np.errstate(all="ignore"):
            data = damage_meaning(PurePath(name).suffix, data, rng)
    return files | {name: data}


def damage_meaning(suffix: str, data: bytes, rng: random.Random) -> bytes:
    """An edit that leaves a file of this suffix well-formed, or nearly."""
    if suffix == ".npz":
        return damage_arrays(data, rng)
    if suffix in (".json", ".yaml", ".pt") and rng.random() < 0.6:
        return damage_content(suffix, data, rng)
    return damage_bytes(data, rng) if suffix in (".npy", ".onnx", ".pt") else damage_text(data, rng)


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """A cut, an insertion, a removal, changed bytes or bits, zeroes, two blocks that changed places."""
    at = rng.randrange(len(data) + 1)
    size = rng.randrange(1, 40)
    choice = rng.randrange(8)
    if choice == 0:
        return data[:at]
    if choice == 1:
        return data[:at] + rng.choice((rng.randbytes(rng.randrange(1, 9)), b"\xff\xfe", b"\xed\xa0\x80")) + data[at:]
    if choice == 2:
        return data[:at] + data[at + size :]
    if choice == 3:
        return data[:at] + bytes(len(data[at : at + 8 * size])) + data[at + 8 * size :]
    if choice == 4:
        return data[:at] + data[at + size : at + 2 * size] + data[at : at + size] + data[at + 2 * size :]
    if choice == 5:
        return data[:at] + data[at : at + size][::-1] + data[at + size :]
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4) if data else 0):
        where = rng.randrange(len(changed))
        changed[where] = rng.randrange(256) if choice == 6 else changed[where] ^ (1 << rng.randrange(8))
    return bytes(changed)


def damage_text(data: bytes, rng: random.Random) -> bytes:
    """One edit of a line, or of a word within one."""
    lines = data.decode("utf-8", "replace").splitlines(keepends=True) or [""]
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    choice = rng.randrange(8)
    if choice == 0:
        lines.insert(other, lines[at])
    elif choice == 1:
        del lines[at]
    elif choice == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif choice == 3:
        lines[at : at + 1] = [lines[at]] * rng.choice((2, 20, 300))
    else:
        by = "," if " " not in lines[at].strip() else " "
        words = lines[at].split(by)
        word = rng.randrange(len(words))
        end = "\n" if words[word].endswith("\n") else ""
        if choice == 4:
            words.insert(word, rng.choice(WORDS))
        elif choice == 5:
            words[word] = rng.choice(WORDS) + end
        elif choice == 6:
            del words[word]
        else:
            words[word] = rng.choice(NUMBERS) + end
        lines[at] = by.join(words)
    return "".join(lines).encode("utf-8", "surrogatepass")


def damage_content(suffix: str, data: bytes, rng: random.Random) -> bytes:
    """One key or item of a tree dropped, doubled, renamed or replaced by another value."""
    try:
        if suffix == ".pt":
            import torch

            from gait_trainers.runs.checkpoint_format import first_line

            tree = torch.load(io.BytesIO(data.partition(b"\n")[2]), weights_only=True)
        else:
            tree = json.loads(data) if suffix == ".json" else yaml.safe_load(data)
        tree = damage_tree(tree, rng)
        if suffix == ".pt":
            file = io.BytesIO()
            torch.save(tree, file)
            return first_line(file.getvalue()) + file.getvalue()  # the checksum is the attacker's own
        return (json.dumps(tree) if suffix == ".json" else yaml.safe_dump(tree, sort_keys=False)).encode()
    except Exception:  # damaged beyond that
        return damage_bytes(data, rng)


def damage_tree(tree: Any, rng: random.Random) -> Any:
    """A copy with one edit at a random place; deep places are as likely as shallow ones on each path."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.1:
        return rng.choice(VALUES)
    if isinstance(tree, list):
        at = rng.randrange(len(tree))
        choice = rng.randrange(4)
        if choice == 0:
            return tree[:at] + tree[at + 1 :]
        if choice == 1:
            return [*tree, tree[at]]
        return [*tree[:at], damage_tree(tree[at], rng), *tree[at + 1 :]]
    key = rng.choice(list(tree))
    choice = rng.randrange(6)
    if choice == 0:
        return {k: v for k, v in tree.items() if k != key}
    if choice == 1:
        return {(rng.choice(("x", "", 1, None)) if k == key else k): v for k, v in tree.items()}
    return {k: damage_tree(v, rng) if k == key else v for k, v in tree.items()}


def damage_arrays(data: bytes, rng: random.Random) -> bytes:
    """One member of an archive changed, dropped, or given a header that does not fit its data."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception:  # damaged beyond that, or objects, which are written here and never read
        return damage_bytes(data, rng)
    if not arrays:
        return data
    key = rng.choice(list(arrays))
    array, choice = arrays[key], rng.randrange(10)
    if choice == 0:
        del arrays[key]
    elif choice == 1:
        arrays[rng.choice([*arrays, "poses", "positions", "other"])] = array
    elif choice == 2 and array.dtype.kind in "fi" and array.size:
        array = arrays[key] = array.astype(float)
        array.flat[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, 1e308, -1e308, 1e-320, -1, 0, 1e6))
    elif choice == 3:
        arrays[key] = array.astype(rng.choice(("f2", "f4", "i8", "u1", "U9", "O", "c16", "?"))) \
            if array.dtype.kind in "fi" else array.astype("O")  # fmt: skip
    elif choice == 4:
        arrays[key] = rng.choice((array[None], array.ravel(), array.T, array[..., None], np.asfortranarray(array)))
    elif choice == 5 and array.ndim:
        arrays[key] = array[: rng.randrange(len(array) + 1)]
    elif choice == 6 and array.ndim > 1:
        arrays[key] = array[:, : rng.randrange(array.shape[1] + 1)]
    elif choice == 7:
        arrays[key] = np.array(rng.choice((0, -1, np.nan, np.inf, 1e308, "x", "", 60)))
    elif choice == 8:
        return with_false_shape(arrays, key, rng)
    elif choice == 9 and array.dtype.kind == "U" and array.ndim == 0 and str(array).startswith("{"):
        arrays[key] = np.array(damage_content(".json", str(array).encode(), rng).decode("utf-8", "replace"))
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def with_false_shape(arrays: dict[str, np.ndarray], key: str, rng: random.Random) -> bytes:
    """An archive in which one member claims another shape than its data have."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=True)
            content = member.getvalue()
            if name == key:
                shape = (rng.choice((0, 2, 10**6, 10**12, 10**18)), *array.shape[1:])
                header = np.lib.format.header_data_from_array_1_0(array) | {"shape": shape}
                claimed = io.BytesIO()
                np.lib.format.write_array_header_1_0(claimed, header)
                content = claimed.getvalue() + array.tobytes()
            out.writestr(f"{name}.npy", content)
    return file.getvalue()
