"""A job of 310,116 relationships run a second time, unchanged: how much quicker, and how many writes.

    CORTIGRAPH_DATA=… python benchmarks/reingest.py

`ratio` is the first run's time over the second's. Between the two nobody writes: then the store's version says that all
of it is there. `compared_ratio` is the same after somebody else has written, so that every element is compared.
`writes` is what the server says has changed in both. The last line is JSON.
"""

from __future__ import annotations

import time

from _stage import fresh, last_line, tell
from ingest import job

from cortigraph.ingest.run import Options, run


def main() -> None:
    """Measures and prints the last line."""
    with fresh() as (store, home):
        seconds = []
        writes = 0
        for number in range(3):
            if number == 2:
                store.write("MERGE (:Entity {key: 'of somebody else'})")
            before = store.version()
            began = time.perf_counter()
            report = run(store, home, job(), Options(first_load=False))
            seconds.append(time.perf_counter() - began)
            tell(f"run {number + 1}: {seconds[-1]:.2f} s, {sum(report.counters.values())} changes")
            if number:
                writes += sum(report.counters.values())
                assert store.version() == before, "the store has changed"
    first, second, compared = seconds
    last_line(
        ratio=first / second,
        writes=writes,
        compared_ratio=first / compared,
        first_seconds=first,
        second_seconds=second,
        compared_seconds=compared,
    )


if __name__ == "__main__":
    main()
