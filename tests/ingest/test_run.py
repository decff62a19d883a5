"""Plan and run, in a real Neo4j."""

import pytest

from cortigraph.graph.errors import InputError
from cortigraph.graph.store import Transaction
from cortigraph.ingest.job import Job, load_job
from cortigraph.ingest.plan import plan
from cortigraph.ingest.run import run
from cortigraph.regions import catalogue

from .conftest import BARS, dump, pictures, written

NONE = {"created": 0, "updated": 0, "deleted": 0, "unchanged": 0}


@pytest.fixture
def sent(monkeypatch):
    """The statements that were sent to change the graph."""
    texts = []
    write = Transaction.write

    def noted(self, query, /, **parameters):
        texts.append(query.strip())
        return write(self, query, **parameters)

    monkeypatch.setattr(Transaction, "write", noted)
    return texts


def test_plan_is_what_run_does_and_twice_is_once(clean_store, home, bars, sent):
    job = load_job(bars)
    empty = dump(clean_store)
    wanted = plan(clean_store, home, job)
    assert dump(clean_store) == empty
    assert sent == []
    regions = ["Region fusion/average", "Region fusion/calm"]
    assert sorted(wanted.keys["created"]) == ["Area fusion", "Dataset bars", *regions]
    assert 1 < wanted.seconds < 10

    report = run(clean_store, home, job)
    for kind in ("Area", "Region", "Dataset"):
        assert report.counts[kind] == wanted.counts[kind]
    # A data set is decoded, and a region measured, by the run alone: all that is said of them shows only then.
    assert {text for text in wanted.cypher if "`Dataset`" not in text and "(n:`Region`" not in text} <= set(sent)
    nodes, edges = dump(clean_store)
    brought = [node for node in nodes if "batches" in node["p"]]
    assert report.counters["nodes_created"] == len(brought)
    assert report.counters["relationships_created"] == len([edge for edge in edges if "batches" in edge["p"]])

    sent.clear()
    again = plan(clean_store, home, load_job(bars))
    assert again.empty
    assert again.cypher == ()
    assert again.seconds == 0
    second = run(clean_store, home, load_job(bars))
    assert second.batch is None
    assert second.counts == again.counts
    assert second.counts["Region"] == {**NONE, "unchanged": 2}
    assert sent == []
    assert dump(clean_store) == (nodes, edges)


def test_every_element_carries_its_batch_and_the_batch_its_source(clean_store, home, bars):
    report = run(clean_store, home, load_job(bars))
    query = "MATCH (n) WHERE NOT n:Migration|Batch|Source|Lease RETURN labels(n)[0] AS label, n.batches AS batches"
    rows = clean_store.read(query)
    assert {row["label"] for row in rows} == {"Area", "Region", "Dataset", "Modality", "Task"}
    [row] = clean_store.read("MATCH (b:Batch)-[:FROM]->(s:Source) RETURN b {.*} AS batch, s {.*} AS source")
    assert {tuple(each["batches"]) for each in rows} == {(row["batch"]["number"],)}
    edges = clean_store.read("MATCH ()-[r]->() WHERE type(r) <> 'FROM' RETURN DISTINCT r.batches AS batches")
    assert edges == [{"batches": [row["batch"]["number"]]}]
    assert row["source"] == {"key": str(bars), "digest": load_job(bars).origin.digest}
    batch = row["batch"]
    assert (batch["key"], batch["job"], batch["state"]) == (report.batch, "bars", "done")
    assert batch["nodes_created"] == report.counters["nodes_created"]
    assert batch["at"].tzinfo is not None


def test_a_region_that_is_like_another_derives_from_it(clean_store, home, bars):
    run(clean_store, home, load_job(bars))
    found = catalogue.region(clean_store, "fusion/calm")
    origin = catalogue.region(clean_store, "fusion/average")
    assert found == origin.model_copy(update={"id": "calm", "name": "Calm", "derived_from": origin.key})
    [row] = clean_store.read("MATCH (a:Region)-[:DERIVED_FROM]->(b) RETURN a.key AS a, b.key AS b")
    assert row == {"a": "fusion/calm", "b": "fusion/average"}


def test_only_what_changed_is_written(clean_store, home, bars):
    run(clean_store, home, load_job(bars))
    written(bars.parent, BARS.replace("Calm}", "Quiet}").replace("name: Bars", "name: Stripes"))
    wanted = plan(clean_store, home, load_job(bars))
    second = run(clean_store, home, load_job(bars))
    assert second.counts == wanted.counts
    assert second.counts["Region"] == {**NONE, "updated": 1, "unchanged": 1}
    assert second.counts["Dataset"] == {**NONE, "updated": 1}
    rows = clean_store.read("MATCH (n:Region|Dataset|Area|Modality) RETURN n.key AS key, n.batches AS batches")
    assert {row["key"]: row["batches"] for row in rows} == {
        **{key: [1] for key in ("fusion", "fusion/average", "any", "image")},
        **{key: [2] for key in ("fusion/calm", "bars")},
    }
    found = catalogue.region(clean_store, "fusion/calm")
    assert found.name == "Quiet"


def test_samples_that_changed_are_noticed(clean_store, home, bars):
    run(clean_store, home, load_job(bars))
    (bars.parent / "bars" / "a" / "0.png").unlink()
    wanted = plan(clean_store, home, load_job(bars))
    assert wanted.keys["updated"] == ("Dataset bars",)
    assert run(clean_store, home, load_job(bars)).counts == wanted.counts
    assert clean_store.read("MATCH (d:Dataset) RETURN d.samples AS n") == [{"n": 19}]
    assert plan(clean_store, home, load_job(bars)).empty


