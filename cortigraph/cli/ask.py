"""`cortigraph ask`: answers over the graph, known and predicted, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._options import HomeOption, Json
from cortigraph.cli._reasoners import Only, known_only

if TYPE_CHECKING:
    from cortigraph.reasoning.asking.answers import Answers
    from cortigraph.reasoning.asking.answers import Path as Reason

__all__ = ["ask"]


def ask(
    head: Annotated[str, typer.Argument(help="A key, a name or words; `?` where it is sought; or a whole question.")],
    relation: Annotated[str | None, typer.Argument(help="A key, a name or words.")] = None,
    tail: Annotated[str | None, typer.Argument(help="Where the head is sought.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many answers.")] = 10,
    paths: Annotated[int, typer.Option(min=0, help="Paths for each answer.")] = 3,
    only: Only = None,
    beam: Annotated[
        int, typer.Option(min=1, help="In a question of several parts: candidates in between that predictions follow.")
    ] = 16,
    reasoner: Annotated[
        str | None, typer.Option(help="Name, key, hash or file; else the one trained last that knows the relation.")
    ] = None,
    graph: Annotated[str | None, typer.Option(help="`all`, or `labels=… types=…`; else all that it can see.")] = None,
    plot: Annotated[Path | None, typer.Option(help="A picture of the first answer's paths, .png or .svg.")] = None,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """What the graph knows, what a reasoner makes of it, and why.

    cortigraph ask aspirin treats          cortigraph ask '?' treats headache

    cortigraph ask '?x treats headache AND ?x interacts_with warfarin'
    """
    known = known_only(only)
    import cortigraph
    from cortigraph.reasoning.asking.ask import Question
    from cortigraph.reasoning.asking.ask import ask as answer
    from cortigraph.reasoning.asking.explain import draw

    question = Question(
        head, relation, tail, top=top, paths=max(paths, 1) if plot else paths,
        known=known, reasoner=reasoner, graph=graph, beam=beam,
    )  # fmt: skip
    with cortigraph.open(home=home) as brain:
        answers = answer(brain.mind, question)
    if plot is not None and len(answers):
        draw(answers[0], plot)
    if as_json:
        typer.echo(json.dumps(answers.to_json(), ensure_ascii=False))
    else:
        _show(answers)


def _show(answers: Answers) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not len(answers):
        console.print("no answer", highlight=False)
    else:
        table = Table("answer", "name", "", "probability", "score", "because")
        for answer in answers:
            reasons = [f"{path}{_told_by(path) if answer.known else ''}" for path in answer.paths]
            for step in answer.steps:
                reasons += [f"{step} ({'known' if step.known else f'{step.probability:.2f}'})"]
                reasons += [f"  {path}" for path in step.paths[:1] if not step.known]
            kind = "known" if answer.known else "predicted"
            numbers = (f"{answer.probability:.3f}", "" if answer.score is None else f"{answer.score:.2f}")
            table.add_row(Text(answer.key), Text(answer.name), kind, *numbers, Text("\n".join(reasons)))
        console.print(table)
    by = f"  by {answers.reasoner}" if answers.reasoner else ""
    console.print(f"{answers.question}{by}", highlight=False, soft_wrap=True, markup=False)
    if answers.paths_by == "search" and answers.reasoner and any(answer.paths or answer.steps for answer in answers):
        console.print("paths: the shortest in the graph; this reasoner itself follows none", highlight=False)
    for note in answers.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True, markup=False)


def _told_by(path: Reason) -> str:
    """Which batches brought a fact that is an answer by itself."""
    return f"  (told by {', '.join(path.batches)})" if len(path.hops) == 1 and path.batches else ""
