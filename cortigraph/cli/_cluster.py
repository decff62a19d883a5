"""The options that say which processes train together, the same for every command that trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cortigraph.cli._pairs import split_pairs

if TYPE_CHECKING:
    from cortigraph.train.cluster import Cluster

__all__ = ["Engine", "Exchanges", "Hosts", "Least", "Most", "Workers", "cluster_of"]

Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes that train together.")]
Engine = Annotated[
    str | None, typer.Option("--engine", help="horovod or torch; else Horovod where it is built, torch elsewhere.")
]
Hosts = Annotated[
    str | None, typer.Option("--hosts", help="h1:2,h2:2, or a file of such lines, read again while training.")
]
Least = Annotated[int | None, typer.Option("--min-workers", min=1, help="A lost worker stops nothing if so many stay.")]
Most = Annotated[int | None, typer.Option("--max-workers", min=1, help="Workers are added up to so many.")]
Exchanges = Annotated[
    list[str] | None,
    typer.Option("--exchange", help="local_steps=8, compression=fp16, adapt=true, split=network…; may be repeated."),
]


def cluster_of(
    workers: int | None,
    engine: str | None,
    hosts: str | None,
    least: int | None,
    most: int | None,
    exchange: list[str] | None = None,
) -> Cluster:
    """What the options mean.

    Raises:
        InputError: They don't fit together; lists all of it.
    """
    from cortigraph.train.cluster import Cluster
    from cortigraph.train.exchange import Exchange

    return Cluster(
        workers=workers or most or least or 1,
        engine=engine,
        hosts=hosts,
        minimum=least,
        maximum=most,
        exchange=Exchange.parse(dict(split_pairs("--exchange", exchange or []))),
    )
