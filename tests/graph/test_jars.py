"""A small lock and a Maven repository on this machine stand in for 230 jars and Maven Central."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
import time
from pathlib import Path

import pytest

from cortigraph.graph import jars
from cortigraph.graph.errors import SetupError

CONTENT = {"one": b"the first jar" * 100, "two": b"the second jar" * 100}


class Repository(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, cuts short what it is told to, and counts."""

    def __init__(self, *args, requests, cut, **keywords):
        self.requests, self.cut = requests, cut
        super().__init__(*args, **keywords)

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        if name.endswith(".jar"):
            self.requests.append(name)
            if self.cut.get(name, 0) > 0:
                self.cut[name] -= 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"half")
                return
        super().do_GET()

    def log_message(self, *_):
        pass


class Remote:
    def __init__(self) -> None:
        self.requests: list[str] = []
        self.cut: dict[str, int] = {}
        self.url = ""


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """Two jars in the lock, and a repository that has them; no mvn."""
    folder = tmp_path / "repository"
    lock = []
    for name, content in CONTENT.items():
        place = folder / "org/example" / name / "1.0"
        place.mkdir(parents=True)
        (place / f"{name}-1.0.jar").write_bytes(content)
        (place / f"{name}-1.0.jar.sha1").write_text(hashlib.sha1(content).hexdigest())
        lock.append(jars.Jar("org.example", name, "1.0", "", hashlib.sha256(content).hexdigest(), len(content)))
    remote = Remote()
    handler = functools.partial(Repository, directory=folder, requests=remote.requests, cut=remote.cut)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    remote.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", remote.url)
    monkeypatch.setattr(jars, "locked", lambda: tuple(lock))
    monkeypatch.setenv("PATH", "/nowhere")
    yield remote
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def fake_maven(tmp_path, monkeypatch, script: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "mvn").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_lock_is_whole():
    lock = jars.locked()
    assert len(lock) == len({jar.file_name for jar in lock}) == 230
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in lock)
    assert "neo4j-2026.09.0.jar" in {jar.file_name for jar in lock}


def test_without_mvn_jgo_fetches(remote, cache):
    seen = []
    paths = jars.fetch(cache, lambda *step: seen.append(step))
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert seen[-1][:2] == (2, 2)
    assert jars.present(cache)


def test_the_second_call_fetches_nothing_and_is_instant(remote, cache):
    jars.fetch(cache)
    remote.requests.clear()
    began = time.perf_counter()
    jars.fetch(cache)
    assert time.perf_counter() - began < 0.05
    assert remote.requests == []


def test_mvn_that_fails_is_stepped_over(remote, cache, tmp_path, monkeypatch):
    fake_maven(tmp_path, monkeypatch, "echo '[ERROR] no such plugin'; exit 1")
    assert len(jars.fetch(cache)) == 2


def test_mvn_is_asked_for_just_the_locks_jars(remote, cache, tmp_path, monkeypatch):
    fake_maven(tmp_path, monkeypatch, f'cp "$4" {tmp_path}/seen.xml; exit 1')
    jars.fetch(cache)
    pom = (tmp_path / "seen.xml").read_text()
    assert pom.count("<dependency>") == pom.count("<exclusion>") == 2


def test_a_truncated_jar_is_fetched_once_more(remote, cache):
    remote.cut["two-1.0.jar"] = 1
    assert jars.fetch(cache)[1].read_bytes() == CONTENT["two"]
    assert remote.requests.count("two-1.0.jar") == 2
    assert remote.requests.count("one-1.0.jar") <= 2


def test_a_jar_that_stays_wrong_is_an_error_and_nothing_is_kept(remote, cache):
    remote.cut["two-1.0.jar"] = 9
    with pytest.raises(SetupError, match=r"1 of 2 jars of Neo4j are missing \(two-1.0.jar\)"):
        jars.fetch(cache)
    assert not jars.present(cache)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_a_jar_damaged_later_is_noticed_and_mended(remote, cache):
    path = jars.fetch(cache)[0]
    path.write_bytes(b"cut")
    remote.requests.clear()
    assert not jars.present(cache)
    assert jars.fetch(cache)[0].read_bytes() == CONTENT["one"]
    assert remote.requests == ["one-1.0.jar"]


def test_a_folder_copied_without_its_marker_is_verified_and_taken(remote, cache):
    jars.fetch(cache)
    (cache / f"neo4j-{jars.NEO4J_VERSION}" / jars.MARKER).unlink()
    remote.requests.clear()
    jars.fetch(cache)
    assert remote.requests == []


def test_no_network_says_what_to_do(remote, cache, monkeypatch):
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", "http://127.0.0.1:9")
    with pytest.raises(SetupError) as caught:
        jars.fetch(cache)
    for hint in ("127.0.0.1:9", "HTTPS_PROXY", "settings.xml", "CORTIGRAPH_CACHE"):
        assert hint in str(caught.value)


def test_what_a_killed_fetch_left_is_cleared(remote, cache):
    (cache / "fetching-old").mkdir()
    jars.fetch(cache)
    assert not (cache / "fetching-old").exists()


def test_two_at_once_fetch_once(remote, cache):
    threads = [threading.Thread(target=jars.fetch, args=(cache,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(remote.requests) == ["one-1.0.jar", "two-1.0.jar"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_can_not_be_written_is_a_clear_error(remote, cache):
    cache.chmod(0o500)
    with pytest.raises(SetupError, match="CORTIGRAPH_CACHE"):
        jars.fetch(cache)
