"""What is to be read, as the native half takes it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from codex_trace._core import _Wanted

#: A path, or the beginning of a session's id.
Path = Union[str, "os.PathLike[str]"]
#: One of them, or several.
Paths = Union[Path, Iterable[Path]]
#: A time as `codex-trace --since` takes it (`30d`, `2026-11-21`, `last-month`), or an object.
Time = Union[str, date, datetime]


def homes() -> list[str]:
    """The Codex homes that are read where nothing is named."""
    named = os.environ.get("CODEX_HOME", "")
    if not named:
        return [os.path.expanduser("~/.codex")]
    parts = [named] if os.path.isdir(named) else named.split(",")
    return [os.path.expanduser(part.strip()) for part in parts if part.strip()]


def paths(home: Paths | None) -> list[str]:
    """The paths that are named."""
    if home is None:
        return homes()
    several = [home] if isinstance(home, (str, os.PathLike)) else list(home)
    return [os.path.expanduser(os.fspath(path)) for path in several]


def _time(value: Time | None) -> str | None:
    if isinstance(value, datetime):
        # Without a zone it is one of UTC, as everything that comes out.
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return aware.isoformat()
    return value.isoformat() if isinstance(value, date) else value


def wanted(
    home: Paths | None,
    since: Time | None,
    until: Time | None,
    cwd: Path | None,
    model: str | None,
    timezone: str | None,
    threads: int | None,
) -> _Wanted:
    """Puts it into the form that the native half takes."""
    return {
        "paths": paths(home),
        "homes": homes(),
        "since": _time(since),
        "until": _time(until),
        "cwd": None if cwd is None else os.fspath(cwd),
        "model": model,
        "timezone": timezone,
        "threads": threads,
    }
