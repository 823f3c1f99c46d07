"""Studies go on: trainings that are due are started, those that are worse are stopped, results are told to Optuna.

What Optuna knows is kept in a journal file beside the database, to which every change is appended.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.engine import reading, transaction
from gait_trainers.service.db.tables import ACTIVE, Point, Series, Study, TrainingSession
from gait_trainers.service.errors import ServiceError, TooMany
from gait_trainers.service.operations import quotas, sessions
from gait_trainers.service.operations.studies import PRUNED, StudyRequest, end_study, stop_trial, varied
from gait_trainers.service.settings import Settings

JOURNAL = "optuna.journal"
STARTUP = 3  # trials before any is stopped early


def storage(home: Path) -> Any:
    """Where Optuna keeps what it knows, in the home folder."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(home / JOURNAL)))


@functools.lru_cache(maxsize=1)
def kept(home: Path) -> Any:
    """What Optuna knows, replayed into memory once; every reading adds what has been appended to the journal."""
    return storage(home)


def advance(engine: Engine, settings: Settings) -> None:
    """One round for every study that runs; on PostgreSQL each by one supervisor at a time."""
    with reading(engine) as db:
        running = list(db.scalars(select(Study.id).where(Study.state == "running")))
    for id in running:
        with transaction(engine) as db:
            query = select(Study).where(Study.id == id, Study.state == "running")
            study = db.scalar(query.with_for_update(skip_locked=True, of=Study))
            if study is not None:
                _advance(db, study, settings)


def _advance(db: Session, row: Study, settings: Settings) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not row.owner.active:
        end_study(db, row, "the account of its owner is closed")
        return
    request = StudyRequest.model_validate(row.request)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP) if request.prune else optuna.pruners.NopPruner()
    study = optuna.create_study(
        storage=kept(settings.home), study_name=row.id, direction=request.direction, load_if_exists=True,
        pruner=pruner,
    )  # fmt: skip
    mine = {x.trial: x for x in db.scalars(select(TrainingSession).where(TrainingSession.study_id == row.id))}
    for trial in study.get_trials(deepcopy=False):
        if trial.state == optuna.trial.TrialState.RUNNING:
            _follow(db, study, trial, mine.get(trial.number), request)
    active = sum(session.state in ACTIVE for session in mine.values())
    asked = len(mine)
    while active < request.workers and asked < request.trials:
        if not _begin(db, row, study, request, settings):
            break
        active, asked = active + 1, asked + 1
    if any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.get_trials(deepcopy=False)):
        best = study.best_trial
        row.best = {"trial": best.number, "value": best.value, "params": best.params}
    if asked >= request.trials and active == 0:
        row.state = "completed"


def _follow(db: Session, study: Any, frozen: Any, session: TrainingSession | None, request: StudyRequest) -> None:
    """Tell Optuna how a trial is doing."""
    import optuna

    states = optuna.trial.TrialState
    if session is None:  # a crash between asking and starting
        study.tell(frozen.number, state=states.FAIL)
        return
    trial = optuna.trial.Trial(study, frozen._trial_id)
    last = max(frozen.intermediate_values, default=0)
    rows = db.execute(
        select(Point.iteration, Point.value)
        .join(Series, Series.id == Point.series_id)
        .where(Series.session_id == session.id, Series.name == request.metric, Point.iteration > last)
        .order_by(Point.iteration)
    ).all()
    for iteration, reported in rows:
        trial.report(reported, iteration)
    value = session.latest.get(request.metric)
    if session.state in ("running", "queued"):
        if request.prune and rows and trial.should_prune():
            stop_trial(db, session, PRUNED)
    elif session.state == "completed" and value is not None:
        study.tell(frozen.number, value)
    elif session.state not in (*ACTIVE, "paused"):
        study.tell(frozen.number, state=states.PRUNED if session.state == "stopped" else states.FAIL)


def _begin(db: Session, row: Study, study: Any, request: StudyRequest, settings: Settings) -> bool:
    """Start the next training; False where that is not possible now."""
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    try:
        quotas.check_start(db, row.owner, settings.quota)
    except TooMany:  # nothing is asked for that could not begin: Optuna would take it for a failure
        return False
    study.sampler = TPESampler(seed=_seed(request.seed, len(study.get_trials(deepcopy=False))))
    trial = study.ask(_distributions(request))
    try:
        start = varied(request, trial.params, trial.number)
        sessions.start(db, row.owner, start, settings, study=(row.id, trial.number))
    except ServiceError as error:
        study.tell(trial, state=TrialState.FAIL)
        if not isinstance(error, TooMany):  # this combination is not possible
            row.state, row.message = "stopped", f"trial {trial.number}: {error.message}"[:1000]
        return False
    return True


def _seed(seed: int, number: int) -> int:
    """Of the proposal with this number: another for each, and the same one after a restart."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _distributions(request: StudyRequest) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for key, dimension in request.space.items():
        if dimension.kind == "choice":
            found[key] = CategoricalDistribution(dimension.choices)
            continue
        low, high = dimension.extremes()
        kind = IntDistribution if dimension.kind == "int" else FloatDistribution
        found[key] = kind(low, high, log=dimension.log)
    return found
