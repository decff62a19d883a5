"""`solve`: a scene goes in, a trained network composed of regions comes out, and the graph remembers it.

read the scene → ask memory → search by ask and tell → weigh the reference points → evaluate on test data → write back

Every trial is in the graph before the next one begins. What is there is told to the strategy again, so a `solve` that
was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from filelock import FileLock, Timeout

from cortigraph.graph.errors import InputError
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store
from cortigraph.reasoning.memory import Memory, consult
from cortigraph.reasoning.pathway.compose import FUSION, Decisions
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.search import strategy
from cortigraph.reasoning.solving.problem import Problem, pose
from cortigraph.reasoning.solving.record import Ledger, work_folder
from cortigraph.reasoning.solving.solution import Solution, Step
from cortigraph.reasoning.solving.trial import Bench, Silent, Trial, Watcher
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.weights import WeightStore
from cortigraph.train.cluster import Cluster
from cortigraph.train.data.files import Progress
from cortigraph.train.evaluate import evaluate
from cortigraph.train.launch import trainer

__all__ = ["solve"]

_CLOSING = "product"  # of the best branches: the last trial of a search, unless it was tried already


@dataclass(frozen=True)
class _Solver:
    """One `solve` under way."""

    problem: Problem
    ledger: Ledger
    bench: Bench
    memory: Memory
    watcher: Watcher
    weights: WeightStore

    def search(self) -> list[tuple[str, Trial]]:
        """Goes on with the search until its budget is spent; gives every candidate with its key."""
        scene = self.problem.scene
        search = strategy(scene.search)(self.bench.space, scene.seed, self.memory.first)
        done = [entry for entry in self.ledger.trials() if entry[1].index >= 0]
        self.bench.resume({run for _, trial in done for run in (trial.runs or {}).values()})
        for _, trial in done:
            search.ask()
            search.tell(trial.blueprint, trial.accuracy)
        self.watcher.started(self.problem, len(done))
        while not self._spent(done):
            asked = search.ask()
            blueprint = self._closing(done) if len(done) == scene.budget.trials - 1 else None
            trial = self.bench.attempt(len(done), blueprint or asked)
            search.tell(trial.blueprint, trial.accuracy)
            done.append((self.ledger.candidate(trial), trial))
            self.watcher.tried(trial)
        return done

    def references(self, done: Sequence[tuple[str, Trial]]) -> dict[str, tuple[str, Trial]]:
        """Late fusion of the best branches, and each of them alone: points of the space that need no training."""
        best = self.best_branches(done)
        cells: list[tuple[str, Decisions]] = []
        if len(best) > 1:
            cells = [("late_fusion", self.bench.space.with_cell(best, "average"))]
            cells += [(slot, self.bench.space.with_cell(best, "select", index=i)) for i, slot in enumerate(best)]
        found = {}
        for number, (name, decisions) in enumerate(cells):
            trial = self.bench.attempt(-1 - number, self.bench.space.compose(decisions))
            found[name] = (self.ledger.candidate(trial, f"{self.ledger.search}/{name}"), trial)
        return found

    def best_branches(self, done: Sequence[tuple[str, Trial]]) -> Decisions:
        """Slot → the choice whose branch, alone, did best on validation data."""
        best: dict[str, tuple[tuple[float, float], Decisions]] = {}
        for slot in self.bench.space.slots:
            for _, trial in done:
                if trial.reason:
                    continue
                run = self.bench.branch(trial.decisions, slot)
                score = (run.metrics["accuracy"], -run.metrics["nll"])
                if slot not in best or score > best[slot][0]:
                    best[slot] = (score, trial.decisions[slot])
        return {slot: choice for slot, (_, choice) in best.items()}

    def conclude(self, done: list[tuple[str, Trial]], resumed: int) -> Solution:
        """Chooses, evaluates on test data, writes the pathway, and says how it went."""
        started = time.monotonic()
        references = self.references(done)
        key, chosen = _choose([*done, *references.values()], len(self.problem.dataset.rows("valid")))
        tests = {name: self._test(trial.blueprint) for name, (_, trial) in references.items()}
        tests["pathway"] = self._test(chosen.blueprint)
        for name in self.bench.space.slots:
            run = (references[name][1] if name in references else chosen).runs or {}
            if name in run:
                self.ledger.tested(run[name], tests.get(name, tests["pathway"]))
        trials = {name: trial for name, (_, trial) in references.items()} | {"pathway": chosen}
        solution = Solution(
            pathway=f"{self.problem.scene.key}/{chosen.blueprint.key}",
            scene=self.problem.scene.key,
            search=self.ledger.search,
            blueprint=chosen.blueprint,
            accuracy={name: told["accuracy"] for name, told in tests.items()},
            valid={name: trial.accuracy for name, trial in trials.items()},
            steps=[_step(trial) for _, trial in [*done, *references.values()]],
            seconds=sum(trial.seconds for _, trial in done) + time.monotonic() - started,
            recalled={"pathways": len(self.memory.first), "weights": len(self.memory.weights)},
        )
        metrics = {"test": tests["pathway"], "valid": {"accuracy": chosen.accuracy, "nll": chosen.nll}}
        self.ledger.conclude(solution, key, metrics)
        return Solution.from_json(solution.to_json(), resumed=resumed)

    def _closing(self, done: Sequence[tuple[str, Trial]]) -> Blueprint | None:
        """The product of the best branches, if the space has it and it was not tried."""
        best = self.best_branches(done)
        if len(best) < 2 or not any(cell.id == _CLOSING for cell in self.bench.space.cells):
            return None
        decisions = self.bench.space.with_cell(best, _CLOSING)
        return None if any(trial.decisions == decisions for _, trial in done) else self.bench.space.compose(decisions)

    def _spent(self, done: Sequence[tuple[str, Trial]]) -> bool:
        budget = self.problem.scene.budget
        seconds = sum(trial.seconds for _, trial in done)
        return len(done) >= budget.trials or (budget.seconds is not None and bool(done) and seconds >= budget.seconds)

    def _test(self, blueprint: Blueprint) -> Mapping[str, float]:
        return evaluate(blueprint.build(self.weights), self.problem.dataset, "test").metrics


def solve(
    store: Store,
    home: Home,
    scene: Scene,
    *,
    workers: int | Cluster = 1,
    remember: Sequence[str] | None = None,
    watcher: Watcher | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solves a scene.

    Args:
        store: The store.
        home: Where weights, decoded data and jobs under way lie.
        scene: What is wanted.
        workers: Processes that train together, one of them here; or a cluster.
        remember: Scenes whose results may be recalled: all when left out, none when empty.
        watcher: Told of every epoch and trial.
        progress: Told how far decoding is.

    Returns:
        The solution. One that is in the graph already is returned as it is.

    Raises:
        InputError: The scene or its data is wrong; nothing was written.
        TrainError: Training could not start, or workers died; what was done is kept.
    """
    problem = pose(store, scene, home.cache, progress)
    search = problem.search_key(remember)
    ledger, weights = Ledger(store, problem, search), WeightStore(home.weights)
    with _alone(home, search):
        known = ledger.plan()
        if known is not None and known[1] is not None:
            solution = Solution.from_json(known[1])
            tried = sum(step.index >= 0 for step in solution.steps)
            if tried >= scene.budget.trials or scene.budget.seconds is not None:
                return Solution.from_json(known[1], resumed=tried)
        memory = known[0] if known else consult(store, problem.space, problem.asked(), scene.metric, remember)
        ledger.begin(memory)
        cluster = workers if isinstance(workers, Cluster) else Cluster(workers)
        with trainer(cluster, weights=weights) as training:
            bench = Bench(
                problem, problem.with_memory(memory), search, training, ledger, work_folder(home.work, search),
                watcher or Silent(),
            )  # fmt: skip
            solver = _Solver(problem, ledger, bench, memory, watcher or Silent(), weights)
            resumed = sum(trial.index >= 0 for _, trial in ledger.trials())
            done = solver.search()
            if all(trial.reason for _, trial in done):
                raise InputError(f"no candidate could be trained; the last one: {done[-1][1].reason}")
            return solver.conclude(done, resumed)


