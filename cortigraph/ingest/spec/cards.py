"""Cards: a folder of model cards, Markdown with YAML front matter, as regions and, where they tell results, as runs.

cards:
  - folder: cards                  # cards/*.md, and the README.md of each sub-folder, as model hubs lay them out
    area: vision.classification
    key: model_id                  # the front matter's field that names the model; else the file's or folder's name

The front matter's plain values become properties, its lists of text too, and whatever is nested becomes JSON text. The
first heading is the name, the first paragraph the description, and the whole body the text. Results in the form that
model hubs use (`model-index`) become runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from cortigraph.graph.errors import InputError
from cortigraph.graph.names import Label, property_problem
from cortigraph.ingest.spec.cells import Cell
from cortigraph.ingest.spec.mapping import EdgeMapping, NodeMapping
from cortigraph.ingest.spec.results import ResultsItem

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CardsItem"]

Mappings = tuple[list[NodeMapping], list[EdgeMapping]]

_FENCE = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)(?:\r?\n)?^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
_NAMES = {"license": "licence"}
_OWN = ("key", "name", "description", "text", "area", "file")


class CardsItem(BaseModel):
    """A folder of model cards.

    Args:
        folder: Relative to the job's file.
        area: Of the models.
        key: The field of the front matter that names the model; the file's name if a card has no such field.
        embed: Whether the cards are found by meaning.

    Example:
        >>> CardsItem(folder="cards", area="vision.classification").key
        'model_id'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    area: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]
    key: str = "model_id"
    embed: bool = True

    def tables(self, number: int, base: Path) -> dict[str, pa.Table]:
        """The cards, and the results that they tell, as tables.

        Args:
            number: Of the item in its job.
            base: The folder that `folder` is relative to.

        Raises:
            InputError: There is no card, one can't be read, or two name the same model; lists everything.
        """
        import pyarrow as pa

        cards = list(self._read(base / self.folder.expanduser()))
        rows = [_row(card) for card in cards]
        found = {f"_cards-{number}": pa.table(_columns(rows))}
        results = [result for card in cards for result in _results(card)]
        if results:
            found[f"_results-{number}"] = pa.table(_columns(results))
        return found

    def mappings(
        self, number: int, job: str, tables: Mapping[str, pa.Table]
    ) -> tuple[list[NodeMapping], list[EdgeMapping]]:
        """What becomes of the tables.

        Args:
            number: Of the item in its job.
            job: Its name.
            tables: As `tables` gave them.
        """
        source = f"_cards-{number}"
        names = [name for name in tables[source].column_names if name not in ("key", "file")]
        region: dict[str, Any] = {"label": Label.REGION, "key": Cell(column="key"), "area": self.area}
        told = {name: Cell(column=name) for name in names}
        embed = ("name", "description") if self.embed else ()
        nodes = [NodeMapping(source=source, **region, properties=told, embed=embed)]
        edges: list[EdgeMapping] = []
        if f"_results-{number}" in tables:
            brought, joined = self._result_mappings(number, job, tables[f"_results-{number}"])
            nodes, edges = nodes + brought, edges + joined
        return nodes, edges

    def _result_mappings(self, number: int, job: str, table: pa.Table) -> Mappings:
        nodes: list[NodeMapping] = []
        edges: list[EdgeMapping] = []
        for metric in sorted(set(table["metric"].to_pylist())):
            item = ResultsItem(
                source=f"_results-{number}",
                area=self.area,
                model=Cell(column="model"),
                dataset=Cell(column="dataset"),
                metrics={metric: Cell(column="value")},
                run=("metric",),
                where={"metric": metric},
            )
            brought, joined = item.mappings(job)
            nodes += brought
            edges += joined
        return nodes, edges

    def _read(self, folder: Path) -> Iterator[dict[str, Any]]:
        if not folder.is_dir():
            raise InputError(f"no folder {folder}; `folder` is relative to the job's file")
        paths = sorted({*folder.glob("*.md"), *folder.glob("*/**/README.md")})
        problems: list[str] = []
        first: dict[str, Path] = {}
        for path in paths:
            try:
                card = _read(path, folder, self.key)
            except InputError as error:
                problems += error.problems
                continue
            if card["key"] in first:
                problems.append(f"{path}: it is of the same model as {first[card['key']]}: {card['key']!r}")
            first.setdefault(card["key"], path)
            yield card
        if not paths:
            problems.append(f"there is no *.md in {folder}, nor a README.md in a folder below it")
        if problems:
            raise InputError(problems)


def _read(path: Path, folder: Path, key: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: it can't be read as UTF-8 text: {error}") from None
    fence = _FENCE.match(text)
    told: Any = {}
    if fence is not None:
        try:
            told = yaml.safe_load(fence[1]) or {}
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 2}" if mark else ""
            raise InputError(
                f"{path}{line}: its front matter is not YAML: {getattr(error, 'problem', error)}"
            ) from None
        if not isinstance(told, dict):
            raise InputError(f"{path}:2: its front matter holds no keys and values")
    body = text[fence.end() :].strip() if fence else text.strip()
    name = (
        path.parent.relative_to(folder).as_posix() if path.name == "README.md" and path.parent != folder else path.stem
    )
    return {"key": str(told.get(key, name)), "told": told, "body": body, "file": path.relative_to(folder).as_posix()}


def _row(card: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a model, flat."""
    heading = _HEADING.search(card["body"])
    paragraphs = [part.strip() for part in re.split(r"\r?\n\s*\r?\n", card["body"])]
    plain = [part for part in paragraphs if part and part[0] not in "#<![|`-*>"]
    row = {
        "key": card["key"],
        "name": heading[1] if heading else card["key"],
        "description": " ".join(plain[0].split()) if plain else None,
        "text": card["body"] or None,
        "file": card["file"],
    }
    for name, value in card["told"].items():
        if name == "model-index":
            continue
        known = _NAMES.get(str(name), str(name))
        taken = known in _OWN or property_problem(known, Label.REGION) is not None
        row[f"card_{known}" if taken else known] = _plain(value)
    return row


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _results(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The results of a `model-index`: one row a metric."""
    index = card["told"].get("model-index")
    for entry in index if isinstance(index, list) else ():
        for result in entry.get("results") or () if isinstance(entry, dict) else ():
            dataset = result.get("dataset") or {}
            key = dataset.get("type") or dataset.get("name")
            for metric in result.get("metrics") or ():
                value, name = metric.get("value"), re.sub(r"[^a-z0-9]+", "_", str(metric.get("type", "")).lower())
                if key and name[:1].isalpha() and isinstance(value, int | float) and not isinstance(value, bool):
                    yield {"model": card["key"], "dataset": str(key), "metric": name.strip("_"), "value": float(value)}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """One column a name; where cards disagree about what kind of value it is, all are text."""
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row)
    found = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1 and not kinds <= {int, float}:
            values = [each if each is None or isinstance(each, str) else json.dumps(each) for each in values]
        found[name] = pa.array(values)
    return found
