"""How a command ends: its exit code, one message for what went wrong, and Ctrl-C, which ends it at once.

0 done · 1 it did not work · 2 what was given is wrong · 130 stopped by Ctrl-C · 141 whoever reads has seen enough
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import typer

from cortigraph.cli._screen import Console, Text, guard, quiet, say_json
from cortigraph.graph.disk import disk_told
from cortigraph.graph.errors import CortigraphError, InputError

__all__ = ["Commands", "go_on", "leave_with"]

STOPPED = 130  # as shells have it: 128 and the number of the signal
NOBODY_READS = 141
LAST_SECONDS = 2.0  # for threads that are still at something when all else is over

# What is true after Ctrl-C, and how to go on: of the longest beginning of the words that is here.
_AFTERWARDS = {
    (): "nothing is left half done; the same command begins again",
    ("cypher",): "the query was ended on the server, too, and changed nothing",
    ("db", "backup"): "there is no backup; the same command begins again",
    ("db", "restore"): "nothing of it is left; the same command begins again",
    ("db", "prepare"): "nothing of it is left; the same command begins again",
    ("db", "start"): "what was fetched is kept; the same command goes on from there",
    ("ingest", "run"): "`cortigraph ingest resume` finishes what was begun; `ingest status` shows it",
    ("ingest", "resume"): "the same command goes on from here; `ingest status` shows what is left",
    ("ingest", "revert"): "`cortigraph ingest resume` finishes what was begun; `ingest status` shows it",
    ("reason", "train"): "the same command goes on from the last checkpoint",
    ("reason", "refresh"): "the same command goes on from the last checkpoint",
    ("reason", "materialise"): "what was written stays; the same command begins again, and replaces it",
    ("search", "watch"): "the search goes on",
    ("solve",): "the same command goes on from here",
    ("worker",): "what it had claimed is free for others",
}


_USAGE: Any = typer.BadParameter.__base__  # what Typer raises for any word that is wrong


class StoppedError(CortigraphError):
    """Ctrl-C."""

    exit_code = STOPPED


class Commands(typer.core.TyperGroup):
    """The commands; Typer by itself would leave without a word when one is stopped, and knows of no `--json`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the words name."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _stopped() from None
        except BrokenPipeError:  # such as `| head`
            raise typer.Exit(NOBODY_READS) from None

    def main(self, *words: Any, **options: Any) -> Any:
        """Read the words, and run what they name. Typer draws what is wrong with them, unless it is to be JSON."""
        if "--json" not in sys.argv:
            return super().main(*words, **options)
        try:
            code = super().main(*words, **{**options, "standalone_mode": False})
        except _USAGE as error:
            raise InputError(error.format_message()) from None
        sys.exit(code if isinstance(code, int) else 0)


def leave_with(app: Callable[[], Any]) -> None:
    """Runs the application and ends this process: errors that we raise on purpose become one message and a code.

    Args:
        app: Typer's.
    """
    guard()
    quiet()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell's `&` may want it to go on
        signal.signal(signal.SIGINT, _stop)
    code = _flushed(_exit_code(app))
    if code == STOPPED:
        last = threading.Timer(LAST_SECONDS, os._exit, (code,))
        last.daemon = True
        last.start()
    sys.exit(code)


def _exit_code(app: Callable[[], Any]) -> int:
    try:
        with disk_told():
            app()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except CortigraphError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:  # before a command was even begun
        _complain(str(stopped := _stopped()))
        return stopped.exit_code
    return 0


def _flushed(code: int) -> int:
    """The exit code, after what was printed has gone out; Python would complain of that at its end, too late for us."""
    if code not in (STOPPED, NOBODY_READS):  # of these, what is still to be printed is nobody's
        try:
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            code = NOBODY_READS
        except OSError as error:
            if not code:
                _complain(f"standard output: {error.strerror}; mend that and run the same again")
            code = code or 1
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _stop(number: int, frame: object) -> None:
    """Ctrl-C stops a command in order; a second one ends it at once, whatever it is at."""
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def _stopped() -> StoppedError:
    return StoppedError(f"stopped: {_afterwards(sys.argv[1:])}")


def go_on() -> None:
    """Ctrl-C has stopped something, but not the command: the next one is a first one again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, _stop)


def _leave(number: int, frame: object) -> None:
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")  # a bar may have hidden the cursor
    os._exit(STOPPED)


def _afterwards(words: Sequence[str]) -> str:
    names = [word for word in words if not word.startswith("-")][:2]
    return next(_AFTERWARDS[beginning] for n in (2, 1, 0) if (beginning := tuple(names[:n])) in _AFTERWARDS)


def _complain(message: str) -> None:
    if "--json" in sys.argv:
        say_json({"error": message}, err=True)
    else:
        Console(stderr=True).print(Text("error: ", style="red", end=""), Text(message), sep="", soft_wrap=True)
