"""`--json` is JSON, of every command that offers it; the application itself says which, so none is forgotten."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cortigraph.cli import _leaving
from cortigraph.cli.main import _COMMANDS, build

# Where a made-up word for each argument would do harm, take long, or tell little.
WORDS = {
    "cypher": ("RETURN 0.0/0.0 AS nan, [1.0/0.0] AS inf, datetime('2026-06-01T12:00:00+02:00') AS at, '\u009b' AS c1",),
    "db backup": (str(Path(__file__).parent),),
    "db prepare": ("--help",),
    "db stop": ("--home", "elsewhere"),
    "find": ("something", "--label", "Area"),
    "reason materialise": ("--reasoner", "nobody"),
    "worker": ("--idle", "0"),
}


def _leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _leaves(inner, (*words, name))
    else:
        yield words, command


def _all() -> dict[str, list[str]]:
    """Command → words with which it says something as JSON."""
    found = {}
    for name in _COMMANDS:
        group: Any = typer.main.get_command(build([name]))
        for words, command in _leaves(group.commands[name], (name,)):
            if not any("--json" in each.opts for each in command.params):
                continue
            needed: list[str] = []
            for each in command.params:
                if each.required:
                    needed += [each.opts[0]] if each.opts[0].startswith("--") else []
                    needed += ["nothing"]
            found[" ".join(words)] = [*words, *WORDS.get(" ".join(words), needed)]
    return found


COMMANDS = _all()


def strictly(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def odd_store(clean_store):
    """A store whose numbers JSON has no words for."""
    clean_store.write(
        "CREATE (:Area {key: 'odd'})-[:HAS_REGION]->(:Region {key: 'odd/001', parameters: 0.0/0.0, flops: 1.0/0.0,"
        " latency_ms: -1.0/0.0}) CREATE (:Batch {key: 'b1', number: 1, job: 'b', state: 'done', at: datetime(),"
        " nodes_created: 0.0/0.0})"
    )
    return clean_store


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_says_is_strict_json(command, odd_store, monkeypatch, tmp_path, capsys):
    words = [*COMMANDS[command], "--json"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORTIGRAPH_HOME", str(odd_store.home.root))
    monkeypatch.setattr(sys, "argv", ["cortigraph", *words])
    code = _leaving._exit_code(build(words))
    told = capsys.readouterr()
    if "--help" in words:
        return
    if code == 0 or told.out:
        strictly(told.out)
    else:
        assert strictly(told.err.strip().splitlines()[-1])["error"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("wrong", [("--nonsense",), ("--home",), ("too", "many", "words", "by", "far")])
def test_words_that_are_wrong_are_told_as_json_too(command, wrong, monkeypatch, capsys):
    words = [*command.split(), "--json", *wrong]
    monkeypatch.setattr(sys, "argv", ["cortigraph", *words])
    assert _leaving._exit_code(build(words)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert strictly(told.err)["error"]


@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_before_a_command_begins_is_no_traceback(as_json, monkeypatch, capsys):
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["cortigraph", "db", "backup", *(["--json"] if as_json else [])])
    assert _leaving._exit_code(stopped) == _leaving.STOPPED
    said = capsys.readouterr().err
    assert (strictly(said)["error"] if as_json else said).count("stopped: there is no backup") == 1


def test_values_without_a_word_in_json_are_text(odd_store, monkeypatch, capsys):
    monkeypatch.setenv("CORTIGRAPH_HOME", str(odd_store.home.root))
    monkeypatch.setattr(sys, "argv", ["cortigraph", "regions", "--json"])
    _leaving._exit_code(build(["regions"]))
    (row,) = strictly(capsys.readouterr().out)
    assert (row["parameters"], row["flops"], row["latency_ms"]) == ("NaN", "Infinity", "-Infinity")
