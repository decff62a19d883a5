"""The Neo4j driver, tamed: how we connect, and what its exceptions become."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cortigraph.graph.errors import CortigraphError, InputError, QueryError, SetupError, StoreError
from cortigraph.graph.server import Address

if TYPE_CHECKING:
    import neo4j

__all__ = [
    "BusyError",
    "RefusedError",
    "TimedOutError",
    "UnreachableError",
    "connect",
    "counters",
    "remote_address",
    "sendable",
    "translated",
    "transpose",
]

# An embedded server that does not answer for this long is dead, and is started again rather than waited for.
EMBEDDED_RETRY_SECONDS = 10.0
REMOTE_RETRY_SECONDS = 30.0


class UnreachableError(StoreError):
    """No answer: the server is gone, or the network is."""


class RefusedError(StoreError):
    """The server knows neither this user nor this password."""


class TimedOutError(StoreError):
    """A query was ended because it took longer than it was given."""


class BusyError(StoreError):
    """The store is there, but gave up for a reason that passes, again and again: a dead-lock, or no memory just now."""


def remote_address(uri: str, user: str | None, password: str | None) -> Address:
    """The address of a remote server, completed from the environment.

    Args:
        uri: Where it is.
        user: Else `CORTIGRAPH_USER`, else `neo4j`.
        password: Else `CORTIGRAPH_PASSWORD`.

    Raises:
        InputError: The URI has no scheme that Neo4j knows, or carries a password.
        SetupError: There is no password.

    Example:
        >>> remote_address("neo4j://db", "me", "secret")
        Address(uri='neo4j://db', user='me')
    """
    uri = uri.strip()
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc"):
        raise InputError(f"a store's URI begins with neo4j://, neo4j+s://, bolt:// or bolt+s://, got {scheme[:20]!r}")
    if "@" in rest:
        raise InputError("a store's URI must not carry user and password; set CORTIGRAPH_USER and CORTIGRAPH_PASSWORD")
    if not _names_a_host(uri):
        raise InputError(f"a store's URI is like neo4j://host or bolt://host:7687, got {uri!r}")
    password = password or os.environ.get("CORTIGRAPH_PASSWORD")
    if not password:
        raise SetupError(f"no password for {uri}: set CORTIGRAPH_PASSWORD (and CORTIGRAPH_USER), or pass password=…")
    return Address(uri, user or os.environ.get("CORTIGRAPH_USER") or "neo4j", password)


def _names_a_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0 and not any(map(str.isspace, uri))
    except ValueError:  # a port that is none, or half an address
        return False


def connect(address: Address, *, embedded: bool) -> neo4j.Driver:
    """A driver for an address; it connects when it is first used.

    Args:
        address: Where to and as whom.
        embedded: Whether a server that does not answer can simply be started again.
    """
    import neo4j

    with translated(address.uri):
        return neo4j.GraphDatabase.driver(
            address.uri,
            auth=(address.user, address.password),
            notifications_min_severity="OFF",
            telemetry_disabled=True,
            connection_timeout=10.0,
            max_transaction_retry_time=EMBEDDED_RETRY_SECONDS if embedded else REMOTE_RETRY_SECONDS,
        )


@contextlib.contextmanager
def translated(uri: str = "", *, within: bool = False) -> Iterator[None]:
    """Turn the driver's exceptions into ours.

    Args:
        uri: How to call the store in the message.
        within: We are inside a transaction that the driver may retry: what it would retry passes as it is.

    Raises:
        QueryError: The server refuses the query.
        InputError: A parameter can't be sent.
        UnreachableError: No answer.
        StoreError: Anything else that goes wrong on the server.
    """
    from neo4j import exceptions

    try:
        yield
    except (exceptions.Neo4jError, exceptions.DriverError) as error:
        if within and error.is_retryable() and not _out_of_memory(error):
            raise
        raise _ours(error, uri or "the store") from error
    except (ValueError, TypeError, OverflowError) as error:  # the driver could not pack a parameter
        if not within or isinstance(error, CortigraphError):
            raise
        raise InputError(f"a parameter can't be sent to the store: {error}") from error


def _ours(error: Exception, uri: str) -> Exception:
    from neo4j import exceptions

    text = " ".join(str(getattr(error, "message", None) or error).split())
    code = getattr(error, "code", None) or ""
    if isinstance(error, exceptions.AuthError):
        return RefusedError(f"{uri} refuses this user and password; set CORTIGRAPH_USER and CORTIGRAPH_PASSWORD")
    if "TransactionTimedOut" in code:
        return TimedOutError("the query took longer than it was given, and was ended; give it more, or ask for less")
    if "AuthenticationRateLimit" in code:
        return StoreError(
            f"{uri} refuses every login for a while, after too many logins that failed; wait 5 s, try again"
        )
    if isinstance(error, exceptions.ServiceUnavailable | exceptions.SessionExpired):
        return UnreachableError(f"no answer from {uri}: {text}; is the server running, and the address right?")
    if isinstance(error, exceptions.TransientError):
        return BusyError(f"{uri} gave up after several tries: {text}; try again, or in smaller batches")
    if isinstance(error, exceptions.ClientError):
        return QueryError(_with_hint(text))
    if isinstance(error, exceptions.Neo4jError):
        return StoreError(f"{uri} failed: {text}; see the server's log")
    return StoreError(f"{uri}: {text}")


def _out_of_memory(error: Exception) -> bool:
    """The server calls this passing, but the same query would only fail again, after half a minute of tries."""
    return "OutOfMemory" in (getattr(error, "code", None) or "")


def _with_hint(text: str) -> str:
    if "access mode" in text or "read access" in text.lower():
        return f"{text} (a read may not change the store: use write, on the command line --write)"
    return text


def sendable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the driver takes them: arrays and sets become lists, numpy's numbers Python's.

    Args:
        parameters: By name.

    Raises:
        InputError: A value that Neo4j can't hold; names it.

    Example:
        >>> sendable({"keys": ("a", "b")})
        {'keys': ['a', 'b']}
    """
    return {name: _plain(name, value) for name, value in parameters.items()}


def _plain(name: str, value: Any) -> Any:
    if type(value) in (str, int, float, bool, list, dict, type(None)):  # the driver looks into these itself
        return value
    if isinstance(value, str):
        return str(value)  # an enumeration's member
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def counters(summary: Any) -> dict[str, int]:
    """What the server says that a query changed, without the zeros.

    Args:
        summary: The driver's summary of a consumed result.
    """
    return {
        name: value
        for name, value in vars(summary.counters).items()
        if type(value) is int and value and not name.startswith("_")
    }


def transpose(names: list[str], rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows as one list per column.

    Args:
        names: Of the columns.
        rows: Each as long as the names.

    Example:
        >>> transpose(["x", "y"], [(1, 2), (3, 4)])
        {'x': [1, 3], 'y': [2, 4]}
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: list(values) for name, values in zip(names, columns, strict=True)}
