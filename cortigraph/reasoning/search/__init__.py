"""Search strategies over blueprints; importing this registers those that come with the package."""

from cortigraph.reasoning.search.base import Search, names, strategy
from cortigraph.reasoning.search.evolution import Evolution
from cortigraph.reasoning.search.random import Random

__all__ = ["Evolution", "Random", "Search", "names", "strategy"]