@contextmanager
def _alone(home: Home, search: str) -> Iterator[None]:
    """Held while a search runs: the system lets go of it when its process is killed."""
    lock = FileLock(f"{work_folder(home.work, search)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"another process is solving this scene ({search}); wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()


def _choose(entries: Sequence[tuple[str, Trial]], samples: int) -> tuple[str, Trial]:
    """The best candidate: the likeliest of those that the number of samples can't tell from the most accurate.

    Accuracy on a few hundred samples is a coarse measure, and the most accurate of many candidates is partly lucky:
    among those within one standard error of it, the one with the least negative log likelihood is taken.
    """
    sound = [entry for entry in entries if not entry[1].reason]
    top = max(trial.accuracy for _, trial in sound)
    error = (top * (1 - top) / max(samples, 1)) ** 0.5
    close = [entry for entry in sound if entry[1].accuracy >= top - error]
    return min(close, key=lambda entry: (entry[1].nll, -entry[1].accuracy, entry[0]))


def _step(trial: Trial) -> Step:
    nodes = {node.name: node.region.name for node in trial.blueprint.nodes}
    slots = [port.name for port in trial.blueprint.inputs] + ([FUSION] if FUSION in trial.decisions else [])
    choice = {slot: _words(nodes[slot], trial.decisions[slot]) for slot in slots}
    nll = None if trial.reason else trial.nll
    return Step(trial.index, choice, trial.accuracy, nll, trial.seconds, trial.reason)


def _words(name: str, choice: Mapping[str, Any]) -> str:
    """`003 MediumNet width=16`; a region whose ID is its name is named once."""
    short = str(choice["region"]).rpartition("/")[2]
    arguments = [
        f"{key}={','.join(value) if isinstance(value, list) else value}" for key, value in choice["arguments"].items()
    ]
    taps = ["+".join(tap.rpartition(".")[2] for tap in layer) for layer in choice.get("taps", ())]
    return " ".join([short, *([name] if name != short else []), *arguments, *taps])
