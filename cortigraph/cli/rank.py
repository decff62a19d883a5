"""`cortigraph rank`: which regions suit a scene or a data set, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._options import HomeOption, Json, picture
from cortigraph.cli._screen import Console, say_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cortigraph.reasoning.selector.advisor import Advice

__all__ = ["rank", "show_ranking"]

_SHOWN = 20  # of a table


def rank(
    scene: Annotated[Path | None, typer.Argument(help="A scene file.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The key of a data set in the graph, instead of a scene.")] = None,
    area: Annotated[str | None, typer.Option(help="For a data set: only regions of this functional area.")] = None,
    metric: Annotated[str, typer.Option(help="For a data set: which number of runs; more is better.")] = "accuracy",
    memory: Annotated[
        str, typer.Option(help="What may be recalled: all, none, or scene keys joined by commas.")
    ] = "all",
    probe: Annotated[
        float, typer.Option(min=0, help="For a scene: seconds to spend on running regions over a few samples.")
    ] = 0.0,
    explain: Annotated[int, typer.Option(min=0, help="How many of the first are explained.")] = 3,
    plot: Annotated[Path | None, typer.Option(callback=picture, help="A picture, PNG or SVG.")] = None,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Which regions suit a scene or a data set: expected score with an interval, cost, reasons. Trains nothing."""
    import cortigraph
    from cortigraph.cli._bars import bars
    from cortigraph.cli.solve import remembered

    with bars() as shown, cortigraph.open(home=home) as brain:
        shown("ranking", 0, 0)
        ranked = brain.rank_regions(
            scene, dataset=dataset, area=area, metric=metric, remember=remembered(memory), probe=probe
        )
        told = {slot: advice.told(explain) for slot, advice in ranked.items()}
    if plot:
        from cortigraph.reasoning.picture import draw_ranking

        draw_ranking(ranked, plot, f"{dataset or scene}: what is expected, and where four runs in five should lie")
    if as_json:
        say_json({**told, **({"picture": str(plot)} if plot else {})})
        return
    show_ranking(ranked, explain)
    if plot:
        typer.echo(f"picture: {plot}")


def show_ranking(ranked: Mapping[str, Advice], explained: int = 3, console: Console | None = None) -> None:
    """A table of regions per slot, best first; then the runs on which the first ones rest, and what would change it.

    Args:
        ranked: Slot, or functional area → its regions.
        explained: How many of the first.
        console: Where to; standard output when left out.
    """
    from rich.table import Table

    console = console or Console()
    for slot, advice in ranked.items():
        table = Table("", title=slot)
        table.add_column("region", overflow="fold", min_width=24)
        for name in ("expected", "80 %", "parameters", "flops", "seconds"):
            table.add_column(name, no_wrap=True)
        for one in advice.regions[:_SHOWN]:
            mark = "→" if one.key == advice.choice else ""
            interval = f"{one.low:.3f}–{one.high:.3f}"
            size = (_short(one.cost.get(name)) for name in ("parameters", "flops"))
            name = one.key.removeprefix(f"{slot}/")
            table.add_row(mark, name, f"{one.expected:.3f}", interval, *size, _short(one.seconds))
        console.print(table)
        if len(advice.regions) > _SHOWN:
            console.print(f"… and {len(advice.regions) - _SHOWN} more; all of them with --json")
        for one in advice.regions[:explained]:
            why = advice.why(one.key)
            console.print(one.key, style="bold")
            for support in why.rests_on:
                console.print(f"  {support}", highlight=False, soft_wrap=True)
            if not why.rests_on:
                console.print("  nothing like it was run; by its description")
            for change in why.would_change[:1]:
                console.print(f"  {change}", style="dim", soft_wrap=True)
        for key, reason in list(advice.left_out.items())[:_SHOWN]:
            console.print(f"left out: {key}: {reason}", style="yellow", highlight=False, soft_wrap=True)
        if len(advice.left_out) > _SHOWN:
            console.print(f"… and {len(advice.left_out) - _SHOWN} more left out; all of them with --json")
        telling = advice.most_telling()
        if explained and telling:
            console.print(f"a run of these would tell most: {', '.join(telling)}", highlight=False, soft_wrap=True)


def _short(value: float | None) -> str:
    """`86.6M`, `1.2G`, `3.4`; nothing for what is unknown."""
    if value is None:
        return ""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return f"{value:.1f}"
