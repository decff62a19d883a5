"""`cortigraph predict`: what a pathway says of new samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._options import HomeOption, JsonArray
from cortigraph.cli._screen import Console, say_json
from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.reasoning.prediction import Prediction, Remembered
    from cortigraph.train.data.listed import Sample

__all__ = ["predict"]


def predict(
    pathway: Annotated[str, typer.Argument(help="Key of a pathway, or of a scene: then its latest.")],
    inputs: Annotated[
        list[str],
        typer.Argument(help="One sample as input=FILE …; or a table that lists samples; or, for one input, its files."),
    ],
    delimiter: Annotated[
        str | None, typer.Option(help="Between cells of a table, where it is another than in the one learned from.")
    ] = None,
    as_json: JsonArray = False,
    home: HomeOption = None,
) -> None:
    """What a pathway says of new samples: the likeliest class and its probability."""
    import cortigraph
    from cortigraph.reasoning.prediction import recall_pathway

    with cortigraph.open(home=home) as brain:
        known = recall_pathway(brain.store, pathway)
        samples = _samples(known, inputs, brain.home, delimiter)
        predictions = brain.predict(known.key, samples)
    if as_json:
        rows = [{"inputs": _plain(s), **asdict(p)} for s, p in zip(samples, predictions, strict=True)]
        say_json(rows)
    else:
        _show(samples, predictions)


def _samples(known: Remembered, words: Sequence[str], home: Home, delimiter: str | None) -> Sequence[Sample]:
    """What the words on the command line mean for this pathway."""
    from cortigraph.reasoning.prediction import listed
    from cortigraph.tables.spec import format_of

    names = list(known.transforms)
    if all("=" in word and word.split("=", 1)[0] in names for word in words):
        return [_sample(known, [word.split("=", 1) for word in words])]
    if len(words) == 1 and format_of(Path(words[0])) is not None:
        return listed(known, Path(words[0]), home, delimiter)
    if len(names) == 1:
        return [{names[0]: _value(known, names[0], word)} for word in words]
    told = " ".join(f"{name}=FILE" for name in names)
    raise InputError(f"pathway {known.key} takes {told}, or a table with the columns {', '.join(names)}; got {words}")


def _sample(known: Remembered, told: Sequence[Sequence[str]]) -> Sample:
    counts = Counter(name for name, _ in told)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise InputError(
            f"{', '.join(twice)} given more than once; one sample has one of each input; give several in a table, or, "
            "for one input, as files without its name"
        )
    return {name: _value(known, name, value) for name, value in told}


def _value(known: Remembered, name: str, value: str) -> str | Path:
    return value if known.transforms[name].decoder.modality == "text" else Path(value)


def _plain(sample: Sample) -> dict[str, str]:
    return {name: str(value) for name, value in sample.items()}


def _show(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> None:
    from rich.table import Table

    table = Table(*samples[0], "class", "probability")
    for sample, said in zip(samples, predictions, strict=True):
        table.add_row(*_plain(sample).values(), said.label, f"{said.probability:.3f}")
    Console().print(table)
