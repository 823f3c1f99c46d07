"""The bytes of a checkpoint: nothing damaged is accepted, whatever bit it is, and older versions are read."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from helpers.runs import differences

from gait_trainers.runs.checkpoint_format import Damaged, decode, encode, first_line, to_tensors


def state() -> dict:
    rng = np.random.default_rng(0)
    weights = {f"layer.{i}": torch.from_numpy(rng.normal(size=(16, 16))) for i in range(3)}
    return {
        "policy": weights,
        "sb3": {"num_timesteps": 4096, "last_obs": rng.normal(size=(4, 37))},
        "metrics": {"episodes": [(1.0, 2, True)]},
        "random": [rng.bit_generator.state],
    }


def unsigned(version: int) -> bytes:
    file = io.BytesIO()
    torch.save({"format_version": version, "state": to_tensors(state())}, file)
    return file.getvalue()


def flipped(data: bytes, times: int) -> Iterator[bytes]:
    rng = random.Random(1)
    for _ in range(times):
        bit, damaged = rng.randrange(8 * len(data)), bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def blanked(data: bytes, times: int) -> Iterator[bytes]:
    rng = random.Random(2)
    while times:
        size = rng.choice((1, 16, 512, 4096))
        at = rng.randrange(len(data))
        damaged = data[:at] + bytes(len(data[at : at + size])) + data[at + size :]
        if damaged != data:
            times -= 1
            yield damaged


def test_nothing_damaged_is_accepted() -> None:
    data = encode(state())
    assert differences(decode(data), state()) == []
    for damaged in (*flipped(data, 200), *blanked(data, 100), *(data[:cut] for cut in range(0, len(data), 97))):
        with pytest.raises(Damaged) as caught:
            decode(damaged)
        assert len(str(caught.value).splitlines()) == 1


def test_no_bit_of_the_first_line_is_idle() -> None:
    data = encode(state())
    for bit in range(8 * (data.index(b"\n") + 1)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            decode(bytes(damaged))


@pytest.mark.parametrize("version", [2, 1])
def test_a_version_without_a_checksum_is_refused_or_says_what_it_said(version: int) -> None:
    """Its CRC-32s cover every record; what they leave out says nothing, such as the time of a record."""
    data = unsigned(version)
    expected = decode(data)
    assert (expected["learners"] if version == 1 else expected["policy"]) is not None
    refused = 0
    for damaged in (*flipped(data, 200), *blanked(data, 100)):
        try:
            assert differences(decode(damaged), expected) == []
        except Damaged:
            refused += 1
    assert refused > 150


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "first line"),
        (b"not a checkpoint", "first line"),
        (unsigned(3), "format version 3, this version reads"),
        (first_line(unsigned(2)) + unsigned(2), "format version 2, this version reads"),
        (first_line(b"x") + b"x", "not a zip file"),
        (b"GaitNet checkpoint 4 sha256 00\n", "format version 4, this version reads up to 3"),
    ],
)
def test_foreign_bytes_are_refused_in_one_line(data: bytes, says: str) -> None:
    with pytest.raises(Damaged, match=says):
        decode(data)


def test_a_compressed_record_is_refused_before_it_is_read() -> None:
    with zipfile.ZipFile(io.BytesIO(unsigned(2))) as plain, zipfile.ZipFile(out := io.BytesIO(), "w") as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name), zipfile.ZIP_DEFLATED)
    for data in (out.getvalue(), first_line(out.getvalue()) + out.getvalue()):
        with pytest.raises(Damaged, match="is compressed"):
            decode(data)


def test_a_tensor_that_is_larger_than_what_is_stored_of_it_is_refused() -> None:
    wide = torch.zeros(1).expand(1_000_000, 1_000_000)  # 4 bytes, and 4 TB to whoever copies it
    for tree in ({"weights": wide}, {"last_obs": {"__ndarray__": wide}}):
        torch.save({"format_version": 3, "state": tree}, out := io.BytesIO())
        with pytest.raises(Damaged, match=r"a tensor of shape \(1000000, 1000000\) holds fewer values"):
            decode(first_line(out.getvalue()) + out.getvalue())
    kept = decode(encode({"transposed": torch.arange(6).reshape(2, 3).T, "part": torch.arange(9)[2:4]}))
    assert (kept["transposed"].tolist(), kept["part"].tolist()) == ([[0, 3], [1, 4], [2, 5]], [2, 3])
