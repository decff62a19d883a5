"""A process that ingests and is killed: for each number of seconds on its input it forks, and kills the child then.

The child runs the job in small parts, so that there are many moments at which a part is written and the next is not.
A number that is negative kills nothing: then the answer is how long the run took.
"""

import os
import signal
import sys
import time
from pathlib import Path

from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store
from cortigraph.ingest.batches import changes
from cortigraph.ingest.batches.intent import Intent
from cortigraph.ingest.job import load_job
from cortigraph.ingest.run import Options, run
from cortigraph.regions.texts import embed_texts  # noqa: F401 - imported once, and not in each child


def child(home: str, job: str) -> None:
    changes.CHUNK_ROWS = 250
    place = Home(Path(home))
    loaded = load_job(job)
    with Intent(place, loaded, Options()), open_store(place) as store:  # as the command line does
        run(store, place, loaded)


def main(home: str, job: str) -> None:
    for line in sys.stdin:
        seconds = float(line)
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                child(home, job)
                os._exit(0)
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
            finally:
                os._exit(1)
        if seconds >= 0:
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{code} {time.monotonic() - began:.3f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
