"""YAML that changes nothing: a plain scalar stays the text that was written, until somebody asks for a value.

YAML has ideas of its own: `no` is false, `1.10` is 1.1, `0123456` is 42798, `12:30:45` is 45045 and a date is no text.
Here a scalar without quotes is a `Plain`, a text that knows what it would be as a value; with quotes it is a `str`.
Whoever reads it says which is meant: a schema that wants a number gets one from the text, and one that takes text gets
the text. Anchors, aliases and `<<` work; tags other than YAML's own types do not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from cortigraph.graph.errors import InputError

__all__ = ["Place", "Plain", "Tree", "YamlError", "read_yaml", "values_of"]

Place = tuple[str | int, ...]

_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)?(?<=[0-9])(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_EXACT_WORDS = ("true", "false", "null", "")
_PLAIN = "plain"
_STANDARD = "tag:yaml.org,2002:"
_REPEATED, _DEEPEST = 100_000, 100
_LARGEST = 2**63


class Plain(str):
    """A scalar without quotes, as it was written.

    Example:
        >>> [Plain(text).value for text in ("5", "1.10", "true", "no", "0123", "12:30")]
        [5, 1.1, True, 'no', '0123', '12:30']
        >>> [Plain(text).exact for text in ("5", "1.10", "1e3", "no")]
        [True, False, False, False]
    """

    __slots__ = ()

    @property
    def value(self) -> Any:
        """What it is where no text is meant: a number in decimals, a truth value, nothing; else the text."""
        text = str(self)
        if text in _WORDS:
            return _WORDS[text]
        if not _NUMBER.fullmatch(text):
            return text
        try:
            return int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else float(text)
        except ValueError:  # Python reads no more than some thousand digits
            return math.inf

    @property
    def exact(self) -> bool:
        """Whether the value is no text and says all that was written: 1.1 does not say `1.10`."""
        value, text = self.value, str(self)
        if isinstance(value, str) or text in _WORDS:
            return text in _EXACT_WORDS
        if isinstance(value, int):
            return -_LARGEST <= value < _LARGEST and str(value) == text
        return math.isfinite(value) and repr(value) == text


class YamlError(InputError):
    """A text is not YAML, or says more than can be taken.

    Args:
        line: Where, from 1.
        column: Where in the line, from 1.
        problem: What is wrong.
    """

    def __init__(self, line: int, column: int, problem: str) -> None:
        super().__init__(f"line {line}, column {column}: {problem}")
        self.line, self.column, self.problem = line, column, problem


@dataclass(frozen=True)
class Tree:
    """What a YAML text holds.

    Args:
        data: Dicts, lists, `Plain`, `str` and None; keys are text as written.
        lines: Place of a value, such as `("inputs", "image", "size")`, → its line, from 1.
        twice: Keys that are there twice, with their lines.
        empty: Whether it holds nothing at all.
    """

    data: Any
    lines: dict[Place, int] = field(repr=False)
    twice: tuple[tuple[str, int], ...] = ()
    empty: bool = False

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest thing around it that is there."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return None


def read_yaml(text: str, first: int = 1) -> Tree:
    """Reads a YAML text.

    Args:
        text: One document.
        first: The line in which it begins, where it is a part of a file.

    Raises:
        YamlError: It is not YAML, has a tag that is not known here, nests too deep, or its aliases make too much of it.

    Example:
        >>> read_yaml("{language: no, version: 1.10, id: '001'}").data
        {'language': 'no', 'version': '1.10', 'id': '001'}
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise YamlError(first + line, column + 1, _told(error)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = error.position - before.rfind("\n")
        raise YamlError(first + before.count("\n"), column, f"{_printed(error.character)} is not allowed") from None
    if root is None:
        return Tree(None, {}, empty=True)
    return _Reading(first).tree(root)


def values_of(tree: Any) -> Any:
    """Data in which every plain scalar is the value that it stands for, where numbers rather than texts are meant.

    Example:
        >>> values_of(read_yaml("{width: 16, rate: .50, name: '16'}").data)
        {'width': 16, 'rate': 0.5, 'name': '16'}
    """
    if isinstance(tree, dict):
        return {name: values_of(each) for name, each in tree.items()}
    if isinstance(tree, list):
        return [values_of(each) for each in tree]
    return tree.value if isinstance(tree, Plain) else tree


class _Loader(yaml.SafeLoader):
    """Composes nodes alone, and remembers which scalars have neither quotes nor a tag."""

    depth = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"it nests deeper than {_DEEPEST} levels", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reading:
    """From nodes to data; aliases are followed as often as they are named, but not without end."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._lines: dict[Place, int] = {}
        self._twice: list[tuple[str, int]] = []
        self._left = _REPEATED
        self._seen: set[int] = set()
        self._open: set[int] = set()

    def tree(self, root: yaml.Node) -> Tree:
        data = self._data(root, ())
        return Tree(data, self._lines, tuple(self._twice))

    def _data(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, self._line(node))
        self._count(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open or len(place) > _DEEPEST:
            raise self._error(node, "an alias names something that it is itself a part of, or nests too deep")
        self._known(node)
        self._open.add(id(node))
        data = self._mapping(node, place) if isinstance(node, yaml.MappingNode) else self._sequence(node, place)
        self._open.discard(id(node))
        return data

    def _sequence(self, node: yaml.Node, place: Place) -> list[Any]:
        return [self._data(each, (*place, number)) for number, each in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key must be a text, not a list or a map")
            if key.tag == _PLAIN and key.value == "<<":
                for name, each in self._merged(value, ()):
                    merged.setdefault(name, each)
                continue
            name = self._text(key)
            if name in own:
                self._twice.append((name, self._line(key)))
            self._lines[(*place, name)] = self._line(key)
            own[name] = self._data(value, (*place, name))
        return {name: self._data(each, (*place, name)) for name, each in merged.items() if name not in own} | own

    def _merged(self, node: yaml.Node, within: tuple[int, ...]) -> Iterator[tuple[str, yaml.Node]]:
        """The keys and values that `<<` brings: of one map, or of several, of which the first counts."""
        self._count(node)
        if id(node) in within:
            raise self._error(node, "`<<` names something that it is itself a part of")
        within = (*within, id(node))
        if isinstance(node, yaml.SequenceNode):
            for each in node.value:
                yield from self._merged(each, within)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.tag != _PLAIN or key.value != "<<":
                    yield self._text(key), value
            for key, value in node.value:
                if key.tag == _PLAIN and key.value == "<<":
                    yield from self._merged(value, within)
        else:
            raise self._error(node, "`<<` must name a map, or a list of maps")

    def _count(self, node: yaml.Node) -> None:
        """What is written is as long as the text; what aliases repeat can grow without end."""
        self._left -= id(node) in self._seen
        self._seen.add(id(node))
        if self._left < 0:
            raise self._error(node, f"its aliases repeat more than {_REPEATED:,} values")

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag == _PLAIN:
            return Plain(node.value)
        self._known(node)
        return self._text(node) if node.tag == _STANDARD + "str" else Plain(node.value)

    def _text(self, node: yaml.Node) -> str:
        """A text, in which `"\\ud83d\\ude00"`, as JSON writes it, is one character."""
        try:
            return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._error(node, "holds half of a surrogate pair, which is no character") from None

    def _known(self, node: yaml.Node) -> None:
        known = {
            "ScalarNode": ("str", "int", "float", "bool", "null"),
            "SequenceNode": ("seq",),
            "MappingNode": ("map",),
        }
        if node.tag not in [_STANDARD + each for each in known[type(node).__name__]]:
            raise self._error(node, f"the tag {node.tag!r} is not known here; leave it out")

    def _line(self, node: yaml.Node) -> int:
        return self._first + int(node.start_mark.line)

    def _error(self, node: yaml.Node, problem: str) -> YamlError:
        return YamlError(self._line(node), int(node.start_mark.column) + 1, problem)


def _told(error: yaml.MarkedYAMLError) -> str:
    return str(error.problem or error.context or "it can't be read")


def _printed(character: Any) -> str:
    code = character if isinstance(character, int) else ord(str(character)[:1] or "\0")
    return f"the character U+{code:04X}"
