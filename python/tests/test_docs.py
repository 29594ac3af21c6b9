"""The examples of the documentation run as they stand."""

from __future__ import annotations

import pathlib
import re

import pytest

from conftest import ROOT


def examples(page: str) -> str:
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)
    # Those on Spark have tests of their own.
    return "\n".join(it for it in found if "spark." not in it)


@pytest.mark.parametrize("page", ["python.md", "fleet.md"])
def test_examples_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("duckdb", "pandas", "polars", "pyarrow"):
        pytest.importorskip(library)
    monkeypatch.chdir(ROOT)
    code = examples(page)
    assert code.count("\n") > 4
    # In a module of its own: DuckDB looks for tables among the caller's variables.
    exec(compile(code, str(pathlib.Path(page)), "exec"), {"__name__": "example"})
