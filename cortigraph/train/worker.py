"""One rank of a group that stays: it serves jobs from a spool until it is told to stop or its parent is gone.

python -m cortigraph.train.worker SPOOL                     started by `launch`, one process per rank
horovodrun -np 2 python -m cortigraph.train.worker JOB.json WEIGHTS    one job, on any hosts that share the folders
torchrun --nproc-per-node 2 -m cortigraph.train.worker JOB.json WEIGHTS    the same
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cortigraph.graph.errors import CortigraphError, InputError
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.weights import WeightStore
from cortigraph.train.clock import Clock
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.engine import Engine, join, open_engine
from cortigraph.train.errors import DivergedError, PausedError
from cortigraph.train.evaluate import evaluate
from cortigraph.train.features import FEATURES, Features
from cortigraph.train.job import TrainJob
from cortigraph.train.loop import fit
from cortigraph.train.meeting import bind_interface
from cortigraph.train.spool import Spool
from cortigraph.train.tasks import find_task

__all__ = ["main", "serve"]

_IDLE = 2.0  # seconds that rank 0 waits for a request before it gives the others a sign
_ORPHAN = 3  # exit code of a rank whose parent is gone


def main(arguments: list[str] | None = None) -> int:
    """Serves a spool, or runs one job.

    Args:
        arguments: `[SPOOL]`, or `[JOB.json, WEIGHTS]`; the command line's when left out.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    target = Path(arguments[0])
    _die_with_parent(target)
    if target.is_file():
        return _one_job(target, WeightStore(Path(arguments[1])))
    spool = Spool(target)
    joined: list[Engine] = []
    rank = int(os.environ.get("HOROVOD_RANK") or os.environ["RANK"])
    spool.beat(rank, lambda: (joined[0].arrived, joined[0].left) if joined else (0, 0))
    try:
        bind_interface()
    except CortigraphError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    engine = open_engine(os.environ["CORTIGRAPH_ENGINE"])
    joined.append(engine)
    spool.ready(engine.rank).touch()
    serve(engine, spool)
    engine.close()
    return 0


def serve(engine: Engine, spool: Spool) -> None:
    """Answers requests, one after the other, until one says stop.

    Args:
        engine: This rank.
        spool: Read and written by rank 0 alone; the others learn from it what is next.
    """
    number, features = 1, Features(FEATURES)
    while True:
        waited = spool.wait_request(number, _IDLE) if engine.rank == 0 else ""
        # Also when there is none, so that no rank waits so long that its engine takes the group for stalled.
        text = engine.share(waited)
        if not text:
            continue
        request = json.loads(text)
        if request["kind"] == "stop":
            return
        result = _answer(request, number, engine, spool, features)
        if engine.rank == 0:
            spool.answer(number, result)
        number += 1


def _answer(request: dict[str, Any], number: int, engine: Engine, spool: Spool, features: Features) -> dict[str, Any]:
    # These errors come of what all ranks see alike, so all of them go on to the next request together. Anything else
    # ends this process, and with it the group.
    try:
        for module in request["modules"]:
            importlib.import_module(module)
        if request["kind"] == "fit":
            return _fit(request, number, engine, spool, features)
        if request["kind"] == "call":
            return {"answer": _call(request, number, engine, spool)}
        return _evaluate(request, number, engine, spool)
    except InputError as error:
        return {"input_error": list(error.problems)}
    except DivergedError as error:
        return {"diverged": str(error)}
    except PausedError:
        return {"paused": True}
    except CortigraphError as error:
        return {"error": str(error)}


def _fit(request: dict[str, Any], number: int, engine: Engine, spool: Spool, features: Features) -> dict[str, Any]:
    outcome = fit(
        TrainJob.from_json(request["job"]),
        engine,
        WeightStore(Path(request["weights"])),
        on_epoch=lambda epoch: spool.report(number, epoch.to_json()),
        torch_threads=request["threads"],
        features=features,
        paused=spool.file(number, "pause").exists,
        clock=Clock.like(request["clock"]),
    )
    return {"outcome": outcome.to_json()}


def _call(request: dict[str, Any], number: int, engine: Engine, spool: Spool) -> dict[str, Any]:
    def report(line: str) -> None:
        if engine.rank == 0:
            spool.report(number, line)

    from cortigraph.train.randomness import threads

    with threads(request["threads"]):
        return dict(find_task(request["task"])(engine, request["arguments"], report))


def _evaluate(request: dict[str, Any], number: int, engine: Engine, spool: Spool) -> dict[str, Any]:
    pathway = Blueprint.from_json(request["blueprint"]).build(WeightStore(Path(request["weights"])))
    found = evaluate(pathway, Dataset.open(Path(request["dataset"])), request["split"], engine)
    if engine.rank == 0:
        np.save(spool.file(number, "probabilities.npy"), found.probabilities)
    return {"metrics": found.metrics}


def _one_job(job: Path, weights: WeightStore) -> int:
    engine = join()
    try:
        outcome = fit(TrainJob.from_json(job.read_text(encoding="utf-8")), engine, weights)
    except CortigraphError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if engine.rank == 0:
        sys.stdout.write(outcome.to_json() + "\n")
    engine.close()
    return 0


def _die_with_parent(target: Path) -> None:
    # A parent that is killed cannot tell us; its child is then given to another process, and that we can see. On
    # another host the parent is not ours: there our input ends.
    parent = os.getppid()

    def orphaned() -> None:
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)  # nobody is left to read it
        os._exit(_ORPHAN)  # the main thread may be waiting for ranks that are gone as well

    def until_given_away() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        orphaned()

    def until_input_ends() -> None:
        while os.read(0, 1):
            pass
        os._exit(_ORPHAN)  # the folder is left: it may be the line that broke, and not the parent

    watching: Callable[[], None] = until_input_ends if os.environ.get("CORTIGRAPH_STDIN") else until_given_away
    threading.Thread(target=watching, daemon=True, name="parent").start()


if __name__ == "__main__":
    sys.exit(main())
