"""Cards: a folder of model cards, Markdown with YAML front matter, as regions and, where they tell results, as runs.

cards:
  - folder: cards                  # cards/*.md, and the README.md of each sub-folder, as model hubs lay them out
    area: vision.classification
    key: model_id                  # the front matter's field that names the model; else the file's or folder's name

The front matter's values become properties, as they were written: numbers, `true` and `false` where JSON writes them
so, else texts; lists are lists of text, and whatever is nested becomes JSON text. The first heading is the name, the
first paragraph the description, and the whole body the text. Results in the form that model hubs use (`model-index`)
become runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cortigraph.graph.names import Label
from cortigraph.ingest.spec.card_results import TOLD
from cortigraph.ingest.spec.card_source import CardsSource, read_cards
from cortigraph.ingest.spec.cells import Cell
from cortigraph.ingest.spec.mapping import EdgeMapping, NodeMapping
from cortigraph.ingest.spec.results import ResultsItem

__all__ = ["CardsItem"]

Mappings = tuple[list[NodeMapping], list[EdgeMapping]]


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

    def sources(self, number: int, base: Path) -> dict[str, CardsSource]:
        """The cards, and the results that they tell.

        Args:
            number: Of the item in its job.
            base: The folder that `folder` is relative to.

        Raises:
            InputError: There is no card.
        """
        folder = base / self.folder.expanduser()
        found = read_cards(f"_cards-{number}", f"_results-{number}", folder, self.folder.as_posix(), self.key)
        return {source.name: source for source in found}

    def mappings(
        self, number: int, job: str, sources: Mapping[str, CardsSource]
    ) -> tuple[list[NodeMapping], list[EdgeMapping]]:
        """What becomes of them.

        Args:
            number: Of the item in its job.
            job: Its name.
            sources: As `sources` gave them.
        """
        source = f"_cards-{number}"
        names = [name for name in sources[source].columns() if name != "key"]
        region: dict[str, Any] = {"label": Label.REGION, "key": Cell(column="key"), "area": self.area}
        told = {name: Cell(column=name) for name in names}
        embed = ("name", "description") if self.embed else ()
        nodes = [NodeMapping(source=source, **region, properties=told, embed=embed)]
        edges: list[EdgeMapping] = []
        results = sources.get(f"_results-{number}")
        if results is not None:
            brought, joined = self._result_mappings(job, results)
            nodes, edges = nodes + brought, edges + joined
        return nodes, edges

    def _result_mappings(self, job: str, results: CardsSource) -> Mappings:
        nodes: list[NodeMapping] = []
        edges: list[EdgeMapping] = []
        for metric in sorted(set(results.values("metric"))):
            item = ResultsItem(
                source=results.name,
                area=self.area,
                model=Cell(column="model"),
                dataset=Cell(column="dataset"),
                metrics={metric: Cell(column="value")},
                run=("run",),
                properties={name: Cell(column=name) for name in TOLD},
                where={"metric": metric},
            )
            brought, joined = item.mappings(job)
            nodes += brought
            edges += joined
        return nodes, edges
