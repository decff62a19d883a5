"""Batch ingestion: jobs that a user writes, what they would change, and the change itself, all of it or none."""
