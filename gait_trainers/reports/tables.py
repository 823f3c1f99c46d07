"""Tables of figures, with a last row for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

UNKNOWN = "–"


def figure_cells(figures: Mapping[str, Any], columns: Sequence[tuple[str, str, str]]) -> list[str]:
    """A cell for each of the columns, (heading, key, format); a dash where the figure could not be measured."""
    return [UNKNOWN if figures[key] is None else form.format(figures[key]) for _, key, form in columns]


def show_falls(falls: Mapping[str, int]) -> str:
    """ "2 forward, 1 low"; a dash where there were none."""
    return ", ".join(f"{count} {cause}" for cause, count in falls.items() if count) or UNKNOWN


def figure_table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = (), caption: str = ""
) -> Table:
    """Rows of text beneath headings, the last row, of all others together, below a line.

    Numbers stand to the right; columns whose headings are in `left` hold words. Names are shown as they are: square
    brackets in them are no markup.
    """
    table = Table(title=Text(title, "table.title"), title_justify="left", header_style="bold")
    table.show_edge = table.pad_edge = False
    if caption:
        table.caption, table.caption_justify = Text(caption, "table.caption"), "left"
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right")
    for row in rows[:-1]:
        table.add_row(*map(Text, row))
    table.add_section()
    table.add_row(*map(Text, rows[-1]))
    return table
