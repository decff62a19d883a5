"""Inquiries: a question before the graph and, where predictions are wanted, before a reasoner that knows its relations.

What the graph holds of a question needs no reasoner. Where there is none, or it does not know what the question is
about, that is a note to what is known; only a question for predictions alone can't be answered then.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.asking.carriers import Carriers, walker
from cortigraph.reasoning.asking.mind import Mind, Sight, Thought
from cortigraph.reasoning.asking.resolve import AmbiguousKeyError, resolve_entity, resolve_relation

__all__ = ["Inquiry"]


class Inquiry:
    """What a question is asked of.

    Args:
        mind: Reasoners and facts.
        relations: What the question calls its relations.
        known: Only what the graph holds, or only what it does not; both when left out.
        reasoner: Which; else the one trained last of those that know the relations.
        graph: What part of the graph; else all of it, and for predictions what the reasoner was trained on.
        paths: Whether paths will be asked for.

    Raises:
        UnknownKeyError: A relation or a reasoner is not there.
        InputError: The reasoner asked for does not know the relations, or predictions alone are wanted and nobody does.
    """

    def __init__(
        self,
        mind: Mind,
        relations: Sequence[str],
        *,
        known: bool | None = None,
        reasoner: str | None = None,
        graph: str | None = None,
        paths: bool = True,
    ) -> None:
        self._mind, self._reasoner, self._graph, self._known = mind, reasoner, graph, known
        self.knowledge = mind.knowledge(graph)
        self.notes: list[str] = []
        self.complete = True
        self._relations = {text: self._relation(text) for text in dict.fromkeys(relations)}
        self.thought = None if known else self._asked()
        self.carriers = Carriers(self.knowledge, self.sight, paths=paths)

    @property
    def name(self) -> str:
        """Of the reasoner; empty where none is asked."""
        return self.thought.name if self.thought is not None else ""

    @property
    def paths_by(self) -> str:
        """How paths are found."""
        return "gradient" if self.thought is not None and walker(self.thought.reasoner) is not None else "search"

    @cached_property
    def sight(self) -> Sight | None:
        """What the reasoner sees of the graph."""
        return None if self.thought is None else self._mind.sight(self.knowledge, self.thought)

    def relation(self, text: str) -> int:
        """The number of one of the question's relations."""
        return self._relations[text]

    def entity(self, text: str) -> int:
        """The row of the entity that a text means.

        Args:
            text: A key, a name, or words.

        Raises:
            AmbiguousKeyError: It may mean several.
            UnknownKeyError: It means none.
        """
        try:
            row = resolve_entity(self._mind.store, self.knowledge, text)
        except AmbiguousKeyError:
            part = self.thought or self._part()
            if part is None or part.knowledge is self.knowledge:
                raise
            entities = part.knowledge.facts.entities
            key = entities[resolve_entity(self._mind.store, part.knowledge, text)]
            row = int(self.knowledge.facts.entities.row(key))
        if self.sight is not None and self.sight.places[row] < 0:
            self.notes.append(self._unseen(str(self.knowledge.facts.entities[row])))
        return row

    def unpredicted(self, why: str) -> None:
        """Notes that nothing is predicted.

        Args:
            why: The reason.

        Raises:
            InputError: Predictions alone are wanted.
        """
        if self._known is False:
            raise InputError(why)
        self.notes.append(f"nothing is predicted: {why}")

    def cut(self, what: str) -> None:
        """Notes that not all was told, or not all was looked at.

        Args:
            what: Was left out.
        """
        self.complete = False
        self.notes.append(what)

    def told(self) -> tuple[str, ...]:
        """All notes; those about the reasoner last."""
        return (*dict.fromkeys(self.notes), *(self.thought.notes() if self.thought is not None else ()))

    def _relation(self, text: str) -> int:
        try:
            return resolve_relation(self._mind.store, self.knowledge.facts, text)
        except AmbiguousKeyError:
            part = self._part()
            if part is None or part.knowledge is self.knowledge:
                raise
            return self.knowledge.facts.relation(part.facts.named(resolve_relation(self._mind.store, part.facts, text)))

    def _part(self) -> Thought | None:
        """The reasoner that would be asked first: words that may mean several things are taken as in its part."""
        if self._reasoner is None and not self._mind.shelf():
            return None
        return self._mind.thought(self._reasoner, self._graph)

    def _asked(self) -> Thought | None:
        count = len(self.knowledge.facts.relations)
        wanted = sorted({self.knowledge.facts.relations[number % count] for number in self._relations.values()})
        if self._reasoner is None:
            thought, note = self._mind.chosen(wanted, self._graph)
            if thought is None:
                self.unpredicted(note)
                return None
            self.notes += [note] if note else []
        else:
            thought = self._mind.thought(self._reasoner, self._graph)
        lacking = [name for name in wanted if name not in thought.facts.relations]
        if lacking and self._reasoner is not None:
            types = thought.knowledge.selection.types
            raise InputError(
                f"the reasoner {thought.name} has not learned what {', '.join(lacking)} means; it knows "
                f"{', '.join(thought.facts.relations) or 'none of the relations that the graph has'}; "
                + (f"`cortigraph reason refresh {thought.name}` lets it learn what is new, or " if not types else "")
                + "without --reasoner another may be asked"
            )
        if lacking == wanted:
            self.unpredicted(f"{thought.name} sees no facts of {', '.join(lacking)} in {thought.knowledge.selection}")
            return None
        if lacking:
            self.notes.append(f"{thought.name} has not learned {', '.join(lacking)}: no such fact is predicted")
        return thought

    def _unseen(self, key: str) -> str:
        assert self.thought is not None
        name, part = self.thought.name, self.thought.knowledge
        if key in part.facts.entities:
            return (
                f"nothing is predicted of {key!r}: it is newer than {name}, which knows a closed graph; "
                f"`cortigraph reason refresh {name}` lets it see it, or ask a path reasoner"
            )
        return (
            f"nothing is predicted of {key!r}: it lies outside of what {name} sees, {part.selection}; "
            f"`cortigraph reason train --graph all` trains one that sees it"
        )
