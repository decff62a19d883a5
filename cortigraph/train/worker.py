"""One rank of a group that stays: it serves jobs from a spool until it is told to stop or its parent is gone.

python -m cortigraph.train.worker SPOOL                     started by `launch`, one process per rank
horovodrun -np 2 python -m cortigraph.train.worker JOB.json WEIGHTS    one job, on any hosts that share the folders
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from cortigraph.graph.errors import CortigraphError, InputError
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.weights import WeightStore
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.engine import Engine, open_engine
from cortigraph.train.errors import DivergedError
from cortigraph.train.evaluate import evaluate
from cortigraph.train.features import FEATURES, Features
from cortigraph.train.job import TrainJob
from cortigraph.train.loop import fit
from cortigraph.train.spool import Spool

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
    spool.beat(int(os.environ.get("HOROVOD_RANK", "0")))
    engine = open_engine("horovod")
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
        # Also when there is none, so that no rank waits so long that Horovod takes the group for stalled.
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
        return _evaluate(request, number, engine, spool)
    except InputError as error:
        return {"input_error": list(error.problems)}
    except DivergedError as error:
        return {"diverged": str(error)}
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
    )
    return {"outcome": outcome.to_json()}


def _evaluate(request: dict[str, Any], number: int, engine: Engine, spool: Spool) -> dict[str, Any]:
    pathway = Blueprint.from_json(request["blueprint"]).build(WeightStore(Path(request["weights"])))
    found = evaluate(pathway, Dataset.open(Path(request["dataset"])), request["split"], engine)
    if engine.rank == 0:
        np.save(spool.file(number, "probabilities.npy"), found.probabilities)
    return {"metrics": found.metrics}


def _one_job(job: Path, weights: WeightStore) -> int:
    engine = open_engine("horovod")
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
    # A parent that is killed cannot tell us; its child is then given to another process, and that we can see.
    parent = os.getppid()

    def watching() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)  # nobody is left to read it
        os._exit(_ORPHAN)  # the main thread may be waiting for ranks that are gone as well

    threading.Thread(target=watching, daemon=True, name="parent").start()


if __name__ == "__main__":
    sys.exit(main())
