"""A run that is killed leaves the graph as it was before, or as it is after."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cortigraph.ingest.apply import run
from cortigraph.ingest.job import load_job
from cortigraph.ingest.plan import plan

from .conftest import dump

SCRIPT = Path(__file__).with_name("_killed.py")


@pytest.fixture
def killed(clean_store, home, bars):
    """Gives a function: runs the job of `bars` in a process that dies at a moment; returns its exit code."""
    command = [sys.executable, str(SCRIPT), str(home.root), str(bars)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def die_at(moment):
            print(moment, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield die_at
        process.stdin.close()


def test_killed_at_several_moments(clean_store, home, bars, killed):
    before = dump(clean_store)
    sent = len(plan(clean_store, home, load_job(bars)).cypher)
    for moment in (2, sent // 2, sent):
        assert killed(moment) == -signal.SIGKILL
        assert dump(clean_store) == before
    for seconds in (0.2, 0.4, 0.8):  # by the clock, wherever that is
        killed(seconds)
        assert dump(clean_store) == before or plan(clean_store, home, load_job(bars)).empty
    if dump(clean_store) == before:
        assert killed(-1) == -signal.SIGKILL
    after = dump(clean_store)
    assert len(after[0]) > len(before[0])
    assert run(clean_store, home, load_job(bars)).batch is None
    assert dump(clean_store) == after
