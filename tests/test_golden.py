"""The comparison of golden values: what counts as a difference, and what is run."""

from __future__ import annotations

import pytest
from helpers.scripts import load_script

golden = load_script("golden")
NAN = float("nan")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1, "new": 2}, []),
        ({"a": 1}, {}, ["/a: 1 became 'missing'"]),
        ({"a": {"b": [1, 2.0]}}, {"a": {"b": [1, 2.5]}}, ["/a/b/1: 2.0 became 2.5"]),
        ({"a": [1]}, {"a": [1, 2]}, ["/a: [1] became [1, 2]"]),
        ({"a": NAN}, {"a": NAN}, []),
        ({"a": NAN}, {"a": 1.0}, ["/a: nan became 1.0"]),
        ({"a": 1.0}, {"a": NAN}, ["/a: 1.0 became nan"]),
        ({"a": {"b": 1}}, {"a": 1}, ["/a: {'b': 1} became 1"]),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, ["/a: 0.30000000000000004 became 0.3"]),
    ],
)
def test_differences(before: dict, after: dict, expected: list[str]) -> None:
    assert golden.differences(before, after) == expected


def test_patterns_choose_what_is_run() -> None:
    names = ["ppo", "ppo-amp", "imitate", "evaluate wildrobot_walk"]
    assert golden.chosen(names, []) == names
    assert golden.chosen(names, ["amp", "walk"]) == ["ppo-amp", "evaluate wildrobot_walk"]
    with pytest.raises(SystemExit, match="--only 'wlak' fits none of: ppo, ppo-amp"):
        golden.chosen(names, ["ppo", "wlak"])


def test_tensors_are_hashed_by_key_and_value() -> None:
    one, two = golden.torch.tensor([1.0]), golden.torch.tensor([2.0])
    assert golden.digest({"a": one, "b": two}) == golden.digest({"b": two, "a": one})
    assert golden.digest({"a": one, "b": two}) != golden.digest({"a": two, "b": one})
    assert golden.digest([one, (two,)]) != golden.digest([two, (one,)])
