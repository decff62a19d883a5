"""YAML in which a plain scalar stays what was written."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortigraph.graph.plain_yaml import Plain, YamlError, read_yaml, values_of

IDEAS = """
no yes on off y n NO Yes 1.10 0123456 0o17 12:30:45 2023-01-02 2023-13-45 1_000 .5 0x1F 0b11 1e3 ~ null true 1.0 007 +5
-.inf .nan 2001-12-14T21:59:43Z 12345678901234567890 1:20
"""


@pytest.mark.parametrize("text", IDEAS.split())
def test_a_plain_scalar_is_the_text_that_was_written_as_key_value_and_item(text):
    assert read_yaml(f"{text}: {text}\nlist: [{text}]\n").data == {text: text, "list": [text]}
    [value] = read_yaml(f"- {text}").data
    assert isinstance(value, Plain)


@pytest.mark.parametrize("quoted", ['"5"', "'5'", "!!str 5", "|-\n  5"])
def test_quotes_keep_their_meaning(quoted):
    assert values_of(read_yaml(f"[{quoted}]" if "\n" not in quoted else f"- {quoted}").data) == ["5"]
    assert values_of(read_yaml("[5]").data) == [5]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb: [1\n", 3, "expected ',' or ']'"),
        ("a: !!python/object:os.system x", 1, "the tag"),
        ("a: !!timestamp 2001-01-01", 1, "the tag"),
        ("a: &a [*a]", 1, "a part of"),
        ("a: &a {<<: *a}", 1, "a part of"),
        ("a: {<<: 5}", 1, "must name a map"),
        ("x: 1\n? [a]\n: b", 2, "a key must be a text"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: 1\nb: \x01", 2, "U+0001"),
        ('a: "\\ud800"', 1, "surrogate"),
        ("[" * 4000, 1, "nests deeper"),
        ("- " * 4000 + "a", 1, "nests deeper"),
        ("a\t: \tb:\t", 1, ""),
        ("a: *nobody", 1, "undefined alias"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(text, line, told):
    with pytest.raises(YamlError) as caught:
        read_yaml(text)
    assert caught.value.line == line
    assert told in caught.value.problem


@pytest.mark.parametrize("more", ["*a{0}, *a{0}, *a{0}", "{{<<: [*a{0}, *a{0}]}}"])
def test_aliases_that_laugh_a_billion_times_are_refused(more):
    lines = [f"a{number + 1}: &a{number + 1} [{more.format(number)}]" for number in range(40)]
    with pytest.raises(YamlError, match="repeat more than"):
        read_yaml("a0: &a0 {k: v}\n" + "\n".join(lines))


def test_anchors_and_merges_work_and_lines_are_known():
    tree = read_yaml("base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  b: 3\nagain: *base\n", first=10)
    assert values_of(tree.data) == {"base": {"a": 1, "b": 2}, "more": {"a": 1, "b": 3}, "again": {"a": 1, "b": 2}}
    assert tree.line(("more", "b")) == 13
    assert tree.line(("more", "nothing")) == 11
    assert read_yaml("a: 1\na: 2\n").twice == (("a", 2),)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON)
def test_json_is_read_as_json(data):
    text = json.dumps(data)
    assert values_of(read_yaml(text).data) == data


@settings(deadline=None)
@given(st.text() | st.text(alphabet="-:[]{}&*!|>'\"%@`#? \n\tab1.~<,"))
def test_any_text_is_read_or_refused(text):
    with suppress(YamlError):
        read_yaml(text)
