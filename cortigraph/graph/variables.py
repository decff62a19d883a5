"""What the environment says of the embedded server, read and checked as a whole before anything is started.

CORTIGRAPH_PORT        a fixed port; 0 or nothing: any
CORTIGRAPH_IDLE        seconds without a client after which it stops; 0: never
CORTIGRAPH_HEAP        its memory, such as 512m or 2g
CORTIGRAPH_PAGECACHE   its memory for pages, such as 64m
CORTIGRAPH_JAVA        further options for its Java
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

from cortigraph.graph.errors import InputError

__all__ = ["Variables", "read_variables"]

_SIZE = re.compile(r"0*[1-9]\d*[kmgKMG]")


@dataclass(frozen=True)
class Variables:
    """How the embedded server is started.

    Args:
        port: To listen on; 0 takes a free one.
        idle: Seconds without a client after which it stops; 0: never.
        heap: Java's memory.
        pages: Neo4j's memory for pages.
        java: Further options.
    """

    port: int = 0
    idle: float = 900.0
    heap: str = "1g"
    pages: str = "256m"
    java: tuple[str, ...] = ()


def read_variables() -> Variables:
    """What the environment says; what it does not say is as usual.

    Raises:
        InputError: Everything that is wrong with it.

    Example:
        >>> os.environ["CORTIGRAPH_IDLE"] = "-3"
        >>> read_variables()
        Traceback (most recent call last):
            ...
        cortigraph.graph.errors.InputError: CORTIGRAPH_IDLE is a number of seconds, 0 for never, got '-3'
        >>> del os.environ["CORTIGRAPH_IDLE"]
    """
    usual = Variables()
    said = {name: os.environ.get(f"CORTIGRAPH_{name}", "").strip() for name in ("PORT", "IDLE", "HEAP", "PAGECACHE")}
    java = tuple(os.environ.get("CORTIGRAPH_JAVA", "").split())
    idle = _number(said["IDLE"] or str(usual.idle))
    port = said["PORT"] or "0"
    wrong = []
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        wrong.append(f"CORTIGRAPH_PORT must be a number from 1 to 65535, got {port!r}")
    if not 0 <= idle < math.inf:
        wrong.append(f"CORTIGRAPH_IDLE is a number of seconds, 0 for never, got {said['IDLE']!r}")
    for name, example in (("HEAP", "512m or 2g"), ("PAGECACHE", "64m or 1g")):
        if said[name] and not _SIZE.fullmatch(said[name]):
            wrong.append(f"CORTIGRAPH_{name} must be a size such as {example}, got {said[name]!r}")
    odd = [word for word in java if not word.startswith("-")]
    if odd:
        wrong.append(f"CORTIGRAPH_JAVA holds options that begin with -, such as -XX:+UseSerialGC, got {odd[0]!r}")
    if wrong:
        raise InputError(wrong)
    return Variables(int(port), idle, said["HEAP"] or usual.heap, said["PAGECACHE"] or usual.pages, java)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
