"""The errors that cortigraph raises on purpose.

    CortigraphError                     exit code 1
    ├── InputError (ValueError)         exit code 2: what a user gave is wrong; lists every problem at once
    │   ├── UnknownKeyError (KeyError)  a name that nothing has, with the nearest that exist
    │   ├── QueryError                  Cypher that the server refuses
    │   └── …                           each room adds its own beside the code that raises them
    ├── SetupError                      something must be installed, fetched or configured first
    └── StoreError                      the store is unreachable, damaged, or did not write what it was sent

A message says what was expected, what was got, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["CortigraphError", "InputError", "QueryError", "SetupError", "StoreError", "UnknownKeyError", "brief"]

_BRIEF = 300  # characters


class CortigraphError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback."""

    exit_code = 1


class InputError(CortigraphError, ValueError):
    """What the user gave is wrong.

    Args:
        problems: One message, or all of them: a config is checked as a whole before anything is touched.

    Example:
        >>> str(InputError(["line 3: unknown key 'modalty'", "line 7: size must be positive"]))
        "2 problems:\\n  - line 3: unknown key 'modalty'\\n  - line 7: size must be positive"
    """

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(*self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        return f"{len(self.problems)} problems:\n" + "\n".join(f"  - {problem}" for problem in self.problems)


class UnknownKeyError(InputError, KeyError):
    """A name that nothing has. Says what there is, nearest first.

    Example:
        >>> str(UnknownKeyError("region", "007", ["001", "002"], where="in area vision.recognition"))
        "no region '007' in area vision.recognition; did you mean 002, 001?"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3)
        self.name = name
        place = f" {where}" if where else ""
        if near:
            hint = f"did you mean {', '.join(near)}?"
        elif known:
            hint = f"there are: {', '.join(known[:20])}{' …' if len(known) > 20 else ''}"
        else:
            hint = "there are none yet"
        super().__init__(f"no {kind} {name!r}{place}; {hint}")


class QueryError(InputError):
    """Cypher that the server refuses: a syntax error, a missing parameter, a write in a read-only query."""


class SetupError(CortigraphError):
    """Something must be installed, fetched or configured first; the message names the command that does it."""


class StoreError(CortigraphError):
    """The store cannot be reached, is damaged, or did not write what it was sent."""


def brief(error: BaseException) -> str:
    """Somebody else's error in one line, for a message of ours; of our own errors the message alone.

    Example:
        >>> brief(RuntimeError("sizes differ:\\n 3 and 4")), brief(IndexError()), brief(InputError("give another"))
        ('RuntimeError: sizes differ: 3 and 4', 'IndexError', 'give another')
    """
    told = " ".join(str(error).split())
    told = told if len(told) <= _BRIEF else f"{told[:_BRIEF]} …"
    if isinstance(error, CortigraphError):
        return told
    return f"{type(error).__name__}: {told}" if told else type(error).__name__
