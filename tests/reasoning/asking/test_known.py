"""What the graph knows is an answer: all of it, before any guess, whoever is asked, and with nobody to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cortigraph.brain import Brain
from cortigraph.graph import cypher
from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.asking import shelf
from cortigraph.reasoning.asking.knowledge import know
from cortigraph.reasoning.asking.learn import learn
from cortigraph.reasoning.asking.selection import Selection
from cortigraph.reasoning.reasoners.rank import best

COURSES, EACH = 30, 3
FACTS = [
    *((f"pupil{course}_{number}", "takes", f"course{course}") for course in range(COURSES) for number in range(EACH)),
    *((f"course{course}", "in", "north" if course else "south") for course in range(COURSES)),
    ("pupil29_0", "speaks", "welsh"),
    ("pupil0_0", "speaks", "welsh"),
    *((f"pupil{course}_0", "FROM", f"pupil{course}_1") for course in range(COURSES)),
    *((f"pupil{course}_1", "lives in", "north") for course in range(COURSES)),
    ("pupil1_0", "likes", "pupil1_0"),
    ("pupil2_0", "likes", "pupil2_1"),
    ("pupil2_1", "likes", "pupil2_2"),
    ("pupil2_2", "likes", "pupil2_0"),
]
JOB = {
    "job": "school",
    "nodes": [{"source": "names", "key": "key", "labels": {"column": "label"}}],
    "relationships": [
        {"source": "facts", "type": {"column": "relation"}, "start": "head", "end": "tail", "create": True}
    ],
}
NORTH = "?x takes ?c AND ?c in north"
QUICK = {"epochs": 2, "layers": 2, "width": 8, "seconds": 10}


@pytest.fixture(scope="module")
def school(store, home):
    while store.write(cypher.DELETE_SOME).rows[0]["deleted"]:
        pass
    brain = Brain(store, home)
    keys = sorted({end for head, _, tail in FACTS for end in (head, tail)})
    labels = ["Pupil" if key.startswith("pupil") else "Course" if key.startswith("course") else "Thing" for key in keys]
    names = pd.DataFrame({"key": keys, "label": labels})
    brain.ingest(JOB, tables={"names": names, "facts": pd.DataFrame(FACTS, columns=["head", "relation", "tail"])})
    yield brain
    store.write("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")


@pytest.fixture(scope="module")
def taught(school):
    """The same with two reasoners: one of everything, and one trained later that knows one relation."""
    learn(school.store, school.home, "path", name="whole", choices=QUICK)
    part = Selection.parse("labels=Pupil,Course types=takes")
    learn(school.store, school.home, "complex", name="part", selection=part, choices={"rank": 8, "epochs": 2})
    return school


def _keys(answers):
    return [answer.key for answer in answers]


def test_questions_of_several_parts_need_no_reasoner_and_are_whole(school):
    answers = school.ask(NORTH, known=True, top=1000, paths=0)
    assert sorted(_keys(answers)) == sorted(f"pupil{c}_{n}" for c in range(1, COURSES) for n in range(EACH))
    assert answers.complete
    assert answers.reasoner == ""
    few = school.ask(NORTH, known=True, top=5)
    assert (len(few), few.complete) == (5, False)
    assert "82 more answers are known" in few.notes[0]
    assert _keys(school.ask(NORTH + " AND ?x speaks welsh", known=True)) == ["pupil29_0"]
    assert [str(step) for step in few[0].steps] == ["pupil10_0 -takes-> course10", "course10 -in-> north"]
    assert few[0].steps[0].paths[0].batches


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("?x likes ?x", ["pupil1_0"]),
        ("?x likes ?y AND ?y likes ?z AND ?z likes ?x", ["pupil1_0", "pupil2_0", "pupil2_1", "pupil2_2"]),
        ("?x takes ?c AND ?y takes ?c AND ?y speaks welsh AND ?c in north", [f"pupil29_{n}" for n in range(3)]),
        ("?x speaks welsh AND course1 in north", ["pupil0_0", "pupil29_0"]),
        ("?x speaks welsh AND course1 in south", []),
        ("?x speaks welsh AND ?y likes pupil2_1", ["pupil0_0", "pupil29_0"]),
        ("?x FROM pupil3_1", ["pupil3_0"]),
        ("pupil3_1 'inverse of FROM' ?x".replace("'", '"'), ["pupil3_0"]),
        ('?x "lives in" ?p AND ?x takes course4', ["pupil4_1"]),
        ("?x speaks ?l", ["pupil0_0", "pupil29_0"]),
    ],
)
def test_every_form_of_question_is_answered_from_facts(school, question, expected):
    answers = school.ask(question, known=True)
    assert _keys(answers) == expected
    assert answers.complete
    assert all(answer.known and answer.probability == 1 for answer in answers)


def test_a_condition_alone_asks_for_nothing(school):
    with pytest.raises(InputError, match="nothing is sought"):
        school.ask("course1 in north")


def test_without_a_reasoner_what_is_known_is_told_with_the_command(school, monkeypatch):
    monkeypatch.setattr(shelf, "shelved", lambda store: [])
    school = Brain(school.store, school.home)  # with nothing in mind
    answers = school.ask("pupil3_0", "takes")
    assert [(answer.key, answer.known, answer.score) for answer in answers] == [("course3", True, None)]
    assert "reason train --graph all" in answers.notes[0]
    assert str(answers[0].paths[0]) == "pupil3_0 -takes-> course3"
    explanation = school.explain(answers[0])
    assert explanation.node_keys[explanation.answer] == "course3"
    assert explanation.relations[int(explanation.edge_type[0])] == "takes"
    with pytest.raises(InputError, match="reason train"):
        school.ask("pupil3_0", "takes", known=False)


def test_whoever_knows_the_relation_is_asked(taught):
    answers = taught.ask("pupil3_0", "takes", top=3)
    assert (answers.reasoner, answers[0].key, answers[0].known) == ("part", "course3", True)
    other = taught.ask("pupil3_0", "speaks", top=3)
    assert other.reasoner == "whole"
    assert "whole is asked, because part" in other.notes[0]
    with pytest.raises(InputError, match="it knows takes"):
        taught.ask("pupil3_0", "speaks", reasoner="part")
    # The fact is told although `part` sees neither end of it.
    assert _keys(taught.ask("?", "in", "north", top=100))[: COURSES - 1] == sorted(f"course{n}" for n in range(1, 30))


def test_a_fact_explains_itself_first(taught):
    for reasoner in (None, "whole"):
        answer = taught.ask("pupil3_0", "takes", top=1, reasoner=reasoner)[0]
        assert str(answer.paths[0]) == "pupil3_0 -takes-> course3"
        assert answer.paths[0].batches
        assert len({str(path) for path in answer.paths}) == len(answer.paths)
        found = taught.explain(answer)
        first = [found.node_keys[int(end)] for end in found.edge_index[:, 0]]
        assert (first, found.relations[int(found.edge_type[0])]) == (["pupil3_0", "course3"], "takes")


def test_what_is_known_comes_before_what_is_predicted(taught):
    answers = taught.ask(NORTH, top=95, paths=0, reasoner="whole")
    kinds = [answer.known for answer in answers]
    assert kinds == [True] * 87 + [False] * 8
    assert not any(answer.known for answer in taught.ask(NORTH, top=3, known=False, paths=0, reasoner="whole"))
    circle = taught.ask("?x likes ?y AND ?y likes ?x")
    assert circle.reasoner == ""
    assert "predictions are made for trees alone" in circle.notes[0]
    with pytest.raises(InputError, match="circle"):
        taught.ask("?x likes ?y AND ?y likes ?x", known=False)


def test_a_beam_that_may_have_cut_is_told(taught):
    narrow = taught.ask(NORTH, known=False, top=5, beam=1, paths=0, reasoner="whole")
    assert not narrow.complete
    assert "--beam" in narrow.notes[0]
    wide = taught.ask(NORTH, known=False, top=5, beam=1000, paths=0, reasoner="whole")
    assert wide.complete
    assert wide[0].probability >= narrow[0].probability
    filled = taught.ask(NORTH, top=5, beam=1, paths=0, reasoner="whole")
    assert filled.notes == ("82 more answers are known; a larger --top (top=) tells them",)


def test_a_guess_that_is_rounded_to_certainty_stays_a_guess():
    found = best(np.array([1.0, 1.0, 0.5]), np.array([9.0, 1.0, 2.0]), np.array([1]), 3)
    assert found.tolist() == [1, 0, 2]


def test_relations_are_told_from_the_systems_by_their_ends(school):
    facts = know(school.store, school.home).facts
    assert {"FROM", "lives in"} <= set(facts.relations)
    assert int((facts.triples[:, 1] == facts.relations.index("FROM")).sum()) == COURSES
    part = know(school.store, school.home, Selection.parse("labels=Pupil types=FROM,'lives in'")).facts
    assert part.relations == ("FROM",)
    with pytest.raises(UnknownKeyError, match="did you mean takes"):
        learn(school.store, school.home, selection=Selection.parse("types=take"))
    with pytest.raises(UnknownKeyError, match="did you mean Pupil"):
        school.ask("pupil3_0", "takes", graph="labels=Pupils")


def test_what_a_user_called_so_is_a_fact_and_what_a_reasoner_predicts_is_none(school):
    ends = "MATCH (a:Entity {key: 'pupil5_0'}), (b:Entity {key: 'north'}) "
    school.cypher(ends + "CREATE (a)-[:PREDICTED {batches: [1]}]->(b)", write=True)
    school.cypher(ends + "CREATE (b)-[:PREDICTED {reasoner: 'x', run: 'y', score: 1.0}]->(a)", write=True)
    assert _keys(school.ask("pupil5_0", "PREDICTED", known=True)) == ["north"]
    assert _keys(school.ask("north", "PREDICTED", known=True)) == []
    kinds = [(a, b) for a, b, kind in school.to_networkx().edges(data="type") if kind == "PREDICTED"]
    assert kinds == [("pupil5_0", "north")]
    school.cypher("MATCH ()-[p:PREDICTED]->() DELETE p", write=True)


def test_the_command_line_says_whether_all_was_told(school):
    env = {**os.environ, "CORTIGRAPH_HOME": str(school.home.root)}
    command = [sys.executable, "-c", "from cortigraph.cli.main import run; run()"]
    asked = ["ask", NORTH, "--only", "known", "--top", "5", "--beam", "2", "--json"]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["complete"], told["reasoner"], len(told["answers"])) == (False, "", 5)
    found = ["find", "pupil3_0", "--label", "Pupils"]
    done = subprocess.run([*command, *found], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, "did you mean Pupil" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"foo": 1}, "no setting 'foo' of a question"),
        ({"bem": 3}, "did you mean beam"),
        ({"top": "x"}, "top must be a whole number"),
        ({"top": 1.5}, "top must be a whole number"),
        ({"known": "yes"}, "known must be"),
        ({"graph": 3}, "graph must be text"),
    ],
)
def test_a_setting_that_is_none_is_told(wanted, said):
    brain = Brain(SimpleNamespace(refuse_if_closed=lambda: None), SimpleNamespace())
    with pytest.raises(InputError, match=said) as told:
        brain.ask("a", "r", **wanted)
    assert "\n" not in str(told.value)
