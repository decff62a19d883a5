"""Whatever is killed, and whenever: after `resume` the graph is as if nobody had disturbed the run, to the element.

`CORTIGRAPH_FAULTS` says at how many random moments each thing is tried; `make faults` tries twenty of each.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cortigraph.graph import cypher, server
from cortigraph.graph._driver import UnreachableError
from cortigraph.graph.errors import StoreError
from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store
from cortigraph.ingest.batches import changes
from cortigraph.ingest.job import load_job
from cortigraph.ingest.revert import abandon, batches, resume, revert
from cortigraph.ingest.run import run

SCRIPT = Path(__file__).with_name("_killed.py")
JOB = """
job: faults
sources:
  facts: {path: facts.tsv, format: triples}
  names: {path: names.csv}
nodes:
  - {source: names, key: id, properties: {name: name}}
relationships:
  - {source: facts, type: {column: relation}, start: head, end: tail, create: true, properties: {split: {file: true}}}
"""


def moments(default: int) -> int:
    return int(os.environ.get("CORTIGRAPH_FAULTS", default))


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    draw = random.Random(0)
    nodes = [f"n{i}" for i in range(1500)]
    (folder / "names.csv").write_text("id,name\n" + "".join(f"{n},The node {n}\n" for n in nodes))
    facts = {(draw.choice(nodes), f"r{draw.randrange(12)}", draw.choice(nodes)) for _ in range(6000)}
    (folder / "facts.tsv").write_text("".join("\t".join(fact) + "\n" for fact in sorted(facts)))
    (folder / "job.yaml").write_text(JOB)
    return folder / "job.yaml"


def whole(store):
    """Every element that is not the ledger's own, by what it says."""
    nodes = store.read(
        "MATCH (n) WHERE NOT n:Migration|Batch|Source|Lease RETURN labels(n) AS l, n {.*} AS n ORDER BY l, n.key"
    )
    edges = store.read(
        "MATCH (a)-[r]->(b) WHERE type(r) <> 'FROM' RETURN a.key AS a, type(r) AS t, b.key AS b, r {.*} AS r "
        "ORDER BY a, t, b"
    )
    return nodes, edges


def emptied(store, home):
    while store.write(cypher.DELETE_SOME).rows[0]["deleted"]:
        pass
    shutil.rmtree(home.root / "batches", ignore_errors=True)


def test_the_ingesting_process_is_killed(clean_store, home, job):
    emptied(clean_store, home)
    command = [sys.executable, str(SCRIPT), str(home.root), str(job)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def die_after(seconds):
            print(seconds, file=process.stdin, flush=True)
            code, took = process.stdout.readline().split()
            return int(code), float(took)

        code, took = die_after(-1)
        assert code == 0
        wanted = whole(clean_store)
        assert len(wanted[0]) == 1500
        draw = random.Random(1)
        killed = 0
        for _ in range(moments(8)):
            emptied(clean_store, home)
            code, _ = die_after(draw.uniform(0.02, took))
            killed += code == -signal.SIGKILL
            resumed = resume(clean_store, home)
            if not batches(clean_store) and not resumed.reports:  # it had not begun at all
                assert whole(clean_store) == ([], [])
                run(clean_store, home, load_job(job))
            assert whole(clean_store) == wanted
            assert {record.state for record in batches(clean_store)} == {"done"}
            assert run(clean_store, home, load_job(job)).batch is None
        assert killed, "no run was caught"
        process.stdin.close()


@pytest.fixture
def own_home(tmp_path):
    home = Home(tmp_path / "home")
    yield home
    server.stop(home)


def test_the_server_is_killed(own_home, job, monkeypatch):
    monkeypatch.setattr(changes, "CHUNK_ROWS", 250)
    with open_store(own_home) as store:
        began = time.monotonic()
        run(store, own_home, load_job(job))
        took = time.monotonic() - began
        wanted = whole(store)
        draw = random.Random(2)
        for _ in range(moments(1)):
            emptied(store, own_home)
            killer = threading.Timer(draw.uniform(0.05, took), _kill_server, [own_home])
            killer.start()
            try:
                run(store, own_home, load_job(job))
            except StoreError:
                resume(store, own_home)  # the run had no time to wait for the server
            killer.join()
            resume(store, own_home)
            assert whole(store) == wanted


def _kill_server(home):
    state = server.read_state(home)
    if state is not None:
        os.kill(state["pid"], signal.SIGKILL)


def test_the_disk_is_full(tmp_path, job, monkeypatch):
    monkeypatch.setattr(changes, "CHUNK_ROWS", 250)
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    home, filler = Home(folder / "home"), folder / "filler"
    try:
        with open_store(home) as store:
            began = time.monotonic()
            run(store, home, load_job(job))
            took = time.monotonic() - began
            wanted = whole(store)
            draw = random.Random(3)
            for _ in range(moments(1)):
                emptied(store, home)
                fill = threading.Timer(draw.uniform(0.02, took), _fill, [filler])
                fill.start()
                with contextlib.suppress(StoreError):
                    run(store, home, load_job(job))
                fill.join()
                filler.unlink()
                resume(store, home)
                assert whole(store) == wanted
    finally:
        server.stop(home)
        subprocess.run(["umount", "-l", str(folder)], check=False)


def _fill(path):
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * (1 << 20))


