"""Selections: which part of the graph a reasoner learns from, as text: `labels=Entity,Region types=treats,causes`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cortigraph.graph.errors import InputError

__all__ = ["Selection"]

_PART = re.compile(r"(\w+)=(\S*)")
_FORM = "labels=A,B types=x,y; each may be left out, and `all` is everything"


@dataclass(frozen=True)
class Selection:
    """Part of a graph.

    Args:
        labels: Only nodes of these; when left out, all but the ledger's own.
        types: Only relationships of these; when left out, all but the ledger's own and what was predicted.
    """

    labels: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Reads the written form; names with spaces or commas in them can be given from Python only.

        Args:
            text: `labels=A,B types=x,y`, either alone, or `all`.

        Raises:
            InputError: It has another form; all that is wrong with it is told.

        Example:
            >>> Selection.parse("labels=Entity types=treats,causes").types
            ('causes', 'treats')
        """
        if text.strip() in ("", "all"):
            return cls()
        told: dict[str, tuple[str, ...]] = {}
        problems = []
        for word in text.split():
            match = _PART.fullmatch(word)
            names = tuple(sorted({name for name in match[2].split(",") if name})) if match else ()
            if match is None or match[1] not in ("labels", "types") or not names:
                problems.append(f"a part of the graph is {_FORM}; got {word!r}")
            else:
                told[match[1]] = names
        if problems:
            raise InputError(problems)
        return cls(told.get("labels"), told.get("types"))

    def __str__(self) -> str:
        parts = (("labels", self.labels), ("types", self.types))
        return " ".join(f"{name}={','.join(names)}" for name, names in parts if names is not None) or "all"
