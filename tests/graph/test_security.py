"""What may not happen: a read-only store that changes, a login without the password, a secret that is told.

Everything is tried on the real server, because it is the server that has to refuse.
"""

from __future__ import annotations

import http.server
import os
import stat
import threading
import traceback

import neo4j
import psutil
import pytest
from neo4j.exceptions import ClientError, Neo4jError

from cortigraph.graph import server
from cortigraph.graph.errors import CortigraphError, InputError, QueryError, StoreError
from cortigraph.graph.store import Store, open_store
from cortigraph.graph.write import merge_nodes

SECRET = "hunter2-çà-🔑"
GUESS = "guess-guess-guess"
WRITES = [
    "CREATE (:Area {key: 'x'})",
    "CREATE (:Unheard {key: 'x'})",
    "MERGE (:Area {key: 'x'})",
    "MATCH (n:Area) SET n.x = 1",
    "MATCH (n:Area) SET n:Other",
    "MATCH (n:Area) REMOVE n.name",
    "MATCH (n:Area) DETACH DELETE n",
    "MATCH (n:Area) CREATE (n)-[:NEW]->(n)",
    "FOREACH (x IN [1] | CREATE (:Area {key: 'x'}))",
    "CYPHER 5 CREATE (:Area {key: 'x'})",
    "CYPHER 25 CREATE (:Area {key: 'x'})",
    "PROFILE CREATE (:Area {key: 'x'})",
    "\\u0043REATE (:Area {key: 'x'})",
    "MATCH (n:Area) CALL (n) { SET n.x = 1 } IN TRANSACTIONS",
    "CALL () { CREATE (:Area {key: 'x'}) } IN TRANSACTIONS",
    "UNWIND [1] AS x CALL (x) { CREATE (:Area {key: 'x'}) RETURN 1 AS y } RETURN y",
    "MATCH (n:Area) CALL db.create.setNodeVectorProperty(n, 'v', [1.0]) RETURN n",
    "CALL db.createLabel('Unheard')",
    "CALL db.createProperty('unheard')",
    "CALL db.createRelationshipType('UNHEARD')",
]
SCHEMA = [
    "CREATE INDEX unheard FOR (n:Area) ON (n.x)",
    "CREATE TEXT INDEX unheard FOR (n:Area) ON (n.x)",
    "CREATE FULLTEXT INDEX unheard FOR (n:Area) ON EACH [n.x]",
    "CREATE VECTOR INDEX unheard FOR (n:Area) ON (n.x) OPTIONS {indexConfig: {`vector.dimensions`: 2}}",
    "CREATE CONSTRAINT unheard FOR (n:Area) REQUIRE n.x IS UNIQUE",
    "DROP INDEX cortigraph_text",
    "DROP CONSTRAINT Area_key",
]
COMMANDS = [
    "CREATE USER eve SET PASSWORD 'eve-eve-eve'",
    "CREATE USER eve IF NOT EXISTS SET PASSWORD 'eve-eve-eve' CHANGE NOT REQUIRED",
    "ALTER USER neo4j SET PASSWORD 'eve-eve-eve'",
    "ALTER CURRENT USER SET PASSWORD FROM 'a' TO 'eve-eve-eve'",
    "RENAME USER neo4j TO eve",
    "DROP USER neo4j",
    "CREATE DATABASE eve",
    "DROP DATABASE neo4j",
    "STOP DATABASE neo4j",
    "USE system CREATE USER eve SET PASSWORD 'eve-eve-eve'",
    "CALL dbms.setConfigValue('db.logs.query.enabled', 'VERBOSE')",
    "TERMINATE TRANSACTION 'neo4j-transaction-1'",
    "CYPHER 25 TERMINATE TRANSACTIONS 'neo4j-transaction-1'",
    "\\u0054ERMINATE TRANSACTION 'neo4j-transaction-1'",
    "SHOW TRANSACTIONS YIELD transactionId AS id TERMINATE TRANSACTIONS id YIELD message RETURN message",
]
# Allowed: they change nothing that anyone stored or knows.
HARMLESS = [
    "CALL db.clearQueryCaches()",
    "CALL db.resampleOutdatedIndexes()",
    "CALL db.prepareForReplanning()",
    "CALL db.awaitIndexes(10)",
    "CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()",
    "CALL tx.setMetaData({a: 1})",
    "EXPLAIN CREATE (:Area {key: 'x'})",
    "SHOW USERS",
    "SHOW TRANSACTIONS",
    "RETURN 'terminate' AS text",
]
DOORS = {
    "read": lambda store, query: store.read(query),
    "columns": lambda store, query: store.columns(query),
    "write": lambda store, query: store.write(query),
    "execute": lambda store, query: store.execute(lambda transaction: transaction.write(query)),
    "transaction": lambda store, query: _in_transaction(store, "write", query),
    "transaction read": lambda store, query: _in_transaction(store, "read", query),
    "transaction columns": lambda store, query: _in_transaction(store, "columns", query),
}


