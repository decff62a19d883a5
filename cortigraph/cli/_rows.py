"""Rows on the way out, one at a time: as a table, one JSON array, JSON lines or CSV. None of them keeps rows."""

from __future__ import annotations

import csv
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import IO, Any

from cortigraph.cli._screen import Console, outlet, shown
from cortigraph.graph.plain import json_text, plain

__all__ = ["Format", "Rows", "cell", "rows_as", "show_rows"]

LONGEST_CELL = 200
LONGEST_LIST = 8
FIRST_ROWS = 100  # these decide how wide the columns of a table are
PATIENCE = 0.3  # seconds after the first row, after which those that are there have to do
NARROWEST = 6


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class Rows(ABC):
    """Takes rows and writes each as soon as it can.

    Args:
        names: Of the columns.
        out: Where to; standard output when left out.
    """

    def __init__(self, names: Sequence[str], out: IO[str] | None = None) -> None:
        self.names = names
        self.count = 0
        self._out = out or outlet()
        self._told = 0.0

    def take(self, row: dict[str, Any]) -> None:
        """Write a row, of whatever the driver gives."""
        self._write(row)
        self.count += 1
        now = time.monotonic()
        if now - self._told > PATIENCE:  # the first row, and each that comes late, is seen at once
            self._told = now
            self._out.flush()

    @abstractmethod
    def _write(self, row: dict[str, Any]) -> None:
        """Write a row."""

    @abstractmethod
    def end(self, plan: dict[str, Any] | None = None) -> None:
        """Nothing comes any more, but for the plan of a query that was asked for it."""


class _Json(Rows):
    def _write(self, row: dict[str, Any]) -> None:
        self._out.write(f"{', ' if self.count else '['}{json_text(row)}")

    def end(self, plan: dict[str, Any] | None = None) -> None:
        self._out.write("]\n" if self.count else "[]\n")


class _Lines(Rows):
    def _write(self, row: dict[str, Any]) -> None:
        self._out.write(f"{json_text(row)}\n")

    def end(self, plan: dict[str, Any] | None = None) -> None:
        if plan is not None:
            self._out.write(f"{json_text({'plan': plan})}\n")


class _PlannedJson(Rows):
    """A query that was asked for its plan gives an object: `{"rows": […], "plan": {…}}`."""

    def __init__(self, names: Sequence[str], out: IO[str] | None = None) -> None:
        super().__init__(names, out)
        self._out.write('{"rows": [')

    def _write(self, row: dict[str, Any]) -> None:
        self._out.write(f"{', ' if self.count else ''}{json_text(row)}")

    def end(self, plan: dict[str, Any] | None = None) -> None:
        self._out.write(f'], "plan": {json_text(plan)}}}\n')


class _Csv(Rows):
    def __init__(self, names: Sequence[str], out: IO[str] | None = None) -> None:
        super().__init__(names, out)
        self._writer = csv.writer(self._out, lineterminator="\n")
        if names:
            self._writer.writerow(names)

    def _write(self, row: dict[str, Any]) -> None:
        self._writer.writerow(
            [
                value if isinstance(value, str) or value is None else json_text(value)
                for value in map(plain, row.values())
            ]
        )

    def end(self, plan: dict[str, Any] | None = None) -> None:
        """Its plan has no place among the columns: whoever asked says it elsewhere."""


class _Table(Rows):
    """Columns as wide as the first rows need; what is longer later is broken into lines."""

    def __init__(self, names: Sequence[str], out: IO[str] | None = None) -> None:
        super().__init__(names, out)
        self._waiting: list[list[str]] | None = []
        self._widths: list[int] = []
        self._began = 0.0

    def _write(self, row: dict[str, Any]) -> None:
        cells = [shown(cell(plain(value))) for value in row.values()]
        if self._waiting is None:
            self._line(cells)
            return
        self._began = self._began or time.monotonic()
        self._waiting.append(cells)
        if len(self._waiting) >= FIRST_ROWS or time.monotonic() - self._began > PATIENCE:
            self._begin()

    def end(self, plan: dict[str, Any] | None = None) -> None:
        if self.count:
            self._begin()
            self._rule("└┴┘")
        self._out.write(f"{self.count} row{'' if self.count == 1 else 's'}\n" if plan is None or self.count else "")

    def _begin(self) -> None:
        if self._waiting is None:
            return
        from rich.cells import cell_len

        rows, self._waiting = self._waiting, None
        names = [shown(name).replace("\n", "\\n") for name in self.names]
        lines = [[max(map(cell_len, part.split("\n"))) for part in row] for row in (names, *rows)]
        self._widths = _fitting([max(column) for column in zip(*lines, strict=True)], self._room())
        self._rule("┏┳┓", "━")
        self._line(names, "┃")
        self._rule("┡╇┩", "━")
        for row in rows:
            self._line(row)

    def _room(self) -> int | None:
        """Columns of the terminal; a file has room for all."""
        return Console().width if self._out.isatty() else None

    def _rule(self, corners: str, dash: str = "─") -> None:
        inner = corners[1].join(dash * (width + 2) for width in self._widths)
        self._out.write(f"{corners[0]}{inner}{corners[2]}\n")

    def _line(self, cells: Sequence[str], bar: str = "│") -> None:
        from rich.cells import chop_cells, set_cell_size

        parts = [
            [piece for line in text.split("\n") for piece in chop_cells(line, width) or [""]]
            for text, width in zip(cells, self._widths, strict=True)
        ]
        for number in range(max(map(len, parts))):
            padded = (
                set_cell_size(part[number] if number < len(part) else "", width)
                for part, width in zip(parts, self._widths, strict=True)
            )
            self._out.write(f"{bar} {f' {bar} '.join(padded)} {bar}\n")


def rows_as(form: Format, names: Sequence[str], *, planned: bool = False, out: IO[str] | None = None) -> Rows:
    """What writes rows in a format.

    Args:
        form: Which.
        names: Of the columns.
        planned: The query was asked for its plan, too.
        out: Where to; standard output when left out.
    """
    makers: dict[Format, Callable[[Sequence[str], IO[str] | None], Rows]] = {
        Format.TABLE: _Table,
        Format.JSON: _PlannedJson if planned else _Json,
        Format.JSONL: _Lines,
        Format.CSV: _Csv,
    }
    return makers[form](names, out)


def show_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table.

    Args:
        rows: All with the same names.
    """
    table = _Table(list(rows[0]) if rows else [])
    for row in rows:
        table.take(row)
    table.end()


def _fitting(widths: list[int], room: int | None) -> list[int]:
    """Widths that fit into so many columns; the widest give way."""
    widths = [max(width, 1) for width in widths]
    while room is not None and sum(widths) + 3 * len(widths) + 1 > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def cell(value: Any) -> str:
    """One value as a table shows it: an embedding does not fill the screen.

    Args:
        value: A plain value.

    Example:
        >>> cell([0.1] * 384), cell(None), cell("x")
        ('[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, … 376 more]', '', 'x')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and len(value) > LONGEST_LIST and not isinstance(value[0], dict | list):
        some = ", ".join(json_text(part) for part in value[:LONGEST_LIST])
        text = f"[{some}, … {len(value) - LONGEST_LIST} more]"
    else:
        text = json_text(_short(value))
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _short(value: Any) -> Any:
    """Long lists inside a node give way to their length."""
    if isinstance(value, dict):
        return {name: _short(part) for name, part in value.items()}
    if isinstance(value, list) and len(value) > LONGEST_LIST and not isinstance(value[0], dict | list):
        return f"… {len(value)} values"
    return [_short(part) for part in value] if isinstance(value, list) else value