def test_a_revert_that_is_interrupted_is_finished(clean_store, home, job, monkeypatch):
    emptied(clean_store, home)
    monkeypatch.setattr(changes, "CHUNK_ROWS", 250)
    run(clean_store, home, load_job(job))
    with _cut_off(monkeypatch, clean_store):
        revert(clean_store, home, "1")
    assert [record.state for record in batches(clean_store)] == ["reverting"]
    resumed = resume(clean_store, home)
    assert [record.state for record in batches(clean_store)] == ["reverted"]
    assert whole(clean_store) == ([], [])
    assert 0 < resumed.ended[0].counts["relationships_deleted"] < 6000
    assert resumed.ended[0].counts["nodes_deleted"] == 1500


def test_what_a_batch_brought_is_counted_also_when_it_was_interrupted(clean_store, home, job, monkeypatch):
    emptied(clean_store, home)
    monkeypatch.setattr(changes, "CHUNK_ROWS", 250)
    with _cut_off(monkeypatch, clean_store):
        run(clean_store, home, load_job(job))
    assert [record.state for record in batches(clean_store)] == ["applying"]
    (ended,) = resume(clean_store, home).ended
    (record,) = batches(clean_store)
    nodes, edges = whole(clean_store)
    nothing = {f"{what}_{action}": 0 for what in ("nodes", "relationships") for action in ("updated", "deleted")}
    wanted = {**nothing, "nodes_created": len(nodes), "relationships_created": len(edges)}
    assert ended.counts == record.counts == wanted


def test_a_batch_that_was_taken_back_counts_nothing(clean_store, home, job, monkeypatch):
    emptied(clean_store, home)
    monkeypatch.setattr(changes, "CHUNK_ROWS", 250)
    with _cut_off(monkeypatch, clean_store):
        run(clean_store, home, load_job(job))
    abandon(clean_store, home, "1")
    assert [(record.state, record.counts) for record in batches(clean_store)] == [("abandoned", {})]


@contextlib.contextmanager
def _cut_off(monkeypatch, store):
    """The server is gone after a few parts were written."""
    original, count = type(store).execute, iter(range(100))

    def failing(self, work):
        if next(count) == 9:
            raise UnreachableError("cut off")
        return original(self, work)

    with monkeypatch.context() as patched, contextlib.suppress(UnreachableError):
        patched.setattr(type(store), "execute", failing)
        yield
        pytest.fail("it was not cut off")


def test_four_processes_at_once_are_as_one_after_the_other(clean_store, home, job):
    emptied(clean_store, home)
    folder = job.parent
    lines = (folder / "facts.tsv").read_text().splitlines(keepends=True)
    jobs = []
    for number in range(4):  # each shares a third with the next
        part = lines[number * 1000 : number * 1000 + 1500]
        (folder / f"part{number}.tsv").write_text("".join(part))
        path = folder / f"part{number}.yaml"
        path.write_text(JOB.replace("faults", f"part{number}").replace("facts.tsv", f"part{number}.tsv"))
        jobs.append(path)
    for path in jobs:
        run(clean_store, home, load_job(path))
    wanted = _without_numbers(whole(clean_store))
    emptied(clean_store, home)
    processes = [
        subprocess.Popen([sys.executable, str(SCRIPT), str(home.root), str(path)], stdin=subprocess.PIPE, text=True,
                         stdout=subprocess.PIPE)
        for path in jobs
    ]  # fmt: skip
    told = [process.communicate("-1\n")[0] for process in processes]
    assert [line.split()[0] for line in told] == ["0"] * 4
    assert _without_numbers(whole(clean_store)) == wanted
    assert sorted(record.number for record in batches(clean_store)) == [1, 2, 3, 4]


def _without_numbers(found):
    """Which job came first is chance: how many batches an element carries is not."""
    for row in (*(each["n"] for each in found[0]), *(each["r"] for each in found[1])):
        row["batches"] = len(row["batches"])
        row.pop("split", None)  # the name of the file: each job has its own
    return found
