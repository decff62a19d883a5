"""Names: the entities and relations that a scorer has vectors of, found again in facts that list them otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from cortigraph.graph.errors import UnknownKeyError
from cortigraph.graph.keys import Keys
from cortigraph.reasoning.reasoners.facts import Facts, renumbered
from cortigraph.reasoning.reasoners.structure import Rows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Names"]


class Names:
    """What a scorer was trained on, by name.

    Args:
        entities: Their keys, sorted.
        relations: Their names, in the order of their numbers.
    """

    def __init__(self, entities: Keys, relations: Sequence[str]) -> None:
        self.entities, self.relations = entities, tuple(relations)
        self._found: WeakKeyDictionary[Facts, Rows] = WeakKeyDictionary()

    @classmethod
    def of(cls, facts: Facts) -> Names:
        """The names of facts."""
        return cls(facts.entities, facts.relations)

    def entity_rows(self, facts: Facts) -> Rows:
        """Which of our rows each entity of the facts has.

        Args:
            facts: May list fewer entities than we know.

        Raises:
            UnknownKeyError: They list one that we don't know.

        Example:
            >>> import pyarrow as pa
            >>> table = pa.table({"head": ["a"], "relation": ["likes"], "tail": ["c"]})
            >>> Names(Keys(pa.array(["a", "b", "c"]), "entity"), ["likes"]).entity_rows(Facts.of(table)).tolist()
            [0, 2]
        """
        if facts not in self._found:
            where = "among those that the scorer was trained on; train it again with them"
            self._found[facts] = self.entities.rows(facts.entities, where=where)
        return self._found[facts]

    def relation_rows(self, facts: Facts, relations: Rows) -> Rows:
        """Our numbers of relations.

        Args:
            facts: Whose numbers are given.
            relations: In both directions.

        Raises:
            UnknownKeyError: One of them is not known to us.
        """
        found = renumbered(facts.relations, self.relations)[relations]
        if (found < 0).any():
            name = facts.relations[int(relations[np.argmin(found)]) % len(facts.relations)]
            raise UnknownKeyError("relation", name, self.relations, where="among those that the scorer was trained on")
        return found

    def state(self) -> Mapping[str, Tensor]:
        """The keys as tensors, however many there are."""
        import torch

        keys = [key.encode() for key in self.entities]
        text = torch.frombuffer(bytearray(b"".join(keys) or b"\0"), dtype=torch.uint8)
        return {"keys.text": text, "keys.ends": torch.tensor(np.cumsum([len(key) for key in keys], dtype=np.int64))}

    @classmethod
    def restore(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Names:
        """The names that had this state.

        Args:
            config: Holds `relations`.
            state: Holds the keys.
        """
        import pyarrow as pa

        text, ends = state["keys.text"].numpy().tobytes(), state["keys.ends"].tolist()
        keys = [text[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]
        return cls(Keys(pa.array(keys, pa.string()), "entity"), config["relations"])
