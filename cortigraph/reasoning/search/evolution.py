"""Regularised evolution (Real et al., *Regularized Evolution for Image Classifier Architecture Search*, AAAI 2019).

A population that forgets its oldest member, not its worst: what was lucky once must prove itself again by its children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cortigraph.reasoning.search.base import Search, register

if TYPE_CHECKING:
    import numpy as np

    from cortigraph.reasoning.pathway.compose import Decisions

__all__ = ["Evolution"]


@register
class Evolution(Search):
    """Mutates the best of a few drawn from the most recent candidates."""

    name: ClassVar[str] = "evolution"
    founders = 5  # drawn at random, or remembered, before anything is mutated
    population = 12
    tournament = 4

    def propose(self, generator: np.random.Generator) -> Decisions:
        """A child of a tournament's winner, once there are founders."""
        if len(self.told) < self.founders:
            return self.space.sample(generator)
        living = self.told[-self.population :]
        drawn = generator.choice(len(living), size=min(self.tournament, len(living)), replace=False)
        parent, _ = max((living[int(i)] for i in drawn), key=lambda entry: entry[1])
        return self.space.mutate(parent, generator)
