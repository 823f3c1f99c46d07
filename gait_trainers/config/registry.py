"""Which algorithms and learners there are, by name. Everything else knows the `LearnerSpec` behind a name only.

A learner of another package is known once the package is installed with an entry point of the group
`gaitnet.learners`, whose name is the learner's:

    [project.entry-points."gaitnet.learners"]
    curiosity = "my_package.curiosity:SPEC"
"""

from __future__ import annotations

import functools
import pkgutil
import warnings
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from gait_trainers.config.section import ConfigError

if TYPE_CHECKING:
    from gait_trainers.learners.base import LearnerSpec

GROUP = "gaitnet.learners"
LEARNERS = {
    "amp": "gait_trainers.learners.amp.spec:SPEC",
    "dynamics": "gait_trainers.learners.dynamics.spec:SPEC",
    "encoder": "gait_trainers.learners.encoder.spec:SPEC",
    "muscle": "gait_trainers.learners.muscle.spec:SPEC",
    "resampling": "gait_trainers.learners.resampling:SPEC",
}
# What learns beside PPO; `TrainConfig.learners` may add to it.
ALGORITHMS: dict[str, tuple[str, ...]] = {"ppo-amp": ("amp",), "ppo": (), "muscle": ("muscle",)}


@functools.cache
def learner_specs() -> dict[str, LearnerSpec]:
    """Every learner by its name: our own, then those of other packages; one that fails is warned about and left out."""
    specs: dict[str, LearnerSpec] = {name: pkgutil.resolve_name(place) for name, place in LEARNERS.items()}
    for plugin in sorted(entry_points(group=GROUP), key=lambda plugin: plugin.name):
        try:
            spec: LearnerSpec = plugin.load()
            if plugin.name in specs:
                raise ConfigError("its name is taken")
            if spec.name != plugin.name:
                raise ConfigError(f"its LearnerSpec is named {spec.name!r}; both names must be the same")
        except Exception as error:  # whatever another package does wrong must not take ours along
            warnings.warn(f"learner {plugin.name!r} ({plugin.value}) is left out: {error!r}", stacklevel=2)
            continue
        specs[plugin.name] = spec
    return specs


def register_learner(spec: LearnerSpec) -> None:
    """Add a learner in this process, from a script or a notebook. ConfigError where its name is another's."""
    other = learner_specs().setdefault(spec.name, spec)
    if other is not spec:
        raise ConfigError(f"learner {spec.name!r}: its name is taken by {other.make}")


def learners_of(algorithm: str, more: Sequence[str] = ()) -> list[LearnerSpec]:
    """The learners of an algorithm, in order, then `more`; each once."""
    specs = learner_specs()
    return [specs[name] for name in dict.fromkeys((*ALGORITHMS[algorithm], *more))]
