"""One real Neo4j per test session; tests that use it are marked `store` by themselves."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from cortigraph.graph import cypher, server
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store, open_store
from tests.network import hosts

__all__ = ["hosts"]

STORE_FIXTURES = {"store", "clean_store"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if STORE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("store")


@pytest.fixture(scope="session", autouse=True)
def _surroundings() -> Iterator[None]:
    """No test sees the developer's own memory, and a server that is left behind stops soon."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CORTIGRAPH_HOME", "CORTIGRAPH_URI", "CORTIGRAPH_USER", "CORTIGRAPH_PASSWORD", "CORTIGRAPH_PORT"):
            patch.delenv(name, raising=False)
        patch.setenv("CORTIGRAPH_IDLE", "120")
        # Java's quick compiler alone: most servers of the tests live for seconds, in which the other costs most.
        patch.setenv("CORTIGRAPH_JAVA", "-XX:TieredStopAtLevel=1")
        yield


@pytest.fixture(autouse=True)
def _interrupts() -> Iterator[None]:
    """A command that a test runs in this process takes Ctrl-C into its own hands: only as long as the test lasts."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home for the session; its server, if a test starts one, is stopped at the end."""
    home = Home(tmp_path_factory.mktemp("home"))
    yield home
    server.stop(home)


@pytest.fixture(scope="session")
def store(home: Home) -> Iterator[Store]:
    """The session's store, migrated. Tests that count everything take `clean_store`."""
    with open_store(home) as store:
        yield store


@pytest.fixture
def clean_store(store: Store) -> Store:
    """The session's store, emptied."""
    while store.write(cypher.DELETE_SOME).rows[0]["deleted"]:
        pass
    return store
