"""Options that many commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["HomeOption", "Json", "JsonArray"]

HomeOption = Annotated[str | None, typer.Option("--home", help="The home folder; else CORTIGRAPH_HOME.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
JsonArray = Annotated[bool, typer.Option("--json", help="One JSON array.")]
