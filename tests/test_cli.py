"""The console script itself: what holds for every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cortigraph import __version__
from cortigraph.cli.main import _COMMANDS, build

SCRIPT = Path(sys.executable).with_name("cortigraph")


def run(*words: str, **options) -> subprocess.CompletedProcess[str]:
    options = {"stdout": subprocess.PIPE, **options}
    return subprocess.run([SCRIPT, *words], stderr=subprocess.PIPE, text=True, **options)


def test_it_tells_its_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"cortigraph {__version__}\n")


def test_without_words_it_tells_what_there_is():
    done = run()
    assert all(name in done.stdout + done.stderr for name in _COMMANDS)


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_helps(command):
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"cortigraph {command}" in done.stdout


def _leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _leaves(inner, (*words, name))
    else:
        yield " ".join(words), {option for each in command.params for option in each.opts}


def test_every_command_answers_machines():
    found = {}
    for name in _COMMANDS:
        group: Any = typer.main.get_command(build([name]))
        found.update(_leaves(group.commands[name], (name,)))
    assert [words for words, options in found.items() if "--json" not in options] == ["db shell"]
    assert len(found) > 30


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(("words", "json_"), [(["--version"], False), (["db", "status", "--json"], True)])
def test_a_full_disk_is_told_in_one_line(words, json_, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = run(*words, stdout=full, env={**os.environ, "CORTIGRAPH_HOME": str(tmp_path)})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    told = json.loads(done.stderr)["error"] if json_ else done.stderr
    assert "No space left on device; mend that and run the same again" in told


def test_the_catalogue_is_told_by_area(clean_store):
    home = ("--home", str(clean_store.home.root))
    assert "ingest run standard" in run("regions", *home).stdout
    clean_store.write(
        "CREATE (:Area {key: 'vision.recognition'})-[:HAS_REGION]->(:Region {key: 'vision.recognition/001', "
        "name: 'ResNet-18', parameters: 11}) CREATE (:Area {key: 'vision.detection'})"
    )
    rows = json.loads(run("regions", "vision.recognition", "--json", *home).stdout)
    assert [(row["key"], row["parameters"], row["runs"]) for row in rows] == [("vision.recognition/001", 11, 0)]
    assert json.loads(run("regions", "vision.detection", "--json", *home).stdout) == []
    done = run("regions", "vision.recogniton", *home)
    assert done.returncode == 2
    assert "did you mean vision.recognition" in done.stderr
