"""Work: the loop by which any process, `solve` or a worker anywhere, helps a search along.

take up what was left behind, or ask the strategy for something new → train and score it → write it down → again

All that the loop knows it reads from the graph, so that nothing is lost with a process, and one that comes later helps
at once. What the strategy is asked for at a place depends on what was asked for before it, and, if the strategy looks
at scores, on those that are there by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.memory import Memory
from cortigraph.reasoning.pathway.compose import Decisions
from cortigraph.reasoning.search import strategy
from cortigraph.reasoning.solving.claims import Claim, Claims, LostError
from cortigraph.reasoning.solving.problem import Problem
from cortigraph.reasoning.solving.record import Entry, Ledger
from cortigraph.reasoning.solving.trial import Bench, Trial, Watcher
from cortigraph.regions.blueprint import Blueprint
from cortigraph.train.job import Epoch

__all__ = ["Told", "Work"]

_CLOSING = "product"  # of the best branches: the last trial of a search, unless it was tried already
_POLL_SECONDS = 0.2


class Told(Watcher):
    """Passes on what happens, says in the graph what is being trained, and stops training once a claim is lost.

    Args:
        watcher: Told of everything.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.claims: Claims | None = None
        self.is_lost: Callable[[], bool] = lambda: False

    def started(self, problem: Problem, done: int) -> None:
        self._watcher.started(problem, done)

    def training(self, what: str, epoch: Epoch, epochs: int) -> None:
        if self.is_lost():
            raise LostError(f"another worker has taken up what this one was training ({what})")
        if self.claims is not None:
            self.claims.doing = f"{what}, epoch {epoch.epoch}/{epochs}"
        self._watcher.training(what, epoch, epochs)

    def tried(self, trial: Trial) -> None:
        self._watcher.tried(trial)


@dataclass(frozen=True)
class Work:
    """One process at work on one search.

    Args:
        problem: What is solved.
        ledger: The graph's record of the search.
        claims: This process's.
        bench: Trains and scores.
        memory: What was recalled when the search began.
        watcher: The bench's.
        idle: Called now and then while others have all that is left.
    """

    problem: Problem
    ledger: Ledger
    claims: Claims
    bench: Bench
    memory: Memory
    watcher: Told
    idle: Callable[[], None] = lambda: None

    def all(self) -> list[tuple[str, Trial]]:
        """Helps until the budget is spent and all candidates have their score; gives them, with their keys."""
        entries = self.ledger.entries()
        self.watcher.started(self.problem, sum(entry.trial is not None and entry.counts for entry in entries))
        seen = {entry.index for entry in entries if entry.trial}
        while True:
            if not self.step(entries):
                if self._spent(entries) and all(entry.trial for entry in entries):
                    return [(entry.key, entry.trial) for entry in entries if entry.trial]
                self.idle()
                time.sleep(_POLL_SECONDS)
            entries = self.ledger.entries()
            for entry in entries:
                if entry.trial and entry.index not in seen:  # whoever trained it
                    seen.add(entry.index)
                    self.watcher.tried(entry.trial)

    def step(self, entries: Sequence[Entry]) -> bool:
        """Trains one candidate, if there is one to be had.

        Args:
            entries: The search as it is.
        """
        self.watcher.claims = self.claims
        claim = self._claim(entries)
        if claim is not None:
            self._train(claim, entries)
        return claim is not None

    def best_branches(self, done: Sequence[Trial]) -> Decisions:
        """Slot → the choice whose branch, alone, did best on validation data."""
        best: dict[str, tuple[tuple[float, float], Decisions]] = {}
        for slot in self.bench.space.slots:
            for trial in done:
                if trial.reason:
                    continue
                run = self.bench.branch(trial.decisions, slot)
                score = (run.metrics["accuracy"], -run.metrics["nll"])
                if slot not in best or score > best[slot][0]:
                    best[slot] = (score, trial.decisions[slot])
        return {slot: choice for slot, (_, choice) in best.items()}

    def _claim(self, entries: Sequence[Entry]) -> Claim | None:
        """Something to train; nothing if there is none left, or others must end first."""
        if any(entry.trial is None for entry in entries):
            left = self.claims.take_over()
            if left is not None:
                return left
        if self._spent(entries):
            return None
        done = [entry.trial for entry in entries if entry.trial]
        closing = None
        if sum(entry.counts for entry in entries) == self.problem.scene.budget.trials - 1:
            if len(done) < len(entries):
                return None  # the last one is made of the best of all others
            closing = self._closing(done)
        blueprint = closing or self._asked(entries, done)
        return self.claims.new(len(entries), blueprint, dict(blueprint.decisions))

    def _asked(self, entries: Sequence[Entry], done: Sequence[Trial]) -> Blueprint:
        """What the strategy would try next; what can't be built fails when it is attempted, and says why."""
        failed = [trial.failed for trial in done if trial.failed]
        space = self.bench.space.without(failed)
        search = strategy(self.problem.scene.search)(space, self.problem.scene.seed, self.memory.first)
        told = [(trial.decisions, trial.accuracy) for trial in done if not trial.reason]
        search.recall([entry.decisions for entry in entries], told, failed)
        return self._composed(search.decide())

    def _composed(self, decisions: Decisions) -> Blueprint:
        try:
            return self.bench.space.compose(decisions)
        except InputError:
            return self.bench.space.sketch(decisions)

    def _train(self, claim: Claim, entries: Sequence[Entry]) -> None:
        paid = {run for entry in entries if entry.trial for run in (entry.trial.runs or {}).values()}
        self.bench.resume(paid)
        with self.claims.kept(claim) as lost:
            self.watcher.is_lost = lost.is_set
            if claim.hopeless:
                reason = f"its workers were lost {claim.attempts - 1} times while they trained it"
                trial: Trial | None = Trial.without_score(claim.index, claim.blueprint, reason)
            else:
                trial = self._attempted(claim, first=not any(e.trial and not e.trial.reason for e in entries))
            if trial is not None:
                self._written(claim, trial)

    def _attempted(self, claim: Claim, *, first: bool) -> Trial | None:
        try:
            return self.bench.attempt(claim.index, claim.blueprint, first=first)
        except LostError:
            return None

    def _written(self, claim: Claim, trial: Trial) -> None:
        try:
            self.ledger.candidate(trial, check=lambda tx: self.claims.check(tx, claim))
        except LostError:
            return  # whoever has it now comes to the same result
        self.claims.doing = ""

    def _closing(self, done: Sequence[Trial]) -> Blueprint | None:
        """The product of the best branches, if the space has it and it was not tried."""
        best = self.best_branches(done)
        if len(best) < 2 or not any(cell.id == _CLOSING for cell in self.bench.space.cells):
            return None
        decisions = self.bench.space.with_cell(best, _CLOSING)
        return None if any(trial.decisions == decisions for trial in done) else self._composed(decisions)

    def _spent(self, entries: Sequence[Entry]) -> bool:
        done = [entry.trial for entry in entries if entry.trial]
        return (
            sum(entry.counts for entry in entries) >= self.problem.scene.budget.trials
            or (bool(done) and not self.bench.clock.left)
            or self.bench.space.without(trial.failed for trial in done if trial.failed).exhausted
        )
