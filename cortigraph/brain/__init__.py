"""What `cortigraph.open()` returns: the facade over the rooms, thin and whole."""

from cortigraph.brain.brain import Brain

__all__ = ["Brain"]
