"""Records that are JSON objects: which keys they have, what those hold, and columns of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.tables._columns import Columns, faults, too_long
from cortigraph.tables.base import Fault, Part, batch_of
from cortigraph.tables.types import Type
from cortigraph.tables.values import from_values, guessed, texts_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.tables.table_spec import TableSpec

__all__ = ["DoubledKeyError", "Objects", "decoder", "keys_of"]


class DoubledKeyError(ValueError):
    """An object has a key twice; JSON allows it, and one of the values would be lost."""


def decoder() -> json.JSONDecoder:
    """Reads JSON, and refuses an object that has a key twice."""
    return json.JSONDecoder(object_pairs_hook=_object)


def keys_of(objects: Iterable[Any], named: Sequence[str] = ()) -> dict[str, Type | None]:
    """The keys that objects have, in the order in which they come up, with what they hold.

    Args:
        objects: Whatever is no object is left out.
        named: Keys that come first, whether any object has them or not.

    Example:
        >>> {key: str(kind) for key, kind in keys_of([{"a": 1}, {"a": 2, "b": None}]).items()}
        {'a': 'int', 'b': 'None'}
    """
    values: dict[str, list[Any]] = {name: [] for name in named}
    for record in objects:
        if isinstance(record, dict):
            for key, value in record.items():
                values.setdefault(key, []).append(value)
    return {key: guessed(found) for key, found in values.items()}


class Objects:
    """Makes parts of a source of objects, in one reading of it.

    Args:
        spec: What the job says of it.
        kinds: Key → what it holds, where that is known.
        names: The keys that are looked at; where it is not given, all, and an object that has others is refused.
    """

    def __init__(self, spec: TableSpec, kinds: Mapping[str, Type | None], names: Sequence[str] | None = None) -> None:
        self.names = list(kinds if names is None else names)
        self._strict = names is None
        self._columns = Columns(spec, {name: kind for name, kind in kinds.items() if kind is not None})
        self._known = frozenset(kinds)
        self._longest = spec.longest
        self._notation = spec.notation
        # Text that is empty is a value where there is a null, unless the user says that it is not.
        self._missing = frozenset(spec.missing) if "missing" in spec.model_fields_set else frozenset()
        self._nan = any(word.lower() == "nan" for word in self._missing)

    def part(self, objects: Sequence[Any], records: NDArray[np.int64], odd: Sequence[Fault], done: int) -> Part:
        """Objects as a part.

        Args:
            objects: Whatever was read.
            records: The number of each.
            odd: What is wrong already.
            done: For progress.
        """
        import numpy as np

        found = list(odd)
        wrong = {record: reason for record, reason in map(self._odd, records.tolist(), objects) if reason}
        found += [
            Fault(record, None, value, wrong[record])
            for record, value in zip(records.tolist(), objects, strict=True)
            if record in wrong
        ]
        good = [value for record, value in zip(records.tolist(), objects, strict=True) if record not in wrong]
        left = records[~np.isin(records, list(wrong))] if wrong else records
        made = {}
        for name in self.names:
            made[name], more = self.column(name, [record.get(name) for record in good], left)
            found += more
        return Part(left, batch_of(made, len(left)), found, done)

    def column(self, name: str, values: list[Any], records: NDArray[np.int64]) -> tuple[pa.Array, list[Fault]]:
        """The values of a key as a column."""
        import pyarrow as pa

        if self._missing:
            values = [None if self._absent(value) else value for value in values]
        kind = self._columns.kinds.get(name)
        if kind is None and (kind := guessed(values)) is not None:
            self._columns.kinds[name] = kind
        if kind is None:
            return pa.nulls(len(values)), []
        told = name in self._columns.told
        if kind.name in ("date", "datetime") and set(map(type, values)) <= {str, type(None)}:
            texts, odd = texts_of(values)
            column, reasons = self._columns.from_texts(name, texts)
            reasons |= odd
        else:
            column, reasons = from_values(values, kind, self._notation, told=told)
        if kind.name == "text":
            reasons = {**reasons, **too_long(column, self._longest)}
        return column, faults(name, reasons, values, records)

    def _absent(self, value: Any) -> bool:
        if isinstance(value, float):
            return self._nan and math.isnan(value)
        return isinstance(value, str) and value in self._missing

    def _odd(self, record: int, value: Any) -> tuple[int, str]:
        """Why a record as a whole can't be used; empty where it can."""
        if not isinstance(value, dict):
            return record, f"expected an object {{…}}, got {json.dumps(value, default=str)[:40]}"
        if not self._strict or value.keys() <= self._known:
            return record, ""
        extra = ", ".join(repr(key) for key in value if key not in self._known)
        return record, f"has {extra}, which the first records do not have; name it under `header`"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [key for key, _ in pairs]
        raise DoubledKeyError(f"has the key {next(key for key in names if names.count(key) > 1)!r} twice")
    return made
