"""Workers: any number of processes help one search along; whatever dies, each candidate is kept once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cortigraph.brain import Brain
from cortigraph.graph import server
from cortigraph.graph.check import check
from cortigraph.graph.errors import UnknownKeyError
from cortigraph.reasoning.memory import Memory
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.solving.claims import Claims, LostError
from cortigraph.reasoning.solving.help import help_along
from cortigraph.reasoning.solving.problem import Problem, pose
from cortigraph.reasoning.solving.record import Ledger
from cortigraph.regions.weights import WeightStore
from tests.network import HERE, Hosts, relayed
from tests.reasoning.conftest import write_scene

TRIALS = 3
CANDIDATES = (
    "MATCH (c:Candidate) WHERE c.index >= 0 RETURN c.index AS index, c.state AS state, c.decisions AS decisions, "
    "c.attempts AS attempts, c.pid AS pid ORDER BY c.index"
)


def _command(*words: object) -> list[str]:
    return [str(Path(sys.executable).parent / "cortigraph"), *map(str, words)]


def _begun(brain: Brain, samples: Path, **changes: Any) -> tuple[Problem, Ledger]:
    """A search that nobody works on yet."""
    scene = Scene.load(write_scene(samples, search="random", budget={"trials": TRIALS}, **changes))
    problem = pose(brain.store, scene, brain.home.cache)
    ledger = Ledger(brain.store, problem, problem.search_key([]))
    ledger.begin(Memory(), [])
    return problem, ledger


def _blueprint(problem: Problem) -> Any:
    import numpy as np

    return problem.space.compose(problem.space.sample(np.random.default_rng(0)))


def test_a_candidate_is_one_workers_until_its_lease_runs_out(brain: Brain, samples: Path) -> None:
    problem, ledger = _begun(brain, samples)
    blueprint = _blueprint(problem)
    one, two = (Claims(brain.store, ledger.search, lease=0.6) for _ in range(2))
    claim = one.new(0, blueprint, dict(blueprint.decisions))
    assert claim is not None
    assert two.new(0, blueprint, dict(blueprint.decisions)) is None
    with one.kept(claim):
        time.sleep(1.2)  # twice the lease, which is renewed
        assert two.take_over() is None
    time.sleep(0.8)
    taken = two.take_over()
    assert taken is not None
    assert (taken.key, taken.index, taken.attempts) == (claim.key, 0, 2)
    assert taken.blueprint == blueprint
    with pytest.raises(LostError):
        brain.store.execute(lambda tx: one.check(tx, claim))
    brain.store.execute(lambda tx: two.check(tx, taken))
    with pytest.raises(ZeroDivisionError), two.kept(taken):
        raise ZeroDivisionError
    assert one.take_over() is not None  # left by an error, it is free at once
    brain.forget("height")
    assert one.new(0, blueprint, dict(blueprint.decisions)) is None
    with pytest.raises(LostError):
        brain.store.execute(lambda tx: one.check(tx, claim))


def test_of_many_who_ask_at_once_each_gets_another(brain: Brain, samples: Path) -> None:
    problem, ledger = _begun(brain, samples)
    blueprint = _blueprint(problem)
    got: list[int] = []

    def ask() -> None:
        claims = Claims(brain.store, ledger.search)
        for index in range(6):
            if claims.new(index, blueprint, dict(blueprint.decisions)) is not None:
                got.append(index)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(6))
    assert [entry.index for entry in ledger.entries()] == list(range(6))


def test_a_worker_elsewhere_needs_the_store_the_samples_and_the_weights(
    brain: Brain, samples: Path, tmp_path: Path
) -> None:
    _begun(brain, samples)
    address = server.ensure(brain.home)
    surroundings = {**os.environ, "CORTIGRAPH_PASSWORD": address.password}
    words = ("--idle", 0.5, "--home", tmp_path / "elsewhere", "--weights", brain.home.weights, "--json")
    worker = subprocess.run(
        _command("worker", "--uri", address.uri, *words), env=surroundings, capture_output=True, text=True, check=False
    )
    assert worker.returncode == 0, worker.stderr
    assert json.loads(worker.stdout) == {"searches": 1}
    rows = brain.cypher(CANDIDATES)
    assert [row["state"] for row in rows] == ["done"] * TRIALS
    assert {row["pid"] for row in rows} != {os.getpid()}
    watched = subprocess.run(
        _command("search", "watch", "height", "--json", "--home", brain.home.root),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(watched.stdout)
    assert (told["trials"], told["workers"], len(told["candidates"])) == (TRIALS, 0, TRIALS)
    assert told["best"] == max(one["accuracy"] for one in told["candidates"])
    solution = brain.solve(samples / "height.yaml", remember=[])
    assert solution.resumed == TRIALS
    assert {row["pid"] for row in brain.cypher(CANDIDATES)} == {row["pid"] for row in rows}
    with pytest.raises(UnknownKeyError, match="did you mean"):
        help_along(brain.store, brain.home, "hieght")


def test_a_killed_worker_and_a_killed_server_lose_and_double_nothing(brain: Brain, samples: Path) -> None:
    scene = write_scene(samples, search="random", budget={"trials": TRIALS})
    alone = brain.solve(scene, remember=[])
    whole = [(row["index"], row["decisions"]) for row in brain.cypher(CANDIDATES)]
    brain.forget("height")
    _begun(brain, samples)
    home = ("--home", brain.home.root)
    worker = subprocess.Popen(_command("worker", *home), stderr=subprocess.DEVNULL)
    _await_candidate_of(brain, worker)
    worker.kill()
    worker.wait()
    words = ("--search-workers", 2, "--memory", "none", "--json", *home)
    solve = subprocess.Popen(
        _command("solve", scene, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    _await_candidate_of(brain, solve)
    subprocess.run(["kill", "-9", str(server.status(brain.home).pid)], check=True)
    said, complained = solve.communicate(timeout=240)
    assert solve.returncode == 0, complained
    assert set(json.loads(said)["accuracy"]) == set(alone.accuracy)
    rows = brain.cypher(CANDIDATES)
    assert [(row["index"], row["decisions"]) for row in rows] == whole  # whoever trained which, and in whatever order
    assert [row["state"] for row in rows] == ["done"] * TRIALS
    assert check(brain.store, WeightStore(brain.home.weights).has) == []


def test_a_line_that_is_cut_costs_a_candidate_s_lease_and_nothing_else(
    brain: Brain, samples: Path, hosts: Hosts, tmp_path: Path
) -> None:
    _begun(brain, samples, training={"epochs": 20, "patience": 20})
    address = server.ensure(brain.home)
    far = hosts.names[0]
    with relayed(int(address.uri.rpartition(":")[2])) as port:
        words = ("worker", "--uri", f"bolt://{HERE}:{port}", "--lease", 2, "--idle", 1, "--json")
        folders = ("--home", tmp_path / "far", "--weights", brain.home.weights)
        away = subprocess.Popen(
            hosts.command(far, _command(*words, *folders)), env={**os.environ, "CORTIGRAPH_PASSWORD": address.password},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        _await_candidate_of(brain, away)
        hosts.cut(far)
        near = subprocess.run(
            _command("worker", "--idle", 6, "--json", "--home", brain.home.root), capture_output=True, text=True,
            check=False, timeout=240,
        )  # fmt: skip
        assert near.returncode == 0, near.stderr
        rows = brain.cypher(CANDIDATES)
        assert [row["state"] for row in rows] == ["done"] * TRIALS
        hosts.mend(far)
        _, complained = away.communicate(timeout=240)
    assert away.returncode == 0, complained
    assert brain.cypher(CANDIDATES) == rows  # what it had finished meanwhile is not written over
    assert away.pid not in {row["pid"] for row in rows}
    assert [row["attempts"] for row in rows] == [2] + [1] * (TRIALS - 1)
    assert check(brain.store, WeightStore(brain.home.weights).has) == []


def _await_candidate_of(brain: Brain, process: subprocess.Popen[Any]) -> None:
    for _ in range(1200):
        assert process.poll() is None, process.communicate()
        if any(row["state"] == "running" and row["pid"] == process.pid for row in brain.cypher(CANDIDATES)):
            return
        time.sleep(0.05)
    raise AssertionError("it took no candidate within a minute")
