"""Which algorithms and learners there are, by name. Everything else knows the `LearnerSpec` behind a name only.

A learner of another package is known once the package is installed with an entry point of the group
`gaitnet.learners`, whose name is the learner's:

    [project.entry-points."gaitnet.learners"]
    curiosity = "my_package.curiosity:SPEC"
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from gait_trainers.config.section import ConfigError

if TYPE_CHECKING:
    from gait_trainers.learners.base import LearnerSpec

GROUP = "gaitnet.learners"
LEARNERS = {
    "amp": "gait_trainers.learners.amp.spec:SPEC",
    "muscle": "gait_trainers.learners.muscle.spec:SPEC",
}
# What learns beside PPO; `TrainConfig.learners` may add to it.
ALGORITHMS: dict[str, tuple[str, ...]] = {"ppo-amp": ("amp",), "ppo": (), "muscle": ("muscle",)}


@functools.cache
def learner_specs() -> dict[str, LearnerSpec]:
    """Every learner by its name: our own, then those of installed packages. ConfigError names one that is unusable."""
    ours = [EntryPoint(name, place, GROUP) for name, place in LEARNERS.items()]
    specs: dict[str, LearnerSpec] = {}
    for entry in [*ours, *sorted(entry_points(group=GROUP), key=lambda entry: entry.name)]:
        where = f"learner {entry.name!r} ({entry.value})"
        if entry.name in specs:
            raise ConfigError(f"{where}: the name is taken by {specs[entry.name].make!r}")
        try:
            spec: LearnerSpec = entry.load()
        except Exception as error:  # whatever a package raises when it is imported
            raise ConfigError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
        if spec.name != entry.name:
            raise ConfigError(f"{where}: its LearnerSpec is named {spec.name!r}; both names must be the same")
        specs[entry.name] = spec
    return specs


def learners_of(algorithm: str, more: Sequence[str] = ()) -> list[LearnerSpec]:
    """The learners of an algorithm, in order, then `more`; each once."""
    specs = learner_specs()
    return [specs[name] for name in dict.fromkeys((*ALGORITHMS[algorithm], *more))]
