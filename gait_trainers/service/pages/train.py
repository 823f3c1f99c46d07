"""The page *Train*: from a choice of body and algorithm to a session in the queue."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from gait_envs.reference.library import EMBEDDED_SETS
from gait_trainers.service.algorithms.contract import Algorithm
from gait_trainers.service.algorithms.fields import Field
from gait_trainers.service.algorithms.policies import usual_preset
from gait_trainers.service.algorithms.request import StartRequest
from gait_trainers.service.algorithms.table import algorithm, algorithms
from gait_trainers.service.db.tables import TrainingSession
from gait_trainers.service.errors import Invalid, NotFound, ServiceError
from gait_trainers.service.operations import configure, motions, sessions
from gait_trainers.service.operations.configure import BUNDLED
from gait_trainers.service.pages import fields
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import Sent, TrainerViewing, View, comma_list, text_of

router = APIRouter()
SET = "set."  # before the key of a setting, in the name of its field


@dataclass
class Draft:
    """A form that is being filled in."""

    algorithm: Algorithm
    preset: str | None
    env: str
    clone: TrainingSession | None = None
    texts: dict[str, str] = field(default_factory=dict)  # of settings, by key
    values: dict[str, str] = field(default_factory=lambda: {"name": "", "tags": "", "timeout_hours": ""})
    chosen: list[str] = field(default_factory=list)  # ids of motions
    key: str = ""  # under which the start is asked for; the same form sent twice starts once
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> list[Field]:
        """Every setting of the chosen algorithm, with the preset's values."""
        return configure.form(self.algorithm.name, self.preset, self.env)


@router.get("/train")
def choose(
    view: TrainerViewing,
    algorithm: str = "",
    preset: str | None = None,
    env: str = "",
    before: str = "",
    clone: str = "",
) -> Response:
    """The form, with the values of a preset or of a session that is cloned.

    `before`: the body that was chosen when the page was shown; another one begins with its own preset.
    """
    parent = sessions.find(view.db, view.user, clone) if clone else None
    error = None
    try:
        draft = _draft(algorithm, preset if env == before or not before else None, env, parent)
        known = draft.settings
    except Invalid as problem:  # a preset of another body
        error, draft = problem, _draft(algorithm, None, "", None)
        known = draft.settings
    request = _request_of(parent, draft)
    draft.texts = fields.starting_texts(known, _chosen(draft, known, request))
    if parent is not None:
        draft.values |= {"name": f"{parent.name} (copy)"[:100], "tags": ", ".join(parent.tags)}
    if request is not None:
        draft.chosen = list(request.motions)
        draft.values["timeout_hours"] = "" if request.timeout_hours is None else f"{request.timeout_hours:g}"
    return _page(view, draft, error)


@router.post("/train/estimate")
def estimate(view: TrainerViewing, form: Sent) -> Response:
    """What it will take: into the page that is open, or as the whole page where there is no JavaScript."""
    draft = _sent(view, form)
    found, problem = None, ""
    try:
        found = configure.estimate(view.db, view.user, _asked(draft))
    except ServiceError as error:
        problem = f"{error.field}: {error.message}" if error.field else error.message
    if "hx-request" in view.request.headers:
        return view.part("parts/estimate.html", estimate=found, problem=problem)
    return _page(view, draft, estimate=found, problem=problem)


@router.post("/train")
def start(view: TrainerViewing, form: Sent) -> Response:
    """Queue it."""
    draft = _sent(view, form)
    started: list[TrainingSession] = []

    def work() -> None:
        request, parent = _asked(draft), None if draft.clone is None else draft.clone.id
        made = sessions.start(view.db, view.user, request, view.settings, key=draft.key or None, parent=parent)
        started.append(made)

    error = view.attempt(work)
    if error is None:
        return back(f"/sessions/{started[0].id}", "started")
    draft.key = ""
    if error.field:
        draft.errors.setdefault(error.field.removeprefix("settings."), error.message)
    return _page(view, draft, error)


def _draft(name: str, preset: str | None, env: str, parent: TrainingSession | None) -> Draft:
    """What is chosen, as far as it fits together; the rest is what the algorithm, and the body, begin with."""
    if parent is not None:
        name, env = name or parent.algorithm, env or parent.env_id
        preset = (parent.preset or "") if preset is None else preset
    known = {found.name for found in algorithms()}
    chosen = algorithm(name if name in known else algorithms()[0].name)
    env = env if env in chosen.environments else chosen.env_id
    if preset == "" and chosen.preset is None:
        return Draft(chosen, None, env, parent)
    own = usual_preset(env)
    usual = own if own in chosen.presets else chosen.preset
    return Draft(chosen, preset if preset in chosen.presets else usual, env, parent)


