from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from cortigraph.cli import cypher as cypher_command
from cortigraph.cli import db
from cortigraph.cli import doctor as doctor_command
from cortigraph.cli._rows import cell
from cortigraph.cli._shell import Shell
from cortigraph.cli._statements import Statements
from cortigraph.graph.errors import InputError, QueryError

app = typer.Typer()
app.add_typer(db.app, name="db")
app.command()(cypher_command.cypher)
app.command()(doctor_command.doctor)


def run(*arguments: str, expect: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == expect, result.output
    return result.output


@pytest.fixture
def place(clean_store, monkeypatch):
    monkeypatch.setenv("CORTIGRAPH_HOME", str(clean_store.home.root))
    return clean_store


def test_cypher_prints_a_table_and_json(place):
    assert "1 row" in run("cypher", "RETURN 1 AS x")
    out = run("cypher", "UNWIND $keys AS k RETURN k, $t AS t", "-p", 'keys=["ä", "b"]', "-p", "t=plain", "--json")
    assert json.loads(out) == [{"k": "ä", "t": "plain"}, {"k": "b", "t": "plain"}]


def test_cypher_writes_only_when_told_to(place):
    with pytest.raises(QueryError, match="--write"):
        run("cypher", "CREATE (:Area {key: 'a'})")
    assert "nodes created 1" in run("cypher", "CREATE (:Area {key: 'a'})", "--write")
    assert json.loads(run("cypher", "MATCH (n:Area) RETURN n", "--json")) == [
        {"n": {"labels": ["Area"], "properties": {"key": "a"}}}
    ]


def test_a_parameter_without_a_name_is_refused():
    with pytest.raises(InputError, match="name=value"):
        run("cypher", "RETURN 1", "-p", "nothing")


def test_an_embedding_does_not_fill_the_screen():
    node = {"labels": ["Region"], "properties": {"embedding": [0.5] * 560}}
    assert "560 values" in cell(node)
    assert len(cell("x" * 999)) <= 200


def test_db_status_and_start(place):
    assert "running at bolt://127.0.0.1" in run("db", "status")
    assert json.loads(run("db", "status", "--json"))["running"] is True
    assert place.uri in run("db", "start")


def test_db_check_says_what_is_wrong_and_fails(place):
    assert "nothing is wrong" in run("db", "check")
    place.write("CREATE (:Region {key: 'alone'})")
    assert "Region alone is in no area" in run("db", "check", expect=1)
    assert json.loads(run("db", "check", "--json", expect=1))[0]["key"] == "alone"


def talk(store, *lines: str, capsys, tmp_path) -> str:
    answers = iter(lines)

    def ask(prompt: str) -> str:
        try:
            line = next(answers)
        except StopIteration:
            raise EOFError from None
        if line == "^C":
            raise KeyboardInterrupt
        return line

    Shell(store, history=tmp_path / "history", ask=ask).run()
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_the_shell_takes_queries_over_several_lines(place, capsys, tmp_path):
    out = talk(place, "RETURN 41", " + 1 AS x;", "RETURN 7 AS y", "", capsys=capsys, tmp_path=tmp_path)
    assert "42" in out
    assert "7" in out


def test_the_shell_reads_until_told_to_write(place, capsys, tmp_path):
    out = talk(
        place, "CREATE (:Area {key: 'a'});", ":write", "CREATE (:Area {key: 'b'});", capsys=capsys, tmp_path=tmp_path
    )
    assert "error: Writing in read access mode not allowed" in out
    assert "nodes created 1" in out
    assert place.read("MATCH (n:Area) RETURN n.key AS key") == [{"key": "b"}]


def test_the_shell_survives_mistakes(place, capsys, tmp_path):
    out = talk(
        place,
        ":help",
        ":nonsense",
        "RETRN",
        "^C",
        "",
        "RETRN;",
        "RETURN 5 AS x;",
        ":quit",
        capsys=capsys,
        tmp_path=tmp_path,
    )
    assert ":write" in out
    assert "no command :nonsense" in out
    assert "error: Invalid input" in out
    assert "5" in out


@pytest.mark.parametrize(
    ("lines", "queries"),
    [
        (["RETURN 1; RETURN 2;"], ["RETURN 1", "RETURN 2"]),
        (["RETURN 1;;  ; RETURN 2"], ["RETURN 1", "RETURN 2"]),
        (["RETURN ';' AS a; // x ; y", "/* ; */ RETURN 2"], ["RETURN ';' AS a", "// x ; y\n/* ; */ RETURN 2"]),
        (['RETURN "a;', 'b\\";" AS `c;d`;'], ['RETURN "a;\nb\\";" AS `c;d`']),
        (["/* one;", "two; */ RETURN 1; // the end"], ["/* one;\ntwo; */ RETURN 1"]),
        (["// nothing;", "/* at all */ ;"], []),
        (["RETURN 'it\\'s; fine';\r"], ["RETURN 'it\\'s; fine'"]),
    ],
)
def test_queries_end_where_cypher_ends_them(lines, queries):
    told = Statements()
    found = [query for line in lines for query in told.take(line)]
    assert [*found, *filter(None, [told.rest()])] == queries


def test_a_pipe_may_hold_several_queries_in_a_line_and_begin_with_a_mark(place, capsys, tmp_path):
    out = talk(place, "\ufeffRETURN 41 AS x; RETURN 43", "+1 AS y;", capsys=capsys, tmp_path=tmp_path)
    assert "│ 41 │" in out
    assert "│ 44 │" in out


def test_a_plan_is_shown_beside_csv(place):
    assert "AllNodesScan" in run("cypher", "EXPLAIN MATCH (n) RETURN n", "--format", "csv")


def test_doctor_finds_everything_here_and_is_quick(place):
    findings = {finding["name"]: finding for finding in json.loads(run("doctor", "--json"))}
    assert list(findings)[:2] == ["python", "torch"]
    assert {"java", "jars", "server", "disk", "memory", "horovod"} <= findings.keys()
    assert all(finding["ok"] or finding["mend"] for finding in findings.values())
    assert "running at bolt" in run("doctor")


def test_what_is_missing_comes_with_the_command_that_mends_it(place, monkeypatch, tmp_path):
    from importlib import metadata

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setenv("CORTIGRAPH_CACHE", str(tmp_path))
    out = run("doctor", expect=1)
    for mend in ("pip install torch", "make setup", "cortigraph db start"):
        assert mend in out


def test_the_commands_import_neither_torch_nor_the_driver():
    code = (
        "import sys, cortigraph.cli.db, cortigraph.cli.cypher, cortigraph.cli.doctor as d; d.examine(sys.argv[1]); "
        "print(sorted({'torch', 'neo4j', 'pandas', 'jpype'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, "/nowhere"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
