"""A batch that can't be applied ends: nothing of it stays, its row is named, and nothing waits for it."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest
from typer.testing import CliRunner

from cortigraph.cli.main import build
from cortigraph.graph._driver import UnreachableError
from cortigraph.graph.errors import CortigraphError, InputError, StoreError, UnknownKeyError
from cortigraph.graph.store import Store
from cortigraph.ingest.batches import changes, ending, undo
from cortigraph.ingest.batches.archive import folder_of
from cortigraph.ingest.batches.intent import Intent, begun
from cortigraph.ingest.job import Job, load_job
from cortigraph.ingest.revert import abandon, batches, resume, revert
from cortigraph.ingest.run import Options, run

PEOPLE = {
    "sources": {"people": {"path": "people.csv", "types": {"age": "int"}}},
    "nodes": [
        {
            "source": "people",
            "key": "id",
            "labels": {"column": "kind"},
            "properties": {"name": "name", "mail": "address", "age": "age"},
        }
    ],
    "relationships": [
        {
            "source": "people",
            "type": "KNOWS",
            "start": "id",
            "end": "knows",
            "create": True,
            "having": ["knows"],
            "properties": {"since": "age"},
        }
    ],
}
HEAD = "id,name,address,age,kind,knows\n"
BY_HAND = """
CREATE (a:Entity:Old {key: 'p3', name: 'by hand', born: datetime('2020-10-25T02:30:00+01:00[Europe/Berlin]'),
        at: point({longitude: 1.5, latitude: 2}), lasts: duration('P1Y2M3DT4.000000005S'), many: [date('2020-01-02')],
        far: 1.0/0, raw: 'x'}),
       (a)-[:LIKES {since: localtime('10:11:12')}]->(:Entity {key: 'q'}),
       (a)-[:KNOWS {note: 'by hand'}]->(:Entity {key: 'p4', age: 3})"""


@pytest.fixture
def unique(clean_store):
    """A constraint that somebody has made."""
    clean_store.write("CREATE CONSTRAINT theirs IF NOT EXISTS FOR (n:Entity) REQUIRE n.mail IS UNIQUE")
    yield clean_store
    clean_store.write("DROP CONSTRAINT theirs IF EXISTS")


@pytest.fixture
def ingest(clean_store, home, tmp_path, monkeypatch):
    monkeypatch.setattr(changes, "CHUNK_ROWS", 5)
    monkeypatch.setattr(ending, "_AT_ONCE", 7)
    shutil.rmtree(home.batches, ignore_errors=True)

    def go(rows, name="people", **options):
        (tmp_path / "people.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))
        return run(clean_store, home, Job.parse({"job": name, **PEOPLE}, tmp_path), Options(**options))

    return go


def people(numbers, mail="{}@x", name="N{}", kind="Person", age="1"):
    return [f"p{i},{name.format(i)},{mail.format(i)},{age},{kind},p{i + 1}" for i in numbers]


def elements(store):
    """Everything but the ledger's own, as it is, vectors and numbers of batches included."""
    nodes = store.read(
        "MATCH (n) WHERE NOT n:Migration|Batch|Source|Lease "
        "RETURN labels(n) AS l, properties(n) AS p, elementId(n) AS id ORDER BY p.key"
    )
    edges = store.read(
        "MATCH (a)-[r]->(b) WHERE NOT a:Batch RETURN a.key AS a, type(r) AS t, properties(r) AS p, b.key AS b "
        "ORDER BY a, t, b"
    )
    return [{**row, "l": sorted(row["l"])} for row in nodes], edges


def states(store):
    return [record.state for record in batches(store)]


@pytest.fixture
def told(unique, ingest):
    """A graph of several jobs and hands, in which the next batch will fail late; gives what it was."""
    unique.write(BY_HAND)
    ingest(people(range(1, 30)))
    ingest(people(range(20, 40), mail="{}@x", age="2"), name="other")
    unique.write("MATCH (n:Entity {key: 'p5'}) SET n.name = 'changed by hand', n.colour = 'red'")
    unique.write("MATCH (n:Entity {key: 'q'}) SET n.mail = 'taken@x'")
    return elements(unique)


BAD = [
    *people(range(2, 26), name="New{}", kind="Robot", age="9"),
    *people(range(100, 107)),
    "p28,Z,taken@x,1,Person,p29",
]


@pytest.mark.parametrize("prune", [False, True])
def test_a_constraint_that_a_late_row_violates_ends_the_batch(told, unique, home, ingest, prune):
    with pytest.raises(InputError) as error:
        ingest(BAD, prune=prune)
    message = str(error.value)
    assert "people.csv:33: column address, value 'taken@x': Entity 'p28'" in message
    assert "already exists" in message
    assert "nothing of it stays" in message
    assert elements(unique) == told
    record = batches(unique)[-1]
    assert (record.state, "people.csv:33" in record.reason) == ("failed", True)
    assert not list((home.batches / "undo").iterdir())
    assert resume(unique, home).failed == []
    again = ingest(BAD[:-1], prune=prune)
    assert again.batch is not None
    revert(unique, home, again.batch)
    revert(unique, home, "2")
    revert(unique, home, "1")
    left, _ = elements(unique)
    assert [node["p"]["key"] for node in left] == ["p3", "p4", "q"]
    assert left[0]["p"]["name"] == "by hand"
    with pytest.raises(InputError, match="has failed, so nothing of it is in the graph"):
        revert(unique, home, "3")


