"""The homes of testdata, and the command to compare with."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "testdata"
HOMES = sorted((TESTDATA / "homes").iterdir())


def command() -> str | None:
    """The command: that of the wheel, or the one that cargo built last."""
    named = os.environ.get("CODEX_TRACE_COMMAND")
    built = ROOT / "target" / "debug" / "codex-trace"
    return named or shutil.which("codex-trace") or (str(built) if built.exists() else None)


class Command:
    """Runs the command."""

    def __init__(self, path: str) -> None:
        self.path = path

    def run(self, *args: str) -> str:
        done = subprocess.run(
            [self.path, *args], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    def usage(self, home: pathlib.Path, by: str = "total") -> dict[str, Any]:
        usage: dict[str, Any] = json.loads(self.run("usage", str(home), "--json", "--by", by))
        return usage

    def convert(self, home: pathlib.Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("convert", "-q", str(home)).splitlines()]


@pytest.fixture(scope="session")
def cli() -> Command:
    path = command()
    if path is None:
        pytest.skip("codex-trace is neither in PATH nor in target/debug")
    return Command(path)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "home" in metafunc.fixturenames:
        metafunc.parametrize("home", HOMES, ids=lambda home: home.name)
