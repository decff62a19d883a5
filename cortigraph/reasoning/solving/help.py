"""Help: a process that takes candidates of whichever searches are under way in the graph.

What it needs to know of a search lies in the graph: the scene, what memory said, where the samples lie. The samples and
the weights themselves are files: a worker on another machine reads and writes them in a shared folder.

    python -m cortigraph.reasoning.solving.help SEARCH HOME THREADS      started by `crew`; ends with its parent
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortigraph.graph.errors import CortigraphError, InputError, StoreError, UnknownKeyError
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store, open_store
from cortigraph.reasoning.memory import Memory
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.solving.claims import LEASE_SECONDS, Claims
from cortigraph.reasoning.solving.history import past
from cortigraph.reasoning.solving.problem import pose
from cortigraph.reasoning.solving.record import Ledger, work_folder
from cortigraph.reasoning.solving.trial import Bench, Silent, Watcher
from cortigraph.reasoning.solving.work import Told, Work
from cortigraph.regions.weights import WeightStore
from cortigraph.train.clock import Clock
from cortigraph.train.launch import Trainer, trainer

__all__ = ["help_along", "leave_when_told", "main"]

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 300.0  # with a store that can't be reached

_SEARCHES = """
MATCH (search:Search&!Entity {state: 'running'})-[:FOR_SCENE]->(scene:Scene&!Entity)
WHERE ($name IS NULL OR search.key = $name OR scene.key = $name) AND search.declared IS NOT NULL
RETURN search.key AS key, search.declared AS declared, search.base AS base, search.plan AS plan,
       search.remember AS remember, scene.key AS scene, search.clock AS clock
ORDER BY search.started_at, key
"""
_NAMES = "MATCH (n:(Search|Scene)&!Entity) RETURN n.key AS key"


def help_along(
    store: Store,
    home: Home,
    name: str | None = None,
    *,
    weights: Path | None = None,
    idle: float | None = None,
    threads: int | None = None,
    lease: float = LEASE_SECONDS,
    watcher: Watcher | None = None,
) -> int:
    """Works on searches until none is left to work on for a while.

    Args:
        store: Where they are.
        home: Where decoded data and jobs under way lie, on this machine.
        name: Only this search, or those of this scene.
        weights: Folder of the weights, shared with whoever solves; the home's when left out.
        idle: Seconds without work after which it leaves; never when left out.
        threads: Of training; all cores when left out.
        lease: Seconds that a candidate stays this worker's without a sign of life.
        watcher: Told of every epoch and trial.

    Returns:
        How many searches it helped along.

    Raises:
        UnknownKeyError: There is no such search or scene.
        InputError: The samples can't be read here, or they or the regions are not those with which the search began.
        StoreError: The store could not be reached for five minutes.
    """
    if name is not None and not store.read(_SEARCHES, name=name):
        known = store.columns(_NAMES)["key"]
        if name not in known:
            raise UnknownKeyError("search or scene", name, known)
    helped: set[str] = set()
    joined: dict[tuple[str, str], Work] = {}
    since = time.monotonic()
    gone: float | None = None
    with trainer(weights=WeightStore(weights or home.weights), threads=threads) as training:
        while True:
            try:
                for row in store.read(_SEARCHES, name=name):
                    joining = (row["key"], row["declared"])  # a search that goes on with another budget is joined anew
                    if joining not in joined:
                        joined[joining] = _join(store, home, row, training, lease, watcher or Silent())
                    work = joined[joining]
                    while work.step(work.ledger.entries()):
                        helped.add(row["key"])
                        since = time.monotonic()
                gone = None
            except StoreError:
                # A server that is started anew is worth waiting for; what was under way is taken up again.
                gone = gone or time.monotonic()
                if time.monotonic() - gone > _PATIENCE_SECONDS:
                    raise
            if idle is not None and time.monotonic() - since >= idle:
                return len(helped)
            time.sleep(_POLL_SECONDS)


def _join(store: Store, home: Home, row: Mapping[str, Any], training: Trainer, lease: float, watcher: Watcher) -> Work:
    """Everything that is needed to work on a search, read from the graph."""
    search = row["key"]
    scene = Scene.parse(json.loads(row["declared"]), row["base"])
    posed = pose(store, scene, home.cache)
    base = posed.search_key(row["remember"])
    known = next((one for one in past(store, scene.key, base) if one.key == search), None)
    if known is None:
        raise InputError(
            f"search {search} can't be helped from here: expected the samples that it began with, got others (it would "
            f"be called {base}); look whether the files under {row['base']} are the same as there"
        )
    changed = [*known.overwritten(posed), *known.gone(posed)]
    if changed:
        raise InputError(
            f"search {search} can't be helped from here: expected the regions that it began with; others now, or not "
            f"to be built here, are {', '.join(changed)}"
        )
    problem = posed.among(known.catalogue)
    ledger, memory, told = Ledger(store, problem, search), Memory.from_json(row["plan"]), Told(watcher)
    bench = Bench(
        problem, problem.with_memory(memory), search, training, ledger, work_folder(home.work, search), told,
        Clock.like(row["clock"] or ()),
    )  # fmt: skip
    return Work(problem, ledger, Claims(store, search, lease), bench, memory, told)


def main(arguments: list[str] | None = None) -> int:
    """Helps one search along until it is told to leave, or its parent is gone.

    Args:
        arguments: `[SEARCH, HOME, THREADS]`; the command line's when left out.

    Returns:
        The exit code.
    """
    search, root, threads = sys.argv[1:] if arguments is None else arguments
    leave_when_told()
    _leave_with_parent()
    home = Home.resolve(root)
    try:
        # A remote store is told by the environment; see `Store.surroundings`.
        with open_store(None if os.environ.get("CORTIGRAPH_URI") else home) as store:
            help_along(store, home, search, threads=int(threads))
    except CortigraphError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return 0


def leave_when_told() -> None:
    """A request to end is taken like Ctrl-C: what this process has claimed is free at once."""

    def leave(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)


def _leave_with_parent() -> None:
    # A parent that is killed cannot tell us; its child is then given to another process, and that we can see.
    parent = os.getppid()

    def watching() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watching, daemon=True, name="parent").start()


if __name__ == "__main__":
    sys.exit(main())
