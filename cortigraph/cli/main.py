"""The command line: thin over the Python API. Only the module of the command that is called is imported: help is
quick and imports no torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import typer

from cortigraph import __version__
from cortigraph.cli._leaving import Commands, leave_with

__all__ = ["build", "run"]

# Each is a module of this package, with a function of that name or, for a group of commands, an `app`.
_COMMANDS = {
    "solve": "A scene goes in, a trained network comes out.",
    "predict": "What a pathway says of new samples.",
    "rank": "Which regions suit a scene, without training anything.",
    "search": "Searches that are under way: watch.",
    "worker": "Help searches along, on any machine that reaches the store.",
    "ingest": "Batch jobs: plan, run, resume, revert, status.",
    "ask": "What the graph knows, what a reasoner makes of it, and why.",
    "reason": "Reasoners: train, list, refresh, evaluate, rank, score, materialise.",
    "find": "By words and by meaning.",
    "cypher": "Ask the graph.",
    "regions": "The catalogue: areas and their regions.",
    "forget": "Remove a scene's searches and what came of them.",
    "db": "The embedded database: start, stop, status, check, backup, restore, shell.",
    "doctor": "What is wrong, and the command that mends it.",
}


def build(words: Sequence[str]) -> typer.Typer:
    """The application for these words: the command that they name, and the others by name alone."""
    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="The memory and mind of a growing population of neural networks.",
    )
    app.callback()(_version)
    called = next((word for word in words if not word.startswith("-")), None)
    for name, summary in _COMMANDS.items():
        if name != called:
            app.command(name, help=summary)(_elsewhere)
            continue
        module = importlib.import_module(f"cortigraph.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, help=summary)
        else:
            app.command(name)(getattr(module, name))
    return app


def run() -> None:
    """The console script."""
    leave_with(lambda: build(sys.argv[1:])())


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cortigraph {__version__}")
        raise typer.Exit


def _version(
    version: bool = typer.Option(
        False, "--version", help="Show the version and leave.", is_eager=True, callback=_show_version
    ),
) -> None:
    """Holds the option: what it asks for is done while the words are read, before any command is missed."""


def _elsewhere() -> None:
    """Stands for a command that was not called."""
