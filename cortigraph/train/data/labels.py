"""Names in cells (classes, splits, groups): one text however it was typed, and which of them a reader can't tell apart.

normal   macOS takes é apart, spreadsheets leave blanks, the web leaves marks that nobody sees: they make no other name
alike    what differs in case, in how a number is written, or in letters that look the same is another name, but told
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["alike", "normal", "normal_cells", "notes_on_classes"]

# What has no ink of its own: control characters but for blanks, soft hyphen, zero-width space, word joiner, marks of
# direction, byte order mark. Not the joiners and selectors, which change the signs beside them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb]"
)
_JOINING = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
# Letters of Cyrillic and Greek that look like one of Latin; dashes; quotes.
_LOOKS = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеоѕіјрсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧο‐‑‒–—−‘’ʼ´“”",
    "ABESIJKMHOPCTYXaeosijpcyxABEZHIKMNOPTYXo------''''\"\"",
)
_SHOWN = 5


def normal(text: str) -> str:
    """A name as it is kept: composed, without marks that nobody sees, every blank a space and none around it.

    Example:
        >>> normal("Cafe\\u0301\\u00a0noir ") == "Café noir"
        True
    """
    return re.sub(r"\s", " ", unicodedata.normalize("NFC", _UNSEEN.sub("", text))).strip()


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
    plain = " ".join(_look(text).casefold().split())
    try:
        number = float(plain)
    except ValueError:
        return plain
    return repr(number) if math.isfinite(number) else plain


def _look(text: str) -> str:
    """Equal for names that are printed alike."""
    return unicodedata.normalize("NFKC", _JOINING.sub("", _UNSEEN.sub("", text)).translate(_LOOKS))


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
    told_alike = [_on_alike(column, {each: sum(written[each].values()) for each in same}) for same in kinds.values()]
    notes += [note for note in told_alike if note]
    return [*notes[:_SHOWN], *([f"{column}: … and {len(notes) - _SHOWN} more of these"] * (len(notes) > _SHOWN))]


def _on_alike(column: str, same: Mapping[str, int]) -> str:
    """That classes may be meant as one; letters that can't be told apart are told by number."""
    if len(same) < 2:
        return ""
    show = ascii if len(set(map(_look, same))) < len(same) else repr
    told = ", ".join(f"{show(each)} ({rows} rows)" for each, rows in sorted(same.items()))
    return f"{column}: {told} are {len(same)} classes; if they mean the same, write them alike"
