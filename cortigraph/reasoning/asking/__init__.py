"""Asking: reasoners over the store's graph, their answers, why, and what follows for the graph."""
