"""Tables: what a cell shows, and where a row and a name go."""

import ast
import io
from pathlib import Path

import pytest
from rich.console import Console

import gait_trainers
from gait_trainers.commands.options import ReferenceOption
from gait_trainers.reports.tables import figure_cells, figure_table, show_falls

COLUMNS = (("speed\nm/s", "speed", "{:.2f}"), ("share", "share", "{:.0%}"))


def text_of(table) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_cells_are_formatted_and_what_is_unknown_is_a_dash():
    assert figure_cells({"speed": 0.456, "share": None, "more": 1}, COLUMNS) == ["0.46", "–"]
    with pytest.raises(KeyError):
        figure_cells({"speed": 0.4}, COLUMNS)


def test_falls_are_counted_by_cause():
    assert show_falls({"forward": 2, "backward": 0, "low": 1}) == "2 forward, 1 low"
    assert show_falls({"forward": 0}) == "–"


def test_the_last_row_is_below_a_line_and_words_stand_left():
    lines = text_of(figure_table("t", ("clip", "n"), [["walk", "1"], ["b", "10"], ["all", "11"]], ("clip",), "few"))
    assert lines == ["t", "clip ┃  n", "━━━━━╇━━━", "walk │  1", "b    │ 10", "─────┼───", "all  │ 11", "few"]


def test_names_with_square_brackets_are_shown_as_they_are():
    lines = text_of(figure_table("[b]x[/i]", ("clip", "n"), [["[bold]1", "1"], ["[/a]", "2"]], ("clip",), "[red]"))
    assert lines[0] == "[b]x[/i]"
    assert lines[3].startswith("[bold]1")
    assert lines[-2].startswith("[/a]")
    assert lines[-1] == "[red]"


def test_tables_of_figures_are_laid_out_in_one_place():
    builders = [
        path.name
        for path in Path(gait_trainers.__file__).parent.rglob("*.py")
        if "rich" in path.read_text()  # the service has tables of a database and of pages
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Table"
    ]
    assert builders == ["tables.py"]


def test_the_help_of_reference_names_every_kind_of_source():
    (option,) = ReferenceOption.__metadata__
    for kind in ("file", "folder", "packed set", "embedded set", "split.json#train"):
        assert kind in option.help
