"""Settings as fields of a form: from a value to the text that is shown, and back.

Which settings there are, their ranges and their explanations come from the configuration's own schema, by
`algorithms.fields`; nothing is listed a second time here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gait_trainers.service.algorithms.fields import Field
from gait_trainers.service.algorithms.request import NUMBERS, StartRequest
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.errors import Invalid

# In plain words, those that are shown at once.
LABELS = {
    "run.iterations": "Iterations",
    "env.num_envs": "Environments",
    "ppo.n_steps": "Steps per rollout",
    "ppo.minibatches": "Minibatches",
    "ppo.epochs": "Epochs per rollout",
    "ppo.learning_rate": "Learning rate",
    "networks.policy": "Hidden sizes of the policy",
    "networks.value": "Hidden sizes of the value network",
    "run.seed": "Seed",
    "amp.weight": "Weight of the style",
    "amp.learning_rate": "Learning rate of the discriminator",
    "muscle.learning_rate": "Learning rate of the muscle network",
    # motionnn
    "optim.updates": "Updates",
    "optim.batch_frames": "Frames of an update",
    "optim.learning_rate": "Learning rate",
    "model.network": "Network",
    "model.settings.hidden": "Hidden sizes",
    "loss.horizon": "Final length of rollouts, frames",
    # refnn
    "iterations": "Iterations",
    "epochs": "Epochs per iteration",
    "batch_size": "Rows of a minibatch",
    "learning_rate": "Learning rate",
    "hidden": "Hidden sizes",
    "holdout": "Share of the walkers that is held out",
    "seed": "Seed",
}
SECTIONS = {
    "": "Training",
    "optim": "Optimiser",
    "model": "Model",
    "model.settings": "Sizes of the network",
    "loss": "Loss",
    "data": "Data",
    "run": "Run",
    "env": "Simulation",
    "env.kwargs": "Environment and reward",
    "ppo": "PPO",
    "networks": "Networks",
    "amp": "Adversarial motion prior",
    "encoder": "Pre-trained encoder",
    "muscle": "Muscle network",
    "resampling": "Resampling of clips",
}
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "sizes": "whole numbers, separated by commas",
    "numbers": "numbers, separated by commas",
    "choices": "names, separated by commas",
    "weights": "a line of name: number each",
}


def label(field: Field) -> str:
    """What a field is called; under "advanced" by its key, which `gait-train --set` takes too."""
    return field.key if field.advanced else LABELS.get(field.key, field.label.capitalize())


def section(field: Field) -> str:
    """The heading that a field stands under."""
    place = field.key.rpartition(".")[0]
    return SECTIONS.get(place, place)


def allowed(field: Field) -> str:
    """What may be entered, in words; empty for a choice."""
    words = KINDS.get(field.kind, "")
    if field.kind in ("weights", "choices"):
        words += f", of {', '.join(field.choices)}"
    if field.least is not None or field.most is not None:
        low, high = field.least, field.most
        ends = [f"{end:,.10g}" for end in (low, high) if end is not None]
        words += f", {' to '.join(ends)}" if len(ends) == 2 else f", at {'least' if high is None else 'most'} {ends[0]}"
    return words + (", or empty" if field.optional and words else "")


def show(field: Field, value: Any) -> str:
    """A value as text; `read` gives it back."""
    if value is None:
        return ""
    if field.kind in ("sizes", "numbers", "choices"):
        return ", ".join(str(item) for item in value)
    if field.kind == "weights":
        return "\n".join(f"{name}: {number}" for name, number in value.items())
    return str(value).lower() if field.kind == "bool" else str(value)


def read(field: Field, text: str) -> Any:
    """The value that a text stands for; Invalid says what is allowed. Ranges are checked where it is used."""
    text = text.strip()
    if not text and field.optional:
        return None
    try:
        if field.kind == "bool":
            return {"true": True, "false": False}[text]
        if field.kind == "weights":
            pairs = (line.rpartition(":") for line in text.splitlines() if line.strip())
            return {name.strip(): float(number) for name, _, number in pairs}
        if field.kind == "choices":
            return text.replace(",", " ").split()
        if field.kind in ("sizes", "numbers"):
            number = int if field.kind == "sizes" else float
            return [number(part) for part in text.replace(",", " ").split()]
        return {"int": int, "float": float}.get(field.kind, str)(text)
    except (ValueError, KeyError):
        raise Invalid(f"expected {allowed(field) or 'true or false'}", field.key) from None


def starting_texts(fields: Sequence[Field], chosen: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The text of every field: the preset's value, or that of a session which is cloned, by its key."""
    return {field.key: show(field, (chosen or {}).get(field.key, field.default)) for field in fields}


def trained_with(config: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Those of the settings that a stored configuration has; options of an environment may be left out there."""
    found: dict[str, Any] = {}
    for key in keys:
        *sections, name = key.split(".")
        tree: Any = config
        for section in sections:
            tree = tree.get(section) if isinstance(tree, Mapping) else None
        if isinstance(tree, Mapping) and name in tree:
            found[key] = tree[name]
    return found


def asked_for(request: StartRequest) -> set[str]:
    """Keys of the settings that a request has decided."""
    known = algorithm(request.algorithm)
    named = (key for name in NUMBERS if getattr(request, name) is not None for key in known.keys(name))
    return {*request.settings, *named}


def changes(fields: Sequence[Field], texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that texts change, and what is wrong with some; both by key.

    A field that shows its preset's value changes nothing, so that a training states only what was chosen.
    """
    changed: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field in fields:
        text = texts.get(field.key, "").replace("\r\n", "\n").strip()
        if field.key not in texts or text == show(field, field.default):
            continue
        try:
            changed[field.key] = read(field, text)
        except Invalid as error:
            wrong[field.key] = error.message
    return changed, wrong
