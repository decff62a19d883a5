"""Records that can't be used: counted, told of by line and reason, and written to files that can be mended.

A folder of rejects holds, for each source that has any, a file in the source's own format with just those records;
`reasons.csv`, which says what is wrong with each; and `sources.json`, which says how the files are to be read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.tables.base import Fault

if TYPE_CHECKING:
    from cortigraph.tables.base import Source
    from cortigraph.tables.spec import SourceSpec

__all__ = ["Reject", "RejectedError", "Rejects", "mended"]

REASONS = "reasons.csv"
SOURCES = "sources.json"
ADVICE = "mend the source, or go on without them with --max-rejects N"
_SHOWN = 20
_WIDTH = 80
_SUFFIXES = {"csv": ".csv", "tsv": ".tsv", "triples": ".tsv", "jsonl": ".jsonl", "json": ".json"}


@dataclass(frozen=True)
class Reject:
    """One thing that is wrong with a record.

    Args:
        source: Name of the source in the job.
        file: How messages call the file.
        record: Its number in the file, from 0.
        line: The line that it starts in, from 1; `None` where there are no lines.
        column: Whose cell is wrong; `None` where it is the record as a whole.
        value: What is there, shortened.
        reason: What was expected, and what to do.
    """

    source: str
    file: str
    record: int
    line: int | None
    column: str | None
    value: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else f"{self.file}, record {self.record + 1}"
        column = f"column {self.column}: " if self.column is not None else ""
        got = "" if ", got " in self.reason else f", got {self.value}"
        reason, semicolon, remedy = self.reason.partition("; ")
        return f"{place}: {column}{reason}{got}{semicolon}{remedy}"


class RejectedError(InputError):
    """More records can't be used than are tolerated.

    Args:
        rejects: All that are known so far.
        limit: How many records are tolerated.
        advice: What to do.
    """

    def __init__(self, rejects: Sequence[Reject], limit: int, advice: str = ADVICE) -> None:
        self.rejects = tuple(rejects)
        records = len({(reject.source, reject.file, reject.record) for reject in rejects})
        told = [str(reject) for reject in rejects[:_SHOWN]]
        if len(rejects) > _SHOWN:
            told.append(f"… and {len(rejects) - _SHOWN} more")
        what = "1 record can't be used" if records == 1 else f"{records} records can't be used"
        allowed = f", more than the {limit} that --max-rejects allows" if limit else ""
        told.append(f"{what} so far{allowed}; {advice}")
        super().__init__(told)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class Rejects:
    """Takes the records that can't be used.

    Args:
        limit: How many records may be; 0 stops at the first.
        advice: What to do where there are more.
    """

    def __init__(self, limit: int = 0, *, advice: str = ADVICE) -> None:
        if limit < 0:
            raise InputError(f"the number of rejects that are tolerated must be at least 0, got {limit}")
        self.limit = limit
        self._advice = advice
        self._sources: dict[str, Source] = {}
        self._found: dict[tuple[str, str, int], list[Reject]] = {}

    def add(self, source: Source, file: str, record: int, column: str | None, value: object, reason: str) -> None:
        """Takes one; several reasons for one record count once.

        Raises:
            RejectedError: It is one too many.
        """
        self.extend(source, file, [Fault(record, column, value, reason)])

    def extend(self, source: Source, file: str, faults: Sequence[Fault]) -> None:
        """Takes several of one file at once, so that an error tells of all of them.

        Raises:
            RejectedError: They are too many.
        """
        self._sources[source.name] = source
        for fault in faults:
            reject = Reject(source.name, file, fault.record, None, fault.column, _short(fault.value), fault.reason)
            reasons = self._found.setdefault((source.name, file, fault.record), [])
            if reject not in reasons:
                reasons.append(reject)
        if len(self) > self.limit:
            raise RejectedError(self._with_lines(_SHOWN), self.limit, self._advice)

    def of(self, source: str, file: str | None = None) -> list[int]:
        """The numbers of the rejected records of a source, or of one of its files.

        Args:
            source: Its name.
            file: Which of its files; all where it is not given.
        """
        return sorted(
            record for name, where, record in self._found if name == source and (file is None or where == file)
        )

    def __len__(self) -> int:
        """How many records."""
        return len(self._found)

    def __iter__(self) -> Iterator[Reject]:
        """All reasons, without lines."""
        for reasons in self._found.values():
            yield from reasons

    def items(self) -> list[Reject]:
        """All reasons, with the lines, for which the files are read once more."""
        return self._with_lines(None)

    def write(self, folder: Path, sources: Mapping[str, Source] | None = None) -> list[Path]:
        """Writes the rejected records so that they can be mended in an editor and read by `mended`.

        Args:
            folder: Made if it is not there.
            sources: All sources of the job; those without rejects are then known to be empty, with their columns.

        Returns:
            The files: one a source that has rejects, and `reasons.csv`.

        Raises:
            InputError: The folder holds rejects already.
        """
        if (folder / REASONS).exists():
            raise InputError(f"{folder} holds rejects already; mend those, or choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        located = self._located()
        written = []
        for name, source in self._sources.items():
            raw = [located[key][1] for key in self._found if key[0] == name]
            path = folder / f"{name}{_SUFFIXES[source.remains().format or 'jsonl']}"
            path.write_bytes(source.assemble(raw))
            written.append(path)
        _write_reasons(folder / REASONS, self._with_lines(None, located))
        known = {**(sources or {}), **self._sources}
        told = {name: {**_told(source), "rejects": name in self._sources} for name, source in known.items()}
        (folder / SOURCES).write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
        return [*written, folder / REASONS]

    def _located(
        self, keys: Sequence[tuple[str, str, int]] | None = None
    ) -> dict[tuple[str, str, int], tuple[int | None, bytes]]:
        wanted: dict[tuple[str, str], list[int]] = {}
        for name, file, record in self._found if keys is None else keys:
            wanted.setdefault((name, file), []).append(record)
        return {
            (name, file, record): place
            for (name, file), records in wanted.items()
            for record, place in self._sources[name].locate(file, records).items()
        }

    def _with_lines(
        self, most: int | None, located: Mapping[tuple[str, str, int], tuple[int | None, bytes]] | None = None
    ) -> list[Reject]:
        """All reasons; the records of the first `most` have their lines."""
        shown = list(self._found)[:most]
        places = located if located is not None else self._located(shown)
        return [
            replace(reject, line=places[key][0]) if key in places else reject
            for key, reasons in self._found.items()
            for reject in reasons
        ]


def mended(specs: Mapping[str, SourceSpec], folder: Path) -> dict[str, SourceSpec]:
    """The sources of a job, read from a folder of rejects instead.

    Args:
        specs: As in the job.
        folder: As `Rejects.write` made it, perhaps mended.

    Returns:
        Name → how to read its file. A source without one has no paths (`path: []`), so it gives no record; its `header`
        has its columns if `write` was told of it. Tables from Python come back as JSON lines.

    Raises:
        InputError: The folder holds no rejects.

    Example:
        >>> mended({}, Path("/nowhere"))
        Traceback (most recent call last):
        ...
        cortigraph.graph.errors.InputError: /nowhere holds no rejects: there is no sources.json
    """
    from cortigraph.tables.spec import SourceSpec

    if not (folder / SOURCES).is_file():
        raise InputError(f"{folder} holds no rejects: there is no {SOURCES}")
    told = json.loads((folder / SOURCES).read_text(encoding="utf-8"))
    found = {name: spec.model_copy(update={"path": [], "format": spec.format or "csv"}) for name, spec in specs.items()}
    for name, entry in told.items():
        left = SourceSpec.model_validate({"path": [], **entry["spec"]})
        path = (folder / f"{name}{_SUFFIXES[left.format or 'jsonl']}").resolve()
        here = bool(entry["rejects"]) and path.is_file()
        header = left.header if here or left.format == "triples" else entry["columns"]
        # What the job says now counts: it may have been mended instead of the records.
        spec = specs.get(name, left)
        update = {"path": str(path) if here else [], "format": left.format, "header": header}
        found[name] = spec.model_copy(update={**update, "types": {**left.types, **spec.types}})
    return found


def _told(source: Source) -> dict[str, object]:
    # What is not set stays unset: whether `missing` was given makes a difference.
    spec = source.remains().model_dump(mode="json", exclude={"path"}, exclude_unset=True)
    return {"spec": spec, "columns": source.columns()}


def _write_reasons(path: Path, rejects: Sequence[Reject]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["source", "file", "line", "column", "value", "reason"])
        for reject in rejects:
            writer.writerow([reject.source, reject.file, reject.line, reject.column, reject.value, reject.reason])


def _short(value: object) -> str:
    """A value for a message: what a log or a terminal could take for something else is escaped."""
    cut = value[: 2 * _WIDTH] if isinstance(value, str | bytes) else value
    text = repr(cut.decode("utf-8", "backslashreplace") if isinstance(cut, bytes) else cut)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
