"""Batches: elements compared with the graph, written part by part, remembered, finished and taken back."""
