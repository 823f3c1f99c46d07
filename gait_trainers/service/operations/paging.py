"""Lists a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from gait_trainers.service.errors import Invalid

MOST = 200  # items of a page
T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items of a list, from `offset` on."""

    items: list[T]
    total: int
    offset: int
    limit: int


def page(db: Session, query: Select[Any], offset: int, limit: int) -> Page[Any]:
    """The items of an ordered query of one table, from `offset` on.

    Their ids are found first: sorting whole rows, which hold configurations, would take a hundred times as long.
    """
    if not 0 <= offset < 1 << 31:
        raise Invalid("offset is 0 or more", "offset")
    if not 1 <= limit <= MOST:
        raise Invalid(f"limit is 1 to {MOST}", "limit")
    total = db.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    table = query.column_descriptions[0]["entity"]
    ids = list(db.scalars(query.with_only_columns(table.id).offset(offset).limit(limit)))
    rows = {row.id: row for row in db.scalars(select(table).where(table.id.in_(ids))).unique()}
    return Page([rows[id] for id in ids], total, offset, limit)


def containing(text: str) -> str:
    """A pattern of LIKE, to be used with escape="\\\\": the text itself, anywhere."""
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, f"\\{sign}")
    return f"%{text[:100]}%"
