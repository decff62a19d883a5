from __future__ import annotations

import pytest

from cortigraph.graph import _driver
from cortigraph.graph.errors import InputError, SetupError
from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store
from cortigraph.graph.variables import Variables, read_variables

WRONG = {
    "CORTIGRAPH_IDLE": ["abc", "-1", "nan", "inf", "1,5", "10s"],
    "CORTIGRAPH_PORT": ["x", "-1", "65536", "1.5", "²"],
    "CORTIGRAPH_HEAP": ["lots", "0m", "-1g", "2 g", "2"],
    "CORTIGRAPH_PAGECACHE": ["lots", "0m", "-1g"],
    "CORTIGRAPH_JAVA": ["foo", "-Xint foo"],
}


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    for name in WRONG:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_variable_is_refused_before_anything_is_started(name, value, monkeypatch, tmp_path):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=name):
        open_store(Home.resolve(tmp_path / "home"))
    assert not (tmp_path / "home").exists()


def test_all_that_is_wrong_is_told_at_once(monkeypatch):
    for name, values in WRONG.items():
        monkeypatch.setenv(name, values[0])
    with pytest.raises(InputError) as error:
        read_variables()
    assert len(error.value.problems) == len(WRONG)


def test_what_is_not_said_is_as_usual(monkeypatch):
    monkeypatch.setenv("CORTIGRAPH_IDLE", "")
    assert read_variables() == Variables()
    monkeypatch.setenv("CORTIGRAPH_IDLE", "0")
    monkeypatch.setenv("CORTIGRAPH_HEAP", "2g")
    assert read_variables() == Variables(idle=0.0, heap="2g")


@pytest.mark.parametrize(
    "uri", ["", "x", "http://x", "neo4j://", "bolt://h:99999", "bolt://h:x", "bolt://[::1", "bolt://a b", "bolt://h:0"]
)
def test_a_wrong_address_is_refused_before_it_is_asked(uri):
    with pytest.raises(InputError, match="a store's URI"):
        _driver.remote_address(uri, "me", "secret")


@pytest.mark.parametrize("place", ["file", "file/below", "y" * 300, "/".join(["z" * 200] * 30), "/dev/null/x"])
def test_a_home_that_can_be_none_is_told_in_one_line(place, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="choose another with CORTIGRAPH_HOME") as error:
        Home.resolve(tmp_path / place)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["with blanks", "weiß 猫", "[red]$x`'\"", "deep/" + "/".join(["w" * 100] * 8)])
def test_homes_may_be_called_anything_else(name, tmp_path):
    assert Home.resolve(tmp_path / name).weights.is_dir()
