"""One model card: Markdown with YAML front matter, read whole, or refused with every reason and its line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cortigraph.graph.names import ENTITY_PROPERTIES, OWN_PROPERTIES, Label, property_problem
from cortigraph.graph.plain_yaml import Place, Plain, Tree, YamlError, read_yaml
from cortigraph.ingest.spec.card_results import INDEX, results
from cortigraph.tables.base import Fault

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Card", "columns_of", "read_card"]

_FENCE = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_OPEN = re.compile(r"\A---[ \t]*\r?$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+([^\s#].*)$", re.MULTILINE)
_NAMES = {"license": "licence"}
_OWN = ("key", "name", "description", "text", "area", "file")
_LONGEST = 16 << 20
_EXACT = 2**53  # up to here a float holds every whole number


@dataclass
class Card:
    """What a card says.

    Args:
        label: How messages call its file.
        key: Of the model.
        row: Column → what is said of it.
        results: A row a metric.
        faults: Why it can't be used.
    """

    label: str
    key: str = ""
    row: dict[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, line: int | None, column: str | None, value: object, reason: str) -> None:
        """Notes a reason why it can't be used."""
        self.faults.append(Fault(0, column, value, reason, line))


def read_card(data: bytes, label: str, name: str, key: str) -> Card:
    """Reads a card.

    Args:
        data: The file.
        label: How messages call it.
        name: Of the model, if the card does not name it.
        key: The field of the front matter that does.

    Example:
        >>> card = read_card(b"---\\nlanguage: no\\n---\\n# Ears\\n", "ears.md", "ears", "model_id")
        >>> card.key, card.row["name"], card.row["language"], card.faults
        ('ears', 'Ears', 'no', [])
        >>> read_card(b"---\\na: [1\\n---\\n", "ears.md", "ears", "model_id").faults[0].line
        3
    """
    card = Card(label, name)
    text = _decoded(card, data)
    fence = _FENCE.match(text)
    if fence is None and _OPEN.match(text):
        card.fault(1, None, text[:80], "its front matter has no end; put a line of --- after it")
    front = _front(card, fence[1]) if fence else None
    body = text[fence.end() :].strip() if fence else text.strip()
    if not card.faults:
        _fill(card, front or Tree({}, {}), body, key)
    return card


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """One column a name: numbers where all cards say numbers, and the text as it was written where they differ.

    Args:
        rows: Of cards.

    Example:
        >>> made = columns_of([{"version": Plain("1.10"), "size": Plain("3")}, {"version": Plain("1.1")}])
        >>> {name: column.to_pylist() for name, column in made.items()}
        {'version': ['1.10', '1.1'], 'size': [3, None]}
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _decoded(card: Card, data: bytes) -> str:
    if len(data) > _LONGEST:
        card.fault(None, None, None, f"has {len(data):,} bytes; a card has up to {_LONGEST:,}")
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        card.fault(line, None, data[error.start : error.end], "is not UTF-8; save the file as UTF-8")
        return ""


def _front(card: Card, text: str) -> Tree | None:
    try:
        tree = read_yaml(text, first=2)
    except YamlError as error:
        lines = text.split("\n")
        here = lines[error.line - 2] if error.line - 2 < len(lines) else ""
        card.fault(error.line, None, here.strip(), f"its front matter is not YAML: {error.problem}")
        return None
    for key, line in tree.twice:
        card.fault(line, key, key, "is there twice; leave one out")
    if tree.empty or isinstance(tree.data, dict):
        return tree
    card.fault(2, None, tree.data, "its front matter holds no keys and values; write `key: value`")
    return None


def _fill(card: Card, front: Tree, body: str, key: str) -> None:
    told: dict[str, Any] = front.data or {}

    def fault(place: Place, value: object, reason: str) -> None:
        card.fault(front.line(place), ".".join(map(str, place)), value, reason)

    if key in told and _scalar(told[key]) is not None:
        if isinstance(told[key], str) and told[key].strip():
            card.key = str(told[key])
        else:
            fault((key,), told[key], "names no model; give it a text")
    card.row = _row(card, told, body, fault)
    card.results = results(told, fault)
    for result in card.results:
        result["line"] = front.line(result["place"])


def _row(card: Card, told: Mapping[str, Any], body: str, fault: Any) -> dict[str, Any]:
    """What is said of a model, flat."""
    heading = _HEADING.search(body)
    paragraphs = [part.strip() for part in re.split(r"\r?\n\s*\r?\n", body)]
    plain = [part for part in paragraphs if part and part[0] not in "#<![|`-*>"]
    row: dict[str, Any] = {
        "key": card.key,
        "name": heading[1].rstrip().rstrip("#").rstrip() if heading else card.key,
        "description": " ".join(plain[0].split()) if plain else None,
        "text": body or None,
    }
    for name, value in told.items():
        if name == INDEX:
            continue
        known = _NAMES.get(name, name)
        taken = known in ENTITY_PROPERTIES | OWN_PROPERTIES[Label.REGION]
        known = f"card_{known}" if known in _OWN or taken else known
        problem = property_problem(known, Label.REGION)
        if problem is not None:
            fault((name,), value, problem)
            continue
        if known in row:
            fault((name,), value, f"is the property {known!r}, which another field is too; rename one")
        row[known] = _scalar(value)
    return row


def _scalar(value: Any) -> Any:
    """A value as a card's column takes it; what is nested is JSON text."""
    if isinstance(value, Plain):
        return None if value.exact and value.value is None else value
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return [str(each) for each in value]
    return _json(value) if isinstance(value, list | dict) else value


def _json(value: Any) -> str:
    return json.dumps(_exact(value), ensure_ascii=False)


def _exact(value: Any) -> Any:
    """Values where they say what was written, and the text where they do not."""
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_exact(each) for each in value]
    return value.value if isinstance(value, Plain) and value.exact else value


def _column(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    present = [value for value in values if value is not None]
    if present and all(isinstance(value, list) for value in present):
        return pa.array(values, pa.list_(pa.string()))
    exact = [_exact(value) for value in present if isinstance(value, Plain)]
    kinds = {type(value) for value in exact} if len(exact) == len(present) else {str}
    if kinds == {int, float} and all(abs(value) <= _EXACT for value in exact):
        kinds = {float}
    if kinds in ({int}, {float}, {bool}):
        [kind] = kinds
        return pa.array([None if value is None else kind(value.value) for value in values])
    return pa.array([_json(value) if isinstance(value, list) else value for value in values], pa.string())
