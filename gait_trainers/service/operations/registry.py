"""The registry: bundles under names and versions, whose files never change; aliases say which version counts."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import shutil
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from gait_envs.files import replacing_folder, write_durably
from gait_envs.reading.text import read_json
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.db.later import do_afterwards
from gait_trainers.service.db.tables import Model, ModelAlias, ModelVersion, TrainingSession, User, now
from gait_trainers.service.errors import Conflict, Invalid, NotFound
from gait_trainers.service.operations import audit
from gait_trainers.service.operations.paging import Page, page
from gait_trainers.service.operations.visible import check_changes, find_session, ordered, shared_or_own
from gait_trainers.service.settings import Settings

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,31}")
FIGURES = ("success_rate", "is_success_rate", "episode_reward", "forward_velocity", "speed_error")  # of a lineage
WRITING = threading.Lock()  # the index: who writes last has read last
INDEX = "index.json"  # what the command line reads: name -> aliases and versions


def publish(
    db: Session, user: User, session_id: str, name: str, settings: Settings, *, notes: str = ""
) -> ModelVersion:
    """The bundle of a completed session as the next version of a name; the first one becomes the champion."""
    session = find_session(db, user, session_id)
    check_changes(user, session.owner_id, "session")
    if not NAME.fullmatch(name):
        raise Invalid("a name has 1 to 64 small letters, digits, dashes and underscores", "name")
    if len(notes) > 5000:
        raise Invalid("notes have at most 5000 characters", "notes")
    if algorithm(session.algorithm).makes != "policy":
        raise Conflict(f"the registry holds policies; what {session.algorithm} makes is downloaded with its results")
    bundle = settings.results / session.id / "bundle"
    if session.state != "completed" or not bundle.is_dir():
        raise Conflict(f"the session is {session.state}; only a completed one has a bundle to publish")
    if session.validation is not None and not session.validation.get("passed", False):
        raise Conflict("the bundle did not pass its validation")
    model = db.scalar(select(Model).where(Model.name == name))
    if model is None:
        model = Model(name=name, owner=user)
        db.add(model)
        db.flush()
    elif model.owner_id != user.id and user.role != "administrator":
        raise Conflict("the name is taken", "name")
    last = db.scalar(select(func.max(ModelVersion.number)).where(ModelVersion.model_id == model.id)) or 0
    version = ModelVersion(
        model=model, number=last + 1, session_id=session.id, notes=notes,
        lineage=_lineage(session, bundle, settings), files=_checksums(bundle),
    )  # fmt: skip
    db.add(version)
    db.flush()
    with replacing_folder(_folder(settings, model, version)) as temporary:
        for file in version.files:
            shutil.copyfile(bundle / file, temporary / file)
            (temporary / file).chmod(0o444)
    if last == 0:
        _point(db, model, "champion", 1)
    audit.note(db, user, "model.publish", model.id, name=name, number=version.number)
    db.flush()
    _changed(db)
    return version


def _lineage(session: TrainingSession, bundle: Path, settings: Settings) -> dict[str, Any]:
    """Where a version comes from: motions, configuration, commit, seed, metrics, environment contract."""
    manifest, origin = _table(bundle / "policy.json"), _table(settings.runs / session.id / "provenance.json")
    contract = {key: manifest.get(key) for key in ("environment", "observation", "action")}
    return {
        "session": session.id,
        "motions": session.motions,
        "algorithm": session.algorithm,
        "configuration_sha256": _digest(session.config),
        "commit": origin.get("commit"),
        "version": origin.get("gaitnet") or origin.get("version"),
        "seed": session.config["run"]["seed"],
        "steps": session.steps,
        "metrics": {key: session.latest[key] for key in FIGURES if key in session.latest},
        "environment": session.env_id,
        "environment_contract_sha256": _digest(contract),
    }


def _table(file: Path) -> dict[str, Any]:
    """A JSON object, empty where there is none to be read."""
    try:
        found = read_json(file, Invalid)
    except (OSError, Invalid):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def _checksums(folder: Path) -> dict[str, Any]:
    found = {}
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            data = file.read_bytes()
            found[file.name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return found


def _folder(settings: Settings, model: Model, version: ModelVersion) -> Path:
    return settings.models / model.name / str(version.number)


def _changed(db: Session) -> None:
    """The index is written once the change is committed."""
    do_afterwards(db, "registry", write_index)


def write_index(db: Session, settings: Settings) -> None:
    """What `registry:NAME@ALIAS` is resolved by on the command line, without any database."""
    index: dict[str, Any] = {}
    with WRITING:
        for model in db.scalars(select(Model)):
            numbers = [version.number for version in _versions(db, model) if version.deleted_at is None]
            index[model.name] = {"versions": numbers, "aliases": _aliases(db, model)}
        write_durably(settings.models / INDEX, json.dumps(index, indent=1).encode())


def listed(db: Session, user: User, *, offset: int = 0, limit: int = 50) -> Page[Model]:
    """Names that the user sees."""
    return page(db, ordered(select(Model).where(shared_or_own(user, Model)), Model), offset, limit)


def find_model(db: Session, user: User, name: str, *, to_change: bool = False) -> Model:
    """A name that the user sees, or may change."""
    query = select(Model).where(Model.name == name, shared_or_own(user, Model))
    model = db.scalar(query) if NAME.fullmatch(name) else None
    if model is None:
        raise NotFound("there is no such model")
    if to_change:
        check_changes(user, model.owner_id, "model")
    return model


def versions(db: Session, user: User, name: str) -> list[ModelVersion]:
    """Those of a name, the newest first, deleted ones in their grace period included."""
    return _versions(db, find_model(db, user, name))


def _versions(db: Session, model: Model) -> list[ModelVersion]:
    query: Select[Any] = select(ModelVersion).where(ModelVersion.model_id == model.id)
    return list(db.scalars(query.order_by(ModelVersion.number.desc())))


def find(db: Session, user: User, name: str, reference: str | int) -> ModelVersion:
    """A version by its number or an alias; a deleted one is not found."""
    model = find_model(db, user, name)
    text = str(reference)
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else _aliases(db, model).get(text)
    for version in _versions(db, model):
        if version.number == number and version.deleted_at is None:
            return version
    raise NotFound("there is no such version")


def aliases(db: Session, user: User, name: str) -> dict[str, int]:
    """Alias -> number of its version."""
    return _aliases(db, find_model(db, user, name))


def _aliases(db: Session, model: Model) -> dict[str, int]:
    rows = db.scalars(select(ModelAlias).where(ModelAlias.model_id == model.id).order_by(ModelAlias.order))
    return {row.alias: row.number for row in rows}  # the last one counts


def _point(db: Session, model: Model, alias: str, number: int) -> None:
    last = db.scalar(select(func.max(ModelAlias.order)).where(ModelAlias.model_id == model.id)) or 0
    db.add(ModelAlias(model_id=model.id, alias=alias, number=number, order=last + 1))
    db.flush()


def promote(db: Session, user: User, name: str, number: int, alias: str = "champion") -> ModelVersion:
    """Let an alias mean this version."""
    model = find_model(db, user, name, to_change=True)
    if not ALIAS.fullmatch(alias):
        raise Invalid("an alias has 1 to 32 small letters, digits, dashes and underscores", "alias")
    version = find(db, user, name, number)
    _point(db, model, alias, version.number)
    audit.note(db, user, "model.promote", model.id, name=name, alias=alias, number=number)
    _changed(db)
    return version


def rollback(db: Session, user: User, name: str, alias: str = "champion") -> ModelVersion:
    """Let an alias mean what it meant before, passing over versions that were deleted."""
    model = find_model(db, user, name, to_change=True)
    rows = list(
        db.scalars(
            select(ModelAlias)
            .where(ModelAlias.model_id == model.id, ModelAlias.alias == alias)
            .order_by(ModelAlias.order.desc())
        )
    )
    kept = {version.number: version for version in _versions(db, model) if version.deleted_at is None}
    if not rows:
        raise NotFound("there is no such alias")
    if not any(row.number in kept and row.number != rows[0].number for row in rows[1:]):
        raise Conflict(f"{alias} has meant no other version")
    current = rows[0].number
    for row in rows:
        if row.number != current and row.number in kept:
            break
        db.delete(row)
    db.flush()
    audit.note(db, user, "model.rollback", model.id, name=name, alias=alias, number=row.number)
    _changed(db)
    return kept[row.number]


def delete(db: Session, user: User, name: str, number: int) -> ModelVersion:
    """Take a version away; its files are kept for the grace period. What an alias means cannot be deleted."""
    model = find_model(db, user, name, to_change=True)
    version = find(db, user, name, number)
    meant = [alias for alias, counts in _aliases(db, model).items() if counts == number]
    if meant:
        raise Conflict(f"{meant[0]} means this version; promote another one first")
    version.deleted_at = now()
    audit.note(db, user, "model.delete", model.id, name=name, number=number)
    db.flush()
    _changed(db)
    return version


def restore(db: Session, user: User, name: str, number: int) -> ModelVersion:
    """Bring back a version within its grace period."""
    model = find_model(db, user, name, to_change=True)
    for version in _versions(db, model):
        if version.number == number and version.deleted_at is not None:
            if not version.files:
                raise Conflict("its files have been removed")
            version.deleted_at = None
            audit.note(db, user, "model.restore", model.id, name=name, number=number)
            db.flush()
            _changed(db)
            return version
    raise NotFound("there is no such deleted version")


def purge(db: Session, settings: Settings) -> None:
    """Remove the files of versions whose grace period is over."""
    over = now() - datetime.timedelta(days=settings.grace_days)
    for version in db.scalars(select(ModelVersion).where(ModelVersion.deleted_at < over)):
        shutil.rmtree(_folder(settings, version.model, version), ignore_errors=True)
        version.files = {}


def edit(db: Session, user: User, name: str, *, notes: str | None = None, shared: bool | None = None) -> Model:
    """Change what is given."""
    model = find_model(db, user, name, to_change=True)
    if notes is not None:
        if len(notes) > 5000:
            raise Invalid("notes have at most 5000 characters", "notes")
        model.notes = notes
    if shared is not None:
        model.shared = shared
    audit.note(db, user, "model.edit", model.id, name=name)
    db.flush()
    return model


def open_file(db: Session, user: User, name: str, reference: str, file: str, settings: Settings) -> Path:
    """A file of a version, as its list of files names it."""
    version = find(db, user, name, reference)
    if file not in version.files:
        raise NotFound(f"files are {', '.join(version.files)}")
    return _folder(settings, version.model, version) / file
