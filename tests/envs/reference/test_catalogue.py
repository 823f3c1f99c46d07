"""Figures and verdicts of the clips of a set."""

from __future__ import annotations

from gait_envs.reference.catalogue import Entry, column, counts

ENTRIES = [
    Entry("a", "fit", (), quality={"slip": 0.25, "speed": 1.0}),
    Entry("b", "unfit", ("slides",), quality={"speed": 2.0}),
    Entry("c", "failed", ("no feet",)),
    Entry("d", "fit", (), quality={"slip": 0.0}),
]


def test_verdicts_are_counted() -> None:
    assert counts(ENTRIES) == {"fit": 2, "unfit": 1, "failed": 1}
    assert counts([]) == {"fit": 0, "unfit": 0, "failed": 0}


def test_a_column_has_the_clips_that_were_measured() -> None:
    assert column(ENTRIES, "slip").tolist() == [0.25, 0.0]
    assert column(ENTRIES, "speed").tolist() == [1.0, 2.0]
    assert column(ENTRIES, "height").tolist() == []
