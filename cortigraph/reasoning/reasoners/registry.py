"""The kinds of reasoners, by name: one table for artefacts, ensembles and the command line."""

from __future__ import annotations

from collections.abc import Mapping

from cortigraph.graph.errors import UnknownKeyError
from cortigraph.reasoning.reasoners.base import Reasoner

__all__ = ["kind", "kinds"]


def kinds() -> Mapping[str, type[Reasoner]]:
    """All of them."""
    from cortigraph.reasoning.reasoners.embedding.complex import ComplEx
    from cortigraph.reasoning.reasoners.embedding.distance import RotatE, TransE
    from cortigraph.reasoning.reasoners.ensemble import Ensemble
    from cortigraph.reasoning.reasoners.path.reasoner import FoundationReasoner, PathReasoner

    return {found.name: found for found in (PathReasoner, FoundationReasoner, ComplEx, RotatE, TransE, Ensemble)}


def kind(name: str) -> type[Reasoner]:
    """One of them.

    Args:
        name: Which.

    Raises:
        UnknownKeyError: There is none of that name.

    Example:
        >>> kind("rotate").__name__
        'RotatE'
    """
    known = kinds()
    if name not in known:
        raise UnknownKeyError("reasoner", name, known)
    return known[name]
