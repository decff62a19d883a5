"""Nothing in data steers a terminal, whichever door prints it; and a command leaves in order, however it is ended."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from cortigraph.cli._screen import Console, Text, shown

SCRIPT = Path(sys.executable).with_name("cortigraph")
CLI = Path(__file__).parent.parent / "cortigraph" / "cli"
HOSTILE = "\x1b[31mred \x1b]0;title\x07 \x9b2J \u202eback\u2066 \r over \x08 [bold]x[/] :smile: \x7f\x00"
# Whatever a terminal would obey; the styles that rich itself sets apart.
STEERING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\x1b(?!\\[[0-9;]*m)|\r(?!\n)"
)
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]")
ENDLESS = "UNWIND range(1, 100000000000) AS x RETURN sum(x) AS endless"


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_steers(text):
    assert not STEERING.search(shown(text).replace("\n", "").replace("\t", ""))
    assert "\x1b" not in shown(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_steers_nothing_stays_as_it_is(text):
    assert shown(text) == text


@pytest.mark.parametrize("make", [str, Text], ids=["text", "Text"])
def test_a_console_shows_what_it_is_given(make):
    out = io.StringIO()
    console = Console(file=out, width=400, force_terminal=True, color_system="standard")
    table = Table(HOSTILE, title=make(HOSTILE))
    table.add_row(make(HOSTILE))
    console.print(table)
    console.print(make(HOSTILE), style="bold")
    told = OWN.sub("", out.getvalue())
    assert not STEERING.search(told)
    assert "\x1b" not in told
    assert told.count("[bold]x[/] :smile:") == 4
    assert "\\x1b[31mred" in told


def test_every_command_prints_through_the_screen():
    """The rich console and JSON are made in one place; text goes through the guarded streams."""
    wrong = []
    for path in CLI.glob("*.py"):
        text = path.read_text()
        if path.name != "_screen.py" and re.search(r"from rich\.(console|text) import|sys\.std(out|err)\.write", text):
            wrong.append(f"{path.name}: rich")
        if "json.dumps" in text:
            wrong.append(f"{path.name}: json")
    assert not wrong, "use Console, Text and say_json of cli/_screen.py"


def in_a_terminal(*words: str, keys: str = "", until: str = "", environment: dict[str, str]) -> tuple[int, str]:
    """The exit code and the screen of a command in a terminal; keys are typed once `until` is to be seen."""
    pid, terminal = pty.fork()
    if not pid:
        os.execve(SCRIPT, [str(SCRIPT), *words], {**os.environ, **environment})
    screen, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            screen += part
        if keys and until.encode() in screen:
            os.write(terminal, keys.encode())
            keys = ""
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), screen.decode("utf-8", "replace")


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_a_terminal_sees_harmless_data(clean_store, form):
    clean_store.write("CREATE (:Area {key: 'a', name: $name})", name=HOSTILE)
    query = "MATCH (n:Area) RETURN n.name AS name, n, n.name AS `\\u001b]0;evil\\u0007`"
    home = {"CORTIGRAPH_HOME": str(clean_store.home.root)}
    code, screen = in_a_terminal("cypher", query, "--format", form, environment=home)
    assert code == 0, screen
    assert not STEERING.search(OWN.sub("", screen)), ascii(screen)
    assert "\x1b" not in OWN.sub("", screen)


def test_errors_are_harmless_too(store):
    home = {"CORTIGRAPH_HOME": str(store.home.root)}
    code, screen = in_a_terminal("forget", "x", "--home", f"/dev/null/{HOSTILE[:-1]}", environment=home)
    assert code == 1
    assert "\x1b" not in OWN.sub("", screen)
    assert not STEERING.search(OWN.sub("", screen)), ascii(screen)


def run(store, *words: str, **options) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CORTIGRAPH_HOME": str(store.home.root)}
    return subprocess.run([SCRIPT, *words], capture_output=True, text=True, env=environment, **options)


def test_a_pipe_gets_the_data_as_they_are(clean_store):
    done = run(clean_store, "cypher", "RETURN '\\u001b[31m' AS x", "--format", "csv")
    assert done.stdout == "x\n\x1b[31m\n"


def test_who_stops_reading_ends_it_without_a_word(store):
    words = f"{SCRIPT} cypher 'UNWIND range(1, 100000000000) AS x RETURN x' --format jsonl --home {store.home.root}"
    done = subprocess.run(f"{words} | head -n 2", shell=True, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ('{"x": 1}\n{"x": 2}\n', "")


def test_ctrl_c_ends_a_command_with_one_line(store):
    process = subprocess.Popen(
        [SCRIPT, "cypher", ENDLESS, "--home", str(store.home.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    query = "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery = $query RETURN 1"
    until = time.monotonic() + 60
    while not store.read(query, query=ENDLESS) and time.monotonic() < until:
        time.sleep(0.1)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert (process.returncode, out) == (130, "")
    assert told == "error: stopped: the query was ended on the server, too, and changed nothing\n"
    time.sleep(0.5)
    assert not store.read(query, query=ENDLESS)


def test_a_query_that_takes_too_long_is_told_in_one_line(store):
    done = run(store, "cypher", ENDLESS, "--timeout", "0.5", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "longer than 0.5 s" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [("RETURN 41 + 1 AS x", 0, "42"), ("RETURN 41 + 1 AS x\n\nRETRN", 1, "42"), (":write", 0, ""), ("", 0, "")],
)
def test_the_shell_runs_the_last_query_of_a_pipe(store, typed, code, told):
    done = run(store, "db", "shell", input=typed)
    assert done.returncode == code, done.stderr
    assert told in done.stdout


def test_ctrl_c_in_the_shell_ends_the_query_and_not_the_shell(store):
    home = {"CORTIGRAPH_HOME": str(store.home.root)}
    keys = f"{ENDLESS};\n"
    pid, terminal = pty.fork()
    if not pid:
        os.execve(SCRIPT, [str(SCRIPT), "db", "shell"], {**os.environ, **home})
    screen = b""

    def see(what: bytes) -> None:
        nonlocal screen
        until = time.monotonic() + 60
        while what not in screen and time.monotonic() < until:
            if select.select([terminal], [], [], 0.1)[0]:
                screen += os.read(terminal, 65536)
        assert what in screen, screen
        screen = screen.partition(what)[2]

    see(b"read> ")
    for _ in range(2):  # a second one leaves other commands at once, and not this one
        os.write(terminal, keys.encode())
        time.sleep(1.5)
        os.write(terminal, b"\x03")
        see(b"stopped")
        see(b"read> ")
    os.write(terminal, b"RETURN 41 + 1 AS x;\n:quit\n")
    see(b"42")
    until = time.monotonic() + 30
    while time.monotonic() < until and not os.waitpid(pid, os.WNOHANG)[0]:
        time.sleep(0.05)
        if select.select([terminal], [], [], 0)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:
                continue
    os.close(terminal)