def test_two_rows_of_one_part_that_violate_it_together(unique, ingest):
    with pytest.raises(InputError, match=r"people\.csv:4: column address, value '1@x': Entity 'p3'"):
        ingest([*people([1, 2]), "p3,C,1@x,1,Person,"])
    assert elements(unique) == ([], [])


def test_a_part_that_is_cut_off_while_it_is_taken_back_is_taken_back_later(told, unique, home, ingest, monkeypatch):
    """As when the disk is full: what is written can't even be taken back."""
    original, count = Store.execute, 0

    def failing(self, work):
        nonlocal count
        if "bring_back" in getattr(work, "__qualname__", ""):
            count += 1
            if count > 2:
                raise StoreError("no space left")
        return original(self, work)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "execute", failing)
        with pytest.raises(StoreError, match="could not be taken back yet: no space left"):
            ingest(BAD, prune=True)
    assert states(unique) == ["done", "done", "failing"]
    assert elements(unique) != told
    ingest(people([90]), name="third")  # the next run of any job sees to it first
    assert states(unique) == ["done", "done", "failed", "done"]
    revert(unique, home, "4")
    assert elements(unique) == told


@contextlib.contextmanager
def cut_off(monkeypatch, after):
    """The server is gone after so many parts."""
    original, count = Store.execute, 0

    def failing(self, work):
        nonlocal count
        if type(work).__name__ == "_Part":
            count += 1
            if count > after:
                raise UnreachableError("gone")
        return original(self, work)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "execute", failing)
        yield


@pytest.mark.parametrize("after", [0, 1, 3, 6, 9, 12, 15])
def test_a_batch_that_is_cut_off_anywhere_can_be_abandoned(told, unique, home, ingest, monkeypatch, after):
    with cut_off(monkeypatch, after), pytest.raises(UnreachableError):
        ingest(BAD[:-1], prune=True)
    assert states(unique)[-1] == "applying"
    ended = abandon(unique, home, "3")
    assert (ended.state, states(unique)[-1]) == ("abandoned", "abandoned")
    assert elements(unique) == told
    assert begun(home) == []  # nor is the job begun again
    with pytest.raises(InputError, match="was abandoned"):
        abandon(unique, home, "3")


def test_a_revert_that_the_server_refuses_leaves_the_batch_as_it_was(unique, home, ingest):
    ingest(people(range(20)))
    ingest(people(range(10), mail="new{}@x"), prune=True)
    unique.write("CREATE (:Entity {key: 'q', mail: '19@x'})")
    before = elements(unique)
    with pytest.raises(CortigraphError, match="already exists"):
        revert(unique, home, "2")
    assert elements(unique)[1] == before[1]
    assert [{**n, "id": 0} for n in elements(unique)[0]] == [{**n, "id": 0} for n in before[0]]
    assert states(unique) == ["done", "done"]
    assert "could not be reverted" in batches(unique)[1].reason
    unique.write("MATCH (n {key: 'q'}) DELETE n")
    revert(unique, home, "2")
    assert states(unique) == ["done", "reverted"]
    assert batches(unique)[1].reason == ""


def test_what_another_home_began_is_left_to_it(told, unique, home, ingest, monkeypatch):
    with cut_off(monkeypatch, 4), pytest.raises(UnreachableError):
        ingest(BAD[:-1])
    batch = batches(unique)[-1].key
    elsewhere = home.root / "elsewhere"
    folders = [folder_of(home, batch), home.batches / "undo" / f"{batch.replace('/', '@')}.jsonl"]
    elsewhere.mkdir()
    for path in folders:
        shutil.move(path, elsewhere / path.name)
    assert ingest(people([90]), name="third").batch is not None
    assert [each.state for each in resume(unique, home).ended] == ["applying"]
    revert(unique, home, "4")
    for path in folders:
        shutil.move(elsewhere / path.name, path)
    elsewhere.rmdir()
    assert abandon(unique, home, batch).state == "abandoned"
    assert elements(unique) == told


@pytest.mark.parametrize("damage", ["gone", "manifest", "table"])
def test_an_archive_that_is_lost_ends_its_batch_and_no_other(told, unique, home, ingest, monkeypatch, damage):
    with cut_off(monkeypatch, 4), pytest.raises(UnreachableError):
        ingest(BAD[:-1])
    assert states(unique)[-1] == "applying"
    folder = folder_of(home, batches(unique)[-1].key)
    if damage == "gone":
        shutil.rmtree(folder)
    elif damage == "manifest":
        (folder / "manifest.json").write_text("[]")
    else:
        for path in folder.glob("*.parquet"):
            path.write_bytes(b"x")
    for note in begun(home):
        note.forget()
    resumed = resume(unique, home)
    assert [(each.state, each.exit_code) for each in resumed.failed] == [("failed", 1)]
    assert elements(unique) == told


