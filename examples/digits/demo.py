"""The whole loop on real input: `make demo`.

A batch job fills the catalogue, a scene is solved, a related scene is solved with and without what was learned, and the
graph answers for all of it. For each seed everything is drawn anew: splits, voices, noise, networks, searches.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

import cortigraph
from cortigraph.brain import Brain
from cortigraph.cli.progress import SolveProgress, show_solution
from cortigraph.reasoning.pathway.scene import Budget, Scene
from cortigraph.reasoning.picture import draw_pathway, draw_search
from cortigraph.reasoning.solving.solution import Solution

HERE = Path(__file__).parent
QUERIES = {
    "What are the pathways made of, and what are they worth?": """
MATCH (p:Pathway)-[u:USES]->(r:Region) WITH p, r ORDER BY u.order
RETURN p.key AS pathway, collect(r.name) AS regions, round(p.accuracy, 3) AS accuracy ORDER BY pathway""",
    "Which regions did best alone, over all scenes?": """
MATCH (run:Run {kind: 'branch'})-[:OF]->(r:Region)
RETURN r.key AS region, r.name AS name, count(run) AS runs, round(avg(run.accuracy), 3) AS mean,
       round(avg(run.seconds), 1) AS seconds ORDER BY mean DESC LIMIT 6""",
    "Whose weights did the second scene begin with?": """
MATCH (new:Run)-[:DERIVED_FROM]->(old:Run), (new)-[:OF]->(r:Region)
RETURN r.name AS region, old.scene AS learned_for, round(old.accuracy, 3) AS had, new.scene AS used_for,
       round(new.accuracy, 3) AS reached ORDER BY used_for, region LIMIT 8""",
}


@dataclass(frozen=True)
class Result:
    """What one seed gave."""

    seed: int
    first: Solution
    cold: Solution
    warm: Solution

    @property
    def level(self) -> float:
        """The first scene's accuracy: what its pathway reached on validation data."""
        return self.first.valid["pathway"]

    @property
    def trials_of_first(self) -> int:
        """Candidates that were trained for the first scene."""
        return sum(step.index >= 0 for step in self.first.steps)

    def trials(self, solution: Solution) -> int:
        """Trials to that level; all of them, if it was never reached."""
        return solution.trials_to(self.level) or sum(step.index >= 0 for step in solution.steps)

    def seconds(self, solution: Solution) -> float:
        """Seconds to that level; all of them, if it was never reached."""
        return solution.seconds_to(self.level) or sum(step.seconds for step in solution.steps if step.index >= 0)


def prepare(folder: Path, seed: int) -> Path:
    """Writes a seed's data, unless it is there, and its job; returns the job's file."""
    recipe = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in ("data.py", "voices.py"))).hexdigest()
    told = yaml.safe_load((HERE / "job.yaml").read_text())
    writing = {}
    for item, scene in zip(told["datasets"], ("first", "second"), strict=True):
        item["key"] = f"digits-{scene}-{seed}"
        done = folder / scene / f".{recipe[:12]}"
        if not done.exists():
            command = [sys.executable, HERE / "data.py", folder / scene, "--scene", scene, "--seed", str(seed)]
            writing[done] = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    for done, process in writing.items():
        if process.wait():
            raise SystemExit(f"data.py could not write {done.parent}; see above")
        done.touch()
    job = folder / "job.yaml"
    job.write_text(yaml.safe_dump(told, sort_keys=False))
    return job


@dataclass(frozen=True)
class Demo:
    """The demo under way.

    Args:
        brain: Where it is remembered.
        out: Where data and pictures go.
        workers: Processes that train together.
        trials: Of each search; as the scenes say when left out.
        console: Where it is shown.
    """

    brain: Brain
    out: Path
    workers: int
    trials: int | None
    console: Console

    def one_seed(self, seed: int) -> Result:
        """Ingests and solves everything for a seed."""
        self.brain.ingest(prepare(self.out / f"seed{seed}", seed))
        first = self.solve("first", seed, [])
        show_solution(first, self.console)
        cold = self.solve("second", seed, [])
        warm = self.solve("second", seed, [first.scene])
        show_solution(warm, self.console)
        result = Result(seed, first, cold, warm)
        searches = [("first scene", first), ("second, memory empty", cold), ("second, remembering the first", warm)]
        pictures = [
            draw_pathway(first.blueprint, self.out / f"pathway-{seed}.png", f"{first.scene}: the pathway chosen"),
            draw_search(searches, self.out / f"search-{seed}.png", f"seed {seed}: the searches", result.level),
        ]
        self.console.print(*(f"picture: {picture}" for picture in pictures), sep="\n", highlight=False)
        return result

    def solve(self, name: str, seed: int, remember: list[str]) -> Solution:
        """Solves a scene over a seed's data, with a live display."""
        read, key = Scene.load(HERE / f"{name}.yaml"), f"digits-{name}-{seed}"
        budget = read.budget if self.trials is None else Budget(trials=self.trials)
        scene = read.model_copy(update={"key": key, "dataset": key, "seed": seed, "budget": budget})
        how = "remembering" if remember else "empty memory"
        with SolveProgress(title=f"seed {seed}, {name} scene, {how}") as progress:
            return self.brain.solve(scene, remember=remember, workers=self.workers, watcher=progress)


