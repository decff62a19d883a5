"""A made-up little medicine: drugs inhibit genes, genes drive diseases, so drugs treat diseases. A tenth is not told.

Nothing in it is real. What is held back can be worked out from the rest, which is what a reasoner is to learn.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Fact", "facts", "names"]

Fact = tuple[str, str, str]
DRUGS, GENES, DISEASES, PATHWAYS = 60, 24, 20, 6
_SYLLABLES = ("ba", "co", "di", "fe", "lu", "mo", "na", "pi", "ra", "so", "ti", "vu")


def facts(seed: int = 0) -> tuple[list[Fact], list[Fact]]:
    """What is told, and what is true but held back: a tenth of what treats what, and of what interacts with what.

    Args:
        seed: Of everything.
    """
    random = np.random.default_rng(seed)
    targets = {drug: set(random.choice(GENES, 1 + int(random.random() < 0.5), replace=False)) for drug in range(DRUGS)}
    drives = {disease: set(random.choice(GENES, 2, replace=False)) for disease in range(DISEASES)}
    sure = [(_key("drug", drug), "inhibits", _key("gene", gene)) for drug, own in targets.items() for gene in own]
    sure += [(_key("gene", gene), "drives", _key("disease", sick)) for sick, own in drives.items() for gene in own]
    sure += [(_key("gene", gene), "part_of", _key("pathway", gene % PATHWAYS)) for gene in range(GENES)]
    follows = [
        (_key("drug", drug), "treats", _key("disease", disease))
        for drug, own in targets.items()
        for disease, genes in drives.items()
        if own & genes
    ]
    follows += [
        (_key("drug", one), "interacts_with", _key("drug", other))
        for one, own in targets.items()
        for other, its in targets.items()
        if one < other and own & its
    ]
    held = random.random(len(follows)) < 0.1
    told = [fact for fact, back in zip(follows, held, strict=True) if not back]
    return sorted(sure + told), [fact for fact, back in zip(follows, held, strict=True) if back]


def names() -> dict[str, str]:
    """Key → what it is called."""
    kinds = {
        "drug": (DRUGS, "in"),
        "gene": (GENES, ""),
        "disease": (DISEASES, "itis"),
        "pathway": (PATHWAYS, " pathway"),
    }
    return {
        _key(kind, number): f"{_word(number, shift)}{end}"
        for shift, (kind, (count, end)) in enumerate(kinds.items())
        for number in range(count)
    }


def _key(kind: str, number: int) -> str:
    return f"{kind}:{int(number):02}"


def _word(number: int, shift: int) -> str:
    one, other = divmod(number * 7 + 29 * shift, len(_SYLLABLES))
    return (_SYLLABLES[(one + shift) % len(_SYLLABLES)] + _SYLLABLES[other] + "l").capitalize()
