"""The interactive Cypher prompt of `cortigraph db shell`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import typer

from cortigraph.cli._leaving import go_on
from cortigraph.cli._statements import Statements
from cortigraph.cli.cypher import run_query
from cortigraph.graph.errors import CortigraphError
from cortigraph.graph.store import Store

__all__ = ["Shell"]

HELP = """A query ends with ; or with an empty line; several may stand in one line.
  :write   allow queries to change the store     :read   only read again
  :clear   forget the lines typed so far         :help   this text
  :quit    leave (so does Ctrl-D)"""


class Shell:
    """Reads queries from a prompt and shows what they give; an error is shown, and the prompt comes back.

    Args:
        store: An open store; stays open.
        writing: Whether queries may change it.
        history: File for the lines typed, between sessions.
        timeout: Seconds after which a query is ended.
        ask: Gives one line for a prompt; `input` if left out.
    """

    def __init__(
        self,
        store: Store,
        *,
        writing: bool = False,
        history: Path | None = None,
        timeout: float | None = None,
        ask: Callable[[str], str] = input,
    ) -> None:
        self.failed = False
        self._store = store
        self._timeout = timeout
        self._writing = writing
        self._history = history
        self._ask = ask
        self._told = Statements()

    def run(self) -> None:
        """Go on until the user leaves."""
        typer.echo(f"connected to {self._store.uri}; :help says how, :quit leaves")
        self._load_history()
        try:
            while self._step():
                pass
        finally:
            self._save_history()

    def _step(self) -> bool:
        """One line; false when the user leaves."""
        mark = "write" if self._writing else "read"
        try:
            line = self._ask("... " if self._told else f"{mark}> ").removeprefix("\ufeff")
        except EOFError:
            typer.echo()
            self._take("")  # a pipe's last query needs no sign of its end
            return False
        except KeyboardInterrupt:  # Ctrl-C gives up the query, not the shell
            go_on()
            self._told.clear()
            typer.echo()
            return True
        if line.strip().startswith(":"):
            return self._command(line.strip())
        self._take(line)
        return True

    def _take(self, line: str) -> None:
        for query in self._told.take(line) if line.strip() else filter(None, [self._told.rest()]):
            self._query(query)

    def _command(self, command: str) -> bool:
        if command in (":quit", ":exit", ":q"):
            return False
        if command in (":write", ":read"):
            self._writing = command == ":write"
        elif command == ":clear":
            self._told.clear()
        elif command == ":help":
            typer.echo(HELP)
        else:
            typer.echo(f"no command {command}; :help lists them")
        return True

    def _query(self, query: str) -> None:
        began = time.perf_counter()
        try:
            run_query(self._store, query, write=self._writing, timeout=self._timeout)
        except CortigraphError as error:
            self.failed = True
            typer.echo(f"error: {error}", err=True)
        except KeyboardInterrupt:
            go_on()
            typer.echo("stopped; the query was ended on the server, too")
        else:
            typer.echo(f"{(time.perf_counter() - began) * 1000:.0f} ms")

    def _load_history(self) -> None:
        # Not every Python has readline; without it there is a prompt without history.
        with contextlib.suppress(ImportError, OSError):
            import readline

            readline.set_auto_history(True)
            if self._history is not None and self._history.exists():
                readline.read_history_file(self._history)

    def _save_history(self) -> None:
        with contextlib.suppress(ImportError, OSError):
            import readline

            if self._history is not None:
                readline.set_history_length(1000)
                readline.write_history_file(self._history)
                self._history.chmod(0o600)
