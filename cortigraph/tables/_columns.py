"""Columns of a part, made one by one: missing cells, types, lengths, and the faults that come up on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.tables.base import Fault
from cortigraph.tables.cells import Reasons, as_text, blanked, from_text, zoned
from cortigraph.tables.types import TEXT, Type, parse_type

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.tables.table_spec import TableSpec

__all__ = ["Columns", "faults", "plain", "too_long"]


class Columns:
    """Makes the columns of a source, in one reading of it.

    Args:
        spec: Types, the words for a missing value, the longest cell.
        kinds: Column → type, where it is known.
    """

    def __init__(self, spec: TableSpec, kinds: Mapping[str, Type] | None = None) -> None:
        self.spec = spec
        self.told = {name: parse_type(text) for name, text in spec.types.items()}
        self.kinds: dict[str, Type] = {**(kinds or {}), **self.told}
        self._zoned: dict[str, bool] = {}

    def from_bytes(self, name: str, cells: pa.Array, records: NDArray[np.int64]) -> tuple[pa.Array, list[Fault]]:
        """A column of a text file.

        Args:
            name: Its name.
            cells: Its bytes.
            records: The number of each row.
        """
        long = too_long(cells, self.spec.longest)
        texts, odd = as_text(blanked(self.without_missing(cells), long))
        column, wrong = self.from_texts(name, texts)
        reasons = {**long, **odd, **wrong}
        return column, faults(name, reasons, cells, records)

    def from_texts(self, name: str, texts: pa.Array) -> tuple[pa.Array, Reasons]:
        """A column of text as what it is to be."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = self.kinds.get(name, TEXT)
        if kind.name == "datetime":
            if name not in self._zoned and (found := zoned(texts)) is not None:
                self._zoned[name] = found
            if name not in self._zoned:
                return pa.nulls(len(texts)), {}
            kind = Type("instant") if self._zoned[name] else kind
        if self.spec.thousands and kind.name in ("int", "float"):
            texts = pc.replace_substring(texts, self.spec.thousands, "")
        return from_text(texts, kind, self.spec.separator)

    def without_missing(self, cells: pa.Array) -> pa.Array:
        """Cells, null where they hold a word that means that there is no value."""
        import pyarrow as pa
        import pyarrow.compute as pc

        words = self.spec.missing
        if not words:
            return cells
        if words == [""]:
            absent = pc.equal(pc.binary_length(cells), 0)
        else:
            absent = pc.is_in(cells, pa.array([word.encode() for word in words]).cast(cells.type))
        return pc.if_else(absent, pa.scalar(None, cells.type), cells) if pc.any(absent).as_py() else cells


def faults(name: str, reasons: Reasons, cells: Sequence[Any] | pa.Array, records: NDArray[np.int64]) -> list[Fault]:
    """The faults of a column: what is there and where."""
    found = []
    for row in sorted(reasons):
        found.append(Fault(int(records[row]), name, plain(cells[row]), reasons[row]))
    return found


def plain(value: Any) -> Any:
    """A value as Python has it; text that is not UTF-8 with its odd bytes escaped."""
    if not hasattr(value, "as_py"):
        return value
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return value.as_buffer().to_pybytes().decode("utf-8", "backslashreplace")


def too_long(cells: pa.Array, longest: int) -> Reasons:
    """Why the cells that are longer than allowed are refused."""
    import numpy as np
    import pyarrow.compute as pc

    lengths = pc.binary_length(cells)
    if (pc.max(lengths).as_py() or 0) <= longest:
        return {}
    sizes = lengths.fill_null(0).to_numpy(zero_copy_only=False)
    return {
        int(row): f"has {int(sizes[row]):,} bytes, and `longest` allows {longest:,}"
        for row in np.flatnonzero(sizes > longest)
    }
