"""The web application: the interface, the pages, and what stands before both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine

from gait_envs.constants import __version__
from gait_trainers.service import dashboard, pages
from gait_trainers.service.api import accounts, aliases, models, motions, problems, sessions, watching
from gait_trainers.service.db.engine import make_engine
from gait_trainers.service.security.gate import Gate
from gait_trainers.service.settings import Settings

PREFIX = "/api/v1"


def create_app(settings: Settings, engine: Engine | None = None) -> FastAPI:
    """The application; the database has been migrated before. `engine`: one that is shared, as in tests."""
    engine = engine or make_engine(settings.database_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    app = FastAPI(
        title="GaitNet training service",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.settings, app.state.engine = settings, engine
    problems.install(app)
    interface = APIRouter(prefix=PREFIX, responses=problems.RESPONSES)
    for part in (accounts, sessions, motions, models, watching):
        interface.include_router(part.router)
    app.include_router(interface)
    app.include_router(aliases.router, responses=problems.RESPONSES)
    app.include_router(dashboard.router)
    pages.install(app, settings)
    app.add_middleware(Gate, settings=settings)
    return app
