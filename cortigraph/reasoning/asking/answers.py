"""Answers: what `ask` gives, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Answers", "Hop", "Path", "Step"]


@dataclass(frozen=True)
class Hop:
    """A fact on a path.

    Args:
        head: Of the fact.
        relation: Of the fact.
        tail: Of the fact.
        forwards: Whether the path goes from head to tail.
        weight: The gradient of the answer's score with respect to the fact's weight; none where no gradient was taken.
        batches: Keys of the batches that asserted it.
    """

    head: str
    relation: str
    tail: str
    forwards: bool
    weight: float | None = None
    batches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Path:
    """Facts that lead from what was asked about to an answer.

    Args:
        hops: In order.
        weight: Sum of their weights: about so much of the score would go with them; none for a path that was merely
            found in the graph.
    """

    hops: tuple[Hop, ...]
    weight: float | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """What it passes, from first to last."""
        ends = [(hop.head, hop.tail) if hop.forwards else (hop.tail, hop.head) for hop in self.hops]
        return (ends[0][0], *(end for _, end in ends))

    @property
    def batches(self) -> tuple[str, ...]:
        """Keys of all batches whose facts it uses."""
        return tuple(dict.fromkeys(key for hop in self.hops for key in hop.batches))

    def __str__(self) -> str:
        told = [self.nodes[0]]
        for hop, node in zip(self.hops, self.nodes[1:], strict=True):
            told.append(f"-{hop.relation}-> {node}" if hop.forwards else f"<-{hop.relation}- {node}")
        return " ".join(told)


@dataclass(frozen=True)
class Step:
    """One fact that an answer to a query of several parts rests on.

    Args:
        head: Of the fact.
        relation: Of the fact.
        tail: Of the fact.
        probability: That it is true; 1 for one that the graph holds.
        known: Whether the graph holds it.
        paths: What speaks for it.
    """

    head: str
    relation: str
    tail: str
    probability: float
    known: bool
    paths: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return f"{self.head} -{self.relation}-> {self.tail}"


@dataclass(frozen=True)
class Answer:
    """One answer.

    Args:
        key: Of the entity; one of another label is `Label:key`.
        name: What it is called.
        score: The reasoner's, comparable within one query; of a query of several parts, the probability. None for a
            fact that no reasoner was asked about.
        probability: That it is true, as learned on facts that were held out; 1 for what the graph holds.
        known: Whether the graph holds it, or the reasoner predicts it.
        paths: What carried it: the fact itself, where the graph holds it, then the weightiest.
        steps: Of a query of several parts: the facts that it rests on.
        asked: The head and the relation of the query; none where it has several parts.
        reasoner: Name of the one that answered; empty where none was asked.
    """

    key: str
    name: str
    score: float | None
    probability: float
    known: bool
    paths: tuple[Path, ...] = ()
    steps: tuple[Step, ...] = ()
    asked: tuple[str, str] | None = None
    reasoner: str = ""

    @property
    def batches(self) -> tuple[str, ...]:
        """Keys of the batches whose facts carried it."""
        paths = [*self.paths, *(path for step in self.steps for path in step.paths)]
        return tuple(dict.fromkeys(key for path in paths for key in path.batches))


@dataclass(frozen=True)
class Answers(Sequence[Answer]):
    """All that was answered, best first.

    Args:
        question: In words, as it was understood.
        reasoner: Name of the reasoner; empty where none was asked.
        graph_version: Of the store that was looked at.
        answers: What is known first, then what is likeliest.
        paths_by: How paths were found: `gradient`, or `search` where the reasoner itself follows none.
        notes: What the user should know of these answers.
        complete: Whether all answers that the graph holds are among these, as far as they were asked for, and no beam
            may have cut off a better prediction; if not, notes say what was cut.
    """

    question: str
    reasoner: str
    graph_version: str
    answers: tuple[Answer, ...]
    paths_by: str = "gradient"
    notes: tuple[str, ...] = field(default=())
    complete: bool = True

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, place: Any) -> Any:
        return self.answers[place]

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        from dataclasses import asdict

        told = asdict(self)
        for answer, own in zip(self.answers, told["answers"], strict=True):
            own["batches"] = answer.batches
            for path, plain in zip(answer.paths, own["paths"], strict=True):
                plain["text"] = str(path)
            for step, plain in zip(answer.steps, own["steps"], strict=True):
                for path, text in zip(step.paths, plain["paths"], strict=True):
                    text["text"] = str(path)
        return told
