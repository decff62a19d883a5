"""The shape of the house: imports point one way, help is quick, and what is public is said to be."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cortigraph"
# Each room may import from itself and from those after it; ingest and reasoning stand side by side.
MAY_IMPORT = {
    "cli": {"brain", "ingest", "reasoning", "train", "tables", "regions", "graph"},
    "brain": {"ingest", "reasoning", "train", "tables", "regions", "graph"},
    "ingest": {"train", "tables", "regions", "graph"},
    "reasoning": {"train", "tables", "regions", "graph"},
    "train": {"tables", "regions", "graph"},
    "tables": {"graph"},
    "regions": {"graph"},
    "graph": set(),
}
FILES = sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> set[str]:
    """Rooms that a file imports from, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("cortigraph.")}
    return found


def test_every_room_is_known() -> None:
    rooms = {_room(path) for path in FILES} - {"__init__"}
    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = _room(path)
    if room == "__init__":
        return
    wrong = _imported(path) - MAY_IMPORT[room] - {room}
    assert not wrong, f"{path.relative_to(ROOT)} ({room}) imports from {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_public_is_listed(path: Path) -> None:
    if path.name.startswith("_"):
        return
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert module.__doc__, "a module says what it is for"
    for name in module.__all__:
        assert hasattr(module, name), f"__all__ of {module.__name__} names {name}, which is not there"


def test_files_fit_in_a_head() -> None:
    long = {str(path.relative_to(ROOT)): n for path in FILES if (n := len(path.read_text().splitlines())) > 360}
    assert not long


def _python(code: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout


def test_importing_the_package_imports_nothing_heavy() -> None:
    told = _python(
        "import sys, cortigraph; print([m for m in ('torch', 'neo4j', 'numpy', 'pandas') if m in sys.modules])"
    )
    assert told.strip() == "[]"


def test_help_is_quick_and_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['cortigraph', '--help']\n"
        "from cortigraph.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        "print('HEAVY', [m for m in ('torch', 'neo4j', 'numpy', 'pandas', 'jpype') if m in sys.modules])"
    )
    assert "HEAVY []" in _python(code)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([Path(sys.executable).parent / "cortigraph", "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.5, f"the quickest of five took {min(times):.2f} s"