def accuracies(results: list[Result]) -> Table:
    """What each seed's pathway is worth on test data."""
    names = ["image", "audio", "late_fusion", "pathway"]
    table = Table("first scene, test data", *(name.replace("_", " ") for name in names), "trials", "seconds")
    for result in results:
        values = [f"{result.first.accuracy[name]:.3f}" for name in names]
        table.add_row(f"seed {result.seed}", *values, str(result.trials_of_first), f"{result.first.seconds:.0f}")
    return table


def memories(results: list[Result]) -> Table:
    """What memory was worth to the second scene."""
    table = Table("second scene", "level", "trials cold", "trials warm", "s cold", "s warm", "test cold", "test warm")
    for result in results:
        cold, warm = result.cold, result.warm
        table.add_row(
            f"seed {result.seed}", f"{result.level:.3f}",
            *(_trials(result, solution) for solution in (cold, warm)),
            *(f"{result.seconds(solution):.0f}" for solution in (cold, warm)),
            *(f"{solution.accuracy['pathway']:.3f}" for solution in (cold, warm)),
        )  # fmt: skip
    return table


def _trials(result: Result, solution: Solution) -> str:
    reached = solution.trials_to(result.level)
    return str(reached) if reached else f"not in {result.trials(solution)}"


def start_over(brain: Brain, seeds: list[int]) -> None:
    """A demo that was killed goes on; one that was finished before is shown anew, from an empty memory of it."""
    keys = [f"digits-{name}-{seed}" for seed in seeds for name in ("first", "second")]
    done = brain.cypher(
        "MATCH (s:Search {state: 'done'})-[:FOR_SCENE]->(c:Scene) WHERE c.key IN $keys RETURN count(s) AS n", keys=keys
    )
    if done[0]["n"] >= 3 * len(seeds):
        for key in keys:
            brain.forget(key)


def summary(results: list[Result], seconds: float) -> dict[str, object]:
    """The last line: means over the seeds, and each seed's own."""
    names = ["image", "audio", "late_fusion", "pathway"]

    def mean(values: list[float]) -> float:
        return round(statistics.mean(values), 4)

    return {
        "accuracy": {name: mean([result.first.accuracy[name] for result in results]) for name in names},
        "memory": {
            "trials_cold": mean([result.trials(result.cold) for result in results]),
            "trials_warm": mean([result.trials(result.warm) for result in results]),
            "seconds_cold": mean([result.seconds(result.cold) for result in results]),
            "seconds_warm": mean([result.seconds(result.warm) for result in results]),
        },
        "seconds": round(seconds, 1),
        "seeds": [
            {
                "seed": result.seed,
                "accuracy": {name: round(result.first.accuracy[name], 4) for name in names},
                "level": round(result.level, 4),
                "trials_cold": result.trials(result.cold),
                "trials_warm": result.trials(result.warm),
                "cold_reached": result.cold.trials_to(result.level) is not None,
            }
            for result in results
        ],
    }


def main() -> None:
    """Runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="numbers joined by commas (default: 0,1,2)")
    parser.add_argument("--workers", type=int, default=1, help="Horovod processes that train together (default: 1)")
    parser.add_argument("--trials", type=int, help="of each search; else as the scenes say")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where data and pictures go")
    parser.add_argument("--home", help="the home folder; else CORTIGRAPH_HOME")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    console, started = Console(), time.monotonic()
    with cortigraph.open(home=arguments.home) as brain:
        start_over(brain, seeds)
        demo = Demo(brain, arguments.out, arguments.workers, arguments.trials, console)
        results = [demo.one_seed(seed) for seed in seeds]
        console.print(accuracies(results))
        console.print(memories(results))
        for question, query in QUERIES.items():
            console.print(f"\n{question}", style="bold", highlight=False)
            console.print(query.strip(), highlight=False, markup=False)
            print(brain.pandas(query).to_string(index=False))
    print(json.dumps(summary(results, time.monotonic() - started)))


if __name__ == "__main__":
    main()
