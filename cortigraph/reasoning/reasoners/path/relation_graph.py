"""The graph of relations: which of them meet, and how.

Two relations meet where an entity is at an end of both. What a relation is called says nothing on another graph, but
how it meets the others does: so a reasoner that knows relations by it alone can answer about relations that it never
saw. See Galkin et al., *Towards Foundation Models for Knowledge Graph Reasoning* (2024).
"""

from __future__ import annotations

import numpy as np

from cortigraph.reasoning.reasoners.structure import Structure

__all__ = ["MEETINGS", "relation_graph"]

MEETINGS = 4  # head and head, tail and tail, head and tail, tail and head


def relation_graph(edges: Structure) -> Structure:
    """Relations as nodes, their ways of meeting as relations.

    Args:
        edges: Of a graph, in both directions.

    Returns:
        As many nodes as `edges` has relations, and `MEETINGS` relations.

    Example:
        >>> edges = Structure.of(np.array([[0, 0, 1], [1, 1, 2]]), nodes=3, relations=2)
        >>> found = relation_graph(edges)
        >>> [(int(a), int(how), int(b)) for a, how, b in zip(found.source, found.relation, found.target) if a != b]
        [(1, 2, 0), (0, 3, 1)]
    """
    from scipy.sparse import csr_array

    shape = (edges.nodes, edges.relations)
    ones = np.ones(len(edges), dtype=np.float32)
    heads = csr_array((ones, (edges.source, edges.relation)), shape=shape)
    tails = csr_array((ones, (edges.target, edges.relation)), shape=shape)
    triples = []
    for how, (one, other) in enumerate(((heads, heads), (tails, tails), (heads, tails), (tails, heads))):
        first, second = (one.T @ other).nonzero()
        triples.append(np.stack([first, np.full(len(first), how), second], axis=1))
    return Structure.of(np.concatenate(triples), nodes=edges.relations, relations=MEETINGS)
