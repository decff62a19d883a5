"""`cortigraph predict`: what a pathway says of new samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._options import HomeOption, JsonArray
from cortigraph.cli._screen import Console, say_json
from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    import pandas

    from cortigraph.reasoning.prediction import Prediction, Remembered

__all__ = ["predict"]

_TABLES = {".csv", ".tsv", ".parquet"}


def predict(
    pathway: Annotated[str, typer.Argument(help="Key of a pathway, or of a scene: then its latest.")],
    inputs: Annotated[
        list[str],
        typer.Argument(help="One sample as input=FILE …; or a table that lists samples; or, for one input, its files."),
    ],
    as_json: JsonArray = False,
    home: HomeOption = None,
) -> None:
    """What a pathway says of new samples: the likeliest class and its probability."""
    import cortigraph
    from cortigraph.reasoning.prediction import recall_pathway

    with cortigraph.open(home=home) as brain:
        known = recall_pathway(brain.store, pathway)
        samples = _samples(known, inputs)
        predictions = brain.predict(known.key, samples)
    if as_json:
        rows = [{"inputs": _plain(s), **asdict(p)} for s, p in zip(samples, predictions, strict=True)]
        say_json(rows)
    else:
        _show(samples, predictions)


def _samples(known: Remembered, words: Sequence[str]) -> list[Mapping[str, str | Path]]:
    """What the words on the command line mean for this pathway."""
    names = list(known.transforms)
    if all("=" in word and word.split("=", 1)[0] in names for word in words):
        return [{name: _value(known, name, value) for name, value in (word.split("=", 1) for word in words)}]
    if len(words) == 1 and Path(words[0]).suffix.lower() in _TABLES:
        return _listed(known, Path(words[0]))
    if len(names) == 1:
        return [{names[0]: _value(known, names[0], word)} for word in words]
    told = " ".join(f"{name}=FILE" for name in names)
    raise InputError(f"pathway {known.key} takes {told}, or a table with the columns {', '.join(names)}; got {words}")


def _listed(known: Remembered, path: Path) -> list[Mapping[str, str | Path]]:
    """Samples that a table lists, under the inputs' names or the columns that the pathway was trained from."""
    table = _read(path)
    used = {name: name if name in table else told.column for name, told in known.transforms.items()}
    missing = [column for column in used.values() if column not in table]
    if missing or not len(table):
        what = f"no column {', '.join(map(repr, missing))}" if missing else "no rows"
        raise InputError(f"{path} has {what}; expected the columns {', '.join(used)}; it has: {', '.join(table)}")
    return [
        {name: _value(known, name, row[column], path.parent) for name, column in used.items()}
        for row in table.to_dict("records")
    ]


def _read(path: Path) -> pandas.DataFrame:
    import pandas

    try:
        if path.suffix.lower() == ".parquet":
            return pandas.read_parquet(path).astype(str)
        return pandas.read_csv(path, dtype=str, keep_default_na=False, sep="\t" if path.suffix == ".tsv" else ",")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from None


def _value(known: Remembered, name: str, value: str, base: Path | None = None) -> str | Path:
    if known.transforms[name].decoder.modality == "text":
        return value
    return Path(value) if base is None else base / value


def _plain(sample: Mapping[str, str | Path]) -> dict[str, str]:
    return {name: str(value) for name, value in sample.items()}


def _show(samples: Sequence[Mapping[str, str | Path]], predictions: Sequence[Prediction]) -> None:
    from rich.table import Table

    table = Table(*samples[0], "class", "probability")
    for sample, said in zip(samples, predictions, strict=True):
        table.add_row(*_plain(sample).values(), said.label, f"{said.probability:.3f}")
    Console().print(table)
