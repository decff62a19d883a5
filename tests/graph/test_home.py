from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cortigraph.graph.errors import SetupError
from cortigraph.graph.home import Home, shared_cache


def test_an_argument_wins_over_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTIGRAPH_HOME", str(tmp_path / "environment"))
    assert Home.resolve(tmp_path / "given").root == tmp_path / "given"
    assert Home.resolve().root == tmp_path / "environment"


def test_without_either_it_is_the_platforms_folder(monkeypatch):
    monkeypatch.delenv("CORTIGRAPH_HOME", raising=False)
    assert "cortigraph" in Home.resolve().root.parts


def test_the_root_is_absolute_and_resolving_creates_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = Home.resolve("here")
    assert home.root == tmp_path / "here"
    assert not home.root.exists()


def test_folders_come_into_being_private(tmp_path):
    home = Home(tmp_path / "home")
    for folder in (home.database, home.weights, home.cache, home.work):
        assert folder.is_dir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_in_the_way_is_a_clear_error(tmp_path):
    (tmp_path / "home").write_text("not a folder")
    with pytest.raises(SetupError, match="CORTIGRAPH_HOME"):
        _ = Home(tmp_path / "home").database


def test_the_shared_cache_follows_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTIGRAPH_CACHE", str(tmp_path / "cache"))
    assert shared_cache() == Path(tmp_path / "cache")
    assert shared_cache().is_dir()
