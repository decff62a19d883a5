"""Constants: values that a job gives itself, such as `{value: 5}`.

What the store can't hold, or what may be meant in two ways, is refused when the job is read.
"""

from __future__ import annotations

import math
from typing import Any

from cortigraph.graph.plain_yaml import Plain

__all__ = ["constant"]

_LARGEST = 2**63
_EXACT = 2**53  # up to here a float holds every whole number
_LONGEST = 100_000
_KINDS: dict[type, str] = {str: "texts", bool: "truth values", int: "whole numbers", float: "floats"}


def constant(told: Any) -> Any:
    """A constant as the store can hold it: text, a number, a truth value, or a list of one kind of them.

    Args:
        told: As it was written. Without quotes, what is exactly a number or a truth value is one, and any other text is
            a text; a number that is written in another way than it is shown, such as `1.10`, may be meant as either.

    Raises:
        ValueError: It can't be held, or its meaning is not plain; says what to write instead.

    Example:
        >>> constant(Plain("5")), constant("5"), constant(Plain("no")), constant(["a", "b"])
        (5, '5', 'no', ['a', 'b'])
    """
    if told is None:
        return None
    if not isinstance(told, list | tuple):
        return _scalar(told)
    if not told:
        raise ValueError("an empty list says nothing; leave it out")
    found = [_item(each) for each in told]
    if {type(each) for each in found} == {int, float} and all(abs(each) <= _EXACT for each in found):
        return [float(each) for each in found]
    kinds = dict.fromkeys(_KINDS[type(each)] for each in found)
    if len(kinds) > 1:
        raise ValueError(f"a list holds values of one kind, got {' and '.join(kinds)}; put texts in quotes")
    return found


def _item(told: Any) -> Any:
    value = None if told is None else _scalar(told, within="a list within ")
    if value is None:
        raise ValueError("a list can't hold nothing; leave it out, or put the text in quotes")
    return value


def _scalar(told: Any, within: str = "") -> Any:
    if isinstance(told, Plain):
        return _plain(told)
    if isinstance(told, dict | list | tuple):
        what = "a map" if isinstance(told, dict) else f"{within}a list"
        raise ValueError(f"a property can't hold {what}; give a text, a number, or a list of texts or numbers")
    if type(told) not in _KINDS:
        raise ValueError(f"a property can't be given as {type(told).__name__}; write it as a text")
    if isinstance(told, str):
        return _text(told)
    if isinstance(told, int) and not -_LARGEST <= told < _LARGEST:
        raise ValueError("the number does not fit in 64 bits; put it in quotes to keep it as a text")
    if isinstance(told, float) and not math.isfinite(told):
        raise ValueError(f"expected a finite number, got {told}; leave it out, or put it in quotes for the text")
    return told


def _plain(told: Plain) -> Any:
    value, text = told.value, str(told)
    if value is None or told.exact:
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        _scalar(value)
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    raise ValueError(
        f'{_short(text)} may be a text or {shown}; write {shown}, or "{_short(text)}" in quotes for the text'
    )


def _text(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"a text in a job has up to {_LONGEST:,} characters, got {len(text):,}; put it in a source")
    if "\x00" in text:
        raise ValueError("a text can't hold the character NUL; leave it out")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("the text holds half of a surrogate pair, which is no character; leave it out")
    return text


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
