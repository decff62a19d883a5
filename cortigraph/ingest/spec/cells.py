"""Cells: how a job says where a value comes from, and the value of every row of a block at once.

name                                the column `name`
"{model}@{size}"                    a text made of columns; null where one of them is
{value: cifar10}                    the same for every row; `5` is a number, and `"5"` a text
{file: true}                        the name of the file that the row is from, up to its first dot
{column: model, before: "."}        a part of a text; also `after`
{column: top1, scale: 0.01}         a number, multiplied
{column: kind, map: {a: Alpha}}     another text for some texts
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from cortigraph.graph._values import checked_rows
from cortigraph.graph.errors import InputError
from cortigraph.ingest.spec.constants import constant
from cortigraph.tables.written import written

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.tables.base import Block

__all__ = ["FILE", "Cell", "CellField", "KeyCell", "NameField", "OwnKeyField", "one_name"]

FILE = ":file"  # in a template, the name of the row's file
_HOLE = re.compile(r"\{([^{}]+)\}")


class Cell(BaseModel):
    """Where a value comes from.

    Args:
        column: Of the source.
        template: Text with columns in braces.
        value: The same for every row.
        file: The name of the row's file, up to its first dot.
        before: Only what stands before the first such text.
        after: Only what stands after the first such text.
        scale: What a number is multiplied by.
        map: Text → what it becomes; others stay.

    Example:
        >>> Cell.parse("{a}/{b}").columns()
        ['a', 'b']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    template: str | None = None
    value: Annotated[JsonValue, BeforeValidator(constant)] = None
    file: bool = False
    before: str | None = None
    after: str | None = None
    scale: Annotated[float, Field(allow_inf_nan=False)] | None = None
    map: dict[str, str] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = self._origins()
        if sum(origins.values()) != 1:
            *names, last = origins
            raise ValueError(f"give one of {', '.join(names)} or {last}")
        checked_rows("value", [{"value": self.value}], ())
        return self

    def _origins(self) -> dict[str, bool]:
        given = {name: getattr(self, name) is not None for name in ("column", "template", "value")}
        return {**given, "file: true": self.file}

    @classmethod
    def parse(cls, told: Any) -> Any:
        """A column's name or a template as a cell; anything else is left to be checked."""
        if isinstance(told, str):
            return cls(template=told) if _HOLE.search(told) else cls(column=told)
        return told

    def columns(self) -> list[str]:
        """The columns that it reads."""
        if self.template is not None:
            return [name for name in _HOLE.findall(self.template) if name != FILE]
        return [] if self.column is None else [self.column]

    @property
    def shaped(self) -> bool:
        """Whether what it reads is made into something else."""
        return any(each is not None for each in (self.template, self.before, self.after, self.scale, self.map))

    def mapped(self, text: str, becomes: str) -> str:
        """It as a job writes it, with one more text that becomes another.

        Example:
            >>> print(Cell.parse("kind").mapped("Batch", "DataBatch"))
            {column: kind, map: {Batch: DataBatch}}
        """
        if self.value is None:
            # What becomes the text by the map that is there must become the other one at once.
            known = {told: becomes if given == text else given for told, given in (self.map or {}).items()}
            given = self.model_copy(update={"map": {**known, text: becomes}}).model_dump(exclude_defaults=True)
        else:
            given = {"value": becomes}
        return yaml.safe_dump(given, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000).strip()

    def __str__(self) -> str:
        return self.column or self.template or ("the file's name" if self.file else repr(self.value))

    def of(self, block: Block) -> pa.Array:
        """Its value for every row of a block.

        Args:
            block: Has the columns that it reads.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = block.table.num_rows
        if self.file:
            return self._shaped(_file_name(block))
        if self.value is not None:
            return _constant(self.value, rows)
        if self.template is not None:
            return self._shaped(_filled(self.template, block))
        found = self._shaped(block.table.column(self.column))
        if self.scale is not None:
            if not (pa.types.is_integer(found.type) or pa.types.is_floating(found.type)):
                raise InputError(f"scale needs numbers: give column {self.column!r} the type float in its source")
            found = pc.multiply(pc.cast(found, pa.float64()), self.scale)
        return found

    def _shaped(self, found: pa.Array) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.before is None and self.after is None and self.map is None:
            return found
        if pa.types.is_list(found.type):
            ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(found), 0)).cast(pa.int32())
            offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
            each = self._shaped(pc.list_flatten(found))
            return pa.ListArray.from_arrays(offsets, each, mask=found.is_null())
        found = written(found)
        if self.before is not None:
            found = pc.list_element(pc.split_pattern(found, self.before, max_splits=1), 0)
        if self.after is not None:
            parts = pc.split_pattern(found, self.after, max_splits=1)
            split = pc.greater(pc.list_value_length(parts), 1)
            found = pc.if_else(split, pc.replace_substring_regex(found, _upto(self.after), ""), found)
        if self.map is not None:
            at = pc.index_in(found, pa.array(list(self.map), pa.string()))
            found = pc.if_else(pc.is_valid(at), pa.array(list(self.map.values()), pa.string()).take(at), found)
        return found


_Told = TypeVar("_Told")


def one_name(told: _Told) -> _Told:
    """What names a thing names one: a constant may not be a list there, as a column's cell may.

    Raises:
        ValueError: It is a list.
    """
    if isinstance(told, Cell) and isinstance(told.value, list | tuple):
        raise ValueError("a constant here names one thing, not a list; write the mapping once for each")
    return told


CellField = Annotated[Cell, BeforeValidator(Cell.parse)]
NameField = Annotated[CellField, AfterValidator(one_name)]


class KeyCell(Cell):
    """What tells several relationships of one type between the same nodes apart.

    Args:
        row: Every row is one of its own; see `staging.rows`.

    Example:
        >>> KeyCell(row=True).columns()
        []
    """

    row: bool = False

    def _origins(self) -> dict[str, bool]:
        return {**super()._origins(), "row: true": self.row}


OwnKeyField = Annotated[KeyCell, BeforeValidator(KeyCell.parse), AfterValidator(one_name)]


def _file_name(block: Block) -> pa.Array:
    return _constant(PurePath(block.file).name.split(".")[0], block.table.num_rows)


def _constant(value: Any, rows: int) -> pa.Array:
    import pyarrow as pa

    one = pa.scalar(value)
    return pa.array([value] * rows, one.type) if pa.types.is_list(one.type) else pa.repeat(one, rows)


def _filled(template: str, block: Block) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    parts: list[Any] = []
    at = 0
    for hole in _HOLE.finditer(template):
        filled = _file_name(block) if hole[1] == FILE else written(block.table.column(hole[1]))
        parts += [pa.scalar(template[at : hole.start()], pa.string()), filled]
        at = hole.end()
    parts.append(pa.scalar(template[at:], pa.string()))
    return pc.binary_join_element_wise(*parts, pa.scalar("", pa.string()))


def _upto(text: str) -> str:
    """An expression for everything up to and with a text, in the syntax of RE2."""
    return "(?s)^.*?" + re.escape(text)
