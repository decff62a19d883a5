"""Selections: which part of the graph a reasoner learns from, as text: `labels=Entity types=treats,"lives in"`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cortigraph.graph.errors import InputError

__all__ = ["Selection"]

_NAME = r""""(?:[^"\\]|\\.)*"|'[^']*'|(?:\\[\s,"'\\]|[^\s,"'])(?:\\[\s,"'\\]|[^\s,])*"""
_PART = re.compile(rf"(labels|types)=((?:{_NAME})?(?:,(?:{_NAME})?)*)(?=\s|$)")
_EACH = re.compile(_NAME)
_PLAIN = re.compile(r"""[^\s,"'\\][^\s,\\]*""")
_FORM = 'labels=A,B types=x,"lives in"; each may be left out, and `all` is everything'


@dataclass(frozen=True)
class Selection:
    """Part of a graph.

    Args:
        labels: Only nodes of these: kinds, or labels that users gave; when left out, all but the ledger's own.
        types: Only relationships of these; when left out, all but what was predicted.
    """

    labels: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Reads the written form.

        A name with blanks or commas in it, or with a quote at its beginning, stands in quotes, as in a shell: between
        double ones a backslash goes before `"` and itself, between single ones all is as it is; outside of quotes a
        backslash goes before the blank, the comma or the quote.

        Args:
            text: `labels=A,B types=x,y`, either alone, or `all`.

        Raises:
            InputError: It has another form; all that is wrong with it is told.

        Example:
            >>> Selection.parse('labels=Entity types=treats,"lives in"').types
            ('lives in', 'treats')
        """
        if text.strip() in ("", "all"):
            return cls()
        told: dict[str, tuple[str, ...]] = {}
        problems, place = [], 0
        while rest := text[place:].lstrip():
            place = len(text) - len(rest)
            match = _PART.match(text, place)
            names = {name for name in map(_unquoted, _EACH.findall(match[2])) if name} if match else set()
            if match is None or not names:
                word = rest.split()[0]
                problems.append(f"a part of the graph is {_FORM}; got {word!r}")
                place += len(match[0] if match else word)
            else:
                told[match[1]] = tuple(sorted(names.union(told.get(match[1], ()))))
                place = match.end()
        if problems:
            raise InputError(problems)
        return cls(told.get("labels"), told.get("types"))

    def __str__(self) -> str:
        parts = (("labels", self.labels), ("types", self.types))
        return (
            " ".join(f"{name}={','.join(map(_quoted, names))}" for name, names in parts if names is not None) or "all"
        )


def _unquoted(name: str) -> str:
    if name[0] == "'":
        return name[1:-1]
    if name[0] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1], flags=re.DOTALL)
    return re.sub(r"""\\([\s,"'\\])""", r"\1", name)


def _quoted(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
