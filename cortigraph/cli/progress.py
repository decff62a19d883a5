"""What a person sees while a scene is solved, and after."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cortigraph.cli._screen import Console

if TYPE_CHECKING:
    from cortigraph.reasoning.solving.problem import Problem
    from cortigraph.reasoning.solving.solution import Solution
    from cortigraph.reasoning.solving.trial import Trial
    from cortigraph.train.job import Epoch

__all__ = ["SolveProgress", "show_solution"]


class SolveProgress:
    """A live display of a search: a bar for trials, a line for what is being trained. A watcher of `brain.solve`.

    Args:
        quiet: Show nothing.
        title: Before each line, where several searches follow each other.
    """

    def __init__(self, *, quiet: bool = False, title: str = "") -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=self._console,
            disable=quiet,
            transient=True,
        )
        self._plain = not quiet and not self._console.is_terminal  # a log wants lines, not a display
        self._title = f"{title}: " if title else ""
        self._trials = self._bars.add_task(f"{self._title}reading", total=None, told="")
        self._best = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def decoding(self, what: str, done: int, whole: int) -> None:
        """How far the data is read."""
        self._bars.update(self._trials, description=f"{self._title}{what}", completed=done, total=whole)

    def started(self, problem: Problem, done: int) -> None:
        """The search begins, or goes on."""
        total = problem.scene.budget.trials
        self._bars.update(self._trials, description=f"{self._title}trials", completed=done, total=total, told="")
        for note in problem.dataset.notes:
            self._bars.console.print(f"{self._title}note: {note}", markup=False, highlight=False, soft_wrap=True)
        if done:
            self._bars.console.print(f"{self._title}going on after {done} trials")

    def training(self, what: str, epoch: Epoch, epochs: int) -> None:
        """An epoch is over."""
        accuracy = f"{epoch.watch['accuracy']:.3f}" if epoch.watch else ""
        self._bars.update(self._trials, told=f"{what}, epoch {epoch.epoch}/{epochs} {accuracy}, best {self._best:.3f}")

    def tried(self, trial: Trial) -> None:
        """A candidate has its score."""
        if trial.index < 0:
            return
        self._best = max(self._best, trial.accuracy)
        self._bars.update(self._trials, advance=int(trial.counts))
        if self._plain:
            told = (
                f"failed: {trial.reason}"
                if trial.reason
                else f"accuracy {trial.accuracy:.3f}, best {self._best:.3f}, {trial.seconds:.1f} s"
            )
            self._console.print(
                f"{self._title}trial {trial.index + 1}: {told}", highlight=False, markup=False, soft_wrap=True
            )


def show_solution(solution: Solution, console: Console | None = None) -> None:
    """Tables of the candidates and of what they are worth."""
    console = console or Console()
    console.print(_candidates(solution))
    for step in solution.steps:
        if step.reason and step.index >= 0:
            said = f"trial {step.index + 1} failed ({', '.join(step.choice.values())}): {step.reason}"
            console.print(said, style="yellow", highlight=False, markup=False, soft_wrap=True)
    console.print(_accuracies(solution))
    again = f", {solution.resumed} of them found in the graph" if solution.resumed else ""
    recalled = ", ".join(f"{count} {name}" for name, count in solution.recalled.items() if count)
    console.print(
        f"pathway {solution.pathway} after {solution.tried} trials{again}, "
        f"{solution.seconds:.1f} s{f'; memory gave {recalled}' if recalled else ''}",
        highlight=False,
    )
    for note in solution.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)


def _candidates(solution: Solution) -> Table:
    slots = list(solution.steps[0].choice)
    table = Table(
        "trial", *slots, "accuracy", "nll", "seconds", title=f"{solution.scene}: candidates (validation data)"
    )
    for step in solution.steps:
        if step.index < 0:
            continue
        scores = ("failed", "") if step.reason else (f"{step.accuracy:.3f}", f"{step.nll:.3f}")
        table.add_row(str(step.index + 1), *(step.choice[slot] for slot in slots), *scores, f"{step.seconds:.1f}")
    return table


def _accuracies(solution: Solution) -> Table:
    table = Table("accuracy", "validation", "test", title="each input alone, late fusion of these, and the pathway")
    for name, test in solution.accuracy.items():
        style = "bold" if name == "pathway" else ""
        table.add_row(name.replace("_", " "), f"{solution.valid[name]:.3f}", f"{test:.3f}", style=style)
    return table
