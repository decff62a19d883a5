"""Data sets, the one training loop, its engines and the launcher that runs it in one process or in many."""
