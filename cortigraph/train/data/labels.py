"""Names in cells (classes, splits, groups): one text however it was typed, and which of them a reader can't tell apart.

normal   macOS takes é apart, spreadsheets leave blanks, the web leaves marks that nobody sees: they make no other name
alike    what differs in case, in how a number is written, or in the form of a letter is another name, but told
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

__all__ = ["alike", "normal", "normal_cells", "notes_on_classes"]

# Marks without any ink of their own: soft hyphen, zero-width space, word joiner, marks of direction, byte order mark.
# Not the joiners, which change the letters beside them.
_UNSEEN = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_SHOWN = 5


def normal(text: str) -> str:
    """A name as it is kept: composed, without marks that nobody sees, every blank a space and none around it.

    Example:
        >>> normal("Cafe\\u0301\\u00a0noir ") == "Café noir"
        True
    """
    return re.sub(r"\s", " ", _UNSEEN.sub("", unicodedata.normalize("NFC", text)).strip()).strip()


def normal_cells(cells: Iterable[str]) -> list[str]:
    """Each as it is kept; equal ones are one object."""
    known: dict[str, str] = {}
    found = []
    for cell in cells:
        if cell not in known:
            kept = normal(cell)
            known[cell] = known.setdefault(kept, kept)
        found.append(known[cell])
    return found


def alike(text: str) -> str:
    """Equal for names that a reader may take for one.

    Example:
        >>> alike("True") == alike("true"), alike("1") == alike("1.0"), alike("1") == alike("2")
        (True, True, False)
    """
    plain = " ".join(unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).casefold().split())
    try:
        number = float(plain)
    except ValueError:
        return plain
    return repr(number) if math.isfinite(number) else plain


def notes_on_classes(column: str, cells: Sequence[str], told: Sequence[str]) -> list[str]:
    """What a user should know of the classes: which were written in several ways, which may be meant as one.

    Args:
        column: That holds them.
        cells: As they are kept.
        told: As they were written.
    """
    written: dict[str, Counter[str]] = defaultdict(Counter)
    for cell, raw in zip(cells, told, strict=True):
        written[cell][raw.strip()] += 1
    notes = [
        f"{column}: {', '.join(map(ascii, sorted(ways)))} are one class, {cell!r}, {sum(ways.values())} rows"
        for cell, ways in written.items()
        if len(ways) > 1
    ]
    kinds: dict[str, list[str]] = defaultdict(list)
    for cell in written:
        if cell:
            kinds[alike(cell)].append(cell)
    notes += [
        f"{column}: {', '.join(f'{each!r} ({sum(written[each].values())} rows)' for each in sorted(same))} are "
        f"{len(same)} classes; if they mean the same, write them alike"
        for same in kinds.values()
        if len(same) > 1
    ]
    return [*notes[:_SHOWN], *([f"{column}: … and {len(notes) - _SHOWN} more of these"] * (len(notes) > _SHOWN))]
