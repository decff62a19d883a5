"""`cortigraph cypher`: one query against the store, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cortigraph.cli._options import HomeOption
from cortigraph.cli._pairs import split_pairs

__all__ = ["cypher", "show_counters", "show_rows"]

LONGEST_CELL = 200
LONGEST_LIST = 8


def cypher(
    query: Annotated[str, typer.Argument(help="The Cypher query.")],
    write: Annotated[bool, typer.Option("--write", help="Allow the query to change the store.")] = False,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="k=v; v is JSON, or else text. May be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array of rows.")] = False,
    home: HomeOption = None,
) -> None:
    """Run one Cypher query. It may only read, unless --write is given."""
    from cortigraph.graph.home import Home
    from cortigraph.graph.plain import plain
    from cortigraph.graph.store import open_store

    parameters = parse_parameters(param or [])
    with open_store(Home.resolve(home) if home else None) as store:
        if write:
            written = store.write(query, **parameters)
            rows, counters = written.rows, dict(written.counters)
        else:
            rows, counters = store.read(query, **parameters), {}
    rows = [plain(row) for row in rows]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    show_rows(rows)
    show_counters(counters)


def parse_parameters(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `k=v` pairs; a value that is JSON is taken as such, anything else as text.

    Args:
        pairs: As on the command line.

    Raises:
        InputError: A pair without a name; all of them are listed.

    Example:
        >>> parse_parameters(["top=5", "key=vision/001", 'keys=["a", "b"]'])
        {'top': 5, 'key': 'vision/001', 'keys': ['a', 'b']}
    """
    parameters: dict[str, Any] = {}
    for name, text in split_pairs("--param", pairs).items():
        try:
            parameters[name] = json.loads(text)
        except ValueError:
            parameters[name] = text
    return parameters


def show_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table.

    Args:
        rows: Plain values, all with the same names.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if rows:
        table = Table()
        for name in rows[0]:
            table.add_column(Text(name))
        for row in rows:
            table.add_row(*(Text(cell(value)) for value in row.values()))
        Console().print(table)
    typer.echo(f"{len(rows)} row{'' if len(rows) == 1 else 's'}")


def show_counters(counters: dict[str, int]) -> None:
    """Print what a write changed, if it changed anything.

    Args:
        counters: The server's.
    """
    if counters:
        typer.echo(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counters.items()))


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
        shown = ", ".join(json.dumps(part, ensure_ascii=False) for part in value[:LONGEST_LIST])
        text = f"[{shown}, … {len(value) - LONGEST_LIST} more]"
    else:
        text = json.dumps(_short(value), ensure_ascii=False)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _short(value: Any) -> Any:
    """Long lists inside a node give way to their length."""
    if isinstance(value, dict):
        return {name: _short(part) for name, part in value.items()}
    if isinstance(value, list) and len(value) > LONGEST_LIST and not isinstance(value[0], dict | list):
        return f"… {len(value)} values"
    return [_short(part) for part in value] if isinstance(value, list) else value
