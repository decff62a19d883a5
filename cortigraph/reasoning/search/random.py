"""Random search: the baseline that every other strategy must beat at equal cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cortigraph.reasoning.search.base import Search, register

if TYPE_CHECKING:
    import numpy as np

    from cortigraph.reasoning.pathway.compose import Decisions

__all__ = ["Random"]


@register
class Random(Search):
    """Draws every decision anew, whatever it was told."""

    name: ClassVar[str] = "random"

    def propose(self, generator: np.random.Generator) -> Decisions:
        """A sample of the space."""
        return self.space.sample(generator)
