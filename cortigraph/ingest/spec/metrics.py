"""Metrics: the number that a cell, or a value of a card, means. Per cent are hundredths; anything else is refused."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from cortigraph.graph.plain_yaml import Plain

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NO_NUMBER", "meant", "metrics"]

NO_NUMBER = "expected a number such as 0.884, or 88.4%"
_CELL = f"{NO_NUMBER}; write one, name it under `missing`, or give the column a type that reads it, such as float"
_TWICE = "is per cent, which are hundredths already, and `scale` would change it again; leave out the one or the other"
_EXACT = 2**53  # up to here a float holds every whole number


def meant(told: object) -> float | None:
    """The number that a metric's value means; None where it means none. Per cent are hundredths.

    Example:
        >>> meant(Plain("92.1")), meant("92.1"), meant("92.1 %"), meant("0,91"), meant("92.1 ± 0.3")
        (92.1, 92.1, 0.921, None, None)
    """
    if not isinstance(told, str):
        return None
    text = told.strip().removesuffix("%").rstrip()
    percent = told.strip().endswith("%")
    value = Plain(text).value
    if isinstance(value, str | bool) or value is None or not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > _EXACT:
        return None
    try:
        found = float(Decimal(text) / 100 if percent else Decimal(text))
    except (InvalidOperation, OverflowError):
        return None
    return found if math.isfinite(found) else None


def metrics(cells: pa.Array, scale: float | None) -> tuple[pa.Array, dict[int, str]]:
    """A column as metrics.

    Args:
        cells: Of any type; null stays null.
        scale: What numbers are multiplied by.

    Returns:
        Numbers, null where a cell is refused, and row → why.

    Example:
        >>> import pyarrow as pa
        >>> found, wrong = metrics(pa.array(["0.5", "88.4%", "n/a"]), None)
        >>> found.to_pylist(), list(wrong)
        ([0.5, 0.884, None], [2])
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wrong: dict[int, str] = {}
    if not (pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type)):
        told = cells.to_pylist()
        found = [meant(each) for each in told]
        for row, each in enumerate(told):
            percent = scale is not None and isinstance(each, str) and each.rstrip().endswith("%")
            if each is not None and (found[row] is None or percent):
                wrong[row] = _CELL if found[row] is None else _TWICE
                found[row] = None
        cells = pa.array(found, pa.float64())
    return cells if scale is None else pc.multiply(pc.cast(cells, pa.float64()), scale), wrong