def _in_transaction(store: Store, method: str, query: str):
    with store.transaction() as transaction:
        return getattr(transaction, method)(query)


def everything(store: Store):
    """All that a store holds, its schema, its words, and who may log in."""
    return (
        store.read("MATCH (n) RETURN labels(n) AS labels, properties(n) AS p ORDER BY elementId(n)"),
        store.read(
            "MATCH (a)-[r]->(b) RETURN a.key AS a, type(r) AS t, properties(r) AS p, b.key AS b ORDER BY a, t, b"
        ),
        store.read(
            "SHOW INDEXES YIELD name, type, state, properties RETURN name, type, state, properties ORDER BY name"
        ),
        store.read("SHOW CONSTRAINTS YIELD name, type RETURN name, type ORDER BY name"),
        store.read("CALL db.labels() YIELD label RETURN label ORDER BY label"),
        store.read("CALL db.relationshipTypes() YIELD relationshipType AS t RETURN t ORDER BY t"),
        store.read("CALL db.propertyKeys() YIELD propertyKey AS k RETURN k ORDER BY k"),
        store.read("SHOW USERS YIELD user, passwordChangeRequired"),
    )


@pytest.fixture
def read_only(clean_store, home):
    clean_store.write("CREATE (a:Area {key: 'a', name: 'A'})-[:HAS_REGION]->(:Region {key: 'a/001'})")
    with open_store(home, read_only=True) as store:
        yield store


@pytest.mark.parametrize("door", DOORS)
def test_a_read_only_store_is_changed_through_no_door(clean_store, read_only, door):
    before = everything(clean_store)
    for query in WRITES + SCHEMA + COMMANDS:
        with pytest.raises(InputError):  # whoever refuses, it is what the user gave, in one line
            DOORS[door](read_only, query)
        assert clean_store.read("MATCH (n) RETURN count(n) AS n")[0]["n"] == len(before[0]), query
    assert everything(clean_store) == before


def test_a_read_only_store_takes_no_batches(read_only):
    with pytest.raises(InputError, match="opened read-only"):
        merge_nodes(read_only, "Area", [{"key": "x"}])


@pytest.mark.parametrize("query", HARMLESS)
def test_what_is_allowed_read_only_changes_nothing(clean_store, read_only, query):
    before = everything(clean_store)
    read_only.read(query)
    assert everything(clean_store) == before


@pytest.mark.parametrize("door", ["read", "columns"])
def test_an_ordinary_read_changes_nothing_either(clean_store, door):
    clean_store.write("CREATE (a:Area {key: 'a', name: 'A'})")
    before = everything(clean_store)
    for query in WRITES + SCHEMA + COMMANDS[:11]:
        with pytest.raises(QueryError):
            DOORS[door](clean_store, query)
    assert everything(clean_store) == before


