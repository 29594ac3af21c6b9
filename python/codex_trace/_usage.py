"""Tokens and costs, and the records of one file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from codex_trace import _core
from codex_trace._wanted import Path, Paths, Time, wanted


def usage(
    home: Paths | None = None,
    *,
    by: str | Iterable[str] = "day",
    since: Time | None = None,
    until: Time | None = None,
    cwd: Path | None = None,
    model: str | None = None,
    timezone: str | None = None,
    prices: Path | None = None,
    strict: bool = False,
    threads: int | None = None,
) -> list[dict[str, Any]]:
    """Counts the model calls of a history: the rows of `codex-trace usage --json`.

    `by` is `total`, `hour`, `day`, `week`, `month`, `model`, `session`,
    `directory`, `branch`, `repository` or `source`, or several of them, or
    `tool` alone, which counts tool calls, their failures and their time. Days
    begin in UTC, or in the `timezone` that is named. For tokens, content is not
    read, which makes this several times faster than the tables.
    """
    words = by.split(",") if isinstance(by, str) else list(by)
    asked = wanted(home, since, until, cwd, model, timezone, threads)
    text = _core.usage(asked, by=words, prices=prices, strict=strict)
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows


class RolloutReader:
    """The records of one rollout as dicts, in the order of the file.

    Compressed files and those of any version of Codex are read; a record has the
    keys that it has in the file. What is no record is in `errors`, as line and
    reason, or raises CodexTraceError with `strict`.
    """

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        self._records = _core.Records(path)
        self._strict = strict
        self._path = path
        #: The lines that could not be read so far, and why.
        self.errors: list[tuple[int, str]] = []
        #: The line of the record that came last.
        self.line = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        for line, text, error in self._records:
            self.line = line
            if text is not None:
                record: dict[str, Any] = json.loads(text)
                return record
            if self._strict:
                raise _core.CodexTraceError(f"{self._path}: line {line}: {error}")
            self.errors.append((line, str(error)))
        raise StopIteration
