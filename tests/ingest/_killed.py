"""A process that ingests and is killed: waits for a moment on its input, forks, and lets the child die there.

A moment is a number, then the child kills itself with signal 9 just before it sends that change to the server, or as
soon as all is written if it is -1; or it is a number of seconds such as 0.5, after which its parent kills it.
"""

import itertools
import os
import signal
import sys
import time
from pathlib import Path

import torch

from cortigraph.graph.home import Home
from cortigraph.graph.store import Transaction, open_store
from cortigraph.ingest.apply import run
from cortigraph.ingest.job import load_job
from cortigraph.regions.language import embed_text


def dies_at(moment: int) -> None:
    count = itertools.count(1)
    write = Transaction.write

    def mortal(self, query, /, **parameters):  # type: ignore[no-untyped-def]
        if next(count) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return write(self, query, **parameters)

    Transaction.write = mortal  # type: ignore[method-assign]


def child(home: str, job: str, moment: str) -> None:
    place = Home(Path(home))
    with open_store(place) as store:
        if "." not in moment:
            dies_at(int(moment))
        run(store, place, load_job(job))
        if moment == "-1":
            os.kill(os.getpid(), signal.SIGKILL)


def main(home: str, job: str) -> None:
    torch.set_num_threads(1)  # threads do not survive a fork
    embed_text(["the encoder is loaded once, and not in each child"])
    for line in sys.stdin:
        moment = line.strip()
        pid = os.fork()
        if pid == 0:
            try:
                child(home, job, moment)
                os._exit(0)
            finally:
                os._exit(1)
        if "." in moment:
            time.sleep(float(moment))
            os.kill(pid, signal.SIGKILL)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
