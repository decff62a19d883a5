"""Keys and rows: the two names of a node, and the one translator between them.

A key names a node for ever; a row is its place in one snapshot and means nothing outside it. They are different types,
so that a checker sees where one is taken for the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NewType, overload

from cortigraph.graph.errors import InputError, UnknownKeyError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

__all__ = ["Key", "Keys", "Row"]

Key = NewType("Key", str)
Row = NewType("Row", int)
NEAR = 200


class Keys:
    """The keys of one label, sorted: `keys[row]` is a key, `keys.row(key)` its row.

    It behaves as a sequence and does not say that it is one: PyG would make a list of it when data is cloned or moved,
    take that list for a tensor of the nodes, and fail to sample from it.

    Args:
        array: A `pyarrow.StringArray`, sorted by code point, no key twice; may lie in a memory-mapped file.
        label: Whose keys, for messages.

    Example:
        >>> import pyarrow
        >>> keys = Keys(pyarrow.array(["a", "b"]), "Area")
        >>> keys[0], keys.row("b"), keys.rows(["b", "a"]).tolist(), len(keys)
        ('a', 1, [1, 0], 2)
    """

    def __init__(self, array: Any, label: str) -> None:
        self.array = array
        self.label = label
        self._rows: dict[Key, Row] | None = None

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, row: int) -> Key: ...
    @overload
    def __getitem__(self, row: slice) -> Keys: ...
    def __getitem__(self, row: int | slice) -> Key | Keys:
        if isinstance(row, slice):
            if row.step not in (None, 1):
                raise InputError(f"keys can be cut without a step only, got a step of {row.step}")
            return Keys(self.array[row], self.label)
        return Key(self.array[int(row)].as_py())

    def __iter__(self) -> Iterator[Key]:
        return iter(self.array.to_pylist())

    def __contains__(self, key: object) -> bool:
        return key in self._known()

    def __repr__(self) -> str:
        return f"Keys({len(self)} of {self.label})"

    def row(self, key: str) -> Row:
        """The row of a key.

        Args:
            key: Which.

        Raises:
            UnknownKeyError: No node of this label has it; names those nearest by.
        """
        found = self._known().get(Key(key))
        if found is None:
            raise UnknownKeyError(self.label, key, self._near(key), where="in this snapshot")
        return found

    def rows(self, keys: Any, *, where: str = "in this snapshot") -> npt.NDArray[np.int64]:
        """The rows of many keys, in their order.

        Args:
            keys: Which: text one by one, an Arrow column, or other `Keys`.
            where: They are looked for, for the message.

        Raises:
            UnknownKeyError: No node of this label has one of them.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        keys = keys.array if isinstance(keys, Keys) else keys
        asked = keys if isinstance(keys, pa.Array | pa.ChunkedArray) else pa.array(list(keys), pa.string())
        found = pc.index_in(asked, value_set=self.whole())
        if found.null_count:
            key = asked.filter(pc.is_null(found))[0].as_py()
            raise UnknownKeyError(self.label, key, self._near(key), where=where)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)

    def places(self, keys: Keys) -> npt.NDArray[np.int64]:
        """The rows of other keys, in their order; -1 for one that is not here.

        Args:
            keys: The others.
        """
        import numpy as np
        import pyarrow.compute as pc

        found = pc.fill_null(pc.index_in(keys.whole(), value_set=self.whole()), -1)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)

    def shared(self, other: Keys) -> Keys:
        """Those that others have, too.

        Example:
            >>> import pyarrow
            >>> one, other = (Keys(pyarrow.array(list(keys)), "Area") for keys in ("abc", "bcd"))
            >>> list(one.shared(other))
            ['b', 'c']
        """
        import pyarrow.compute as pc

        own = self.whole()
        return Keys(own.filter(pc.is_in(own, value_set=other.whole())), self.label)

    def whole(self) -> pa.Array:
        """All of them in one piece, as Arrow."""
        import pyarrow as pa

        return self.array.combine_chunks() if isinstance(self.array, pa.ChunkedArray) else self.array

    def _known(self) -> dict[Key, Row]:
        if self._rows is None:
            self._rows = {key: Row(row) for row, key in enumerate(self)}
        return self._rows

    def _near(self, key: str) -> list[str]:
        """Where it would stand; to compare it with a million keys would take minutes."""
        import bisect

        place = bisect.bisect_left(self, key)
        return list(self[max(0, place - NEAR) : place + NEAR])
