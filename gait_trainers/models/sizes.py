"""How large a network from a file may be: judged by its layers before any is built."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

MAX_PARAMETERS = 16 << 20  # of the networks that are built together


def check_parameters(*networks: Sequence[int], others: int = 0) -> int:
    """How many parameters the layers of these sizes have, inputs first, and `others` besides; ValueError beyond
    `MAX_PARAMETERS`."""
    count = others + sum((wide + 1) * out for sizes in networks for wide, out in pairwise(sizes))
    if count > MAX_PARAMETERS:
        raise ValueError(f"{count} parameters, at most {MAX_PARAMETERS} are read")
    return count
