"""Sets up everything that cortigraph needs, in `.venv`: run by `make setup`, skipped where it is done already.

Needs Python 3.11+ and the network; a C++ compiler for Horovod alone. Standard library only: it runs before anything
is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / ".setup"
LOG = VENV / "setup.log"
PYTHON = VENV / "bin" / "python"
HOROVOD = "horovod==0.28.1"
BUILD_TOOLS = ("setuptools>=77,<81", "wheel", "packaging", "cffi", "cmake", "cloudpickle", "psutil", "pyyaml")


class StepFailedError(Exception):
    """A step did not work; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """One thing to set up.

    Args:
        about: What a person reads while it runs, with how long it takes the first time and why.
        inputs: Files and texts that decide whether it must run again.
        run: Does it.
        without: What is true without it, if everything else works; else it must not fail.
    """

    name: str
    about: str
    inputs: tuple[str, ...]
    run: Callable[[], None]
    without: str = ""

    @property
    def left_out(self) -> Path:
        """There if the step failed, and everything else goes on without it."""
        return self.stamp.with_name(f"{self.stamp.name}.left-out")

    @property
    def stamp(self) -> Path:
        """There if the step is done, for these inputs and this Python."""
        digest = hashlib.sha256("\0".join((*self.inputs, sys.version)).encode()).hexdigest()[:16]
        return STAMPS / f"{self.name}-{digest}"


def call(*command: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command; its output goes to the log, a line of progress to the screen.

    Raises:
        StepFailedError: It did not exit with 0; carries the end of what it printed.
    """
    started = beat = time.monotonic()
    with LOG.open("ab") as log:
        before = log.tell()
        process = subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=log, env={**os.environ, **(env or {})}
        )
        while process.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - beat > (1 if sys.stdout.isatty() else 30):
                beat = time.monotonic()
                end = "\r" if sys.stdout.isatty() else "\n"
                print(f"    … {beat - started:4.0f} s   ", end=end, flush=True)
    if process.returncode:
        with LOG.open("rb") as log:
            log.seek(before)
            tail = log.read().decode(errors="replace").splitlines()[-12:]
        raise StepFailedError("\n".join(["      " + line for line in tail]) or f"exit code {process.returncode}")


def make_venv() -> None:
    call(sys.executable, "-m", "venv", VENV)
    call(PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "pip")


def pip_install(*what: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Install with the versions that the tests pass with."""
    call(PYTHON, "-m", "pip", "install", "--progress-bar", "off", "-c", ROOT / "constraints.txt", *what, env=env)


def install_packages() -> None:
    pip_install(*BUILD_TOOLS)
    pip_install("--no-build-isolation", "-e", f"{ROOT}[dev,demo]")


def build_horovod() -> None:
    """Horovod 0.28.1 comes as source that asks for C++14; today's torch needs C++20, so the flag must come last."""
    compiler = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
    if compiler is None:
        raise StepFailedError(
            "      no C++ compiler found (g++, c++ or clang++); on Debian or Ubuntu: apt-get install g++ make"
        )
    wrapper = STAMPS / "cxx"
    wrapper.write_text(f'#!/bin/sh\nexec "{compiler}" "$@" -std=gnu++20\n')
    wrapper.chmod(0o755)
    env = {
        "CXX": str(wrapper),
        "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
        "HOROVOD_WITH_PYTORCH": "1",
        "HOROVOD_WITH_GLOO": "1",
        "HOROVOD_WITHOUT_MPI": "1",
        "HOROVOD_WITHOUT_TENSORFLOW": "1",
        "HOROVOD_WITHOUT_MXNET": "1",
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    probe = (PYTHON, "-c", "import horovod.torch")
    pip_install("--no-build-isolation", HOROVOD, env=env)
    try:
        call(*probe)
    except StepFailedError:  # pip kept a wheel that was built against another torch
        pip_install("--no-build-isolation", "--no-cache-dir", "--force-reinstall", "--no-deps", HOROVOD, env=env)
        call(*probe)


def fetch_neo4j() -> None:
    call(PYTHON, "-c", "from cortigraph.graph.jars import fetch; fetch()")


def prepare_starts() -> None:
    call(VENV / "bin" / "cortigraph", "db", "prepare")


def steps() -> list[Step]:
    """What there is to do, in order."""
    here = Path(__file__).read_text()
    pins = (ROOT / "constraints.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    lock = (ROOT / "cortigraph" / "graph" / "neo4j.lock").read_text()
    return [
        Step("venv", "virtual environment in .venv (seconds)", (), make_venv),
        Step("packages", "torch and friends (about 2½ minutes the first time: 2 GB to download)", (pins, str(ROOT)),
             install_packages),
        Step("neo4j", "Neo4j's server, checked by its hashes (10 to 100 s the first time: 155 MB)", (lock,),
             fetch_neo4j),
        Step("starts", "quick starts of that server (about 40 s the first time: Java's classes are linked once)",
             (lock, pins), prepare_starts, without="starts take twice as long"),
        Step("horovod", "Horovod (about 3½ minutes the first time: it is compiled here against this torch)",
             (HOROVOD, pins, here), build_horovod, without="everything but the Horovod engine works"),
    ]  # fmt: skip


def main() -> int:
    """Runs what is not done yet; with `--retry`, also what was left out before. Returns the exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file that an older Python may be asked to run
        print(f"expected Python 3.11 or newer, got {sys.version.split()[0]}; try: make setup PYTHON=python3.11")
        return 2
    retry = "--retry" in sys.argv
    todo = [step for step in steps() if not step.stamp.exists() and (retry or not step.left_out.exists())]
    for step in steps():
        if step.left_out.exists() and step not in todo:
            print(f"{step.name} was left out when it failed; `make setup` tries again", flush=True)
    for number, step in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {step.about}", flush=True)
        started = time.monotonic()
        try:
            STAMPS.mkdir(parents=True, exist_ok=True)
            step.run()
        except StepFailedError as failure:
            print(f"{failure}\n    the whole log is in {LOG}", flush=True)
            if not step.without:
                print(f"    {step.name} failed; mend what it says and run the same command again: it goes on from here")
                return 1
            print(f"    {step.name} is left out: {step.without}. Mend what it says"
                  f" and run `make setup` to add it.", flush=True)  # fmt: skip
            step.left_out.touch()
            continue
        for old in STAMPS.glob(f"{step.name}-*"):
            old.unlink()
        step.stamp.touch()
        print(f"    done in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
