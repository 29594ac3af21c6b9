"""The native half of codex_trace: use the package itself."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, TypedDict, final

from typing_extensions import CapsuleType, Self

__all__ = ["CodexTraceError", "Records", "Scan", "Schema", "Table", "Traces", "__version__", "head", "usage"]

__version__: str

class CodexTraceError(Exception): ...

class _Wanted(TypedDict):
    paths: Sequence[str]
    homes: Sequence[str]
    since: str | None
    until: str | None
    cwd: str | None
    model: str | None
    timezone: str | None
    threads: int | None

class _Head(TypedDict):
    is_rollout: bool
    is_document: bool
    ids: list[str]
    reviews: bool
    cwd: str | None
    created: str | None

@final
class Scan:
    def __new__(
        cls,
        wanted: _Wanted,
        *,
        content: str,
        redact: bool,
        patterns: Sequence[str],
        prices: str | PathLike[str] | None,
        home: str | None,
        strict: bool,
        called: tuple[str, str] | None = None,
    ) -> Self: ...
    def __len__(self) -> int: ...
    def files(self) -> list[str]: ...
    def table(self, name: str) -> Table: ...
    def traces(self) -> Traces: ...

@final
class Table:
    @property
    def columns(self) -> list[str]: ...
    def __arrow_c_schema__(self) -> CapsuleType: ...
    def __arrow_c_stream__(self, requested_schema: Any = None) -> CapsuleType: ...

@final
class Schema:
    def __new__(cls, name: str) -> Self: ...
    def __arrow_c_schema__(self) -> CapsuleType: ...

@final
class Traces:
    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...

@final
class Records:
    def __new__(cls, path: str | PathLike[str]) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> tuple[int, str | None, str | None]: ...

def usage(
    wanted: _Wanted,
    *,
    by: Sequence[str],
    prices: str | PathLike[str] | None,
    strict: bool,
) -> str: ...
def head(name: str | PathLike[str], data: bytes, whole: bool) -> _Head | None: ...
