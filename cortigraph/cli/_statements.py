"""Cypher told line by line, taken apart into its queries: a `;` ends one, unless it stands in a text or a comment."""

from __future__ import annotations

import re

__all__ = ["Statements"]

# What a line is in the middle of → what ends that, or what else may begin there.
_NEXT = {
    "": re.compile(r"//|/\*|[\"'`;]"),
    "'": re.compile(r"\\.|'"),
    '"': re.compile(r'\\.|"'),
    "`": re.compile("`"),
    "/*": re.compile(r"\*/"),
}


class Statements:
    """Takes lines, and gives queries.

    Example:
        >>> told = Statements()
        >>> told.take("RETURN ';' AS a; RETURN 2 // not yet;"), told.take("AS b;  // done")
        (["RETURN ';' AS a"], ['RETURN 2 // not yet;\\nAS b'])
        >>> bool(told), told.rest()
        (False, '')
    """

    def __init__(self) -> None:
        self._told = ""  # of the query that is not finished yet
        self._within = ""  # a key of `_NEXT`
        self._says = False  # more than blanks and comments

    def __bool__(self) -> bool:
        return self._says or bool(self._within)

    def take(self, line: str) -> list[str]:
        """Adds a line; returns the queries that end in it."""
        ended = []
        begin = at = 0
        while found := _NEXT[self._within].search(line, at):
            mark = found[0]
            self._says |= self._within != "/*" and (bool(self._within) or bool(line[at : found.start()].strip()))
            at = found.end()
            if self._within:
                self._within = self._within if mark.startswith("\\") else ""
            elif mark == "//":
                at = len(line)
            elif mark == ";":
                ended += [(self._told + line[begin : found.start()]).strip()] if self._says else []
                self.clear()
                begin = at
            else:
                self._within = mark
                self._says |= mark != "/*"
        self._says |= self._within != "/*" and bool(line[at:].strip())
        self._told = f"{self._told}{line[begin:]}\n"
        return ended

    def rest(self) -> str:
        """What was told since the last query ended, which is given up; nothing if it is but comments."""
        told = self._told.strip() if self else ""
        self.clear()
        return told

    def clear(self) -> None:
        """Gives up what was told since the last query ended."""
        self._told, self._within, self._says = "", "", False
