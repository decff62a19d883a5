"""A home that is kept and brought back, and backups that are not what they should be."""

from __future__ import annotations

import json
import shutil

import pytest

from cortigraph.graph import server
from cortigraph.graph.errors import InputError
from cortigraph.graph.home import Home
from cortigraph.graph.keep import backup, restore
from cortigraph.graph.store import open_store
from cortigraph.graph.sums import write_sums
from cortigraph.graph.write import merge_edges, merge_nodes


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A home with a little of everything, and its backup."""
    folder = tmp_path_factory.mktemp("keep")
    home = Home(folder / "home")
    with open_store(home) as store:
        rows = [{"key": f"e{i}", "name": f"naïve {i} 🙂", "embedding": [0.1 * i] * 384, "n": i} for i in range(1, 30)]
        merge_nodes(store, "Entity", rows)
        merge_edges(
            store, "KNOWS", "Entity", "Entity", [{"start": "e1", "end": f"e{i}", "w": i / 3} for i in range(2, 9)]
        )
        (home.weights / "ab").mkdir()
        (home.weights / "ab" / "ab.safetensors").write_bytes(b"weights")
        (home.batches / "one").mkdir()
        (home.batches / "one" / "manifest.json").write_text("{}")
        made = backup(home, folder / "backup")
        assert store.read("MATCH (n:Entity) RETURN count(n) AS n") == [{"n": 29}]  # the server is there again
    yield home, made
    server.stop(home)


@pytest.fixture
def copied(kept, tmp_path):
    """A copy of the backup, to be damaged."""
    shutil.copytree(kept[1].path, tmp_path / "copy")
    return tmp_path / "copy"


def test_what_is_kept_comes_back_under_a_new_password(kept, tmp_path):
    home, made = kept
    assert made.content.labels["Entity"] == 29
    assert made.content.types == {"KNOWS": 7}
    assert not list(made.path.rglob("password*"))
    new = Home(tmp_path / "new")
    try:
        assert restore(made.path, new).content == made.content
        assert (new.weights / "ab" / "ab.safetensors").read_bytes() == b"weights"
        assert (new.batches / "one" / "manifest.json").exists()
        assert server.ensure(new).password != server.ensure(home).password
        with open_store(new) as store:
            assert store.read("MATCH (n:Entity {key: 'e3'}) RETURN n.name AS name") == [{"name": "naïve 3 🙂"}]
            merge_nodes(store, "Entity", [{"key": "more"}])
        with pytest.raises(InputError, match="holds a memory already"):
            restore(made.path, new)
    finally:
        server.stop(new)


def test_a_target_that_is_taken_and_a_home_without_a_store(kept, tmp_path):
    with pytest.raises(InputError, match="is there already"):
        backup(kept[0], kept[1].path)
    with pytest.raises(InputError, match="there is no store"):
        backup(Home(tmp_path / "none"), tmp_path / "backup")
    with pytest.raises(InputError, match="is no backup"):
        restore(tmp_path, Home(tmp_path / "none"))


def _largest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def test_damage_is_found_before_anything_is_written(copied, tmp_path):
    home = Home(tmp_path / "home")
    victim = _largest(copied / "database")
    whole = victim.read_bytes()
    for damaged, said in ((whole[:-1], "bytes, expected"), (b"x" + whole[1:], "does not match its checksum")):
        victim.write_bytes(damaged)
        with pytest.raises(InputError, match=said):
            restore(copied, home)
    victim.unlink()
    with pytest.raises(InputError, match="is missing"):
        restore(copied, home)
    victim.symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        restore(copied, home)
    assert not (home.root / "database").exists()


@pytest.mark.parametrize("path", ["../../outside", "/etc/passwd", "weights/../../x", "database/neo4j/conf"])
def test_a_manifest_that_names_a_place_outside_is_refused(copied, tmp_path, path):
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["files"][path] = {"size": 1, "sha256": "0"}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    write_sums(copied, ["manifest.json"])
    with pytest.raises(InputError, match="no place in a backup"):
        restore(copied, Home(tmp_path / "home"))


def test_a_newer_schema_is_refused_and_half_a_manifest_too(copied, tmp_path):
    path = copied / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["content"]["schema"] = 999
    path.write_text(json.dumps(manifest))
    write_sums(copied, ["manifest.json"])
    with pytest.raises(InputError, match="schema version 999"):
        restore(copied, Home(tmp_path / "home"))
    path.write_text(path.read_text()[:50])
    with pytest.raises(InputError, match="damaged"):
        restore(copied, Home(tmp_path / "home"))
