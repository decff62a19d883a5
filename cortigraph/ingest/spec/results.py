"""Results: tables of how models did on data sets, as regions, data sets and runs.

results:
  - source: records                      # long form: one row a run
    area: vision.classification
    model: model
    dataset: finetuned_dataset
    metrics: {accuracy: eval_accuracy}
    properties: {epochs: epochs}
  - source: matrix                       # a matrix: one row a model, one column a data set
    area: vision.classification
    model: model
    datasets: [cifar10, cifar100]
    metric: accuracy
    scale: 0.01

A metric is a number, or text that is one; whatever else a cell holds refuses its row. A region that is known by its
results alone has no builder, so that no network is built of it; it can be reasoned about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cortigraph.graph.names import property_problem
from cortigraph.graph.schema import Label, RelType
from cortigraph.ingest.spec.cells import FILE, Cell, CellField, NameField
from cortigraph.ingest.spec.mapping import EdgeMapping, End, NodeMapping

__all__ = ["REPORTED", "ResultsItem"]

REPORTED = ("kind", "reported_by")  # what every run says of itself, besides what it was told


def _of_run(name: str) -> str:
    problem = property_problem(name, Label.RUN)
    if problem is None and name in REPORTED:
        problem = "is a property that every run has already"
    if problem is not None:
        raise ValueError(f"{name[:60]!r} {problem}; give it another name")
    return name


def _measured(cell: Cell) -> Cell:
    if cell.value is not None and type(cell.value) not in (int, float):
        raise ValueError(f"a metric is a number, got {cell.value!r}; write one without quotes, or name a column")
    return cell


_Metric = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$"), AfterValidator(_of_run)]
_Measured = Annotated[CellField, AfterValidator(_measured)]
_Property = Annotated[str, AfterValidator(_of_run)]


class _RunMapping(NodeMapping):
    """Rows to runs.

    Args:
        metrics: The properties that are metrics.
    """

    metrics: tuple[str, ...] = ()

    def numbers(self) -> Collection[str]:
        """The metrics."""
        return self.metrics


class ResultsItem(BaseModel):
    """A table of results.

    Args:
        source: Its name.
        area: Of the models.
        model: The model's name; with the area it is the region's key.
        dataset: The data set's key, in the long form.
        datasets: The columns of the matrix: one data set each. Or column → data set's key.
        metrics: Metric → where its value comes from, in the long form.
        metric: What the cells of the matrix are.
        scale: What every metric is multiplied by: 0.01 for per cent.
        run: What tells several runs of one model on one data set apart.
        properties: What else is known of the run.
        having: Leave out rows in which one of these columns is empty.
        where: Leave out rows whose column is none of these.

    Example:
        >>> told = {"source": "t", "area": "vision.x", "model": "m", "dataset": "d", "metrics": {"accuracy": "top1"}}
        >>> [mapping.label for mapping in ResultsItem.model_validate(told).mappings("job")[0]]
        ['Region', 'Dataset', 'Run']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    area: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]
    model: NameField
    dataset: NameField | None = None
    datasets: tuple[str, ...] | dict[str, str] = ()
    metrics: dict[_Metric, _Measured] = {}
    metric: _Metric | None = None
    scale: Annotated[float, Field(allow_inf_nan=False)] | None = None
    run: tuple[str, ...] = ()
    properties: dict[_Property, CellField] = {}
    having: tuple[str, ...] = ()
    where: dict[str, str | tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _one_form(self) -> ResultsItem:
        long = self.dataset is not None and bool(self.metrics) and not self.datasets and self.metric is None
        wide = bool(self.datasets) and self.metric is not None and self.dataset is None and not self.metrics
        if long == wide:
            raise ValueError("give dataset and metrics (one row a run), or datasets and metric (a matrix)")
        both = [name for name in self.properties if name in self.metrics or name == self.metric]
        if both:
            raise ValueError(f"{', '.join(both)}: can't be a metric and another property of a run; rename one of them")
        return self

    def mappings(self, job: str) -> tuple[list[NodeMapping], list[EdgeMapping]]:
        """The same as nodes and relationships.

        Args:
            job: Its name, part of the key of every run.
        """
        nodes: list[NodeMapping] = []
        edges: list[EdgeMapping] = []
        for dataset, metrics, having in self._columns():
            brought, joined = self._runs(job, dataset, metrics, having)
            nodes += brought
            edges += joined
        return nodes, edges

    def _columns(self) -> Iterator[tuple[Cell, dict[str, Cell], tuple[str, ...]]]:
        """Data set, metrics, and the columns that must have a value: once, or for each column of the matrix."""
        if self.dataset is not None:
            yield self.dataset, {name: self._scaled(cell) for name, cell in self.metrics.items()}, self.having
            return
        assert self.metric is not None
        named = self.datasets if isinstance(self.datasets, dict) else {name: name for name in self.datasets}
        for column, key in named.items():
            metrics = {self.metric: self._scaled(Cell(column=column))}
            yield Cell(value=key), metrics, (*self.having, column)

    def _scaled(self, cell: Cell) -> Cell:
        if self.scale is None or cell.scale is not None or cell.column is None:
            return cell
        return cell.model_copy(update={"scale": self.scale})

    def _runs(
        self, job: str, dataset: Cell, metrics: dict[str, Cell], having: tuple[str, ...]
    ) -> tuple[list[NodeMapping], list[EdgeMapping]]:
        rows: dict[str, Any] = {"source": self.source, "having": having, "where": self.where}
        region: dict[str, Any] = {"label": Label.REGION, "key": self.model, "area": self.area}
        key = _run_key(job, self.model, dataset, self.run)
        reported = dict(zip(REPORTED, (Cell(value="reported"), Cell(value=job)), strict=True))
        told = {**self.properties, **metrics, **reported}
        names: dict[str, Any] = {"weak": ("name",)}  # whoever declares a region or a data set names it better
        nodes = [
            NodeMapping(**rows, **region, **names, properties={"name": self.model}),
            NodeMapping(**rows, **names, label=Label.DATASET, key=dataset, properties={"name": dataset}),
            _RunMapping(**rows, label=Label.RUN, key=key, properties=told, metrics=tuple(metrics)),
        ]
        run = End(label=Label.RUN, key=key)
        edges = [
            EdgeMapping(**rows, type=RelType.OF, start=run, end=End(**region)),
            EdgeMapping(**rows, type=RelType.ON, start=run, end=End(label=Label.DATASET, key=dataset)),
        ]
        return nodes, edges


def _run_key(job: str, model: Cell, dataset: Cell, further: tuple[str, ...]) -> Cell:
    """`job/model/data set`, and whatever tells runs apart; the cells become one template."""
    parts = [job, *(_written(cell) for cell in (model, dataset)), *(f"{{{column}}}" for column in further)]
    return Cell(template="/".join(parts)) if any("{" in part for part in parts) else Cell(value="/".join(parts))


def _written(cell: Cell) -> str:
    if cell.column is not None:
        return f"{{{cell.column}}}"
    if cell.file:
        return f"{{{FILE}}}"
    return cell.template or str(cell.value)
