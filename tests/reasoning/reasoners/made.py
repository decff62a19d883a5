"""Made-up graphs for the tests of reasoners."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows


def table(*facts: tuple[str, str, str]) -> pa.Table:
    """Facts as Arrow."""
    return pa.table(dict(zip(("head", "relation", "tail"), zip(*facts, strict=True), strict=True)))


def ring(count: int = 24) -> tuple[Facts, Rows]:
    """Points on a ring, `next` and, two on, `after`; facts and, held out, every fifth `after`."""
    names = [f"p{number:02}" for number in range(count)]
    steps = [(names[i], "next", names[(i + 1) % count]) for i in range(count)]
    jumps = [(names[i], "after", names[(i + 2) % count]) for i in range(count)]
    kept = [jump for number, jump in enumerate(jumps) if number % 5]
    facts = Facts.of(table(*steps, *kept))
    row = {name: number for number, name in enumerate(facts.entities)}
    held = [(row[h], facts.relation(r), row[t]) for number, (h, r, t) in enumerate(jumps) if not number % 5]
    return facts, np.array(held, dtype=np.int64)


def citizens(count: int = 24) -> tuple[Facts, Rows]:
    """People who live in cities that lie in countries, and are citizens of theirs; every fifth of that is held out."""
    lives = [(f"person{i:02}", "lives in", f"city{i % 6}") for i in range(count)]
    lies = [(f"city{i}", "lies in", f"country{i % 3}") for i in range(6)]
    of = [(f"person{i:02}", "citizen of", f"country{i % 3}") for i in range(count)]
    facts = Facts.of(table(*lives, *lies, *(fact for number, fact in enumerate(of) if number % 5)))
    row = {name: number for number, name in enumerate(facts.entities)}
    held = [(row[h], facts.relation(r), row[t]) for number, (h, r, t) in enumerate(of) if not number % 5]
    return facts, np.array(held, dtype=np.int64)
