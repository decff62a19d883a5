from __future__ import annotations

import threading

import pytest

from cortigraph.graph import _driver, cypher, schema, server
from cortigraph.graph.errors import InputError, QueryError, SetupError, StoreError
from cortigraph.graph.store import Store, open_store

VERSIONS = [migration.version for migration in schema.MIGRATIONS]


def test_rows_come_as_dicts(store):
    assert store.read("UNWIND [1, 2] AS x RETURN x, $y AS y", y="b") == [{"x": 1, "y": "b"}, {"x": 2, "y": "b"}]


def test_a_parameter_may_have_any_name(store):
    assert store.read("RETURN $query AS a, $home AS b", query=1, home=2) == [{"a": 1, "b": 2}]


def test_a_read_may_not_write(clean_store):
    with pytest.raises(QueryError, match="use write"):
        clean_store.read("CREATE (:Area {key: 'a'})")
    assert clean_store.read("MATCH (n:Area) RETURN count(n) AS n") == [{"n": 0}]


def test_a_write_gives_rows_and_the_servers_counters(clean_store):
    written = clean_store.write("CREATE (n:Area {key: 'a'}) RETURN n.key AS key")
    assert written.rows == [{"key": "a"}]
    assert written.counters == {"labels_added": 1, "nodes_created": 1, "properties_set": 1}


@pytest.mark.parametrize(
    ("query", "said"),
    [("RETRN 1", "Invalid input"), ("RETURN $missing", "Expected parameter"), ("RETURN 1/0 AS x", "by zero")],
)
def test_what_the_server_refuses_is_the_users_error(store, query, said):
    with pytest.raises(QueryError, match=said) as caught:
        store.read(query)
    assert caught.value.exit_code == 2


def test_what_can_not_be_sent_is_the_users_error_and_the_store_goes_on(store):
    with pytest.raises(InputError, match="can't be sent"):
        store.read("RETURN $x AS x", x=object())
    with pytest.raises(InputError, match="can't be sent"):
        store.read("RETURN $x AS x", x=2**64)
    assert store.read("RETURN 1 AS x") == [{"x": 1}]


def test_arrays_tuples_and_enumerations_can_be_sent(store):
    import numpy as np

    row = store.read("RETURN $a AS a, $b AS b, $c AS c, $d AS d", a=np.ones(2), b=(1, 2), c=schema.Label.AREA, d={"x"})
    assert row == [{"a": [1.0, 1.0], "b": [1, 2], "c": "Area", "d": ["x"]}]


def test_injection_through_a_value_stays_a_value(clean_store):
    text = "x'}) MATCH (n) DETACH DELETE n //"
    clean_store.write("CREATE (:Area {key: $key})", key=text)
    assert clean_store.read("MATCH (n:Area) RETURN n.key AS key") == [{"key": text}]


# ---- columns ------------------------------------------------------------------------------------------------------


def test_columns_keep_order_and_nulls(store):
    got = store.columns("UNWIND [3, 1, 2] AS x RETURN x, CASE x WHEN 1 THEN null ELSE [x] END AS y ORDER BY x")
    assert got == {"x": [1, 2, 3], "y": [None, [2], [3]]}


def test_no_rows_are_empty_columns(clean_store):
    assert clean_store.columns("MATCH (n:Area) RETURN n.key AS key, n.name AS name") == {"key": [], "name": []}


@pytest.mark.parametrize(
    "query", ["RETURN 1 AS x;", "RETURN 1 AS x // why", "CYPHER 25 RETURN 1 AS x", "RETURN 1 AS x\n"]
)
def test_queries_of_every_shape_give_columns(store, query):
    assert store.columns(query) == {"x": [1]}


def test_a_procedure_gives_columns(store):
    assert "Area" in store.columns("CALL db.labels()")["label"]


def test_columns_may_not_write_and_errors_are_of_the_query_as_given(clean_store):
    with pytest.raises(QueryError):
        clean_store.columns("CREATE (n:Area {key: 'a'}) RETURN n.key AS key")
    with pytest.raises(QueryError, match="RETRN 1"):
        clean_store.columns("RETRN 1")
    assert clean_store.read("MATCH (n:Area) RETURN count(n) AS n") == [{"n": 0}]


