"""A folder of cards as two sources: what is said of the models, and the results that the cards tell.

A card of which anything can't be understood is one record that can't be used, told of by card and line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError
from cortigraph.ingest.spec.card_file import Card, columns_of, read_card
from cortigraph.ingest.spec.card_results import TOLD
from cortigraph.tables.base import Block, Fault, Progress, Raw
from cortigraph.tables.rejects import RejectedError
from cortigraph.tables.spec import SourceSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.tables.rejects import Rejects

__all__ = ["CardsSource", "read_cards"]

_TEXTS = ("model", "dataset", "metric", "run", *TOLD)
_SHOWN = 20


def read_cards(name: str, results: str, folder: Path, label: str, key: str) -> list[CardsSource]:
    """The cards of a folder: its `*.md`, and the README.md of each folder below it.

    Args:
        name: Of the source of models.
        results: Of the source of results.
        folder: Where they lie.
        label: How messages call the folder.
        key: The field of the front matter that names the model.

    Returns:
        The models, and the results if there are any.

    Raises:
        InputError: There is no such folder, or no card in it.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; `folder` is relative to the job's file")
    paths = sorted(path for path in {*folder.glob("*.md"), *folder.glob("*/**/README.md")} if not path.is_dir())
    if not paths:
        raise InputError(f"there is no *.md in {folder}, nor a README.md in a folder below it")
    read = [_read(path, folder, f"{label}/{path.relative_to(folder).as_posix()}", key) for path in paths]
    first: dict[str, str] = {}
    for card, _ in read:
        if card.key in first and not card.faults:
            card.fault(1, key, card.key, f"is the same model as that of {first[card.key]}; give each a name of its own")
        elif not card.faults:
            first[card.key] = card.label
    digest = hashlib.sha256(json.dumps([key, [[card.label, told] for card, told in read]]).encode()).hexdigest()
    cards = [card for card, _ in read]
    good = [card for card in cards if not card.faults]
    models = _Rows(
        columns_of([card.row for card in good]), [(card.label, 0) for card in good], {card.label: [1] for card in cards}
    )
    found = [CardsSource(name, folder, label, models, digest, cards)]
    if any(card.results for card in good):
        found.append(CardsSource(results, folder, label, _results(good), digest, ()))
    return found


@dataclass(frozen=True)
class _Rows:
    """The columns of a source, the card of each row and its number in that card, and the lines of a card's rows."""

    columns: Mapping[str, pa.Array]
    places: Sequence[tuple[str, int]]
    lines: Mapping[str, Sequence[int | None]]


class CardsSource:
    """What cards say, as a source. `read_cards` makes it.

    Args:
        name: In the job.
        folder: Where the cards lie.
        label: How messages call the folder.
        rows: What they say.
        digest: Of the cards' bytes.
        cards: All of them, those that can't be used included.
    """

    def __init__(self, name: str, folder: Path, label: str, rows: _Rows, digest: str, cards: Sequence[Card]) -> None:
        self.name = name
        self._folder, self._label, self._digest, self._cards = folder, label, digest, cards
        self._places, self._lines = rows.places, rows.lines
        self._columns = rows.columns

    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    def values(self, column: str) -> list[Any]:
        """What a column holds."""
        return list(self._columns[column].to_pylist())

    def blocks(
        self, rejects: Rejects, progress: Progress | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Gives all rows; the cards that can't be used are rejects."""
        import numpy as np
        import pyarrow as pa

        self._reject(rejects)
        if self._places:
            table = pa.RecordBatch.from_arrays(list(self._columns.values()), self.columns())
            yield Block(self.name, self._label, np.arange(len(self._places), dtype=np.int64), table)
        if progress is not None:
            progress(self.name, len(self._places), len(self._places))

    def _reject(self, rejects: Rejects) -> None:
        """All the cards that can't be used, as they are known: an error tells of as many as it shows."""
        known, error = 0, None
        for card in self._cards:
            if card.faults:
                try:
                    rejects.extend(self, card.label, card.faults)
                except RejectedError as caught:
                    known, error = known + 1, caught
                if error is not None and known >= _SHOWN:
                    break
        if error is not None:
            raise error

    def card(self, record: int) -> tuple[str, int]:
        """The card that a row is from, and its number among what that card says."""
        return self._places[record]

    def locate(self, file: str, records: Collection[int]) -> dict[int, tuple[int | None, Raw]]:
        """The lines of what a card says, and the card."""
        try:
            raw = (self._folder / Path(file).relative_to(self._label)).read_bytes()
        except OSError:
            raw = b""
        return {record: (self._lines[file][record] if raw else None, raw) for record in records}

    def fingerprint(self) -> str:
        """SHA-256 of the cards, and of how they are read."""
        return self._digest

    def bytes(self) -> int:
        """What it takes in memory, about."""
        return sum(column.nbytes for column in self._columns.values())

    def remains(self) -> SourceSpec:
        """Cards that can't be used are kept as JSON lines; they are mended where they lie."""
        return SourceSpec(path=[], format="jsonl", header=["card"])

    def assemble(self, records: Sequence[Raw]) -> Raw:
        """A file that holds just these cards."""
        return b"".join(json.dumps({"card": raw.decode("utf-8", "replace")}).encode() + b"\n" for raw in records)


def _results(cards: Sequence[Card]) -> _Rows:
    import pyarrow as pa

    rows = [{"model": card.key, **result} for card in cards for result in card.results]
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in _TEXTS}
    columns["value"] = pa.array([row["value"] for row in rows], pa.float64())
    places = [(card.label, number) for card in cards for number in range(len(card.results))]
    return _Rows(columns, places, {card.label: [result["line"] for result in card.results] for card in cards})


def _read(path: Path, folder: Path, label: str, key: str) -> tuple[Card, str]:
    """A card, and the hash of its file."""
    inside = path.name == "README.md" and path.parent != folder
    name = path.parent.relative_to(folder).as_posix() if inside else path.stem
    told = label.encode("utf-8", "backslashreplace").decode()
    if told != label:
        return Card(told, faults=[Fault(0, None, told, "has a name that is not UTF-8; rename it")]), ""
    try:
        data = path.read_bytes() if path.is_file() else None
    except OSError as error:
        data, reason = None, f"can't be read: {error.strerror or error}"
    else:
        reason = "is no file, nor a link to one"
    if data is None:
        return Card(label, name, faults=[Fault(0, None, path.name, reason)]), ""
    return read_card(data, label, name, key), hashlib.sha256(data).hexdigest()
