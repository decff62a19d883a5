"""Lists and vectors that are written in one cell: items with a separator between them, or a list as JSON has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cortigraph.tables._value import WrongError, checked
from cortigraph.tables.cells import Notation, Reasons, blanked, rows_of
from cortigraph.tables.numbers import numbers
from cortigraph.tables.types import Type, arrow_type

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["lists", "vectors"]

_NO_JSON = 'is in brackets and no list as JSON has it; write ["a", "b"], or the items with {!r} between them'
# Brackets around all of it, or what begins as a list of texts: an item that only begins with one is an item.
_BRACKETED = r"""^\s*(\[(?s:.)*\]|\{(?s:.)*\}|\[\s*["'](?s:.)*)\s*$"""


def lists(texts: pa.Array, kind: Type, notation: Notation) -> tuple[pa.Array, Reasons]:
    """Text as lists.

    Args:
        texts: Text; null stays null.
        kind: The list.
        notation: What stands between items, and how numbers are written.

    Returns:
        The column, null where a cell is refused, and why.

    Example:
        >>> import pyarrow as pa
        >>> lists(pa.array(["a|b", '["c"]', "[]"]), Type("list", item="text"), Notation())[0].to_pylist()
        [['a', 'b'], ['c'], []]
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    some = pc.any(pc.or_(pc.match_substring(texts, "["), pc.match_substring(texts, "{"))).as_py()
    bracketed = rows_of(pc.match_substring_regex(texts, _BRACKETED)) if some else []
    column, reasons = _separated(blanked(texts, bracketed), kind, notation)
    if not bracketed:
        return column, reasons
    made: list[Any] = []
    for row in bracketed:
        made.append(None)
        try:
            made[-1] = checked(_loaded(texts[row].as_py(), notation), kind, told=True)
        except WrongError as error:
            reasons[row] = str(error)
    places = np.arange(len(texts))
    places[bracketed] = len(texts) + np.arange(len(bracketed))
    return pa.concat_arrays([column, pa.array(made, arrow_type(kind))]).take(pa.array(places)), reasons


def vectors(texts: pa.Array, size: int, notation: Notation) -> tuple[pa.Array, Reasons]:
    """Text as vectors, all of one size; as `lists`.

    Example:
        >>> import pyarrow as pa
        >>> vectors(pa.array(["1|2", "[3, 4]"]), 2, Notation())[0].to_pylist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed, nothing = pc.ascii_trim_whitespace(texts), pa.scalar(None, pa.string())
    bracketed = pc.and_(pc.starts_with(trimmed, "["), pc.ends_with(trimmed, "]")).fill_null(False)
    if not pc.any(bracketed).as_py():
        return _equal(trimmed, size, notation)
    column, reasons = _equal(pc.if_else(bracketed, nothing, trimmed), size, notation)
    inner = pc.ascii_trim_whitespace(pc.utf8_slice_codeunits(trimmed, 1, -1))
    listed, wrong = _equal(pc.if_else(bracketed, inner, nothing), size, Notation(","))
    return pc.if_else(bracketed, listed, column), {**reasons, **wrong}


def _separated(texts: pa.Array, kind: Type, notation: Notation) -> tuple[pa.Array, Reasons]:
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.split_pattern(texts, notation.separator)
    plain: tuple[pa.Array, Reasons] = (parts.values, {})
    items, wrong = plain if kind.item == "text" else numbers(parts.values, Type(kind.item), notation)
    found = pa.ListArray.from_arrays(parts.offsets, items, mask=parts.is_null() if parts.null_count else None)
    reasons = _of_items(parts, wrong, "in every item")
    return blanked(found, reasons), reasons


def _loaded(text: str, notation: Notation) -> list[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise WrongError(_NO_JSON.format(notation.separator))
    return value


def _equal(texts: pa.Array, size: int, notation: Notation) -> tuple[pa.Array, Reasons]:
    import numpy as np
    import pyarrow.compute as pc

    parts = pc.split_pattern(texts, notation.separator)
    lengths = pc.if_else(pc.equal(texts, ""), 0, pc.list_value_length(parts)).fill_null(size).to_numpy(False)
    reasons: Reasons = {
        int(row): f"expected a vector of {size} numbers, got {lengths[row]}" for row in np.flatnonzero(lengths != size)
    }
    if reasons:
        texts = blanked(texts, reasons)
        parts = pc.split_pattern(texts, notation.separator)
    items, wrong = numbers(parts.values, Type("float"), notation)
    reasons |= _of_items(parts, wrong, "in every place of the vector")
    present = ~texts.is_null().to_numpy(zero_copy_only=False)
    return blanked(_fixed(items.fill_null(0.0).to_numpy(), present, size), reasons), reasons


def _of_items(parts: pa.Array, wrong: Reasons, where: str) -> Reasons:
    """What is wrong with items, told of the cells that they stand in."""
    import pyarrow.compute as pc

    found: Reasons = {}
    if not wrong:
        return found
    owners = pc.list_parent_indices(parts)
    for item, why in wrong.items():
        reason, semicolon, remedy = why.partition("; ")
        found[owners[item].as_py()] = f"{reason} {where}, got {parts.values[item].as_py()!r}{semicolon}{remedy}"
    return found


def _fixed(values: NDArray[np.float64], present: NDArray[np.bool_], size: int) -> pa.Array:
    """Vectors as one column; rows that are not present are null."""
    import numpy as np
    import pyarrow as pa

    table = np.zeros((len(present), size))
    table[present] = values.reshape(-1, size)
    return pa.FixedSizeListArray.from_arrays(pa.array(table.ravel()), size, mask=pa.array(~present))