# ---- what a query can reach ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listener():
    """A web server on this machine that notes who asks."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"secret,row\n")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield web.server_address[1], asked
        web.shutdown()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a",
        "http://localhost:{port}/b",
        "http://[::ffff:127.0.0.1]:{port}/c",
        "http://0.0.0.0:{port}/d",
        "http://2130706433:{port}/e",
        "https://127.0.0.1:{port}/f",
        "ftp://127.0.0.1:{port}/g",
        "file://{file}",
        "file:{file}",
        "file:///../../../../../../../../{file}",
        "{file}",
    ],
)
def test_a_query_reads_no_file_and_calls_no_other_machine(store, listener, tmp_path, url):
    port, asked = listener
    file = tmp_path / "rows.csv"
    file.write_text("secret,row\n", encoding="utf-8")
    for run in (store.read, store.write, store.columns):
        with pytest.raises(QueryError) as caught:
            run("LOAD CSV FROM $url AS row RETURN row", url=url.format(port=port, file=file))
        assert "secret" not in str(caught.value)
    assert asked == []


# ---- who gets in ---------------------------------------------------------------------------------------------------


def _guesses(password: str):
    return {
        "nothing": None,
        "default": ("neo4j", "neo4j"),
        "empty": ("neo4j", ""),
        "wrong": ("neo4j", "wrong-password"),
        "shorter": ("neo4j", password[:-1]),
        "other case": ("neo4j", password.swapcase()),
        "other user": ("admin", password),
        "no user": ("", password),
        "bearer": neo4j.bearer_auth(password),
        "kerberos": neo4j.kerberos_auth(password),
    }


def test_nobody_gets_in_without_the_password(store, home):
    address = server.ensure(home)
    for name, auth in _guesses(address.password).items():
        with (
            neo4j.GraphDatabase.driver(address.uri, auth=auth, max_transaction_retry_time=0) as driver,
            pytest.raises(Neo4jError) as caught,
            driver.session() as session,
        ):
            session.run("RETURN 1").consume()
        assert isinstance(caught.value, ClientError), name
        assert caught.value.code.startswith("Neo.ClientError.Security"), name
        assert address.password not in _told(caught.value), name
    assert store.read("RETURN 1 AS x") == [{"x": 1}]


def test_a_wrong_password_is_told_without_telling_any(home, store):
    address = server.ensure(home)
    said = set()
    for _ in range(8):  # after three the server stops listening for a while, whoever asks
        with pytest.raises(StoreError, match=r"refuses this user and password|too many logins that failed") as caught:
            open_store(uri=address.uri, user="neo4j", password=GUESS)
        told = _told(caught.value)
        assert GUESS not in told
        assert address.password not in told
        said.add(str(caught.value))
    assert any("wait" in text for text in said)


def test_the_server_listens_on_this_machine_alone(store, home):
    state = server.status(home)
    process = psutil.Process(state.pid)
    sockets = [one for one in process.net_connections(kind="inet") if one.status == psutil.CONN_LISTEN]
    assert {(socket.laddr.ip.removeprefix("::ffff:"), socket.laddr.port) for socket in sockets} == {
        ("127.0.0.1", state.port)
    }
    assert [one for one in process.net_connections(kind="unix") if one.laddr and "neo4j" in str(one.laddr)] == []


# ---- what is told ---------------------------------------------------------------------------------------------------


def _told(error: BaseException) -> str:
    """All text of an error, of what caused it, and of the variables that a crash report might show."""
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    chain, one = [], error
    while one is not None:
        chain += [repr(one), str(one), repr(one.args), repr(vars(one))]
        one = one.__cause__ or one.__context__
    return shown + "\n".join(chain)


def test_secrets_and_values_are_in_no_log(store, home):
    address = server.ensure(home)
    store.write("CREATE (n:Task {key: 'secret', text: $text}) WITH n DETACH DELETE n", text=SECRET)
    twice = "CREATE (:Task {key: $text}), (:Task {key: $text})"
    for query in ("RETURN 1/0 + $text", twice, "RETRN $text", "RETURN date($text)", "RETURN point({x: $text})"):
        with pytest.raises(QueryError):
            store.write(query, text=SECRET)
    with pytest.raises(CortigraphError):  # the server calls this one its own fault, and logs it
        store.write("CREATE (:Task {key: $text})", text=SECRET * 1000)
    with pytest.raises(CortigraphError):
        open_store(uri=address.uri, user="neo4j", password=GUESS)
    for path in home.database.rglob("*"):
        if not path.is_file() or path.name in ("password", "password.new"):
            continue
        content = path.read_bytes()
        assert address.password.encode() not in content, path
        assert GUESS.encode() not in content, path
        if path.suffix in (".log", ".json", ".conf"):
            assert SECRET.encode() not in content, path


def test_the_password_is_in_no_representation(store, home):
    address = server.ensure(home)
    for thing in (address, store, *vars(store).values(), server.status(home), home):
        assert address.password not in repr(thing) + str(thing)


def test_the_password_is_in_no_process_that_others_can_see(store, home):
    password = server.ensure(home).password
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        assert not any(password in text for text in told), process


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_only_the_user_can_look_into_the_database(store, home):
    assert stat.S_IMODE(home.database.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE((home.database / "password").stat().st_mode) == 0o600
    assert not (home.database / "password.new").exists()


def test_a_uri_that_carries_a_password_is_refused_without_repeating_it():
    with pytest.raises(InputError, match="must not carry") as caught:
        open_store(uri=f"neo4j://neo4j:{SECRET}@localhost")
    assert SECRET not in _told(caught.value)
