"""How a table is to be read, wherever it is named: in a job, in a scene, for a prediction.

{delimiter: ";", types: {age: int, born: date}, missing: ["", "n/a"]}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cortigraph.graph.errors import InputError
from cortigraph.tables.types import parse_type

__all__ = ["FORMATS", "Format", "TableSpec"]

Format = Literal["csv", "tsv", "jsonl", "json", "parquet", "triples"]
FORMATS: tuple[Format, ...] = ("csv", "tsv", "jsonl", "json", "parquet", "triples")


class TableSpec(BaseModel):
    """How a table is to be read. Everything has a default; another model may inherit from it or hold one.

    Args:
        format: What the file holds; by the suffix where it is not given.
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

    Example:
        >>> TableSpec(types={"age": "int"}).separator
        '|'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Format | None = None
    header: list[str] | None = None
    delimiter: str | None = None
    quote: str | None = None
    missing: list[str] = [""]
    types: dict[str, str] = {}
    separator: Annotated[str, Field(min_length=1)] = "|"
    longest: Annotated[int, Field(ge=1, le=1 << 30)] = 16 << 20
    thousands: str | None = None

    def problems(self) -> Iterator[str]:
        """What is wrong with it by itself."""
        for what, mark in (("delimiter", self.delimiter), ("quote", self.quote)):
            if mark and (len(mark) != 1 or not mark.isascii() or mark in "\r\n"):
                yield f"{what} must be one ASCII character, got {mark!r}"
        if self.delimiter == "":
            yield "delimiter must be one ASCII character, got ''"
        for column, told in self.types.items():
            try:
                parse_type(told)
            except InputError as error:
                yield from (f"types: {column}: {problem}" for problem in error.problems)
        names = self.header or []
        if double := sorted({name for name in names if names.count(name) > 1}):
            yield f"header: several columns have the name {', '.join(map(repr, double))}"
        if self.format in ("parquet", "triples") and (self.header is not None or self.delimiter or self.quote):
            yield f"header, delimiter and quote are not for {self.format}"
