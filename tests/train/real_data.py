"""Real data, where it is there: under `CORTIGRAPH_DATA`, else `../shared/data` from the project's root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("CORTIGRAPH_DATA") or Path(__file__).parents[2].parent / "shared" / "data").resolve()


def needs_data(*names: str) -> pytest.MarkDecorator:
    """Skips a test where a folder of the real data is absent, and says which."""
    absent = [name for name in names if not (DATA / name).exists()]
    return pytest.mark.skipif(bool(absent), reason=f"no {', '.join(absent)} in {DATA}; set CORTIGRAPH_DATA")
