"""How a column is found by the name that somebody writes: one rule for jobs, scenes and predictions.

The very name comes first. Else blanks around it count for nothing, if then just one column has it: a header written
`id, name` has a column `name`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.tables.base import batch_of

if TYPE_CHECKING:
    from cortigraph.tables.base import Part, Source

__all__ = ["called", "lacking", "named", "near"]

_SHOWN = 20
_DELIMITERS = (";", "\t", "|", ",")


def named(wanted: Iterable[str], source: Source) -> dict[str, str]:
    """The columns of a source that are meant: name as it is written → name in the source.

    Args:
        wanted: As somebody writes them.
        source: Opened.

    Raises:
        InputError: Those that are not there, with what may have been meant.
    """
    found: dict[str, str] = {}
    problems: list[str] = []
    for name in dict.fromkeys(wanted):
        if (problem := lacking(name, source)) is not None:
            problems.append(f"{source.name} has {problem}")
        else:
            found[name] = _alike(name, source.columns())[0]
    if problems:
        raise InputError(problems)
    return found


def lacking(name: str, source: Source) -> str | None:
    """Why a source does not have just one column of this name; `None` where it does.

    Args:
        name: As somebody writes it.
        source: Opened.
    """
    known = source.columns()
    alike = _alike(name, known)
    if len(alike) == 1 and known.count(alike[0]) == 1:
        return None
    if len(alike) == 1:
        return f"more than one column {name!r}; rename them"
    if alike:
        return f"several columns that {name!r} may mean: {', '.join(map(repr, alike))}; write the one with its blanks"
    return f"no column {name!r}{_other_delimiter(source) or near(name, known)}"


def called(part: Part, wanted: Mapping[str, str]) -> Part:
    """A part whose columns have the names by which they were asked for."""
    if all(name == own for name, own in wanted.items()):
        return part
    table = {name: part.table.column(own) for name, own in wanted.items()}
    return replace(part, table=batch_of(table, part.table.num_rows))


def near(name: str, known: Sequence[str]) -> str:
    """What may have been meant, for the end of a message.

    Example:
        >>> near("nane", ["name", "age"])
        '; did you mean name?'
    """
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"; did you mean {', '.join(close)}?"
    return f"; there are: {', '.join(known[:_SHOWN])}{' …' if len(known) > _SHOWN else ''}" if known else ""


def _alike(name: str, known: Sequence[str]) -> list[str]:
    if name in known:
        return [name]
    return list(dict.fromkeys(column for column in known if column.strip() == name.strip()))


def _other_delimiter(source: Source) -> str:
    """A file whose whole header is one cell, though something in it looks like a delimiter."""
    known, spec = source.columns(), source.remains()
    if len(known) != 1 or spec.format not in ("csv", "tsv") or spec.header is not None:
        return ""
    marks = [mark for mark in _DELIMITERS if mark in known[0]]
    if not marks:
        return ""
    mark = max(marks, key=known[0].count)
    told = spec.delimiter or ("," if spec.format == "csv" else "\t")
    return (
        f"; its header holds no {told!r} and so is one column, {known[0]!r}; "
        f"if {mark!r} stands between columns, give `delimiter: {_quoted(mark)}`"
    )


def _quoted(mark: str) -> str:
    return '"\\t"' if mark == "\t" else f'"{mark}"'
