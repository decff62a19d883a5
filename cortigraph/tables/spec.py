"""What a job says of its sources, and the sources that this makes: files by path, tables by name.

sources:
  people: {path: people.csv.gz, types: {age: int, born: date}, missing: ["", "n/a"]}
  facts:  {path: "FB15k-237/*.txt", format: triples}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cortigraph.graph.errors import InputError
from cortigraph.tables._paths import Found, files_of, near
from cortigraph.tables.types import parse_type
from cortigraph.tables.unpivot import Unpivot, Unpivoted

if TYPE_CHECKING:
    from cortigraph.tables._files import Place
    from cortigraph.tables.base import Source

__all__ = ["FORMATS", "Format", "SourceSpec", "open_sources"]

Format = Literal["csv", "tsv", "jsonl", "json", "parquet", "triples"]
FORMATS: tuple[Format, ...] = ("csv", "tsv", "jsonl", "json", "parquet", "triples")
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
_TAKEN = ("reasons", "sources")  # files of these names lie beside the rejects


class SourceSpec(BaseModel):
    """A source that lies in files.

    Args:
        path: One or several, relative to the job's file; with `*`, `**`, `~`, `${NAME}` and `${NAME:-default}`.
        format: What they hold; by the suffix where it is not given.
        header: The names of the columns where the file has none; of JSON, keys that the first
            records may lack.
        delimiter: Between cells: a comma, or a tab in TSV.
        quote: Around cells that hold delimiters or newlines: `"` in CSV, none in TSV; empty for none.
        missing: Cells that mean that there is no value. Unless it is given, JSON, Parquet and tables keep empty text,
            since they have a null; the word NaN in it makes NaN a missing value there.
        types: Column → `text`, `int`, `float`, `bool`, `date`, `datetime`, `list[text]`, `list[int]`, `list[float]` or
            `vector[N]`. A time that names its zone becomes a moment of UTC; a column has zones throughout or nowhere.
        separator: Between the items of a list in a cell.
        longest: A cell of more bytes is refused.
        thousands: What stands between thousands in numbers, such as the comma of 1,013.01.
        unpivot: Reads a matrix as a long table, one row a cell.

    Example:
        >>> SourceSpec(path="people.csv", types={"age": "int"}).separator
        '|'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | list[str]
    format: Format | None = None
    header: list[str] | None = None
    delimiter: str | None = None
    quote: str | None = None
    missing: list[str] = [""]
    types: dict[str, str] = {}
    separator: Annotated[str, Field(min_length=1)] = "|"
    longest: Annotated[int, Field(ge=1, le=1 << 30)] = 16 << 20
    thousands: str | None = None
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
    for name, spec in specs.items():
        try:
            opened[name] = _opened(name, spec, base)
        except InputError as error:
            problems += [f"source {name}: {problem}" for problem in error.problems]
    for name, table in (tables or {}).items():
        try:
            _add_tables(opened, name, table)
        except InputError as error:
            problems += [f"table {name}: {problem}" for problem in error.problems]
    if problems:
        raise InputError(problems)
    return opened


def _opened(name: str, spec: SourceSpec, base: Path) -> Source:
    _check_name(name)
    problems = _problems(spec)
    found = files_of(spec.path, base)
    problems += found.problems
    known = spec.format or _format_by_name(found, problems)
    if problems or known is None:
        raise InputError(problems)
    spec = spec.model_copy(update={"format": known})
    source = _made(name, spec, found.places)
    if found.places or spec.header:
        _check_types(spec, source.columns())
    if spec.unpivot is not None and (found.places or spec.header):
        return Unpivoted(source, spec.unpivot)
    return source


def _made(name: str, spec: SourceSpec, places: list[Place]) -> Source:
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


def _add_tables(opened: dict[str, Source], name: str, table: object) -> None:
    from cortigraph.tables.frames import sources_of

    _check_name(name)
    for source in sources_of(name, table):
        if source.name in opened:
            raise InputError(f"there are two sources of the name {source.name}; give one another name")
        opened[source.name] = source


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name):
        raise InputError(f"a source's name has letters, digits, dots, dashes and underscores, got {name!r}")
    if name in _TAKEN:
        raise InputError(f"the name {name!r} is taken, by a file that lies beside the rejects; choose another")


def _problems(spec: SourceSpec) -> list[str]:
    """What is wrong with it by itself."""
    problems = []
    for what, mark in (("delimiter", spec.delimiter), ("quote", spec.quote)):
        if mark and (len(mark) != 1 or not mark.isascii() or mark in "\r\n"):
            problems.append(f"{what} must be one ASCII character, got {mark!r}")
    if spec.delimiter == "":
        problems.append("delimiter must be one ASCII character, got ''")
    for column, told in spec.types.items():
        try:
            parse_type(told)
        except InputError as error:
            problems += [f"types: {column}: {problem}" for problem in error.problems]
    names = spec.header or []
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        problems.append(f"header: several columns have the name {', '.join(map(repr, double))}")
    if spec.format in ("parquet", "triples") and (spec.header is not None or spec.delimiter or spec.quote):
        problems.append(f"header, delimiter and quote are not for {spec.format}")
    return problems


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


def _check_types(spec: SourceSpec, columns: list[str]) -> None:
    problems = [
        f"types: there is no column {name!r}{near(name, columns)}" for name in spec.types if name not in columns
    ]
    if problems:
        raise InputError(problems)
