"""Scorers of closed graphs: each entity and each relation has a vector, and a formula joins those of a fact to a score.

They are fast and strong where training saw all entities; they know nothing of others.
"""
