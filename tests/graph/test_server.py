"""The embedded server's life. Starting one takes seconds, so the tests that need their own share it, in order."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import psutil
import pytest

from cortigraph.graph import _launch, server
from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store

OPEN = """
import sys
from cortigraph.graph import server
from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store
with open_store(Home.resolve(sys.argv[1])) as store:
    assert store.read("RETURN 1 AS x") == [{"x": 1}]
    print(server.status(store.home).pid)
"""


def in_another_process(home: Home) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OPEN, str(home.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A home whose server these tests may kill."""
    home = Home(tmp_path_factory.mktemp("own"))
    yield home
    server.stop(home)


@pytest.fixture(scope="module")
def first_pids(own):
    """Two processes open a fresh home at the same time."""
    processes = [in_another_process(own) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    return [int(output) for output, _ in answers]


# ---- no server needed ---------------------------------------------------------------------------------------------


def test_status_starts_nothing(tmp_path):
    home = Home(tmp_path / "home")
    assert server.status(home) == server.Status(running=False)
    assert not home.root.exists()


def test_stopping_what_does_not_run(tmp_path):
    assert server.stop(Home(tmp_path)) is False


@pytest.mark.parametrize(
    "state",
    [
        '{"pid": 4194300, "create_time": 1.0, "port": 1, "version": "x"}',
        f'{{"pid": {os.getpid()}, "create_time": 1.0, "port": 1, "version": "x"}}',  # the number was given away again
        '{"pid": 1',
        "[]",
        '{"port": 1}',
    ],
    ids=["dead", "given away", "torn", "list", "without a process"],
)
def test_a_stale_state_file_is_cleared(tmp_path, state):
    home = Home(tmp_path)
    path = home.database / "server.json"
    path.write_text(state)
    assert not server.status(home).running
    assert not path.exists()


def test_a_stale_state_file_of_a_process_that_is_not_ours_harms_nobody(tmp_path):
    home = Home(tmp_path)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        state = {"pid": bystander.pid, "create_time": 1.0, "port": 1, "version": "x"}
        (home.database / "server.json").write_text(json.dumps(state))
        assert server.stop(home) is False
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_full_disk_is_noticed_before_the_start(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=150 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match=r"disk is full: 150 MB .* needs 200; .*CORTIGRAPH_HOME"):
        server.ensure(Home(tmp_path))


def test_a_port_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTIGRAPH_PORT", "many")
    with pytest.raises(InputError, match="CORTIGRAPH_PORT must be a number"):
        server.ensure(Home(tmp_path))


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("java.io.IOException: No space left on device", "disk is full"),
        ("java.lang.OutOfMemoryError: Java heap space", "CORTIGRAPH_HEAP"),
        ("java.net.BindException: Address already in use", "port 7687 is taken"),
        ("java.lang.UnsupportedClassVersionError: …", "wrong Java"),
        ("org.neo4j.io.locker.FileLockException: Lock file has been locked by another process", "in use"),
        ("org.neo4j.kernel.impl.store.UnderlyingStorageException: damaged", "restore a backup"),
        ("something new", "the cause is in the log"),
    ],
)
def test_a_failed_start_is_explained(tmp_path, said, meaning):
    log = tmp_path / "server.log"
    log.write_text(f"the last time\n{said}\n")
    text = _launch._explain("", log, len("the last time\n"), 7687)
    assert meaning in text
    assert said in text
    assert "the last time" not in text


def test_the_password_stays_out_of_repr():
    assert "hush" not in repr(server.Address("bolt://x", "neo4j", "hush"))


# ---- one server of our own, in order ------------------------------------------------------------------------------


@pytest.mark.store
def test_two_processes_that_open_a_fresh_home_at_once_share_one_server(own, first_pids):
    assert len(set(first_pids)) == 1
    assert server.status(own).pid == first_pids[0]


@pytest.mark.store
def test_it_outlives_its_starter_and_the_second_open_is_quick(own, first_pids):
    began = time.perf_counter()
    server.ensure(own)
    assert time.perf_counter() - began < 1
    process = psutil.Process(first_pids[0])
    assert process.ppid() != os.getpid()
    assert os.getsid(process.pid) != os.getsid(0)


@pytest.mark.store
def test_only_the_user_can_read_the_password(own, first_pids):
    path = own.database / "password"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text()) >= 24
    assert not (own.database / "password.new").exists()
    assert path.read_text() not in (own.database / "server.log").read_text()
    assert path.read_text() not in (own.database / "neo4j.conf").read_text()


@pytest.mark.store
def test_it_listens_on_this_machine_only_and_knows_no_default_password(own, first_pids):
    import neo4j

    sockets = psutil.Process(first_pids[0]).net_connections(kind="tcp")
    assert {s.laddr.ip.removeprefix("::ffff:") for s in sockets if s.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    uri = server.ensure(own).uri
    with (
        neo4j.GraphDatabase.driver(uri, auth=("neo4j", "neo4j")) as driver,
        pytest.raises(neo4j.exceptions.AuthError),
    ):
        driver.verify_connectivity()


@pytest.mark.store
def test_killed_under_an_open_store_it_comes_back_with_all_that_was_committed(own, first_pids):
    with open_store(own) as store:
        store.write("CREATE (:Area {key: 'committed'})")
        os.kill(first_pids[0], signal.SIGKILL)
        psutil.wait_procs([psutil.Process(first_pids[0])] if psutil.pid_exists(first_pids[0]) else [], timeout=10)
        assert store.read("MATCH (n:Area) RETURN n.key AS key") == [{"key": "committed"}]
        store.write("CREATE (:Area {key: 'after'})")
    assert server.status(own).pid != first_pids[0]


@pytest.mark.store
def test_killed_between_the_two_steps_of_the_password_it_still_starts_and_idle_it_stops(own, first_pids, monkeypatch):
    server.stop(own)
    (own.database / "password").rename(own.database / "password.new")  # as if killed before the rename
    monkeypatch.setenv("CORTIGRAPH_IDLE", "2")
    with open_store(own) as store:
        assert (own.database / "password").exists()
        time.sleep(3.5)  # longer than the idle time: an open store keeps the server
        assert store.read("MATCH (n:Area) RETURN count(n) AS n") == [{"n": 2}]
    deadline = time.monotonic() + 20
    while server.status(own).running and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not server.status(own).running


@pytest.mark.store
def test_a_fixed_port_that_is_taken_is_named_and_a_lost_password_is_replaced(own, first_pids, monkeypatch):
    server.stop(own)
    (own.database / "password").unlink()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("CORTIGRAPH_PORT", str(port))
        with pytest.raises(StoreError, match=rf"port {port} is taken: set CORTIGRAPH_PORT"):
            server.ensure(own)
    assert not server.status(own).running
    with open_store(own) as store:  # the port is free again
        assert store.uri.endswith(f":{port}")
        assert store.read("MATCH (n:Area) RETURN count(n) AS n") == [{"n": 2}]


@pytest.mark.store
def test_a_heap_that_java_refuses_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTIGRAPH_HEAP", "lots")
    with pytest.raises(InputError, match="CORTIGRAPH_HEAP must be a size"):
        server.ensure(Home(tmp_path))


@pytest.mark.store
def test_a_disk_that_fills_up_during_the_start_is_explained(tmp_path, monkeypatch):
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        monkeypatch.setattr(_launch, "NEEDED_MEGABYTES", 0)
        with pytest.raises(StoreError, match="the disk is full"):
            server.ensure(Home(folder / "home"))
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
