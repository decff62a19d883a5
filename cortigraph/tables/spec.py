"""What a job says of its sources, and the sources that this makes: files by path, tables by name.

sources:
  people: {path: people.csv.gz, types: {age: int, born: date}, missing: ["", "n/a"]}
  facts:  {path: "FB15k-237/*.txt", format: triples}
"""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.tables._files import Place
from cortigraph.tables._paths import Found, files_of
from cortigraph.tables.names import lacking, named
from cortigraph.tables.table_spec import FORMATS, Format, TableSpec
from cortigraph.tables.unpivot import Unpivot, Unpivoted

if TYPE_CHECKING:
    from cortigraph.tables._files import FileSource
    from cortigraph.tables.base import Source
    from cortigraph.tables.frames import TableSource

__all__ = ["SourceSpec", "open_sources", "open_table"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_FILES = ("format", "header", "delimiter", "quote")  # what is said of files alone
_TAKEN = ("reasons", "sources")  # files of these names lie beside the rejects


class SourceSpec(TableSpec):
    """A source of a job: files, or a table that is given from Python.

    Args:
        path: One or several, relative to the job's file; with `*`, `**`, `~`, `${NAME}` and `${NAME:-default}`. Left
            out for a table from Python of the same name (a graph `g` gives `g.nodes` and `g.edges`).
        unpivot: Reads a matrix as a long table, one row a cell.

    Example:
        >>> SourceSpec(path="people.csv", types={"age": "int"}).separator
        '|'
    """

    path: str | list[str] | None = None
    unpivot: Unpivot | None = None


def open_sources(
    specs: Mapping[str, SourceSpec], base: Path, tables: Mapping[str, object] | None = None
) -> dict[str, Source]:
    """The sources of a job, looked into as far as their columns.

    Args:
        specs: By name.
        base: The folder that relative paths start from.
        tables: Sources from Python by name: a pandas DataFrame (a named index counts as columns), an Arrow table or
            reader, or a NetworkX graph, which gives `name.nodes` and `name.edges`.

    Raises:
        InputError: Everything that is wrong: files that are not there, formats, headers, types of columns that do not
            exist.

    Example:
        >>> open_sources({"people": SourceSpec(path="people.csv")}, Path("/nowhere"))
        Traceback (most recent call last):
        ...
        cortigraph.graph.errors.InputError: source people: no file people.csv in /nowhere
    """
    opened: dict[str, Source] = {}
    problems: list[str] = []
    given, used = _given(tables or {}, problems), set()
    for name, spec in specs.items():
        try:
            if spec.path is None:
                used.add(name)
                opened[name] = _typed(name, spec, given)
            else:
                opened[name] = _opened(name, spec, base)
        except InputError as error:
            problems += [f"source {name}: {problem}" for problem in error.problems]
    for name, table in given.items():
        if name in specs and name not in used:
            problems.append(f"table {name}: there are two sources of the name {name}; give one another name")
        opened.setdefault(name, table)
    if problems:
        raise InputError(problems)
    return opened


def open_table(path: Path, spec: TableSpec | None = None, *, name: str = "table", label: str | None = None) -> Source:
    """One file as a source, looked into as far as its columns.

    Args:
        path: Where it lies.
        spec: How it is to be read.
        name: Of the source.
        label: How messages call the file; its name, where it is not given.

    Raises:
        InputError: Everything that is wrong: it is not there, its format is not known, its header can't be read, types
            of columns that do not exist.

    Example:
        >>> open_table(Path("/nowhere/people.csv"))
        Traceback (most recent call last):
        ...
        cortigraph.graph.errors.InputError: no file people.csv in /nowhere
    """
    found = files_of(glob.escape(path.name), path.parent)
    places = [Place(place.path, label or path.name) for place in found.places]
    given = set() if spec is None else spec.model_fields_set & set(TableSpec.model_fields)
    told = {field: getattr(spec, field) for field in given}
    return _read(name, SourceSpec(path=[], **told), Found(places, found.problems))


def _given(tables: Mapping[str, object], problems: list[str]) -> dict[str, TableSource]:
    from cortigraph.tables.frames import sources_of

    given: dict[str, TableSource] = {}
    for name, table in tables.items():
        try:
            _check_name(name)
            for source in sources_of(name, table):
                if source.name in given:
                    raise InputError(f"there are two sources of the name {source.name}; give one another name")
                given[source.name] = source
        except InputError as error:
            problems += [f"table {name}: {problem}" for problem in error.problems]
    return given


def _typed(name: str, spec: SourceSpec, given: Mapping[str, TableSource]) -> Source:
    """A table from Python, read as the job says."""
    if name not in given:
        raise InputError(f"it has no `path`, and no table of the name {name!r} is given from Python; give either")
    problems = list(spec.problems())
    problems += [f"{word} is not for a table from Python" for word in _FILES if getattr(spec, word) is not None]
    if problems:
        raise InputError(problems)
    table = given[name]
    return _unpivoted(table.told(spec.model_copy(update={"types": _types(spec, table)})))


def _opened(name: str, spec: SourceSpec, base: Path) -> Source:
    _check_name(name)
    assert spec.path is not None
    return _read(name, spec, files_of(spec.path, base))


def _read(name: str, spec: SourceSpec, found: Found) -> Source:
    problems = [*spec.problems(), *found.problems]
    known = spec.format or _format_by_name(found, problems)
    if problems or known is None:
        raise InputError(problems)
    spec = spec.model_copy(update={"format": known})
    source = _made(name, spec, found.places)
    if not found.places and not spec.header:
        return source
    if (types := _types(spec, source)) != spec.types:
        source = _made(name, spec.model_copy(update={"types": types}), found.places)
    return _unpivoted(source)


def _types(spec: TableSpec, source: Source) -> dict[str, str]:
    """The types by the names that the source itself gives its columns."""
    problems = [f"types: there is {problem}" for name in spec.types if (problem := lacking(name, source)) is not None]
    if problems:
        raise InputError(problems)
    own = named(spec.types, source)
    return {own[name]: told for name, told in spec.types.items()}


def _unpivoted(source: FileSource | TableSource) -> Source:
    return source if source.spec.unpivot is None else Unpivoted(source, source.spec.unpivot)


def _made(name: str, spec: SourceSpec, places: list[Place]) -> FileSource:
    from cortigraph.tables.delimited import DelimitedSource
    from cortigraph.tables.json_lines import JsonLinesSource
    from cortigraph.tables.json_whole import JsonSource
    from cortigraph.tables.parquet import ParquetSource

    if spec.format == "jsonl":
        return JsonLinesSource(name, spec, places)
    if spec.format == "json":
        return JsonSource(name, spec, places)
    if spec.format == "parquet":
        return ParquetSource(name, spec, places)
    return DelimitedSource(name, spec, places)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name):
        raise InputError(f"a source's name has letters, digits, dots, dashes and underscores, got {name!r}")
    if name in _TAKEN:
        raise InputError(f"the name {name!r} is taken, by a file that lies beside the rejects; choose another")


def _format_by_name(found: Found, problems: list[str]) -> Format | None:
    formats = {}
    for place in found.places:
        suffixes = [suffix.lower() for suffix in place.path.suffixes if suffix.lower() != ".gz"]
        formats[place.label] = _SUFFIXES.get(suffixes[-1] if suffixes else "")
    unknown = [label for label, known in formats.items() if known is None]
    if unknown:
        problems.append(f"{unknown[0]} does not tell its format; give `format`: {', '.join(FORMATS)}")
    elif len(set(formats.values())) > 1:
        told = ", ".join(sorted({str(known) for known in formats.values()}))
        problems.append(f"the files are of several formats ({told}); make each a source of its own")
    elif not formats:
        if not problems:
            problems.append(f"without files `format` must be given: {', '.join(FORMATS)}")
    else:
        return next(iter(formats.values()))
    return None
