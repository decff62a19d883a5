"""Identity: whose a scene's key is. A file may be edited, and may be moved; two files are two scenes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortigraph.graph.errors import InputError
from cortigraph.graph.store import Store, Transaction
from cortigraph.reasoning.solving.problem import Problem

__all__ = ["check_identity"]

_SHORT = 60  # characters of a text in a message
# A scene without searches is nobody's: it was forgotten, or came by a job.
_KNOWN = """
MATCH (s:Scene {key: $key})<-[:FOR_SCENE]-(search:Search)
OPTIONAL MATCH (s)-[:POSED_ON]->(d:Dataset)
RETURN s.file AS file, s.text AS text, d.fingerprint AS fingerprint, search.base AS base
ORDER BY search.started_at DESC LIMIT 1
"""
_INGESTED = "MATCH (d:Dataset {key: $key}) WHERE d.batches IS NOT NULL RETURN d.key AS key"


def check_identity(target: Store | Transaction, problem: Problem) -> None:
    """Makes sure that the scene's key, and its data set's, are its own.

    The scene of a file is the one that was read from that file, whatever it says now; or one that says the same of the
    same samples, for it has moved.

    Args:
        target: The store, or an open transaction; only read.
        problem: The scene, read.

    Raises:
        InputError: They are another's; says whose, and the ways out.
    """
    scene = problem.scene
    for told in target.read(_KNOWN, key=scene.key):
        if not (_same_place(told, problem) or _same_content(told, problem)):
            raise InputError(
                f"scene key {scene.key!r} is that of {told['file'] or told['base']} ({_short(told['text'])}), and "
                f"{scene.file or scene.base} is another scene ({_short(scene.text)}); write a key of its own into it, "
                f"such as `key: {scene.key}-2`, or free this one: cortigraph forget {scene.key}"
            )
    if scene.data is not None and target.read(_INGESTED, key=problem.dataset_key):
        raise InputError(
            f"data set {problem.dataset_key!r} came by a job, and this scene's own would have that key; write "
            f"`dataset: {problem.dataset_key}` to use it, or give the scene another key"
        )


def _same_place(told: Mapping[str, Any], problem: Problem) -> bool:
    file, base = problem.scene.file, problem.scene.base.resolve()
    if told["file"] and file:
        return bool(told["file"] == str(file))
    return bool(told["base"] == str(base))


def _same_content(told: Mapping[str, Any], problem: Problem) -> bool:
    return (told["text"], told["fingerprint"]) == (problem.scene.text, problem.dataset.fingerprint)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHORT else f"{text[:_SHORT]}…")
