"""Triples on disk: a folder with `train.txt`, `valid.txt` and `test.txt`, perhaps gzipped; lines `head⇥relation⇥tail`.

This is the form in which graphs for link prediction are published. The entities of all three files are entities: one
that training never saw can be asked for, and must be ranked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.facts import Facts, entity_keys, relation_names, rows
from cortigraph.reasoning.reasoners.structure import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

__all__ = ["Splits", "read_queries", "read_splits", "read_triples"]

_PARTS = ("train", "valid", "test")
_COLUMNS = ["head", "relation", "tail"]


@dataclass(frozen=True, eq=False)
class Splits:
    """A graph with what is held out of it.

    Args:
        facts: What may be known.
        train: What `train.txt` says: (any, 3); the same as `facts`, unless another graph was given.
        valid: (any, 3): held out, to watch training.
        test: (any, 3): held out, to judge.
    """

    facts: Facts
    train: Rows
    valid: Rows
    test: Rows


def read_splits(
    folder: str | Path, relations: Sequence[str] | None = None, *, graph: str | Path | None = None
) -> Splits:
    """A folder of triples.

    Args:
        folder: Holds `train.txt`; `valid.txt` and `test.txt` may be missing.
        graph: A file of the facts that may be known instead of `train.txt`.
        relations: Names by number, of a reasoner that was trained on another graph.

    Raises:
        InputError: A file is missing, or a line has not three columns.
        UnknownKeyError: A relation is not among those given.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; it must hold train.txt, and may hold valid.txt and test.txt")
    tables = {part: read_triples(_file(folder, part)) for part in _PARTS if part == "train" or _there(folder, part)}
    told = tables["train"] if graph is None else read_triples(graph)
    entities = entity_keys([told, *tables.values()])
    names = relation_names([told, *tables.values()]) if relations is None else tuple(relations)
    facts = Facts.of(told, entities, names)
    held = {part: rows(table, entities, names) for part, table in tables.items()}
    nothing = facts.triples[:0]
    return Splits(facts, held["train"], held.get("valid", nothing), held.get("test", nothing))


def read_triples(path: str | Path) -> pa.Table:
    """A file of triples.

    Args:
        path: Lines `head⇥relation⇥tail`; gzipped if it ends in `.gz`.

    Returns:
        Columns `head`, `relation` and `tail`.

    Raises:
        InputError: It can't be read, or a line has not three columns.
    """
    import pyarrow as pa
    import pyarrow.csv as csv

    path = Path(path)
    try:
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=_COLUMNS),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(_COLUMNS, pa.string()), strings_can_be_null=False, include_columns=_COLUMNS
            ),
        )
    except (OSError, pa.ArrowException) as error:
        if path.exists() and not _uncompressed_size(path):
            return pa.table({name: pa.array([], pa.string()) for name in _COLUMNS})
        raise InputError(f"{path}: expected lines of `head⇥relation⇥tail`: {error}") from None


def read_queries(path: str | Path, facts: Facts) -> tuple[Rows, list[tuple[str, str]]]:
    """A file of queries.

    Args:
        path: Lines `head⇥relation`; `inverse of NAME` is the relation NAME, asked for its heads.
        facts: Whose rows they become.

    Returns:
        (queries, 2), and the same in words.

    Raises:
        InputError: It can't be read, or a line has not two columns.
        UnknownKeyError: The facts know no such entity or relation.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}; expected lines of `head⇥relation`") from None
    words = [tuple(line.split("\t")) for line in lines if line]
    wrong = [number for number, line in enumerate(lines, start=1) if line and line.count("\t") != 1]
    if wrong:
        raise InputError([f"{path}, line {number}: expected `head⇥relation`" for number in wrong[:20]])
    queries = [(int(facts.entities.row(head)), facts.relation(relation)) for head, relation in words]
    return np.array(queries, dtype=np.int64).reshape(-1, 2), [(head, relation) for head, relation in words]


def _uncompressed_size(path: Path) -> int:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        if path.suffix != ".gz":
            return int(file.size())
        with pa.CompressedInputStream(file, "gzip") as stream:
            return len(stream.read(1))


def _file(folder: Path, part: str) -> Path:
    plain, packed = folder / f"{part}.txt", folder / f"{part}.txt.gz"
    if not plain.exists() and not packed.exists():
        raise InputError(f"{folder} has neither {plain.name} nor {packed.name}")
    return plain if plain.exists() else packed


def _there(folder: Path, part: str) -> bool:
    return any((folder / f"{part}{end}").exists() for end in (".txt", ".txt.gz"))
