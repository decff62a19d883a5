"""What users might give: values of all sorts, and documents that were right before somebody changed a few things."""

from __future__ import annotations

import copy
import math
from typing import Any

import hypothesis.strategies as st

__all__ = ["documents", "numbers", "tables", "texts", "values"]

_ODD = [
    "", " ", "\0", "\t", "\n", "\r\n", "é", "é", "\ufeff", "\u200b", "\xa0", "\u202e", "\x1b[31m", "\ud800", "😀",
    "NaN", "nan", "inf", "-inf", "1e400", "-0", "0x10", "1_000", "007", "1,5", "1.234,56", "1,234", "½", "٣", "1.0",
    "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615", "-9223372036854775809",
    "[1, 2]", '["a", "b"]', "['a']", "[", "{", '{"a": 1}', "null", "~", "None", "no", "yes", "on", "true", "FALSE",
    "2023-02-30", "2023-01-02", "12:30:45", "24:00", "2023-01-01T00:00:00+01:00", "P1D", "0000-00-00", "92.1%",
    "'", '"', "`", "``", "`;MATCH (n) DETACH DELETE n", "\\", "a\"b", "a,b", "a;b", "a|b", "$x", "{x}", "{name}",
    "Batch", "Region", "Run", "Entity", "FROM", "PREDICTED", "key", "batches", "embedding", "Migration", "name",
    "../../etc/passwd", "/etc/passwd", "~", "${HOME}", "${NOT_THERE}", "*", "**", ".", "..", "0.png", "index.csv",
    "x" * 300, "?x", "?x knows ?y AND ?y likes eve", "AND", "inverse of knows", "ann", "knows",
]  # fmt: skip

texts = st.one_of(st.sampled_from(_ODD), st.text(max_size=8))
numbers = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**70, 0.5, -0.0, 1e308, 1e-320]),
    st.integers(-5, 50),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


def _places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    pairs: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        pairs = list(document.items())
    elif isinstance(document, list):
        pairs = list(enumerate(document))
    for key, value in pairs:
        found += _places(value, (*path, key))
    return found


@st.composite
def documents(draw: st.DrawFn, examples: list[dict[str, Any]]) -> Any:
    """A document in which one to three things are replaced, removed, doubled or added.

    Args:
        examples: Documents that are right.
    """
    document: Any = copy.deepcopy(draw(st.sampled_from(examples)))
    for _ in range(draw(st.integers(1, 3))):
        places = [place for place in _places(document) if place]
        if not places:
            break
        *path, last = draw(st.sampled_from(places))
        inside = document
        for key in path:
            inside = inside[key]
        what = draw(st.sampled_from(["replace", "replace", "remove", "add", "swap"]))
        if what == "remove":
            del inside[last]
        elif what == "add" and isinstance(inside, dict):
            inside[draw(texts)] = draw(values)
        elif what == "swap":
            inside[last] = [inside[last]] if draw(st.booleans()) else {"value": inside[last]}
        else:
            inside[last] = draw(values)
    return document


@st.composite
def tables(draw: st.DrawFn, columns: list[str]) -> list[list[str]]:
    """A header and a few rows, most of them as long as it.

    Args:
        columns: That it should have; now and then one is missing, doubled, or another.
    """
    header = [draw(texts) if draw(st.integers(0, 9)) == 0 else column for column in columns]
    if draw(st.integers(0, 9)) == 0:
        header += draw(st.lists(texts, max_size=2))
    usual = st.sampled_from(["ann", "bob", "1", "2.5", "2020-01-01", "knows", "0.png", "1.png", "light", "dark"])
    row = st.lists(st.one_of(usual, usual, texts), min_size=len(header), max_size=len(header))
    rows = draw(st.lists(row, max_size=5))
    if rows and draw(st.integers(0, 9)) == 0:
        rows[-1] = rows[-1][:-1]
    return [header, *rows]
