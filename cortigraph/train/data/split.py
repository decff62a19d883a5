"""Which sample is for learning, which for choosing, which for judging; and that nothing leaks between them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.folder import SPLIT_NAMES
from cortigraph.train.data.labels import normal
from cortigraph.train.data.problems import Problems
from cortigraph.train.data.split_spec import SPLITS, SplitSpec
from cortigraph.train.data.table import Listing

__all__ = ["assign_splits", "check_classes", "check_leaks"]

Codes = NDArray[np.int8]


def assign_splits(
    spec: SplitSpec,
    listing: Listing,
    target: NDArray[np.int64],
    samples: Mapping[str, Sequence[str]],
    problems: Problems,
) -> Codes:
    """The split of each sample, as an index into `SPLITS`.

    Args:
        spec: By column, or drawn. Where the listing has splits of its own (a folder's), they are taken.
        listing: The samples.
        target: Class of each sample; below 0 where it is not known.
        samples: Input name → content hash per row (empty where unknown); rows that share one are drawn together.
        problems: Takes what is wrong with the split column.

    Returns:
        (samples,) of 0, 1 or 2; -1 where the column does not say.
    """
    column = listing.split or spec.column
    if column is not None:
        codes = _from_column(listing, column, spec, problems)
        if spec.share is not None:
            _draw_valid(codes, target, samples, spec)
        _check_whole(codes, spec.share is None, problems)
        return codes
    groups = listing.columns[spec.group] if spec.group is not None else [str(row) for row in range(len(listing))]
    return _drawn(_joined([groups, *samples.values()]), target, spec.fractions, spec.seed)


def _from_column(listing: Listing, column: str, spec: SplitSpec, problems: Problems) -> Codes:
    named = {} if listing.split else {normal(value): code for value, code in spec.values.items()}
    rest = 0 if named and not spec.train else -1  # what nothing names is for training, unless training is named
    codes = np.full(len(listing), -1, dtype=np.int8)
    for row, cell in enumerate(listing.columns[column]):
        code = named.get(cell, rest) if named else SPLIT_NAMES.get(cell.lower(), -1)
        codes[row] = code if cell else -1
        if code < 0 and cell:  # an empty cell is reported with the other empty cells
            expected = " or ".join(map(repr, named)) if named else "train, valid or test"
            problems.add(f"{listing.where(row)}: {column!r} is {cell!r}; expected {expected}")
    for value in sorted(set(named) - set(listing.columns[column])):
        problems.add(f"data.split: no row has {value!r} in column {column!r}")
    return codes


def _draw_valid(codes: Codes, target: NDArray[np.int64], samples: Mapping[str, Sequence[str]], spec: SplitSpec) -> None:
    """Moves a share of train to valid, by class; rows that hold the same sample stay together."""
    assert spec.share is not None
    rows = np.flatnonzero(codes == 0)
    same = [[hashes[row] for row in rows.tolist()] for hashes in samples.values()]
    units = _joined([[str(row) for row in rows], *same])
    drawn = _drawn(units, target[rows], (1 - spec.share, spec.share), spec.seed)
    codes[rows[drawn == 1]] = 1


def _check_whole(codes: Codes, told: bool, problems: Problems) -> None:
    for code, name in enumerate(SPLITS):
        if not (codes == code).any():
            hint = "; `split: {…, valid: 0.2}` draws it from train" if name == "valid" and told else ""
            problems.add(f"the {name} split is empty: no row is said to be in it{hint}")


def _joined(names: Sequence[Sequence[str]]) -> list[list[int]]:
    # Union-find: rows of one group belong together, and so do rows that hold the same sample.
    parent = list(range(len(names[0])))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for column in names:
        first: dict[str, int] = {}
        for row, name in enumerate(column):
            if name:
                parent[root(row)] = root(first.setdefault(name, row))
    units: dict[int, list[int]] = defaultdict(list)
    for row in range(len(parent)):
        units[root(row)].append(row)
    return list(units.values())


def _drawn(units: list[list[int]], target: NDArray[np.int64], fractions: Sequence[float], seed: int) -> Codes:
    """Each unit, largest first, goes where its classes are scarcest against their share (Sainte-Laguë)."""
    parts = len(fractions)
    order = np.random.default_rng(seed).permutation(len(units))
    order = order[np.argsort([-len(units[index]) for index in order], kind="stable")]
    kinds = int(target.max(initial=0)) + 1
    want = np.outer(fractions, np.bincount(np.maximum(target, 0), minlength=kinds)).clip(1e-9)  # (parts, classes)
    share, have, filled = np.asarray(fractions), np.zeros((parts, kinds)), np.zeros(parts)
    codes = np.full(len(target), -1, dtype=np.int8)
    for index in order:
        rows = units[index]
        adds = np.bincount(np.maximum(target[rows], 0), minlength=kinds)
        held = np.flatnonzero(adds)
        part = adds[held]
        by_class = (part * (2 * have[:, held] + part) / want[:, held]).sum(axis=1)
        in_all = len(rows) * (2 * filled + len(rows)) / (share * len(target))
        # the last term breaks ties towards a split that lacks the class, and towards test before valid
        cost = by_class + 0.1 * in_all + 1e-4 * (have[:, held] > 0).any(axis=1) + 1e-6 * np.array([0, 2, 1][:parts])
        chosen = int(np.argmin(cost))
        codes[rows] = chosen
        have[chosen] += adds
        filled[chosen] += len(rows)
    return codes


def check_classes(
    listing: Listing, column: str, classes: Sequence[str], target: NDArray[np.int64], codes: Codes, problems: Problems
) -> None:
    """Every class can be learned and judged: none occurs once, none is absent from train, no split is empty."""
    counts = np.bincount(target[target >= 0], minlength=len(classes))
    once = np.flatnonzero(counts == 1)
    if len(classes) < 2:
        problems.add(f"column {column!r} has {len(classes)} class; expected two or more to tell apart")
    if len(once) > max(10, len(classes) // 2):
        problems.add(
            f"{len(once)} of {len(classes)} values of {column!r} occur once: they look like numbers or names, "
            "not classes; choose another target column"
        )
        return
    for index in map(int, once):
        row = int(np.flatnonzero(target == index)[0])
        problems.add(
            f"{listing.where(row)}: label {classes[index]!r} occurs once, so it cannot be in train and in "
            "test; add samples of it or drop the row"
        )
    for index in map(int, np.flatnonzero(counts > 1)):
        if not ((target == index) & (codes == 0)).any():
            problems.add(f"label {classes[index]!r} ({counts[index]} samples) is absent from the train split")
    for code, name in enumerate(SPLITS):
        if (codes >= 0).all() and not (codes == code).any():
            problems.add(f"the {name} split is empty: {len(codes)} samples in too few groups to divide")


def check_leaks(
    listing: Listing,
    samples: Mapping[str, Sequence[str]],
    names: Mapping[str, Sequence[str]],
    codes: Codes,
    problems: Problems,
) -> None:
    """No sample is in two splits under two names.

    Args:
        listing: The samples.
        samples: Input name → content hash per row (empty where unknown).
        names: Input name → what a message calls each row's content.
        codes: Split of each sample.
        problems: Takes one problem per leaking sample.
    """
    for name, hashes in samples.items():
        first: dict[str, int] = {}
        told: Counter[str] = Counter()
        for row, content in enumerate(hashes):
            if not content or codes[row] < 0:
                continue
            other = first.setdefault(content, row)
            if codes[other] != codes[row] and not told[content]:
                told[content] += 1
                one, two = (f"{names[name][at]!r} ({SPLITS[codes[at]]})" for at in (other, row))
                problems.add(
                    f"{listing.where(other)} and row {row + 1}: the same {name} is in two splits, {one} and {two}; "
                    "what is judged must not have been learned"
                )
