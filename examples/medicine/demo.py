"""Asking a made-up medicine: ingest, train, ask, explain, and write what was concluded back into the graph.

python examples/medicine/demo.py [--home DIR] [--seconds 40] [--out out]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import made
import pandas as pd

import cortigraph
from cortigraph.reasoning.asking.learn import learn
from cortigraph.reasoning.asking.predicted import materialise

JOB = {
    "job": "medicine",
    "nodes": [{"source": "names", "key": "key", "properties": {"name": "name"}}],
    "relationships": [
        {"source": "facts", "type": {"column": "relation"}, "start": "head", "end": "tail", "create": True}
    ],
}


def main() -> None:
    """All of it, on a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", default="out/medicine")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()
    told, held_back = made.facts()
    with cortigraph.open(home=arguments.home) as brain:
        tables = {
            "names": pd.DataFrame(made.names().items(), columns=["key", "name"]),
            "facts": pd.DataFrame(told, columns=["head", "relation", "tail"]),
        }
        brain.ingest(JOB, tables=tables)
        settings = {"layers": 4, "epochs": 30, "seconds": arguments.seconds}
        kept = learn(brain.store, brain.home, name="medicine", choices=settings)
        print(f"trained {kept.key}: validation MRR {kept.told['valid_mrr']}")

        drug, relation, disease = next(fact for fact in held_back if fact[1] == "treats")
        answers = brain.ask(drug, relation, known=False, top=3)
        for answer in answers:
            told_so = " (true, and nobody told it)" if (drug, relation, answer.key) in held_back else ""
            print(f"{answers.question}: {answer.name}, probability {answer.probability:.2f}{told_so}")
            print(f"    because {answer.paths[0]}")
        brain.explain(answers[0], plot=arguments.out / "answer.png")

        print(brain.ask("?", "treats", disease, top=1)[0].key, "treats", disease)
        question = f"?x treats {disease} AND ?x interacts_with ?y AND ?y inhibits gene:00"
        for answer in brain.ask(question, top=2):
            print(f"{question}: {answer.key}, by {'; '.join(map(str, answer.steps))}")

        made_up = materialise(brain.mind, relations=["treats"], top=3, least=0.5)
        rows = brain.cypher("MATCH (a)-[p:PREDICTED {relation: 'treats'}]->(b) RETURN a.key AS a, b.key AS b")
        right = sum((row["a"], "treats", row["b"]) in held_back for row in rows)
        print(f"{made_up.written} predictions of treats in the graph, {right} of them true and held back")


if __name__ == "__main__":
    main()
