"""Tables of a history."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from codex_trace import _core
from codex_trace._wanted import Path, Paths, Time, wanted

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    from typing_extensions import CapsuleType

_T = TypeVar("_T")

#: How much of prompts, answers, commands and outputs the tables hold.
Content = Literal["full", "short", "none"]
#: How Parquet files are compressed.
Compression = Literal["zstd", "snappy", "gzip", "lz4", "brotli", "none"]

#: How much of a table is put together before it is written, in bytes.
_ROW_GROUP = 8 << 20


def _taken(take: Callable[[], _T]) -> _T:
    """Lets an interrupt through that a reader has made an error of its own of."""
    try:
        return take()
    except Exception:
        # A signal that came meanwhile is raised here, before the error is.
        for _ in range(2):
            pass
        raise


class Table:
    """A table whose rows are read when somebody takes them, each time anew.

    Whatever reads Arrow's stream interface takes it as it is:
    `polars.DataFrame(table)`, `pyarrow.table(table)`, `from table` in DuckDB.
    """

    def __init__(self, table: _core.Table, name: str) -> None:
        self._table = table
        self._name = name

    @property
    def name(self) -> str:
        """`spans`, `calls`, `items`, `sessions` or `problems`."""
        return self._name

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._table.columns

    def __arrow_c_schema__(self) -> CapsuleType:
        return self._table.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> CapsuleType:
        return self._table.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pyarrow.Table:
        """Reads all rows into a table of pyarrow."""
        import pyarrow

        return _taken(lambda: pyarrow.table(self))

    def to_batches(self) -> pyarrow.RecordBatchReader:
        """Reads batch by batch with pyarrow."""
        import pyarrow

        return pyarrow.RecordBatchReader.from_stream(self)

    def to_polars(self) -> polars.DataFrame:
        """Reads all rows into a data frame of polars."""
        import polars

        return _taken(lambda: polars.DataFrame(self))

    def to_pandas(self) -> pandas.DataFrame:
        """Reads all rows into a data frame of pandas, by way of pyarrow."""
        import pandas

        return pandas.DataFrame(self.to_arrow().to_pandas())

    def write_parquet(self, path: Path, *, compression: Compression = "zstd") -> None:
        """Writes all rows into a Parquet file, a few megabytes at a time, with pyarrow.

        The file has its name once it is complete.
        """
        import pyarrow.parquet

        target = os.fspath(path)
        unfinished = f"{target}.tmp-{os.getpid()}"
        reader = self.to_batches()

        def write() -> None:
            with pyarrow.parquet.ParquetWriter(
                unfinished, reader.schema, compression=compression
            ) as writer:
                group: list[pyarrow.RecordBatch] = []
                for batch in reader:
                    group.append(batch)
                    if sum(it.nbytes for it in group) >= _ROW_GROUP:
                        writer.write_table(pyarrow.Table.from_batches(group))
                        group = []
                if group:
                    writer.write_table(pyarrow.Table.from_batches(group))

        try:
            _taken(write)
            os.replace(unfinished, target)
        finally:
            if os.path.exists(unfinished):
                os.unlink(unfinished)

    def __repr__(self) -> str:
        return f"<codex_trace.Table {self.name}: {len(self.columns)} columns>"


class Scan(Table):
    """A history: the table of its spans, with the other tables beside it."""

    def __init__(self, scan: _core.Scan) -> None:
        super().__init__(scan.table("spans"), "spans")
        self._scan = scan

    @property
    def spans(self) -> Table:
        """A row for each thread, turn, model call, tool call and compaction."""
        return self.table("spans")

    @property
    def calls(self) -> Table:
        """A row for each model call, with tokens and cost."""
        return self.table("calls")

    @property
    def items(self) -> Table:
        """A row for each message, thought, tool call and tool output."""
        return self.table("items")

    @property
    def sessions(self) -> Table:
        """A row for each session, subagents included."""
        return self.table("sessions")

    @property
    def problems(self) -> Table:
        """A row for each thing that was odd or could not be read."""
        return self.table("problems")

    def table(self, name: str) -> Table:
        """One of the tables by its name."""
        return Table(self._scan.table(name), name)

    def files(self) -> list[str]:
        """The files of all sessions that were found."""
        return self._scan.files()

    def __len__(self) -> int:
        """How many sessions were found, before `since`, `until` and `model`."""
        return len(self._scan)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<codex_trace.Scan: {len(self)} sessions>"


def scan(
    home: Paths | None = None,
    *,
    since: Time | None = None,
    until: Time | None = None,
    cwd: Path | None = None,
    model: str | None = None,
    content: Content = "full",
    redact: bool | Iterable[str] = False,
    strict: bool = False,
    prices: Path | None = None,
    timezone: str | None = None,
    threads: int | None = None,
    name: str | None = None,
    called: tuple[str, str] | None = None,
) -> Scan:
    """Finds the sessions of a history; reads none of them yet.

    `home` is a Codex home, any directory, a file, the beginning of a session's
    id, or several of them; without it `CODEX_HOME` or `~/.codex` is read.

    `since`, `until`, `cwd` and `model` choose sessions as the options of the
    command do. `content` says how much text the tables hold: all, the first 400
    bytes of each, or none, and then no places either. `redact` takes secrets
    out; further patterns can be given instead of `True`. With `strict`, the
    first problem ends a read with an error. `prices` is a file as for
    `codex-trace usage --prices`. `name` is what the column `home` says; without
    it, the path that was named. `called` has the beginning of paths, and what
    tables say in its place, for copies of files.

    Raises CodexTraceError if there is nothing there.
    """
    asked = wanted(home, since, until, cwd, model, timezone, threads)
    alone = asked["paths"][0] if len(asked["paths"]) == 1 else None
    patterns = [] if isinstance(redact, bool) else list(redact)
    return Scan(
        _core.Scan(
            asked,
            content=content,
            redact=redact if isinstance(redact, bool) else True,
            patterns=patterns,
            prices=prices,
            home=alone if name is None else name,
            strict=strict,
            called=called,
        )
    )
