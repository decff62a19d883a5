"""`cortigraph ingest`, and the job of its documentation."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cortigraph.cli.ingest import app
from cortigraph.graph.errors import InputError
from cortigraph.regions import catalogue

from .conftest import dump, pictures, written

DOCUMENT = Path(__file__).parents[2] / "docs" / "ingest.md"


@pytest.fixture
def command(home):
    """Gives a function that runs the command and returns what it printed."""

    def call(*words):
        result = CliRunner().invoke(app, [*map(str, words), "--home", str(home.root)])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return call


@pytest.fixture
def documented(tmp_path):
    """The job of the documentation, with its data."""
    pictures(tmp_path / "bars")
    text = re.search(r"```yaml\n(job: bars.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[1]
    return written(tmp_path, text)


def test_plan_then_run_then_nothing_to_do(clean_store, documented, command):
    before = dump(clean_store)
    told = json.loads(command("plan", documented, "--json"))
    assert told["counts"]["Region"] == {"created": 2, "updated": 0, "deleted": 0, "unchanged": 0}
    assert told["seconds"] > 0
    shown = command("plan", documented)
    assert "created Region vision.counting/001w" in shown
    assert "CREATE (n:`Dataset` {key: $key[i]" in shown
    assert dump(clean_store) == before

    report = json.loads(command("run", documented, "--json"))
    assert report["counts"]["Region"] == told["counts"]["Region"]
    assert report["batch"].startswith("bars/")
    brought = [node for node in dump(clean_store)[0] if "batches" in node["p"]]
    assert report["counters"]["nodes_created"] == len(brought)
    wide = catalogue.region(clean_store, "vision.counting/001w")
    assert (wide.arguments, wide.derived_from) == ({"width": 8}, "vision.counting/001")

    after = dump(clean_store)
    assert "nothing to do" in command("plan", documented)
    assert "nothing to do" in command("run", documented)
    assert dump(clean_store) == after


def test_what_is_wrong_is_raised_for_the_caller_to_show(tmp_path, command):
    with pytest.raises(InputError, match=r"job\.yaml:1: jobb: is not known here"):
        command("run", written(tmp_path, "jobb: x\njob: x\n"))
