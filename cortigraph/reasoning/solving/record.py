"""Write-back: what a search learns goes into the graph as soon as it is known, each event in one transaction.

Keys follow from what they name, and everything is merged on keys: what is written again after a crash is written once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortigraph.graph.schema import Label, RelType
from cortigraph.graph.store import Store, Transaction
from cortigraph.graph.write import merge_edges, merge_nodes
from cortigraph.reasoning.memory import Memory
from cortigraph.reasoning.pathway.compose import Decisions
from cortigraph.reasoning.solving.identity import check_identity
from cortigraph.reasoning.solving.problem import Problem
from cortigraph.reasoning.solving.solution import Solution
from cortigraph.reasoning.solving.trial import Run, Trial, weights_of
from cortigraph.regions.blueprint import Blueprint
from cortigraph.train.clock import Clock
from cortigraph.train.data.record import record as record_dataset
from cortigraph.train.provenance import now, provenance

__all__ = ["Entry", "Ledger", "uses", "work_folder"]

_RUN = "MATCH (r:Run {key: $key}) RETURN r {.*} AS run"
_CANDIDATES = """
MATCH (c:Candidate)-[:IN_SEARCH]->(:Search {key: $key}) WHERE c.index >= 0
RETURN c {.*} AS c ORDER BY c.index
"""
_ORIGIN = """
MATCH (r:Run&!Entity) WHERE r.key <> $key AND $weights IN r.weights
RETURN r.key AS key ORDER BY r.finished_at, key LIMIT 1
"""
_REPLACE = "MATCH (s:Search {key: $key, state: 'running'}) SET s.state = 'stale'"
_MOVED = "MATCH (s:Scene {key: $key}) WHERE coalesce(s.file, '') <> $file SET s.file = $file"
_FORGET = """
MATCH (search:Search&!Entity)-[:FOR_SCENE]->(:Scene&!Entity {key: $scene})
OPTIONAL MATCH (c:Candidate)-[:IN_SEARCH]->(search)
OPTIONAL MATCH (run:Run {search: search.key})
OPTIONAL MATCH (p:Pathway {search: search.key})
DETACH DELETE c, run, p, search
"""


@dataclass(frozen=True)
class Entry:
    """A candidate as the graph has it.

    Args:
        key: Its key.
        index: Its place in the search.
        decisions: What was decided.
        trial: What came of it, once it has its score or failed.
    """

    key: str
    index: int
    decisions: Decisions
    trial: Trial | None

    @property
    def counts(self) -> bool:
        """Whether it is one of the budget's trials, as far as is known."""
        return self.trial is None or self.trial.counts