# ---- transactions -------------------------------------------------------------------------------------------------


def test_a_transaction_sees_its_own_writes_and_commits_as_a_whole(clean_store):
    with clean_store.transaction() as transaction:
        transaction.write("CREATE (:Area {key: 'a'})")
        assert transaction.read("MATCH (n:Area) RETURN n.key AS key") == [{"key": "a"}]
        assert transaction.columns("MATCH (n:Area) RETURN n.key AS key") == {"key": ["a"]}
        assert clean_store.read("MATCH (n:Area) RETURN n.key AS key") == []
    assert clean_store.read("MATCH (n:Area) RETURN n.key AS key") == [{"key": "a"}]


def test_an_error_rolls_everything_back(clean_store):
    def fail() -> None:
        with clean_store.transaction() as transaction:
            transaction.write("CREATE (:Area {key: 'a'})")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert clean_store.read("MATCH (n:Area) RETURN n") == []


def test_a_value_error_of_the_callers_own_stays_what_it_is(store):
    with pytest.raises(ValueError, match="mine"), store.transaction():
        raise ValueError("mine")


def test_a_doubled_key_is_refused_by_the_constraint(clean_store):
    clean_store.write("CREATE (:Area {key: 'a'})")
    with pytest.raises(QueryError, match="already exists"):
        clean_store.write("CREATE (:Area {key: 'a'})")


def test_writers_that_dead_lock_are_tried_again(clean_store):
    clean_store.write("CREATE (:Area {key: 'a', n: 0}), (:Area {key: 'b', n: 0})")
    barrier = threading.Barrier(2)
    tries: list[str] = []
    failures: list[BaseException] = []

    def add(first: str, second: str) -> None:
        def work(transaction):
            tries.append(first)
            transaction.write("MATCH (n:Area {key: $key}) SET n.n = n.n + 1", key=first)
            if len(tries) <= 2:
                barrier.wait(10)
            transaction.write("MATCH (n:Area {key: $key}) SET n.n = n.n + 1", key=second)

        try:
            clean_store.execute(work)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(tries) == 3
    assert clean_store.read("MATCH (n:Area) RETURN n.n AS n") == [{"n": 2}, {"n": 2}]


# ---- opening ------------------------------------------------------------------------------------------------------


def test_read_only_refuses_every_write(clean_store):
    with open_store(clean_store.home, read_only=True) as store:
        assert store.read("RETURN 1 AS x") == [{"x": 1}]
        with pytest.raises(InputError, match="read-only"):
            store.write("CREATE (:Area {key: 'a'})")
        with pytest.raises(QueryError), store.transaction() as transaction:
            transaction.write("CREATE (:Area {key: 'a'})")


def test_remote_by_uri_is_the_same_code(store, monkeypatch):
    address = server.ensure(store.home)
    monkeypatch.setenv("CORTIGRAPH_URI", address.uri)
    monkeypatch.setenv("CORTIGRAPH_USER", address.user)
    monkeypatch.setenv("CORTIGRAPH_PASSWORD", address.password)
    with open_store() as remote:
        assert remote.home is None
        assert remote.uri == address.uri
        assert remote.read("RETURN 1 AS x") == [{"x": 1}]


def test_a_wrong_password_is_not_repeated_in_the_error(store):
    with pytest.raises(StoreError, match="refuses this user and password") as caught:
        open_store(uri=store.uri, user="neo4j", password="hush-hush")
    assert "hush" not in str(caught.value)


def test_no_password_for_a_remote_store(monkeypatch):
    with pytest.raises(SetupError, match="CORTIGRAPH_PASSWORD"):
        open_store(uri="bolt://127.0.0.1:9")


@pytest.mark.parametrize("uri", ["http://x", "localhost:7687", "bolt://me:hush@host"])
def test_a_uri_that_is_none(uri):
    with pytest.raises(InputError, match="a store's URI") as caught:
        open_store(uri=uri, password="x")
    assert "hush" not in str(caught.value)


