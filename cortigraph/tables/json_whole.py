"""JSON in one piece: an array of objects, or an object of objects, whose keys become the column `_key`.

It is loaded as a whole. Its elements are read one after another, so that the line of each is known, a broken one is
told of by its line, and no key of the outer object can hide another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError
from cortigraph.tables._bytes import Content
from cortigraph.tables._files import FileSource, Place
from cortigraph.tables._objects import DoubledKeyError, Objects, decoder, keys_of
from cortigraph.tables.base import Part

if TYPE_CHECKING:
    from cortigraph.tables.spec import SourceSpec

__all__ = ["KEY", "JsonSource"]

KEY = "_key"
_ROWS = 1 << 16
_BLANKS = " \t\n\r"


@dataclass(frozen=True)
class _Element:
    value: Any
    start: int
    stop: int


class JsonSource(FileSource):
    """A source of JSON files. Its columns are the keys in all of its records.

    Args:
        name: In the job.
        spec: What the job says of it.
        places: Its files.

    Raises:
        InputError: A file is not JSON, or neither an array nor an object of objects.
    """

    def __init__(self, name: str, spec: SourceSpec, places: Sequence[Place]) -> None:
        super().__init__(name, spec, places)
        records = (element.value for place in places for element in _elements(_text(place), place.label))
        self._kinds = keys_of(records, spec.header or ())

    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._kinds)

    def parts(self, place: Place, names: Sequence[str] | None) -> Iterator[Part]:
        """Reads a file."""
        import numpy as np

        objects = Objects(self.spec, self._kinds, names)
        elements = list(_elements(_text(place), place.label))
        size = place.path.stat().st_size
        for first in range(0, len(elements), _ROWS):
            values = [element.value for element in elements[first : first + _ROWS]]
            records = np.arange(first, first + len(values), dtype=np.int64)
            yield objects.part(values, records, (), size * (first + len(values)) // len(elements))

    def find(self, place: Place, records: Collection[int]) -> dict[int, tuple[int | None, bytes]]:
        """Finds records of a file again."""
        text = _text(place)
        elements = list(_elements(text, place.label))
        found: dict[int, tuple[int | None, bytes]] = {}
        line, before = 1, 0
        for record in sorted(records):
            element = elements[record]
            line += text.count("\n", before, element.start)
            before = element.start
            found[record] = line, text[element.start : element.stop].encode()
        return found

    def remains(self) -> SourceSpec:
        """How a file that holds some of its records is to be read."""
        kinds = {name: str(kind) for name, kind in self._kinds.items() if kind and kind.name != "text"}
        return self.spec.model_copy(update={"header": self.columns(), "types": kinds})

    def assemble(self, records: Sequence[bytes]) -> bytes:
        """A file that holds just these records; those of an object come with their keys."""
        keyed = bool(records) and records[0][:1] == b'"'
        opening, closing = (b"{", b"}") if keyed else (b"[", b"]")
        return opening + b"\n" + b",\n".join(records) + b"\n" + closing + b"\n"


def _text(place: Place) -> str:
    data = Content(place.path, place.label).read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{place.label}:{line}: is not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8"
        ) from error


def _elements(text: str, label: str) -> Iterator[_Element]:
    """The records, with where each lies; that of an outer object begins with its key."""
    place = _skip(text, 0)
    if place == len(text):
        return
    opening = text[place]
    if opening not in "[{":
        raise _broken(text, place, label, "expected an array [ … ] of objects or an object { … } of objects")
    try:
        yield from _inner(text, place + 1, "]" if opening == "[" else "}", label)
    except json.JSONDecodeError as error:
        raise _broken(text, error.pos, label, f"is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise InputError(f"{label}: is not JSON that can be read: {error}") from error


def _inner(text: str, place: int, closing: str, label: str) -> Iterator[_Element]:
    read = decoder().raw_decode
    place = _skip(text, place)
    more = text[place : place + 1] != closing
    while more:
        start = place
        try:
            key, place = _key(text, place) if closing == "}" else (None, place)
            value, place = read(text, place)
        except DoubledKeyError as error:
            raise _broken(text, start, label, f"the object that starts here {error}") from error
        if key is not None and isinstance(value, dict):
            if KEY in value:
                raise _broken(
                    text, start, label, f"the object that starts here has {KEY!r}, which its own key is to be"
                )
            value = {KEY: key, **value}
        yield _Element(value, start, place)
        place = _skip(text, place)
        more = text[place : place + 1] == ","
        place = _skip(text, place + 1) if more else place
    if text[place : place + 1] != closing:
        raise json.JSONDecodeError(f"expected , or {closing}", text, place)
    if (rest := _skip(text, place + 1)) != len(text):
        raise json.JSONDecodeError("expected nothing more (JSON lines have the format jsonl)", text, rest)


def _key(text: str, place: int) -> tuple[str, int]:
    key, place = decoder().raw_decode(text, place)
    place = _skip(text, place)
    if not isinstance(key, str) or text[place : place + 1] != ":":
        raise json.JSONDecodeError("expected a key in quotes and a colon", text, place)
    return key, _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _BLANKS:
        place += 1
    return place


def _broken(text: str, place: int, label: str, what: str) -> InputError:
    line = text.count("\n", 0, place) + 1
    column = place - text.rfind("\n", 0, place)
    return InputError(f"{label}:{line}: {what}, at character {column} of the line")