class Ledger:
    """The graph's record of one search.

    Args:
        store: The store.
        problem: What is solved.
        search: The search's key.
    """

    def __init__(self, store: Store, problem: Problem, search: str) -> None:
        self.store, self.problem, self.search = store, problem, search

    def begin(
        self, memory: Memory, recalled: Sequence[str] | None, replaced: str | None = None, clock: Clock | None = None
    ) -> None:
        """Writes scene, data set and search, with what memory said: a search that goes on does not ask again.

        Args:
            memory: What it said.
            recalled: The scenes that it might recall; all when left out.
            replaced: Key of the search that this one takes the place of.
            clock: When training must be over, for whoever helps.

        Raises:
            InputError: The scene's key is another's.
        """

        def write(tx: Transaction) -> None:
            check_identity(tx, self.problem)
            tx.write(_REPLACE, key=replaced)
            self._begin(tx, memory, recalled, clock or Clock())

        self.store.execute(write)

    def _begin(self, tx: Transaction, memory: Memory, recalled: Sequence[str] | None, clock: Clock) -> None:
        scene, problem = self.problem.scene, self.problem
        record_dataset(
            tx, problem.dataset_key, problem.dataset, problem.spec, problem.base, description=problem.description
        )
        node = {
            "key": scene.key,
            "name": scene.key,
            "file": str(scene.file) if scene.file else None,
            "text": scene.text,
            "metric": scene.metric,
            "declared": scene.model_dump_json(exclude={"base"}, exclude_defaults=True),
            "embedding": problem.text.tolist(),
        }
        merge_nodes(tx, Label.SCENE, [node])
        tx.write("MATCH (:Scene {key: $key})-[old:POSED_ON]->() DELETE old", key=scene.key)
        merge_edges(
            tx, RelType.POSED_ON, Label.SCENE, Label.DATASET, [{"start": scene.key, "end": problem.dataset_key}]
        )
        search = {
            "key": self.search,
            "strategy": scene.search,
            "state": "running",
            "plan": memory.to_json(),
            "clock": clock.face() or None,
            "catalogue": json.dumps(problem.catalogue, sort_keys=True),
            "declared": node["declared"],
            "base": str(scene.base.resolve()),
            "remember": None if recalled is None else list(recalled),
            "started_at": now(),
            **{name: value for name, value in provenance(scene.seed).items() if name != "finished_at"},
        }
        merge_nodes(tx, Label.SEARCH, [search])
        merge_edges(tx, RelType.FOR_SCENE, Label.SEARCH, Label.SCENE, [{"start": self.search, "end": scene.key}])

    def moved(self) -> None:
        """Writes where the scene's file lies now, if it said the same elsewhere."""
        if self.problem.scene.file is not None:
            self.store.write(_MOVED, key=self.problem.scene.key, file=str(self.problem.scene.file))

    def fail(self) -> None:
        """Writes that the search came to nothing: asked again, the scene is searched anew."""
        merge_nodes(self.store, Label.SEARCH, [{"key": self.search, "state": "failed", "finished_at": now()}])

    def find(self, key: str) -> Run | None:
        """A branch that was trained before."""
        rows = self.store.read(_RUN, key=key)
        if not rows:
            return None
        told = rows[0]["run"]
        metrics = json.loads(told["metrics"])["valid"]
        return Run(key, told["slot"], Blueprint.from_json(told["blueprint"]), metrics, told["seconds"], {})

    def keep(self, run: Run) -> None:
        """Writes a branch's run."""
        self.store.execute(lambda tx: self._keep(tx, run))

    def _keep(self, tx: Transaction, run: Run) -> None:
        region = run.blueprint.nodes[0].region
        node = {
            "key": run.key,
            "kind": "branch",
            "slot": run.slot,
            "modality": self.problem.port[run.slot].modality,
            "arguments": json.dumps(region.arguments, sort_keys=True),
            **self._common(run.blueprint, run.metrics),
            "seconds": run.seconds,
            **run.properties,
        }
        self._run(tx, node, Label.REGION, region.key)
        self._origin(tx, run)

    def _origin(self, tx: Transaction, run: Run) -> None:
        """From which run's weights the training began."""
        begun = run.properties.get("began_with")
        for row in tx.read(_ORIGIN, key=run.key, weights=begun) if begun else []:
            merge_edges(tx, RelType.DERIVED_FROM, Label.RUN, Label.RUN, [{"start": run.key, "end": row["key"]}])

    def candidate(
        self, trial: Trial, key: str | None = None, check: Callable[[Transaction], None] | None = None
    ) -> str:
        """Writes a candidate with its score; returns its key.

        Args:
            trial: What came of it.
            key: Its key; by its place when left out.
            check: Called in the transaction first; what it raises keeps the candidate from being written.
        """
        key = key or f"{self.search}/{trial.index:04}"

        def write(tx: Transaction) -> None:
            if check is not None:
                check(tx)
            self._candidate(tx, trial, key)

        self.store.execute(write)
        return key

    def _candidate(self, tx: Transaction, trial: Trial, key: str) -> None:
        node = {
            "key": key,
            "index": trial.index,
            "state": "failed" if trial.reason else "done",
            "reason": trial.reason or None,
            "slot": trial.slot or None,
            "counts": trial.counts,
            "decisions": json.dumps(trial.blueprint.decisions, sort_keys=True),
            "blueprint": trial.blueprint.to_json(),
            "accuracy": trial.accuracy,
            "nll": None if trial.reason else trial.nll,
            "seconds": trial.seconds,
            "runs": json.dumps(dict(trial.runs or {})),
            "finished_at": now(),
            "until": None,
            "doing": None,
        }
        merge_nodes(tx, Label.CANDIDATE, [node])
        merge_edges(tx, RelType.IN_SEARCH, Label.CANDIDATE, Label.SEARCH, [{"start": key, "end": self.search}])
        merge_edges(tx, RelType.USES, Label.CANDIDATE, Label.REGION, uses(key, trial.blueprint))

    def entries(self) -> list[Entry]:
        """Every candidate of the search proper, by its place: those under way too, reference points not."""
        return [_entry(row["c"]) for row in self.store.read(_CANDIDATES, key=self.search)]

    def conclude(self, solution: Solution, candidate: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Writes the chosen pathway, its evaluation and the search's end.

        Args:
            solution: What `solve` gives back.
            candidate: Key of the candidate that was chosen.
            metrics: Of the pathway, on `valid` and `test`.
        """
        self.store.execute(lambda tx: self._conclude(tx, solution, candidate, metrics))

    def _conclude(
        self, tx: Transaction, solution: Solution, candidate: str, metrics: Mapping[str, Mapping[str, float]]
    ) -> None:
        pathway, blueprint = solution.pathway, solution.blueprint
        scene = self.problem.scene
        node = {
            "key": pathway,
            "name": " + ".join(dict.fromkeys(node.region.name for node in blueprint.nodes)),
            "description": scene.text,
            "search": self.search,
            "blueprint": blueprint.to_json(),
            "transforms": json.dumps({k: t.to_json() for k, t in self.problem.dataset.transforms.items()}),
            "accuracy": metrics["test"]["accuracy"],
        }
        merge_nodes(tx, Label.PATHWAY, [node])
        merge_edges(tx, RelType.FOR_SCENE, Label.PATHWAY, Label.SCENE, [{"start": pathway, "end": scene.key}])
        merge_edges(tx, RelType.USES, Label.PATHWAY, Label.REGION, uses(pathway, blueprint, weights=True))
        merge_edges(tx, RelType.CHOSEN_FROM, Label.PATHWAY, Label.CANDIDATE, [{"start": pathway, "end": candidate}])
        run = {
            "key": f"{pathway}/evaluation",
            "kind": "evaluation",
            **self._common(blueprint, metrics["valid"]),
            "metrics": json.dumps(metrics),
            "test_accuracy": metrics["test"]["accuracy"],
            "seconds": solution.seconds,
            **provenance(scene.seed),
        }
        self._run(tx, run, Label.PATHWAY, pathway)
        ended = {"key": self.search, "state": "done", "report": solution.to_json(), "finished_at": now()}
        merge_nodes(tx, Label.SEARCH, [ended])

    def tested(self, run: str, metrics: Mapping[str, float]) -> None:
        """Adds what a branch scores on test data, once the search is over and nothing can be chosen by it."""
        merge_nodes(self.store, Label.RUN, [{"key": run, "test_accuracy": metrics["accuracy"]}])

    def _common(self, blueprint: Blueprint, metrics: Mapping[str, float]) -> dict[str, Any]:
        return {
            "scene": self.problem.scene.key,
            "search": self.search,
            "accuracy": metrics["accuracy"],
            "nll": metrics["nll"],
            "metrics": json.dumps({"valid": dict(metrics)}),
            "weights": list(weights_of(blueprint).values()),
            "blueprint": blueprint.to_json(),
        }

    def _run(self, tx: Transaction, node: Mapping[str, Any], label: Label, subject: str) -> None:
        merge_nodes(tx, Label.RUN, [node])
        merge_edges(tx, RelType.OF, Label.RUN, label, [{"start": node["key"], "end": subject}])
        merge_edges(tx, RelType.ON, Label.RUN, Label.DATASET, [{"start": node["key"], "end": self.problem.dataset_key}])

    @staticmethod
    def forget(store: Store, scene: str) -> int:
        """Removes a scene's searches with all that came of them; returns how many nodes went.

        The scene and its data set stay, and so do weights, which other scenes may use.
        """
        return int(store.write(_FORGET, scene=scene).counters.get("nodes_deleted", 0))


def work_folder(work: Path, search: str) -> Path:
    """Where a search's jobs lie while they are under way."""
    return work / search.replace("/", "_")


def uses(key: str, blueprint: Blueprint, *, weights: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "start": key,
            "end": node.region.key,
            "key": f"{key}:{node.name}",
            "slot": node.name,
            "order": order,
            **({"weights": node.region.weights} if weights and node.region.weights else {}),
        }
        for order, node in enumerate(blueprint.nodes)
    ]


def _entry(told: Mapping[str, Any]) -> Entry:
    trial = None
    if told["state"] != "running":
        trial = Trial(
            index=told["index"],
            blueprint=Blueprint.from_json(told["blueprint"]),
            accuracy=told["accuracy"],
            nll=float("inf") if told.get("nll") is None else told["nll"],
            seconds=told["seconds"],
            reason=told.get("reason") or "",
            runs=json.loads(told["runs"]),
            slot=told.get("slot") or "",
            counts=told.get("counts", True),
        )
    return Entry(told["key"], told["index"], json.loads(told["decisions"]), trial)
