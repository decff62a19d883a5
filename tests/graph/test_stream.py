"""Rows as they come: nothing waits for the last of them, and who is stopped does not wait at all."""

from __future__ import annotations

import math
import os
import signal
import threading
import time

import pytest

import cortigraph
from cortigraph.graph.errors import InputError, QueryError, StoreError
from cortigraph.graph.store import Store, open_store

ENDLESS = "UNWIND range(1, 100000000000) AS x RETURN sum(x) AS endless"
MANY = "UNWIND range(1, 100000000000) AS x RETURN x AS endless"
WITHIN_ONE_ROW = "RETURN reduce(s = 0, x IN range(1, 150000000) | s + x) AS endless"
RUNNING = "SHOW TRANSACTIONS YIELD currentQuery AS q, status WHERE q CONTAINS $what AND status = 'Running' RETURN 1"


def running(store: Store, what: str = "AS endless") -> bool:
    return bool(store.read(RUNNING, what=what))


def soon(ended) -> bool:
    until = time.monotonic() + 10
    while not ended() and time.monotonic() < until:
        time.sleep(0.05)
    return ended()


def test_rows_come_before_there_are_all(store):
    with store.stream(MANY) as rows:
        assert rows.names == ("endless",)
        assert [next(iter(rows)) for _ in range(2)] == [{"endless": 1}, {"endless": 2}]
    assert soon(lambda: not running(store))


def test_what_is_written_is_committed_at_the_end_or_not_at_all(clean_store):
    query = "UNWIND $keys AS key CREATE (n:Area {key: key}) RETURN key"
    with clean_store.stream(query, {"keys": ["a", "b"]}, write=True) as rows:
        assert [row["key"] for row in rows] == ["a", "b"]
    assert rows.counters["nodes_created"] == 2
    with clean_store.stream(query, {"keys": ["c", "d"]}, write=True) as rows:
        next(iter(rows))
    assert clean_store.read("MATCH (n:Area) RETURN count(n) AS n") == [{"n": 2}]
    with clean_store.stream(query, {"keys": ["c", "d"]}, write=True) as rows:
        next(iter(rows))
        rows.finish()
        rows.finish()
    assert clean_store.read("MATCH (n:Area) RETURN count(n) AS n") == [{"n": 4}]


def test_plans_are_told(store):
    for word in ("EXPLAIN", "PROFILE"):
        with store.stream(f"{word} MATCH (n:Nothing) RETURN n") as rows:
            assert list(rows) == []
        assert rows.plan["operatorType"].startswith("ProduceResults")
    with store.stream("RETURN 1 AS x") as rows:
        assert list(rows) == [{"x": 1}]
    assert rows.plan is None


def test_a_stream_reads_unless_it_may_write(store):
    with pytest.raises(QueryError, match="--write"), store.stream("CREATE (n:Area {key: 'x'})"):
        pass
    with pytest.raises(QueryError), store.stream("RETRN 1"):
        pass
    with open_store(store.home, read_only=True) as closed, pytest.raises(InputError, match="read-only"):  # noqa: SIM117
        with closed.stream("RETURN 1", write=True):
            pass


@pytest.mark.parametrize("query", [ENDLESS, MANY, WITHIN_ONE_ROW], ids=["rows", "result", "one row"])
def test_a_query_has_its_time_and_no_more(store, query):
    brain = cortigraph.open(home=store.home.root)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"longer than 0\.3 s, and was ended"):
        brain.cypher(query, timeout=0.3)
    assert time.monotonic() - began < 10
    assert brain.cypher("RETURN $x AS x", timeout=30, x=1) == [{"x": 1}]
    brain.close()
    if query is not WITHIN_ONE_ROW:  # that one the server itself can't end
        assert soon(lambda: not running(store))


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_a_time_that_is_none_is_refused(store, seconds):
    with pytest.raises(InputError, match="seconds above 0"), store.stream("RETURN 1", timeout=seconds):
        pass


def interrupted(work) -> float:
    """Seconds between Ctrl-C and the end of it."""
    sent = []

    def stop() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(1.5, stop)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        timer.cancel()
    return time.monotonic() - sent[0]


def in_a_transaction(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.read(ENDLESS)


def in_a_stream(store: Store) -> None:
    with store.stream(ENDLESS) as rows:
        list(rows)


WAYS = {
    "read": lambda store: store.read(ENDLESS),
    "write": lambda store: store.write(ENDLESS),
    "columns": lambda store: store.columns(ENDLESS),
    "transaction": in_a_transaction,
    "stream": in_a_stream,
}


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_ends_a_query_here_and_on_the_server(home, store, way):
    with open_store(home) as mine:
        assert interrupted(lambda: WAYS[way](mine)) < 2
        assert soon(lambda: not running(mine))  # and the store goes on
