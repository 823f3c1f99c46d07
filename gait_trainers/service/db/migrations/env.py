"""What Alembic runs: the migrations on the connection that it is given."""

from __future__ import annotations

from typing import Any

from alembic import context

from gait_trainers.service.db.tables import Base


def render(kind: str, item: Any, _: Any) -> Any:
    """Our type of times, by its name."""
    return "UTC()" if kind == "type" and type(item).__name__ == "UTC" else False


def run() -> None:
    """All that is missing, in one transaction."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # Alembic runs this file; who only imports it wants nothing
    run()
