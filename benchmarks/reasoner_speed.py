"""Training the path reasoner beside the same model written with PyG's message passing.

    python benchmarks/reasoner_speed.py [--data fb237_v1] [--seconds 20] [--threads 2]

Same layers, widths, queries, loss, hidden edges and optimizer; each in a process of its own, for the same time. Memory
is the peak of the process above what it held before its first step. `queries_per_s` is ours; `umls`, `fb237_v1` and
`WN18RR` (the way outwards, 200 new entities a step) are ours on those graphs. The last line is JSON. Graphs are looked
for under CORTIGRAPH_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _stage import data_folder, last_line, tell
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.allocator import keep_memory
from cortigraph.reasoning.reasoners.path.questions import Questions
from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner
from cortigraph.reasoning.reasoners.path.settings import PathSettings
from cortigraph.reasoning.reasoners.structure import Rows, Structure
from cortigraph.reasoning.reasoners.triples import read_splits

SETTINGS: dict[str, dict[str, Any]] = {
    "umls": {"layers": 5},
    "fb237_v1": {"layers": 6},
    "WN18RR": {"layers": 5, "way": "outwards", "most": 200, "batch": 16},
}


def usual(width: int) -> type[nn.Module]:
    """One step as PyG's documentation has it: message, aggregate, update."""
    from torch_geometric.nn import MessagePassing

    class Step(MessagePassing):
        def __init__(self, relations: int, dropout: float) -> None:
            super().__init__(aggr="add", node_dim=0)
            self.relation = nn.Linear(width, relations * width)
            self.linear = nn.Linear(2 * width, width)
            self.norm, self.dropout, self.relations = nn.LayerNorm(width), nn.Dropout(dropout), relations

        def forward(self, state: Tensor, query: Tensor, first: Tensor, index: Tensor, kind: Tensor) -> Tensor:
            table = self.relation(query).view(len(query), self.relations, width).transpose(0, 1)
            sums = self.propagate(index, x=state, table=table, kind=kind) + first
            new = torch.relu(self.norm(self.linear(torch.cat([state, sums], dim=-1))))
            return state + self.dropout(new)

        def message(self, x_j: Tensor, table: Tensor, kind: Tensor) -> Tensor:
            return x_j * table[kind]

    return Step


class UsualNetwork(nn.Module):
    """The network of the path reasoner on the way everywhere, by the book."""

    def __init__(self, relations: int, settings: PathSettings) -> None:
        super().__init__()
        width, step = settings.width, usual(settings.width)
        self.query = nn.Embedding(relations, width)
        self.steps = nn.ModuleList(step(relations, settings.dropout) for _ in range(settings.layers))
        self.hidden, self.last = nn.Linear(2 * width, 2 * width), nn.Linear(2 * width, 1)

    def everywhere(self, heads: Rows, relations: Rows, edges: Structure, trace: None = None) -> Tensor:
        """Scores: (batch, entities)."""
        query = self.query(torch.from_numpy(relations))
        places = (torch.from_numpy(heads), torch.arange(len(heads)))
        first = query.new_zeros(edges.nodes, len(heads), query.shape[1]).index_put(places, query)
        index = torch.from_numpy(np.stack([edges.source, edges.target]))
        state = first
        for step in self.steps:
            state = step(state, query, first, index, torch.from_numpy(edges.relation))
        asked = query.expand(edges.nodes, -1, -1)
        scores: Tensor = self.last(torch.relu(self.hidden(torch.cat([state, asked], dim=-1)))).squeeze(-1)
        return scores.T


def rate(name: str, way: str, seconds: float, threads: int) -> dict[str, float]:
    """Queries per second and megabytes, in this process."""
    torch.set_num_threads(threads)
    keep_memory()
    settings = PathSettings.model_validate(SETTINGS[name])
    splits = read_splits(folder(name))
    reasoner, questions = PathReasoner(splits.facts.relations, settings), Questions(splits.facts, None, settings)
    network: nn.Module = reasoner.network
    if way == "usual":
        network = UsualNetwork(2 * len(splits.facts.relations), settings)
        reasoner.network.everywhere = network.everywhere  # type: ignore[method-assign]
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, fused=True)
    done, number, began = 0, 0, 0.0
    # Loops are compiled, and what every step needs is made, before anything is measured.
    few = Questions(splits.facts, None, settings.model_copy(update={"batch": 2}))
    few.loss(reasoner, 0).backward()  # type: ignore[no-untyped-call]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network.train()
    while not began or time.perf_counter() - began < seconds:
        number += 1
        optimizer.zero_grad(set_to_none=True)
        questions.loss(reasoner, number).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if began:
            done += settings.batch
        else:
            began = time.perf_counter()  # the first step is not counted
    spent = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"queries_per_s": done / spent, "megabytes": (peak - before) / 1024}


def folder(name: str) -> Path:
    """Where a graph lies."""
    return data_folder() / "kg" / ("grail" if name.startswith("fb237") else "") / name


def apart(name: str, way: str, seconds: float, threads: int) -> dict[str, float]:
    """`rate` in a process of its own."""
    words = [sys.executable, __file__, "--data", name, "--seconds", str(seconds), "--threads", str(threads)]
    done = subprocess.run([*words, "--only", way], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    tell(f"{name}, {way}: " + ", ".join(f"{key} {value:.1f}" for key, value in found.items()))
    return found


def main() -> None:
    """Ours and the peer's, then ours on the other graphs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fb237_v1", choices=["umls", "fb237_v1", "WN18RR"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["ours", "usual"], help="this side alone, in this process")
    arguments = parser.parse_args()
    name, seconds, threads = arguments.data, arguments.seconds, arguments.threads
    if arguments.only:
        print(json.dumps(rate(name, arguments.only, seconds, threads)))
        return
    if not folder(name).is_dir():
        sys.exit(f"skipped: no {folder(name)}; set CORTIGRAPH_DATA")
    ours, theirs = (apart(name, way, seconds, threads) for way in ("ours", "usual"))
    told = {each: apart(each, "ours", seconds, threads)["queries_per_s"] for each in SETTINGS if each != name}
    last_line(
        ratio=ours["queries_per_s"] / theirs["queries_per_s"],
        memory_ratio=ours["megabytes"] / max(theirs["megabytes"], 1e-9),
        **{"queries_per_s": ours["queries_per_s"], name: ours["queries_per_s"], **told},
        usual_queries_per_s=theirs["queries_per_s"],
        data=name,
        threads=threads,
    )


if __name__ == "__main__":
    main()
