"""The loops of `scout`. A module of their own, imported when first needed: importing numba takes a while."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from cortigraph.reasoning.reasoners.path._frontier_loops import unseen
from cortigraph.reasoning.reasoners.path._fused_loops import EPSILON, kept
from cortigraph.reasoning.reasoners.path._products import ROWS, add_inner

__all__ = ["look"]

_jit = numba.njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, parallel=True, cache=True, error_model="numpy")


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
    those that stand for themselves, to the others the logarithm of how many each stands for, and -1e9 to the rest.
    """
    nodes, width = len(out) - 1, state.shape[1]
    judges = len(scores) > 0
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
        message = np.empty(width, state.dtype)
        x, y = np.empty((ROWS, width), state.dtype), np.empty((ROWS, len(last)), state.dtype)
        for asking in turns[part]:
            if asking < 0:
                break
            low = first[asking]
            size = first[asking + 1] - low
            for row in range(size):
                entity[row] = reached[low + row]
                places[entity[row]] = row
                if judges:
                    sums[row, :] = 0
            if judges:
                for column in range(width):
                    sums[0, column] += query[asking, column]  # the head is the first that is reached
            head, kind, tail = hidden[asking, 0], hidden[asking, 1], hidden[asking, 2]
            total, plain, edge_at = size, 0 if judges else size, 0
            for row in range(size):
                node, before = entity[row], -1
                asked_for = node in (head, tail)
                for edge in range(out[node], out[node + 1]):
                    to, by = targets[edge], relations[edge]
                    place = places[to]
                    edge_at += 1
                    if asked_for and unseen(node, by, to, head, kind, tail, half):
                        ends[edge_at - 1] = -1
                        continue
                    ends[edge_at - 1] = place if place >= 0 else total
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
            for begin in range(0 if judges else size, total, ROWS):
                count = min(ROWS, total - begin)
                for row in range(count):
                    for column in range(width):
                        x[row, column] = bias[column]
                add_inner(sums, begin, count, from_sums, x, 0)
                if begin < size:
                    add_inner(state, low + begin, min(count, size - begin), from_state, x, 0)
                for row in range(count):
                    mean = x.dtype.type(0)
                    for column in range(width):
                        mean += x[row, column]
                    mean /= x.dtype.type(width)
                    spread = x.dtype.type(0)
                    for column in range(width):
                        spread += (x[row, column] - mean) ** 2
                    inverse = x.dtype.type(1) / np.sqrt(spread / x.dtype.type(width) + x.dtype.type(EPSILON))
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
                        for column in range(len(last)):
                            y[row, column] = asked[asking, column]
                if judges:
                    add_inner(x, 0, count, from_new, y, 0)
                    for row in range(count):
                        score = x.dtype.type(0)
                        for column in range(len(last)):
                            score += max(y[row, column], x.dtype.type(0)) * last[column]
                        value[begin + row] = score
                        if not walks:
                            scores[asking, entity[begin + row]] = score
            begin = room[asking] + low
            found[begin : begin + size] = entity[:size]
            number[:total] = -1
            for row in range(size):
                number[row] = row
            fresh, taken = value[size:total], 0
            least, equal = -np.inf, 0
            if len(fresh) > most:
                least = np.partition(fresh, len(fresh) - most)[len(fresh) - most]
                equal = most  # of those that are no better than the least, so many are taken
                for row in range(len(fresh)):
                    equal -= fresh[row] > least
            learns = judges and walks
            rest = max(0, len(fresh) - most)
            limit = np.uint32((1.0 - others / max(rest, others, 1)) * 4294967295.0)
            many = x.dtype.type(np.log(max(rest, others, 1) / max(others, 1)))
            if learns:
                for row in range(size):
                    scores[asking, entity[row]] = 0
            for row in range(len(fresh)):
                better = len(fresh) <= most or fresh[row] > least
                if not better and fresh[row] == least and equal > 0:
                    better = True
                    equal -= 1
                if learns:
                    if better or entity[size + row] == tail:
                        scores[asking, entity[size + row]] = 0
                        better = True
                    elif others and kept(entity[size + row], seed + asking, limit):
                        scores[asking, entity[size + row]] = many
                        better = True
                    else:
                        scores[asking, entity[size + row]] = -1e9
                if better:
                    found[begin + size + taken], number[size + row] = entity[size + row], size + taken
                    taken += 1
            at, edge_at = room[asking], 0
            if walks:
                for row in range(size):
                    for edge in range(out[entity[row]], out[entity[row] + 1]):
                        goal = ends[edge_at]
                        edge_at += 1
                        if goal >= 0 and number[goal] >= 0:
                            sources[at], kind_of[at], goals[at] = low + row, relations[edge], number[goal]
                            at += 1
            counts[asking, 0], counts[asking, 1] = size + taken, at - room[asking]
            for row in range(total):
                places[entity[row]] = -1
