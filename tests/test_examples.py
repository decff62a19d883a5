"""The examples run, and keep what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cortigraph.graph import server
from cortigraph.graph.home import Home

DIGITS = Path(__file__).parent.parent / "examples" / "digits"


@pytest.mark.store
def test_the_demo_ends_with_its_contract(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    command = [sys.executable, DIGITS / "demo.py", "--seeds", "0", "--trials", "2", "--out", tmp_path / "out"]
    try:
        ran = subprocess.run(
            [*map(str, command), "--home", str(home.root)], capture_output=True, text=True, check=False, timeout=280
        )
    finally:
        server.stop(home)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    accuracy = told["accuracy"]
    assert accuracy["pathway"] > max(accuracy["image"], accuracy["audio"])
    assert set(told["memory"]) >= {"trials_cold", "trials_warm"}
    assert told["seconds"] > 0
    assert "Which regions did best alone" in ran.stdout
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["pathway-0.png", "search-0.png"]


def test_no_voice_and_no_digit_is_in_two_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DIGITS))
    import data

    for seed in range(3):
        hands = [hand for scene in data.SCENES for hand in data.voices_of(scene, seed)]
        names = [voice.name for hand in hands for voice in hand]
        assert len(hands) == 6
        assert len(names) == len(set(names)) == 96
        split = data.splits_of_digits(1797, seed)
        assert set(split) == {0, 1, 2}
        assert all(len(set(split[start : start + data.BLOCK])) == 1 for start in range(0, 1797, data.BLOCK))