def test_an_input_that_is_renamed_leaves_no_old_relationship(clean_store, home, bars):
    run(clean_store, home, load_job(bars))
    written(bars.parent, BARS.replace("{image: {", "{picture: {"))
    run(clean_store, home, load_job(bars))
    rows = clean_store.read("MATCH (:Dataset)-[e:HAS_MODALITY]->(m) RETURN e.input AS input, m.key AS modality")
    assert rows == [{"input": "picture", "modality": "image"}]


def test_what_was_changed_by_hand_is_put_right(clean_store, home, bars):
    run(clean_store, home, load_job(bars))
    clean_store.write("MATCH (n:Region|Dataset) SET n.name = 'oops'")
    wanted = plan(clean_store, home, load_job(bars))
    # The region of the package that somebody changed is theirs now.
    assert sorted(wanted.keys["updated"]) == ["Dataset bars", "Region fusion/calm"]
    run(clean_store, home, load_job(bars))
    assert plan(clean_store, home, load_job(bars)).empty


def test_areas_alone(clean_store, home, sent):
    job = Job.parse({"job": "areas", "areas": [{"key": "vision.counting", "name": "Counting"}]})
    wanted = plan(clean_store, home, job)
    report = run(clean_store, home, job)
    assert report.counts["Area"] == {**NONE, "created": 1}
    assert set(wanted.cypher) <= set(sent)
    assert run(clean_store, home, job).batch is None
    assert run(clean_store, home, Job.parse({"job": "nothing"})).batch is None


def test_like_a_region_of_the_graph_and_of_the_job(clean_store, home):
    first = {"like": "fusion/average", "id": "one"}
    run(clean_store, home, Job.parse({"job": "a", "regions": [first]}))
    chain = [{"like": "fusion/two", "id": "three"}, {"like": "fusion/one", "id": "two"}]
    report = run(clean_store, home, Job.parse({"job": "b", "regions": chain}))
    assert report.counts["Region"]["created"] == 2
    assert catalogue.region(clean_store, "fusion/three").derived_from == "fusion/two"


def test_what_only_the_graph_can_tell_has_lines_too(clean_store, home, tmp_path):
    before = dump(clean_store)
    path = written(
        tmp_path,
        """
        job: wrong
        regions:
          - {like: fusion/avrage, id: a}
          - {like: fusion/average, area: vision.trackin, id: b}
          - {like: fusion/d, id: c}
          - {like: fusion/c, id: d}
          - like: vision.recognition/001
            id: e
            arguments: {widht: 3}
        """,
    )
    for act in (plan, run):
        with pytest.raises(InputError) as caught:
            act(clean_store, home, load_job(path))
        found = [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
        assert [problem.split(": ")[0] for problem in found] == [f"job.yaml:{line}" for line in (3, 4, 6, 9)]
        assert "did you mean fusion/average" in found[0]
        assert "no area 'vision.trackin'" in found[1]
        assert "fusion/c is like fusion/d is like fusion/c" in found[2]
        assert "no argument 'widht'" in found[3]
    assert dump(clean_store) == before


def test_a_region_that_cannot_work_is_told_of_before_anything_is_written(clean_store, home, tmp_path):
    before = dump(clean_store)
    lost = "sha256:" + "0" * 64
    path = written(
        tmp_path,
        f"""
        job: wrong
        regions:
          - {{like: fusion/average, id: a, weights: "{lost}"}}
          - {{like: vision.recognition/001, id: b, arguments: {{width: -1}}}}
          - {{like: vision.recognition/001, id: c, emits: {{logits: "image[class=*] float32 logits"}}}}
        """,
    )
    with pytest.raises(InputError) as caught:
        run(clean_store, home, load_job(path))
    found = [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
    assert [problem.split(": ")[0] for problem in found] == ["job.yaml:3", "job.yaml:4", "job.yaml:5"]
    assert lost in found[0]
    assert "fusion" not in found[1]
    assert "does not declare" in found[2]
    assert dump(clean_store) == before


def test_samples_that_cannot_be_read_stop_everything(clean_store, home, bars):
    before = dump(clean_store)
    (bars.parent / "bars" / "b" / "3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"job\.yaml:6: datasets\.0: .*3\.png"):
        run(clean_store, home, load_job(bars))
    assert dump(clean_store) == before


def test_the_standard_job_is_the_catalogue(clean_store, home):
    areas, regions = catalogue.built_in()
    wanted = plan(clean_store, home, load_job("standard"))
    assert wanted.counts["Area"] == {**NONE, "created": len(areas)}
    assert wanted.counts["Region"] == {**NONE, "created": len(regions)}


def test_two_jobs_of_one_folder_share_nothing_but_the_graph(clean_store, home, bars):
    pictures(bars.parent / "more", 6)
    other = written(bars.parent, BARS.replace("bars", "more").replace("calm", "wild"), "more.yaml")
    run(clean_store, home, load_job(bars))
    run(clean_store, home, load_job(other))
    rows = clean_store.read("MATCH (d:Dataset) RETURN d.key AS key, d.batches AS batches ORDER BY key")
    assert rows == [{"key": "bars", "batches": [1]}, {"key": "more", "batches": [2]}]
    assert plan(clean_store, home, load_job(bars)).empty
