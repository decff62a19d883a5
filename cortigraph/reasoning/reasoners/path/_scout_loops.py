"""The loops of `scout`. A module of their own, imported when first needed: importing numba takes a while."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from cortigraph.reasoning.reasoners.base import EXCLUDED
from cortigraph.reasoning.reasoners.path._frontier_loops import unseen
from cortigraph.reasoning.reasoners.path._fused_loops import kept, moments_of
from cortigraph.reasoning.reasoners.path._products import ROWS, add_inner

__all__ = ["look"]

_FAST = {"contract", "reassoc", "nsz", "arcp"}
_jit = numba.njit(fastmath=_FAST, parallel=True, cache=True, error_model="numpy")
_part = numba.njit(fastmath=_FAST, cache=True, error_model="numpy")


@_jit  # type: ignore[untyped-decorator]
def look(
    first: Any, reached: Any, out: Any, targets: Any, relations: Any, hidden: Any, turns: Any, half: Any, kinds: Any,
    state: Any, table: Any, query: Any, from_sums: Any, from_state: Any, bias: Any, scale: Any, shift: Any, gate: Any,
    from_new: Any, asked: Any, last: Any, most: Any, others: Any, seed: Any, walks: Any,
    room: Any, sources: Any, kind_of: Any, goals: Any, found: Any, counts: Any, scores: Any,
) -> None:  # fmt: skip
    """For each query the best of what a step newly reaches: by score if there is room for scores, else by worth.

    `from_sums`, `from_state` and `from_new` are (in, out). A score that nothing leads to is left as it is. If it
    `walks`, the edges that lead to the best, and to what was reached before, are written down. If it judges too,
    they also lead to the answer and to some others, and instead of scores there is what to add to them: nothing to
    those that stand for themselves, to the others the logarithm of how many each stands for; `EXCLUDED` to the rest.
    """
    nodes, width, judges = len(out) - 1, state.shape[1], len(scores) > 0
    for part in numba.prange(len(turns)):
        space, edges = 0, 0
        for asking in turns[part]:
            if asking >= 0:
                edges = max(edges, room[asking + 1] - room[asking])
                space = max(space, first[asking + 1] - first[asking] + room[asking + 1] - room[asking])
        space = min(space, nodes)
        places = np.full(nodes, -1, dtype=np.int64)  # of each entity among the rows of the query at hand
        entity, number = np.empty(space, dtype=np.int64), np.empty(space, dtype=np.int64)
        ends = np.empty(edges, dtype=np.int32)  # the row that each edge leads to
        sums, value = np.empty((space, width), state.dtype), np.empty(space, state.dtype)
        for asking in turns[part]:
            if asking < 0:
                break
            low, size = first[asking], first[asking + 1] - first[asking]
            entity[:size] = reached[low : low + size]
            total = gather(
                asking, low, size, out, targets, relations, hidden, half, kinds, state, table, query, judges,
                entity, places, ends, sums,
            )  # fmt: skip
            rate(
                asking, low, size, total, state, sums, from_sums, from_state, bias, scale, shift, gate,
                from_new, asked, last, judges, value,
            )  # fmt: skip
            fresh, best = value[size:total], number[size:total]
            choose(fresh, most, best)
            if judges and walks:
                draw(asking, size, entity[:total], hidden[asking, 2], most, others, seed, best, scores)
            elif judges:
                for row in range(total):
                    scores[asking, entity[row]] = value[row]
            for row in range(size):
                number[row] = 1
            many = 0
            for row in range(total):
                places[entity[row]] = -1
                if number[row]:
                    found[room[asking] + low + many], number[row] = entity[row], many
                    many += 1
                else:
                    number[row] = -1
            counts[asking, 0], counts[asking, 1] = many, 0
            if walks:
                counts[asking, 1] = note(
                    low, size, out, relations, entity, ends, number, room[asking], sources, kind_of, goals
                )


@_part  # type: ignore[untyped-decorator]
def gather(
    asking: Any, low: Any, size: Any, out: Any, targets: Any, relations: Any, hidden: Any, half: Any, kinds: Any,
    state: Any, table: Any, query: Any, judges: Any, entity: Any, places: Any, ends: Any, sums: Any,
) -> Any:  # fmt: skip
    """Sums the messages of a query's step: to all that it reaches if it judges, else to what is new. How much it is."""
    width = state.shape[1]
    for row in range(size):
        places[entity[row]] = row
        if judges:
            sums[row, :] = 0
    if judges:
        for column in range(width):
            sums[0, column] += query[asking, column]  # the head is the first that is reached
    head, kind, tail = hidden[asking, 0], hidden[asking, 1], hidden[asking, 2]
    message = np.empty(width, state.dtype)
    total, plain, walked = size, 0 if judges else size, 0
    for row in range(size):
        node, before = entity[row], -1
        asked_for = node in (head, tail)
        for edge in range(out[node], out[node + 1]):
            to, by = targets[edge], relations[edge]
            place = places[to]
            walked += 1
            if asked_for and unseen(node, by, to, head, kind, tail, half):
                ends[walked - 1] = -1
                continue
            ends[walked - 1] = place if place >= 0 else total
            if 0 <= place < plain:
                continue  # what was reached before goes on anyway
            if by != before:  # edges of a node lie by relation
                for column in range(width):
                    message[column] = state[low + row, column] * table[asking * kinds + by, column]
                before = by
            if place < 0:
                places[to], entity[total] = total, to
                sums[total, :] = message
                total += 1
            else:
                for column in range(width):
                    sums[place, column] += message[column]
    return total