def test_no_answer_names_the_address(monkeypatch):
    monkeypatch.setattr(_driver, "REMOTE_RETRY_SECONDS", 0.5)
    with pytest.raises(StoreError, match=r"no answer from bolt://127\.0\.0\.1:9"):
        open_store(uri="bolt://127.0.0.1:9", password="x")


def test_the_password_is_not_in_repr(store):
    password = server.ensure(store.home).password
    assert password not in repr(store)
    assert password not in repr(vars(store))


def test_a_full_disk_is_said_to_be_the_cause(clean_store, monkeypatch):
    monkeypatch.setattr(server, "disk_is_full", lambda home: True)
    monkeypatch.setattr(Store, "_attempt", lambda *_, **__: (_ for _ in ()).throw(StoreError("the server failed")))
    with pytest.raises(StoreError, match=r"the disk is full.*the server failed"):
        clean_store.write("CREATE (:Area {key: 'a'})")


# ---- schema -------------------------------------------------------------------------------------------------------


def test_migrations_are_recorded_once_and_a_second_call_does_nothing(store):
    assert schema.migrate(store) == []
    recorded = store.read(cypher.MIGRATIONS)
    assert [row["version"] for row in recorded] == VERSIONS


def test_every_label_has_its_constraint_and_every_index_is_online(store):
    indexes = {row["name"]: row for row in store.read(cypher.INDEXES)}
    assert {f"{label}_key" for label in schema.Label} <= indexes.keys()
    for label, dimension in schema.EMBEDDING_DIMENSIONS.items():
        config = indexes[f"{label}_embedding"]["options"]["indexConfig"]
        assert config["vector.dimensions"] == dimension
        assert config["vector.similarity_function"] == "COSINE"
    assert indexes[schema.TEXT_INDEX]["type"] == "FULLTEXT"
    assert {row["state"] for row in indexes.values()} == {"ONLINE"}


def test_migrating_twice_at_once_is_safe(store):
    store.write("MATCH (m:Migration) DELETE m")
    failures: list[BaseException] = []

    def run() -> None:
        try:
            schema.migrate(store)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [row["version"] for row in store.read(cypher.MIGRATIONS)] == [
        migration.version for migration in schema.MIGRATIONS
    ]


def test_a_store_newer_than_the_code_is_refused(store):
    store.write("CREATE (:Migration {key: '9999', version: 9999, name: 'later'})")
    try:
        with pytest.raises(StoreError, match=r"version 9999, this cortigraph knows up to \d+: .*pip install"):
            open_store(store.home)
    finally:
        store.write("MATCH (m:Migration {key: '9999'}) DELETE m")


def test_versions_count_up_from_one():
    assert [migration.version for migration in schema.MIGRATIONS] == list(range(1, len(schema.MIGRATIONS) + 1))


# ---- version ------------------------------------------------------------------------------------------------------


def test_the_version_changes_with_every_change_and_with_nothing_else(clean_store):
    seen = [clean_store.version()]
    for change in (
        "CREATE (:Area {key: 'a'})",
        "MATCH (n:Area) SET n.name = 'A'",
        "MATCH (n:Area) CREATE (n)-[:SELF]->(n)",
        "MATCH (n:Area) DETACH DELETE n",
    ):
        clean_store.write(change)
        seen.append(clean_store.version())
    assert len(set(seen)) == len(seen)
    clean_store.read("MATCH (n:Unheard {of: 1}) RETURN n")
    clean_store.write("MATCH (n:Area) SET n.name = 'nothing to set'")
    clean_store.read("CALL db.awaitIndexes(60)")
    assert clean_store.version() == seen[-1]


def test_the_version_is_the_same_for_whoever_asks_and_a_rollback_does_not_change_it(clean_store):
    before = clean_store.version()
    with pytest.raises(QueryError), clean_store.transaction() as tx:
        tx.write("CREATE (:Area {key: 'never'}) RETURN nothing")
    with open_store(clean_store.home, read_only=True) as other:
        assert other.version() == before
