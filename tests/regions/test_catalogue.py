"""The catalogue, in a real Neo4j."""

import pytest

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.schema import REGION_DIMENSION
from cortigraph.regions import catalogue, embedding
from cortigraph.regions.catalogue import built_in, declare
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Region

AREAS, REGIONS = built_in()
FEW_AREAS = [area for area in AREAS if area.key in ("vision.recognition", "fusion")]
FEW = [region for region in REGIONS if region.key in ("vision.recognition/001", "fusion/average", "fusion/product")]
LENET3 = next(region for region in FEW if region.key == "vision.recognition/001")


def changed(**values):
    return Region.model_validate({**LENET3.model_dump(), **values})


@pytest.fixture
def measured(monkeypatch):
    """The keys of the regions that were built to be measured."""
    keys = []
    seeded = embedding.seeded

    def noted(region, weights=None):
        keys.append(region.key)
        return seeded(region, weights)

    monkeypatch.setattr(embedding, "seeded", noted)
    return keys


def graph(store):
    nodes = store.read("MATCH (n) WHERE NOT n:Migration RETURN labels(n) AS labels, properties(n) AS p ORDER BY n.key")
    edges = store.read("MATCH (a)-[e]->(b) RETURN a.key, type(e), properties(e) AS p, b.key ORDER BY 1, 2, 4, p.port")
    return nodes, edges


def test_what_is_declared_comes_back(clean_store):
    written = declare(clean_store, AREAS, REGIONS)
    assert sorted(written) == sorted(region.key for region in REGIONS)
    assert catalogue.areas(clean_store) == sorted(AREAS, key=lambda area: area.key)
    assert catalogue.regions(clean_store) == sorted(REGIONS, key=lambda region: region.key)
    fusion = catalogue.regions(clean_store, "fusion")
    assert {region.area for region in fusion} == {"fusion"}
    for region in REGIONS:
        assert catalogue.region(clean_store, region.key) == region


def test_twice_is_once_and_nothing_is_measured_again(clean_store, measured):
    declare(clean_store, FEW_AREAS, FEW)
    assert sorted(measured) == sorted(region.key for region in FEW)
    before = graph(clean_store)
    assert declare(clean_store, FEW_AREAS, FEW) == []
    assert len(measured) == len(FEW)
    assert graph(clean_store) == before


def test_only_what_changed_is_measured_again(clean_store, measured):
    declare(clean_store, FEW_AREAS, FEW)
    measured.clear()
    wide = changed(arguments={"width": 16})
    before = clean_store.read("MATCH (r:Region {key: $key}) RETURN r.parameters AS n", key=wide.key)[0]["n"]
    assert declare(clean_store, [], [wide, *(r for r in FEW if r is not LENET3)]) == [wide.key]
    assert measured == [wide.key]
    assert catalogue.region(clean_store, wide.key) == wide
    assert clean_store.read("MATCH (r:Region {key: $key}) RETURN r.parameters AS n", key=wide.key)[0]["n"] > before


def test_changed_ports_leave_no_old_wires(clean_store):
    declare(clean_store, FEW_AREAS, [LENET3])
    heard = Port.parse("sound", "audio[channel=1,height=*,width=*] float32 raw")
    declare(clean_store, [], [changed(accepts=[heard])])
    rows = clean_store.read("MATCH (:Region)-[e:ACCEPTS]->(m:Modality) RETURN e.port AS port, m.key AS modality")
    assert rows == [{"port": "sound", "modality": "audio"}]


def test_people_can_query_it(clean_store):
    declare(clean_store, FEW_AREAS, FEW)
    query = """
        MATCH (a:Area)-[:HAS_REGION]->(r:Region)-[e:EMITS]->(m:Modality) WHERE r.parameters > 1000
        RETURN a.key AS area, r.name AS name, r.licence AS licence, r.trainable AS trainable, r.flops AS flops,
               r.latency_ms > 0 AS timed, size(r.embedding) AS dimension,
               m.key AS modality, collect(e.port) AS ports"""
    rows = clean_store.read(query)
    assert len(rows) == 1
    assert sorted(rows[0].pop("ports")) == ["features", "layer1", "layer2", "layer3", "logits"]
    assert rows[0] == {
        "area": "vision.recognition",
        "name": "LeNet3",
        "licence": "Apache-2.0",
        "trainable": True,
        "flops": 1216768,
        "timed": True,
        "dimension": REGION_DIMENSION,
        "modality": "image",
    }


def test_lineage(clean_store):
    child = changed(id="001a", derived_from=LENET3.key)
    declare(clean_store, FEW_AREAS, [LENET3, child])
    rows = clean_store.read("MATCH (a:Region)-[:DERIVED_FROM]->(b:Region) RETURN a.key AS child, b.key AS origin")
    assert rows == [{"child": child.key, "origin": LENET3.key}]
    assert catalogue.region(clean_store, child.key) == child


def test_unknown_names_have_hints(clean_store):
    declare(clean_store, FEW_AREAS, [LENET3])
    with pytest.raises(UnknownKeyError, match=r"did you mean vision\.recognition/001"):
        catalogue.region(clean_store, "vision.recognition/002")
    with pytest.raises(UnknownKeyError, match=r"did you mean vision\.recognition"):
        catalogue.regions(clean_store, "vision.recogniton")
    assert catalogue.regions(clean_store, "fusion") == []


def test_all_problems_at_once_and_nothing_written(clean_store, measured):
    wrong = [LENET3, LENET3, changed(area="vision.tracking"), changed(id="x", derived_from="vision.recognition/999")]
    with pytest.raises(InputError) as caught:
        declare(clean_store, FEW_AREAS, wrong)
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "'vision.recognition/001' is declared twice" in problems
    assert "there is no area 'vision.tracking'" in problems
    assert "derives from 'vision.recognition/999'" in problems
    assert measured == []
    assert graph(clean_store) == ([], [])


def test_a_region_that_cannot_be_built_writes_nothing(clean_store):
    with pytest.raises(InputError, match="no argument 'widht'"):
        declare(clean_store, FEW_AREAS, [*FEW, changed(id="bad", arguments={"widht": 3})])
    assert graph(clean_store) == ([], [])


def test_inside_a_transaction_that_is_rolled_back(clean_store):
    def interrupted():
        with clean_store.transaction() as transaction:
            declare(transaction, FEW_AREAS, [LENET3])
            assert catalogue.region(transaction, LENET3.key) == LENET3
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        interrupted()
    assert graph(clean_store) == ([], [])
