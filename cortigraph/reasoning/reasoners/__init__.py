"""Reasoners: models that score every entity as the answer of a query, and the parts that they share."""
