"""Numbers that are written as text: `int` and `float`, with a decimal comma and marks between thousands where told.

A number is read exactly or refused: groups of thousands that are none, digits that a float does not hold.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cortigraph.tables.cells import COARSE, EXACT, NOT_FINITE, TOO_LARGE, Notation, Reasons, blanked, failing, rows_of
from cortigraph.tables.types import Type, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["not_finite", "numbers"]

_EXPECTED = {"int": "expected a whole number", "float": "expected a number"}
_WHOLE = r"^[+-]?[0-9]+(\.0*)?$"
_BLANKS = " \u00a0\u2009\u202f"  # what spreadsheets put between thousands where the user sees a blank


def numbers(texts: pa.Array, kind: Type, notation: Notation) -> tuple[pa.Array, Reasons]:
    """Text as whole numbers or floats.

    Args:
        texts: Text; null stays null.
        kind: `int` or `float`.
        notation: How they are written.

    Returns:
        The column, null where a cell is refused, and why.

    Example:
        >>> import pyarrow as pa
        >>> found, reasons = numbers(pa.array(["1.234,5", "1,50"]), Type("float"), Notation(decimal=",", thousands="."))
        >>> found.to_pylist(), reasons
        ([1234.5, 1.5], {})
    """
    if (notation.decimal, notation.thousands) == (".", ""):
        return _plain(texts, kind, texts)
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts)
    fits = pc.match_substring_regex(trimmed, _pattern(kind, notation))
    odd = rows_of(pc.invert(fits))
    column, reasons = _plain(_translated(blanked(trimmed, odd), notation), kind, texts)
    told = {row: _why(texts[row].as_py(), kind, notation) for row in odd}
    return column, {**told, **reasons}


def not_finite(column: pa.Array) -> Reasons:
    """The rows of a column of floats that are no numbers."""
    import pyarrow.compute as pc

    finite = pc.is_finite(column)
    return {} if pc.all(finite).as_py() in (True, None) else dict.fromkeys(rows_of(pc.invert(finite)), NOT_FINITE)


def _plain(texts: pa.Array, kind: Type, written: pa.Array) -> tuple[pa.Array, Reasons]:
    """Numbers with a decimal point and nothing between thousands; `written` is what messages show."""
    import pyarrow as pa

    target = arrow_type(kind)
    wrong: list[int] = []
    try:
        column = texts.cast(target)
    except pa.ArrowInvalid:
        texts = _tidy(texts)
        wrong = failing(texts, target)
        column = blanked(texts, wrong).cast(target)
    if kind.name == "int":
        wrong += _hexadecimal(texts)
    reasons = {
        row: TOO_LARGE if re.fullmatch("-?[0-9]+", texts[row].as_py()) else _why(written[row].as_py(), kind, Notation())
        for row in wrong
    }
    if kind.name == "float":
        reasons |= {**not_finite(column), **_lossy(texts, column)}
    return blanked(column, reasons), reasons


def _tidy(texts: pa.Array) -> pa.Array:
    """Without what Arrow does not take though its meaning is plain: blanks around it, a plus sign."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), r"^\+([0-9])", r"\1")


def _hexadecimal(texts: pa.Array) -> list[int]:
    """Arrow reads `0x1A` as a number; a user who writes that means something else."""
    import pyarrow.compute as pc

    return rows_of(pc.match_substring(texts, "x", ignore_case=True))


def _lossy(texts: pa.Array, column: pa.Array) -> Reasons:
    """Whole numbers of which a float does not hold the last digits, and numbers too small for one."""
    import pyarrow.compute as pc

    reasons: Reasons = {}
    bounds = pc.min_max(column)
    least, most = bounds["min"].as_py() or 0.0, bounds["max"].as_py() or 0.0
    if max(-least, most) >= EXACT:
        for row in rows_of(pc.and_(pc.greater_equal(pc.abs(column), EXACT), pc.is_finite(column))):
            text = texts[row].as_py().strip()
            if re.match(_WHOLE, text) and int(text.partition(".")[0]) != int(column[row].as_py()):
                reasons[row] = COARSE
    if least <= 0 <= most and (zeros := rows_of(pc.equal(column, 0))):
        small = rows_of(pc.match_substring_regex(texts.take(zeros), "^[^eE]*[1-9]"))
        reasons |= {zeros[place]: "is too small for a float; give the column the type text" for place in small}
    return reasons


def _pattern(kind: Type, notation: Notation) -> str:
    whole = r"[0-9]+"
    if notation.thousands:
        whole = rf"({whole}|[0-9]{{1,3}}({_mark(notation.thousands)}[0-9]{{3}})+)"
    if kind.name == "int":
        return rf"^[+-]?{whole}$"
    point = re.escape(notation.decimal)
    return rf"^[+-]?({whole}({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?$"


def _translated(texts: pa.Array, notation: Notation) -> pa.Array:
    import pyarrow.compute as pc

    if notation.thousands:
        texts = pc.replace_substring_regex(texts, _mark(notation.thousands), "")
    return pc.replace_substring(texts, notation.decimal, ".") if notation.decimal != "." else texts


def _mark(thousands: str) -> str:
    return f"[{_BLANKS}]" if thousands == " " else re.escape(thousands)


def _why(text: str, kind: Type, notation: Notation) -> str:
    expected, stripped = _EXPECTED[kind.name], text.strip()
    if notation.thousands and re.search(rf"[0-9]{_mark(notation.thousands)}", stripped):
        return (
            f"{expected} in groups of three digits with {notation.thousands!r} between them; say with `decimal` and "
            "`thousands` what stands where, or give the column the type text"
        )
    if re.fullmatch(r"[+-]?[0-9.,' \u00a0\u2009\u202f]*[0-9][.,]?", stripped):
        other = "text" if kind.name == "float" else "float or text"
        return f"{expected}; say with `decimal` and `thousands` what its marks are, or give the column the type {other}"
    return expected
