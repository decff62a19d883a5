"""Options that many commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["HomeOption", "Json", "JsonArray", "Limit", "Timeout"]

HomeOption = Annotated[str | None, typer.Option("--home", help="The home folder; else CORTIGRAPH_HOME.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
JsonArray = Annotated[bool, typer.Option("--json", help="One JSON array.")]
Limit = Annotated[int | None, typer.Option("--limit", min=0, help="Show so many rows at most.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", help="Seconds after which a query is ended, on the server too.")
]
