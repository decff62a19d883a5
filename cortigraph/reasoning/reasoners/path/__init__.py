"""The path reasoner: relational message passing from the head of a query outwards."""
