"""FB15k-237 as plain Python, for the benchmarks: entities with names and descriptions, relations with names, triples.

The folder is `kg/FB15k-237` under `CORTIGRAPH_DATA`, else under `../shared/data` beside the project. A benchmark that
does not find it says so and ends.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _stage import data_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FB15k", "folder", "read"]

PARTS = ("train", "valid", "test")
Triple = tuple[str, str, str]


@dataclass(frozen=True)
class FB15k:
    """The whole data set in memory.

    Args:
        nodes: `{key, name, description?}` per entity that is in a triple, in the order of its first use.
        relations: Relation → its readable name.
        triples: `(head, relation, tail)` of all three parts.
        parts: How many triples each part has, in the order of `triples`.
    """

    nodes: list[dict[str, Any]]
    relations: dict[str, str]
    triples: list[Triple]
    parts: dict[str, int]

    def by_relation(self) -> dict[str, list[Triple]]:
        """The triples of each relation."""
        grouped: dict[str, list[Triple]] = {}
        for triple in self.triples:
            grouped.setdefault(triple[1], []).append(triple)
        return grouped

    def node_table(self) -> pa.Table:
        """The entities as Arrow: key, name, description."""
        import pyarrow as pa

        return pa.Table.from_pylist(
            self.nodes, pa.schema([("key", pa.string()), ("name", pa.string()), ("description", pa.string())])
        )

    def triple_table(self) -> pa.Table:
        """The triples as Arrow: head, relation, tail."""
        import pyarrow as pa

        columns = [pa.array(column, pa.string()) for column in zip(*self.triples, strict=True)]
        return pa.table(columns, names=["head", "relation", "tail"])


def folder() -> Path:
    """Where the files lie.

    Raises:
        SystemExit: They are not there; says where they were looked for.
    """
    path = data_folder() / "kg" / "FB15k-237"
    if not path.is_dir():
        raise SystemExit(f"no FB15k-237 in {path}; set CORTIGRAPH_DATA to the folder that holds kg/FB15k-237")
    return path


def read(path: Path | None = None) -> FB15k:
    """Read all of it.

    Args:
        path: The folder; `folder()` if left out.
    """
    path = path or folder()
    triples: list[Triple] = []
    parts = {}
    for part in PARTS:
        before = len(triples)
        triples += _triples(path / f"{part}.txt.gz")
        parts[part] = len(triples) - before
    names = _pairs(path / "entity2name.txt.gz")
    with gzip.open(path / "entity2wikidata.json.gz", "rt", encoding="utf-8") as file:
        known = json.load(file)
    keys = dict.fromkeys(key for head, _, tail in triples for key in (head, tail))
    nodes = [_node(key, names, known) for key in keys]
    relations = _pairs(path / "relation2text.txt")
    return FB15k(nodes, relations, triples, parts)


def _node(key: str, names: dict[str, str], known: dict[str, Any]) -> dict[str, Any]:
    node = {"key": key, "name": names.get(key, key)}
    description = known.get(key, {}).get("description")
    return node | ({"description": description} if description else {})


def _triples(path: Path) -> list[Triple]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        rows = [line.rstrip("\r\n").split("\t") for line in file]
    return [(head, relation, tail) for head, relation, tail in rows]


def _pairs(path: Path) -> dict[str, str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\r\n").split("\t", 1) for line in file]
    return {row[0]: row[1] for row in rows}


if __name__ == "__main__":
    data = read()
    print(
        json.dumps(
            {
                "entities": len(data.nodes),
                "described": sum("description" in node for node in data.nodes),
                "relations": len(data.relations),
                **data.parts,
            }
        )
    )
