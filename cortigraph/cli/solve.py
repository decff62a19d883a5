"""`cortigraph solve`: a scene goes in, a trained network comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._cluster import Engine, Exchanges, Hosts, Least, Most, Workers, cluster_of
from cortigraph.cli._options import HomeOption, Json, folder, since_start
from cortigraph.cli._screen import say_json

if TYPE_CHECKING:
    from cortigraph.brain import Brain
    from cortigraph.reasoning.pathway.scene import Scene
    from cortigraph.reasoning.solving.solution import Solution

__all__ = ["remembered", "solve"]


def solve(
    scene: Annotated[Path, typer.Argument(help="YAML: text, data, target, budget; see docs/scenes.md.")],
    workers: Workers = None,
    engine: Engine = None,
    hosts: Hosts = None,
    min_workers: Least = None,
    max_workers: Most = None,
    exchange: Exchanges = None,
    search_workers: Annotated[
        int, typer.Option(min=1, help="Processes of this machine that train different candidates at once.")
    ] = 1,
    trials: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Candidates to try; else as the scene says.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="Time for all of it.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Of everything that is drawn.")] = None,
    search: Annotated[str | None, typer.Option(help="Strategy: evolution or random.")] = None,
    memory: Annotated[
        str, typer.Option(help="What may be recalled: all, none, or scene keys joined by commas.")
    ] = "all",
    again: Annotated[bool, typer.Option("--again", help="Search anew, although the scene was solved before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and estimate; train nothing.")] = False,
    plot: Annotated[
        Path | None, typer.Option(callback=folder, help="Folder for pictures of the pathway and the search.")
    ] = None,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """A scene goes in, a trained network comes out, and the graph remembers it.

    Killed, or stopped by Ctrl-C, it goes on from where it was: give the same command again.
    """
    import cortigraph
    from cortigraph.cli.progress import SolveProgress, show_solution

    asked = _read(scene, trials, seconds, seed, search)
    cluster = cluster_of(workers, engine, hosts, min_workers, max_workers, exchange)
    with cortigraph.open(home=home) as brain:
        if dry_run:
            _rehearse(brain, asked, as_json)
            return
        with SolveProgress(quiet=as_json) as progress:
            solution = brain.solve(
                asked,
                workers=cluster,
                helpers=search_workers,
                remember=remembered(memory),
                again=again,
                watcher=progress,
                progress=progress.decoding,
                waited=since_start(),
            )
    pictures = _draw(solution, plot) if plot else []
    if as_json:
        say_json({**json.loads(solution.to_json()), "pictures": pictures})
        return
    show_solution(solution)
    for picture in pictures:
        typer.echo(f"picture: {picture}")
    typer.echo(
        f"use it: cortigraph predict {solution.pathway} {' '.join(f'{p.name}=FILE' for p in solution.blueprint.inputs)}"
    )


def remembered(memory: str) -> list[str] | None:
    """What `--memory` means: nothing for all, an empty list for none, else the scenes named.

    Example:
        >>> remembered("all"), remembered("none"), remembered("a,b")
        (None, [], ['a', 'b'])
    """
    if memory == "all":
        return None
    return [] if memory == "none" else [key.strip() for key in memory.split(",") if key.strip()]


def _read(path: Path, trials: int | None, seconds: float | None, seed: int | None, search: str | None) -> Scene:
    from cortigraph.reasoning.pathway.scene import Scene

    scene = Scene.load(path)
    budget = {name: value for name, value in (("trials", trials), ("seconds", seconds)) if value is not None}
    changes = {name: value for name, value in (("seed", seed), ("search", search)) if value is not None}
    return scene.model_copy(update={**changes, "budget": scene.budget.model_copy(update=budget)})


def _rehearse(brain: Brain, scene: Scene, as_json: bool) -> None:
    """Checks the scene, and says what would be tried and what it may cost."""
    from cortigraph.cli.rank import show_ranking
    from cortigraph.reasoning.solving.problem import pose

    ranked = brain.rank_regions(scene)  # the first in a new store also declares the regions that come with the package
    notes = pose(brain.store, scene, brain.home.cache).dataset.notes
    known = [one.seconds for advice in ranked.values() for one in advice.regions if one.seconds]
    estimate = sum(known) / len(known) * scene.budget.trials if known else None
    if as_json:
        regions = {slot: advice.told(1) for slot, advice in ranked.items()}
        budget = {"trials": scene.budget.trials, "seconds": estimate}
        say_json({"scene": scene.key, "regions": regions, **budget, "notes": notes})
        return
    show_ranking(ranked, 1)
    for note in notes:
        typer.echo(f"note: {note}")
    cost = f"about {estimate:.0f} s, as like regions took" if estimate else "unknown: nothing like it was trained yet"
    typer.echo(f"{scene.budget.trials} trials; cost: {cost}. Nothing was trained.")


def _draw(solution: Solution, folder: Path) -> list[Path]:
    from cortigraph.reasoning.picture import draw_pathway, draw_search

    name = solution.scene
    return [
        draw_pathway(solution.blueprint, folder / f"{name}-pathway.png", f"{name}: the pathway"),
        draw_search([(name, solution)], folder / f"{name}-search.png", f"{name}: the search"),
    ]
