"""What is wrong with a user's data, all of it at once.

InputError (graph.errors, exit code 2)
└── DataError     a data set or its description is wrong; every problem names its file and row
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from cortigraph.graph.errors import InputError

__all__ = ["SHOWN", "DataError", "Problems", "explain_validation"]

SHOWN = 20  # problems listed in one error; the rest are counted

_T = TypeVar("_T")


class DataError(InputError):
    """A data set, or the description of one, is wrong.

    Args:
        problems: One message, or all of them.
        more: How many problems there are beside those listed.

    Example:
        >>> str(DataError(["row 3: no file 'a.png'", "row 9: no file 'b.png'"], more=40)).splitlines()[-1]
        '  - … and 40 more'
    """

    def __init__(self, problems: str | Sequence[str], *, more: int = 0) -> None:
        listed = [problems] if isinstance(problems, str) else list(problems)
        self.more = more
        super().__init__([*listed, f"… and {more} more"] if more else listed)

    def __str__(self) -> str:
        if not self.more:
            return super().__str__()
        head = f"{len(self.problems) - 1 + self.more} problems:\n"
        return head + "\n".join(f"  - {problem}" for problem in self.problems)


class Problems:
    """Collects problems while checking goes on, then raises them together.

    Example:
        >>> problems = Problems()
        >>> problems.add("row 2: 'sound' is empty")
        >>> problems.check()
        Traceback (most recent call last):
        cortigraph.train.data.problems.DataError: row 2: 'sound' is empty
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, problem: str) -> None:
        """Notes one problem."""
        self._found.append(problem)

    def attempt(self, action: Callable[[], _T]) -> _T | None:
        """Runs an action; notes what it finds wrong instead of stopping.

        Returns:
            What the action returns, or None where it raised a `DataError`.
        """
        try:
            return action()
        except DataError as error:
            self._found.extend(error.problems)
            return None

    def check(self) -> None:
        """Raises what was found.

        Raises:
            DataError: If anything was: the first `SHOWN`, and a count of the rest.
        """
        if self._found:
            raise DataError(self._found[:SHOWN], more=max(0, len(self._found) - SHOWN))


def explain_validation(error: ValidationError, what: str) -> DataError:
    """Every problem that pydantic found, in one error without pydantic's own layout.

    Args:
        error: What `model_validate` raised.
        what: What was being read, for instance `data`.

    Returns:
        The error to raise.
    """
    lines = []
    for item in error.errors():
        place = ".".join([what, *(str(part) for part in item["loc"])])
        got = item.get("input")
        shown = "" if isinstance(got, dict) or item["type"] == "missing" else f" (got {got!r})"
        lines.append(f"{place}: {item['msg'].removeprefix('Value error, ')}{shown}")
    return DataError(lines)
