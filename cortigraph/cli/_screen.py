"""What a person sees. Text from data is shown and never obeyed: no escape sequence, no reversed line, no markup in it.

    guard()     from here on, standard output and error show what would steer a terminal as `\\x1b`, `\\u202e` and so on
    Console     for tables, styles and bars: the same for what it is given to print; its own styles still work
    Text        a part of such a table in a style of its own
    say_json()  one JSON text, for `--json`
    quiet()     libraries keep their warnings to themselves

Nothing here takes a command's care: whatever goes to a terminal goes through one of the two, which `run` sets up.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterable
from typing import IO, Any

import typer
from rich.console import Console as _RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text as _RichText

from cortigraph.graph.plain import json_text

__all__ = ["Console", "Text", "guard", "outlet", "quiet", "say_json", "shown"]

# Controls of the terminal but for tab and new line; overrides and isolates of the direction of writing, other ends of
# lines, tags that nobody sees, halves of characters. Not the marks that Arabic and Hebrew need, nor joiners.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)

# What to set before a library is imported, so that it says nothing unless there is an error.
_SILENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONWARNINGS": "ignore",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
_ASKED_FOR = "CORTIGRAPH_WARNINGS"


def shown(text: str) -> str:
    """The text as a terminal shows it without obeying it.

    Args:
        text: From anywhere.

    Example:
        >>> shown("a\\x1b[31mb\\r\\u202ec\\n")
        'a\\\\x1b[31mb\\\\r\\\\u202ec\\n'
    """
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def unguarded(stream: IO[str]) -> IO[str]:
    """The stream below what guards it, and below what rich itself puts before it while a bar is shown."""
    while (below := getattr(stream, "rich_proxied_file", None)) is not None:
        stream = below
    return stream


class Console(_RichConsole):
    """Rich's console for data: no markup, no emoji names, no highlighting, and nothing that steers the terminal.

    Args:
        options: As for rich's own.
    """

    def __init__(self, **options: Any) -> None:
        stream = sys.stderr if options.get("stderr") else sys.stdout
        if "file" not in options and (raw := unguarded(stream)) is not stream:
            options["file"] = raw
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What rich makes of it, each piece of text made harmless; rich's own controls are no text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(shown(segment.text), segment.style)

    def render_str(self, text: str, **options: Any) -> _RichText:
        """A cell or a line given as text, made harmless while there is still time to make room for it."""
        return super().render_str(shown(text), **options)


class Text(_RichText):
    """Rich's text, made harmless before its width is reckoned with.

    Args:
        text: From anywhere.
        options: As for rich's own.
    """

    def __init__(self, text: str = "", *options: Any, **more: Any) -> None:
        super().__init__(shown(text), *options, **more)


class _Guarded:
    """A stream that shows what would steer a terminal. Rich's consoles know `rich_proxied_file`, and go past it."""

    def __init__(self, stream: IO[str]) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(shown(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # nobody writes past us
            raise AttributeError(name)
        return getattr(self.rich_proxied_file, name)


def guard() -> None:
    """From here on nothing in data steers the terminal, whoever prints it, and every character can be printed."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None or isinstance(stream, _Guarded):
            continue
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, _Guarded(stream))


def outlet() -> IO[str]:
    """Standard output for data that a program reads: exact where it goes to a file or a pipe, shown on a terminal."""
    return sys.stdout if sys.stdout.isatty() else unguarded(sys.stdout)


def quiet() -> None:
    """Keeps libraries' warnings and logs off the screen, and what this project itself has to say on it.

    `CORTIGRAPH_WARNINGS=1`, or Python's own `-W`, lets them speak.
    """
    if os.environ.get(_ASKED_FOR) or sys.warnoptions:
        return
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
    ours = logging.StreamHandler(sys.stderr)
    ours.setLevel(logging.WARNING)
    logging.getLogger("cortigraph").addHandler(ours)


def say_json(value: Any, *, err: bool = False) -> None:
    """Prints one JSON text, in one line; strict, so that every reader takes it.

    Args:
        value: Anything that `plain` knows.
        err: To the error stream.
    """
    typer.echo(json_text(value), err=err)
