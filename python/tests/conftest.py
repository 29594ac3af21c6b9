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


def talk(home: pathlib.Path, nth: int, n_bytes: int) -> None:
    """Makes a session that talks a lot."""
    id_ = f"01a1fca4-0000-7000-8000-{nth:012}"
    time = f"2026-11-21T05:{nth:02}:00.000Z"
    lines = [{"type": "session_meta", "payload": {"id": id_, "timestamp": time, "cwd": "/w", "cli_version": "0.150.0"}}]
    text = "so many words " * 600
    for n in range(n_bytes // len(text)):
        part = {"type": "output_text", "text": text}
        message = {"type": "message", "role": "assistant", "content": [part]}
        usage = {"input_tokens": n, "output_tokens": 1, "total_tokens": n + 1}
        count = {"type": "token_count", "info": {"total_token_usage": usage, "last_token_usage": usage}}
        lines.append({"type": "response_item", "payload": message})
        lines.append({"type": "event_msg", "payload": count})
    file = home / "sessions" / f"rollout-2026-11-21T05-{nth:02}-00-{id_}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps({"timestamp": time, **line}) + "\n" for line in lines))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "home" in metafunc.fixturenames:
        metafunc.parametrize("home", HOMES, ids=lambda home: home.name)
