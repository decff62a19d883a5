"""`cortigraph cypher`: one query against the store, its rows as they come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortigraph.cli._options import HomeOption, Limit, Timeout
from cortigraph.cli._pairs import split_pairs
from cortigraph.cli._plan import asks_for_plan, plan_lines
from cortigraph.cli._rows import Format, rows_as
from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    from cortigraph.graph.store import Store

__all__ = ["cypher", "run_query"]


def cypher(
    query: Annotated[str, typer.Argument(help="The Cypher query.")],
    write: Annotated[bool, typer.Option("--write", help="Allow the query to change the store.")] = False,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="k=v; v is JSON, or else text. May be repeated.")
    ] = None,
    form: Annotated[Format | None, typer.Option("--format", help="How rows are written; table when left out.")] = None,
    limit: Limit = None,
    timeout: Timeout = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array of rows, as --format json.")] = False,
    home: HomeOption = None,
) -> None:
    """Run one Cypher query. It may only read, unless --write is given. EXPLAIN and PROFILE show its plan."""
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import open_store

    if as_json and form not in (None, Format.JSON):
        raise InputError(f"give either --json or --format {form}")
    parameters = parse_parameters(param or [])
    chosen = Format.JSON if as_json else form or Format.TABLE
    with open_store(Home.resolve(home) if home else None) as store:
        run_query(store, query, parameters, write=write, form=chosen, limit=limit, timeout=timeout)


def run_query(
    store: Store,
    query: str,
    parameters: Mapping[str, Any] = MappingProxyType({}),
    *,
    write: bool = False,
    form: Format = Format.TABLE,
    limit: int | None = None,
    timeout: float | None = None,
) -> None:
    """Ask the store, and print rows as they come; then the plan, and what was changed.

    Args:
        store: An open store.
        query: Cypher.
        parameters: The values that it names with `$`.
        write: Whether it may change the store.
        form: How rows are written.
        limit: Show so many at most. A query that reads is ended then; one that writes is finished.
        timeout: Seconds after which it is ended.
    """
    with store.stream(query, parameters, write=write, timeout=timeout) as found:
        rows = rows_as(form, found.names, planned=asks_for_plan(query))
        for row in islice(found, limit):
            rows.take(row)
        if write or asks_for_plan(query):  # what is left of it counts, too
            found.finish()
    rows.end(found.plan)
    if form in (Format.TABLE, Format.CSV) and found.plan:
        for line in plan_lines(found.plan):
            typer.echo(line, err=form is Format.CSV)  # a plan has no place among columns
    if form is Format.TABLE:
        _show_counters(found.counters)


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


def _show_counters(counters: Mapping[str, int]) -> None:
    if counters:
        typer.echo(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counters.items()))