def _request_of(parent: TrainingSession | None, draft: Draft) -> StartRequest | None:
    """What the parent asked for, where the settings of its algorithm are those of the form."""
    if parent is None or parent.algorithm != draft.algorithm.name:
        return None
    return StartRequest.model_validate(parent.request)


def _chosen(draft: Draft, known: list[Field], request: StartRequest | None) -> dict[str, Any]:
    """What the parent was trained with: everything, or under another preset or body what its request had decided."""
    if request is None or draft.clone is None:
        return {}
    first = _draft("", None, "", draft.clone)
    same = (draft.preset, draft.env) == (first.preset, first.env)
    keys = {setting.key for setting in known} if same else fields.asked_for(request)
    return fields.trained_with(draft.clone.config, keys)


def _sent(view: View, form: FormData) -> Draft:
    clone = text_of(form, "clone")
    parent = sessions.find(view.db, view.user, clone) if clone else None
    draft = _draft(text_of(form, "algorithm"), text_of(form, "preset"), text_of(form, "env"), parent)
    given = {key.removeprefix(SET): str(value) for key, value in form.multi_items() if key.startswith(SET)}
    draft.texts = fields.starting_texts(draft.settings) | given
    draft.values = {name: text_of(form, name) for name in draft.values}
    draft.chosen = [str(value) for value in form.getlist("motions")]
    draft.key = text_of(form, "key")
    return draft


def _asked(draft: Draft) -> StartRequest:
    """The request of a form; Invalid where a text cannot be read, and then every such field has its message."""
    changed, wrong = fields.changes(draft.settings, draft.texts)
    draft.errors |= wrong
    if wrong:
        raise Invalid(f"{len(wrong)} of the settings cannot be read; see below")
    tree: Mapping[str, Any] = {
        "name": draft.values["name"],
        "algorithm": draft.algorithm.name,
        "preset": draft.preset,
        "env": draft.env,
        "motions": draft.chosen,
        "settings": changed,
        "timeout_hours": draft.values["timeout_hours"].strip() or None,
        "tags": comma_list(draft.values["tags"]),
    }
    found: StartRequest = sessions.parse(StartRequest, tree)
    return found


def _page(view: View, draft: Draft, error: ServiceError | None = None, **more: Any) -> Response:
    settings = draft.settings
    advanced: dict[str, list[Field]] = {}
    for setting in settings:
        if setting.advanced:
            advanced.setdefault(fields.section(setting), []).append(setting)
    return view.page(
        "train.html",
        error,
        **{
            "algorithm": draft.algorithm,
            "algorithms": [(found.name, found.name) for found in algorithms()],
            "presets": _presets(draft.algorithm),
            "preset": draft.preset or "",
            "environments": [(name, name.rpartition("/")[2]) for name in draft.algorithm.environments],
            "env": draft.env,
            "clone": draft.clone,
            "key": draft.key or secrets.token_urlsafe(16),
            "values": draft.values,
            "texts": draft.texts,
            "errors": draft.errors,
            "basic": sorted(
                (setting for setting in settings if not setting.advanced),
                key=lambda setting: draft.algorithm.simple.index(setting.key),
            ),
            "advanced": advanced,
            "advanced_wrong": any(setting.key in draft.errors for setting in settings if setting.advanced),
            "motions": _motions(view, draft),
            "chosen": draft.chosen,
            "estimate": None,
            "problem": "",
        }
        | more,
    )


def _presets(chosen: Algorithm) -> list[tuple[str, str]]:
    """Values and texts of the choice."""
    plain = [("", "none: the defaults")] if chosen.preset is None else []
    return plain + [(name, name) for name in chosen.presets]


def _motions(view: View, draft: Draft) -> list[dict[str, str]]:
    """What can be trained on: accepted motions of the body, what was chosen before, and the sets that come with the
    package."""
    body = body_of(draft.env)
    offered = list(motions.listed(view.db, view.user, state="accepted", body=body, limit=200).items)
    known = {motion.id for motion in offered}
    for id in draft.chosen:
        if id not in known and not id.startswith(BUNDLED):
            with suppress(NotFound):
                offered.append(motions.find(view.db, view.user, id))
    found = [
        {"id": motion.id, "name": motion.name, "about": ", ".join(motion.labels or [motion.state])}
        for motion in offered
    ]
    sets = [
        {"id": f"{BUNDLED}{name}", "name": name, "about": "comes with GaitNet"}
        for of, name in EMBEDDED_SETS.items()
        if of == body
    ]
    return found + sets


def body_of(env_id: str) -> str:
    """The body whose clips an environment takes, or that is named itself."""
    return "wildrobot" if "wildrobot" in env_id.lower() else "humanoid"