def test_a_done_batch_whose_archive_is_lost_is_in_the_way_only_of_what_it_brought(unique, home, ingest):
    ingest(people(range(5)))
    ingest(people(range(50, 55)), name="other")
    shutil.rmtree(folder_of(home, batches(unique)[0].key))
    assert revert(unique, home, "2").counters["nodes_deleted"] == 6
    assert ingest(people(range(6), name="M{}")).batch is not None  # its own job, too
    assert [n["p"]["name"] for n in elements(unique)[0][:2]] == ["M0", "M1"]
    with pytest.raises(StoreError, match="or revert batch 1 before"):
        revert(unique, home, "3")
    revert(unique, home, "1")
    revert(unique, home, "3")
    assert elements(unique) == ([], [])


def test_resume_goes_on_past_what_can_not_be_begun_again(clean_store, home, ingest, tmp_path):
    def left(name, text):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        job = load_job(path)
        Intent(home, job, Options()).__enter__()
        return path

    (tmp_path / "good.csv").write_text("id\na\n")
    good = "job: good\nsources: {s: {path: good.csv}}\nnodes: [{source: s, key: id}]\n"
    left("gone", good.replace("job: good", "job: gone")).unlink()
    left("changed", good.replace("job: good", "job: changed")).write_text("job: [")
    left("wrong", good.replace("job: good", "job: wrong").replace("key: id", "key: id, labels: [Old]")).write_text(
        good.replace("job: good", "job: wrong").replace("key: id", "key: other")
    )
    left("good", good)
    resumed = resume(clean_store, home)
    assert [report.job for report in resumed.reports] == ["good"]
    assert {each.batch: each.exit_code for each in resumed.failed} == {"gone": 2, "changed": 2, "wrong": 2}
    runner = CliRunner()
    there = ["--home", str(home.root)]
    status = json.loads(runner.invoke(build(["ingest"]), ["ingest", "status", "--json", *there]).stdout)
    assert {row["key"] for row in status if row["state"] == "begun"} == {"gone", "changed", "wrong"}
    told = runner.invoke(build(["ingest"]), ["ingest", "resume", *there])
    assert (told.exit_code, "Traceback" in told.output) == (2, False)
    assert "`cortigraph ingest abandon gone` ends it" in told.output
    for name in ("gone", "changed", "wrong"):
        assert runner.invoke(build(["ingest"]), ["ingest", "abandon", name, *there]).exit_code == 0
    assert begun(home) == []
    assert runner.invoke(build(["ingest"]), ["ingest", "resume", *there]).exit_code == 0
    with pytest.raises(UnknownKeyError, match="no batch 'gone'"):
        abandon(clean_store, home, "gone")


def test_a_first_load_that_fails_leaves_nothing_and_is_told(unique, home, ingest, monkeypatch):
    from cortigraph.graph import bulk
    from cortigraph.ingest.batches import first

    monkeypatch.setattr(first, "LEAST_ELEMENTS", 1)
    assert not bulk.is_empty(unique)  # somebody's constraint would be lost
    unique.write("DROP CONSTRAINT theirs IF EXISTS")
    assert bulk.is_empty(unique)

    def refuse(*_, **__):
        raise StoreError("the tool failed")

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "first_load", refuse)
        with pytest.raises(StoreError, match="the tool failed"):
            ingest(people(range(5)))
    assert elements(unique) == ([], [])
    assert [(r.state, r.reason) for r in batches(unique)] == [("failed", "the tool failed")]
    assert ingest(people(range(5))).batch is not None


def test_notes_of_what_was_there_survive_a_line_that_is_cut_off(home):
    notes = undo.Undo(home, "a/b")
    notes.open()
    path = home.batches / "undo" / "a@b.jsonl"
    path.write_text(
        path.read_text() + '{"action": "update", "kind": ["Entity"], "rows": [{"key": "a", "was": {"x": 1}}]}\n{"ac'
    )
    assert [note.rows for note in notes.notes()] == [[{"key": "a", "was": {"x": 1}}]]
    notes.forget()


def test_a_job_whose_batch_the_ledger_knows_is_not_begun_again(clean_store, home, ingest, monkeypatch, tmp_path):
    """Killed while it wrote, and its file is gone since: the batch is finished, and nothing is left to begin."""
    from cortigraph.ingest import run as running

    (tmp_path / "people.csv").write_text(HEAD + "p1,Ann,a@x,5,Person,\n")
    (tmp_path / "job.yaml").write_text(json.dumps({"job": "killed", **PEOPLE}))
    job = load_job(tmp_path / "job.yaml")
    Intent(home, job, Options()).__enter__()  # as the command line notes it, before the server is there

    def killed(*_args, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "written", killed)
        with pytest.raises(KeyboardInterrupt):
            run(clean_store, home, job, Options())
    (tmp_path / "job.yaml").unlink()
    assert begun(home) == []
    resumed = resume(clean_store, home)
    assert [each.state for each in resumed.ended] == ["done"]
    assert not resumed.failed
    assert clean_store.read("MATCH (n:Entity {key: 'p1'}) RETURN n.name AS name") == [{"name": "Ann"}]
