"""`solve`: a scene goes in, a trained network composed of regions comes out, and the graph remembers it.

read the scene → ask memory → search by ask and tell → weigh the reference points → evaluate on test data → write back

Every candidate is in the graph before it is trained (`work`). What is there is told to the strategy again, so a `solve`
that was killed goes on where it was, and other processes may help it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from filelock import FileLock, Timeout

from cortigraph.graph.errors import InputError
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store
from cortigraph.reasoning.memory import Memory, consult
from cortigraph.reasoning.pathway.compose import FUSION, Decisions
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.solving.claims import Claims
from cortigraph.reasoning.solving.crew import crew
from cortigraph.reasoning.solving.history import opened
from cortigraph.reasoning.solving.problem import Problem, pose
from cortigraph.reasoning.solving.record import Ledger, work_folder
from cortigraph.reasoning.solving.solution import Solution, Step
from cortigraph.reasoning.solving.trial import Bench, Silent, Trial, Watcher
from cortigraph.reasoning.solving.work import Told, Work
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.weights import WeightStore
from cortigraph.train.clock import Clock
from cortigraph.train.cluster import Cluster
from cortigraph.train.data.files import Progress
from cortigraph.train.evaluate import evaluate
from cortigraph.train.group import cores
from cortigraph.train.launch import trainer

__all__ = ["solve"]

# Of a limited time, what weighing the reference points, testing, writing and showing take: seconds and a share, at most
# a tenth.
_CLOSING_SECONDS, _CLOSING_SHARE, _CLOSING_MOST = 1.0, 0.03, 0.1


@dataclass(frozen=True)
class _Solver:
    """One `solve` under way."""

    problem: Problem
    ledger: Ledger
    bench: Bench
    memory: Memory
    work: Work
    weights: WeightStore

    def references(self, done: Sequence[tuple[str, Trial]]) -> dict[str, tuple[str, Trial]]:
        """Late fusion of the best branches, and each of them alone: points of the space that need no training."""
        best = self.work.best_branches([trial for _, trial in done])
        cells: list[tuple[str, Decisions]] = []
        if len(best) > 1:
            cells = [("late_fusion", self.bench.space.with_cell(best, "average"))]
            cells += [(slot, self.bench.space.with_cell(best, "select", index=i)) for i, slot in enumerate(best)]
        found = {}
        for number, (name, decisions) in enumerate(cells):
            try:
                trial = self.bench.attempt(-1 - number, self.bench.space.compose(decisions))
            except InputError:
                continue  # a cell that the scene rules out, or that is another now
            if trial.reason:
                continue
            found[name] = (self.ledger.candidate(trial, f"{self.ledger.search}/{name}"), trial)
        return found

    def conclude(self, done: list[tuple[str, Trial]], resumed: int, notes: Sequence[str]) -> Solution:
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
        return Solution.from_json(solution.to_json(), resumed=resumed, notes=list(notes))

    def _test(self, blueprint: Blueprint) -> Mapping[str, float]:
        return evaluate(blueprint.build(self.weights), self.problem.dataset, "test").metrics


def solve(
    store: Store,
    home: Home,
    scene: Scene,
    *,
    workers: int | Cluster = 1,
    helpers: int = 1,
    remember: Sequence[str] | None = None,
    again: bool = False,
    watcher: Watcher | None = None,
    progress: Progress | None = None,
    waited: float = 0.0,
) -> Solution:
    """Solves a scene.

    Args:
        store: The store.
        home: Where weights, decoded data and jobs under way lie.
        scene: What is wanted.
        workers: Processes that train together, one of them here; or a cluster.
        helpers: Processes of this machine that train different candidates at once, this one among them. Workers
            elsewhere (`cortigraph worker`) may help besides.
        remember: Scenes whose results may be recalled: all when left out, none when empty.
        again: Whether a scene that was solved is searched anew.
        watcher: Told of every epoch and trial.
        progress: Told how far decoding is.
        waited: Seconds of those that the budget allows that are over already.

    Returns:
        The solution. One that is in the graph already is returned as it is, whatever regions have come since; `notes`
        says what speaks for searching again.

    Raises:
        InputError: The scene or its data is wrong, or its key is another's, and nothing was written; or no region could
            be trained on it.
        TrainError: Training could not start, or workers died; what was done is kept.
    """
    cluster = workers if isinstance(workers, Cluster) else Cluster(workers)
    if helpers > 1 and cluster.most > 1:
        raise InputError(
            "workers that share one training and workers that share the search don't go together; give one"
        )
    clock = Clock.begun(scene.budget.seconds, waited)
    posed = pose(store, scene, home.cache, progress)
    base, weights = posed.search_key(remember), WeightStore(home.weights)
    with _alone(home, base):
        meant = opened(store, posed, base, again)
        problem, search, past = meant.problem, meant.key, meant.past
        ledger = Ledger(store, problem, search)
        if past is not None and past.report is not None and past.state == "done":
            solution = Solution.from_json(past.report)
            if solution.tried >= scene.budget.trials or scene.budget.seconds is not None:
                ledger.moved()
                return replace(solution, resumed=solution.tried, notes=meant.notes)
        memory = past.memory if past else consult(store, problem.space, problem.asked(), scene.metric, remember)
        begun = [entry.trial.seconds for entry in ledger.entries() if entry.trial]
        clock = Clock(_without_closing(scene.budget.seconds), spent=clock.elapsed + sum(begun))
        ledger.begin(memory, remember, meant.replaced, clock)
        threads = cluster.threads or max(1, cores() // helpers)
        if helpers > 1:
            cluster = replace(cluster, threads=threads)
        told = Told(watcher or Silent())
        with trainer(cluster, weights=weights) as training:
            bench = Bench(
                problem, problem.with_memory(memory), search, training, ledger, work_folder(home.work, search), told,
                clock,
            )  # fmt: skip
            with crew(store, home, search, helpers - 1, threads) as help:
                work = Work(problem, ledger, Claims(store, search), bench, memory, told, help.check)
                resumed = sum(entry.trial is not None and entry.counts for entry in ledger.entries())
                done = work.all()
            if all(trial.reason for _, trial in done):
                ledger.fail()
                raise InputError(["no candidate could be trained", *_reasons([trial for _, trial in done])])
            return _Solver(problem, ledger, bench, memory, work, weights).conclude(
                done, resumed, () if past else meant.notes
            )


def _without_closing(seconds: float | None) -> float | None:
    if seconds is None:
        return None
    return seconds - min(_CLOSING_MOST * seconds, _CLOSING_SECONDS + _CLOSING_SHARE * seconds)


def _reasons(failed: Sequence[Trial]) -> list[str]:
    """Why, once each: `image, vision.recognition/mine: it takes 28 × 28`."""
    told = [(f"{t.slot}, {t.decisions[t.slot]['region']}: " if t.slot else "") + t.reason for t in failed]
    return list(dict.fromkeys(told))


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
    return Step(trial.index, choice, trial.accuracy, nll, trial.seconds, trial.reason, trial.counts)


def _words(name: str, choice: Mapping[str, Any]) -> str:
    """`003 MediumNet width=16`; a region whose ID is its name is named once."""
    short = str(choice["region"]).rpartition("/")[2]
    arguments = [
        f"{key}={','.join(value) if isinstance(value, list) else value}" for key, value in choice["arguments"].items()
    ]
    taps = ["+".join(tap.rpartition(".")[2] for tap in layer) for layer in choice.get("taps", ())]
    return " ".join([short, *([name] if name != short else []), *arguments, *taps])