@_part  # type: ignore[untyped-decorator]
def rate(
    asking: Any, low: Any, size: Any, total: Any, state: Any, sums: Any, from_sums: Any, from_state: Any, bias: Any,
    scale: Any, shift: Any, gate: Any, from_new: Any, asked: Any, last: Any, judges: Any, value: Any,
) -> None:  # fmt: skip
    """What a query's rows are worth after the step; if it judges, their scores."""
    width = state.shape[1]
    x, y = np.empty((ROWS, width), state.dtype), np.empty((ROWS, len(last)), state.dtype)
    for begin in range(0 if judges else size, total, ROWS):
        count = min(ROWS, total - begin)
        for row in range(count):
            x[row, :] = bias
        add_inner(sums, begin, count, from_sums, x, 0)
        if begin < size:
            add_inner(state, low + begin, min(count, size - begin), from_state, x, 0)
        for row in range(count):
            mean, inverse = moments_of(x, row)
            for column in range(width):
                new = (x[row, column] - mean) * inverse * scale[column] + shift[column]
                x[row, column] = max(new, x.dtype.type(0))
            if begin + row < size:
                for column in range(width):
                    x[row, column] += state[low + begin + row, column]
            worth = gate[width]
            for column in range(width):
                worth += x[row, column] * gate[column]
            value[begin + row] = worth
            if judges:
                share = x.dtype.type(1) / (x.dtype.type(1) + np.exp(-worth))
                for column in range(width):
                    x[row, column] *= share
                y[row, :] = asked[asking]
        if judges:
            add_inner(x, 0, count, from_new, y, 0)
            for row in range(count):
                score = x.dtype.type(0)
                for column in range(len(last)):
                    score += max(y[row, column], x.dtype.type(0)) * last[column]
                value[begin + row] = score


@_part  # type: ignore[untyped-decorator]
def choose(value: Any, most: Any, best: Any) -> None:
    """Marks the best, at most so many; of equal ones the first."""
    if len(value) <= most:
        best[:] = 1
        return
    least = np.partition(value, len(value) - most)[len(value) - most]
    equal = most  # of those that are no better than the least, so many are taken
    for row in range(len(value)):
        equal -= value[row] > least
    for row in range(len(value)):
        best[row] = value[row] > least or (value[row] == least and equal > 0)
        equal -= value[row] == least


@_part  # type: ignore[untyped-decorator]
def draw(
    asking: Any, size: Any, entity: Any, answer: Any, most: Any, others: Any, seed: Any, best: Any, scores: Any
) -> None:
    """Marks the answer and some others beside the best; tells what is to be added to scores."""
    rest = max(len(best) - most, others)
    limit = np.uint32((1.0 - others / rest) * 4294967295.0)
    for row in range(size):
        scores[asking, entity[row]] = 0
    for row in range(len(best)):
        which = entity[size + row]
        if best[row] or which == answer:
            best[row], scores[asking, which] = 1, 0
        elif kept(which, seed + asking, limit):
            best[row], scores[asking, which] = 1, np.log(rest / others)
        else:
            scores[asking, which] = EXCLUDED


@_part  # type: ignore[untyped-decorator]
def note(
    low: Any, size: Any, out: Any, relations: Any, entity: Any, ends: Any, number: Any, begin: Any,
    sources: Any, kind_of: Any, goals: Any,
) -> Any:  # fmt: skip
    """Writes down the edges that lead to what has a number. How many they are."""
    at, walked = begin, 0
    for row in range(size):
        for edge in range(out[entity[row]], out[entity[row] + 1]):
            goal = ends[walked]
            walked += 1
            if goal >= 0 and number[goal] >= 0:
                sources[at], kind_of[at], goals[at] = low + row, relations[edge], number[goal]
                at += 1
    return at - begin
