"""A data source of Spark 4: `spark.read.format("codex_rollout")`.

    spark.dataSource.register(codex_trace.spark.CodexRollouts)
    calls = (
        spark.read.format("codex_rollout")
        .option("table", "calls")
        .load("s3a://bucket/fleet")
    )

Objects are read by pyarrow, so that no jar of Hadoop is needed. The package has
to be installed where Python workers run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from codex_trace import fleet

__all__ = ["CodexRollouts"]

#: Options whose names begin so are arguments of the file system.
_STORAGE = "storage."

_KNOWN = {
    "path",
    "table",
    "mode",
    "partitionbytes",
    "content",
    "redact",
    "since",
    "until",
    "manifest",
    "homes",
}


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _day(text: str | None) -> date | None:
    """The day of a time; nothing for `last-month` and the like, which choose rows but no files."""
    if text is None or not _DATE.match(text):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


class _Partition(InputPartition):
    def __init__(self, part: fleet.Part) -> None:
        super().__init__(part)
        self.part = part


class CodexRollouts(DataSource):
    """Reads a table of the histories below an address.

    Options: `table` (spans, calls, items, sessions, problems), `mode`
    (permissive, failfast), `partitionBytes`, `content` (full, short, none),
    `redact`, `since`, `until`, `homes`, `manifest`, and `storage.NAME` for the
    arguments of pyarrow's file system.
    """

    @classmethod
    def name(cls) -> str:
        """What `format` calls it."""
        return "codex_rollout"

    def _option(self, name: str, default: str) -> str:
        return str(self.options.get(name, default))

    def schema(self) -> StructType:
        """The columns of the table."""
        from pyspark.sql.pandas.types import from_arrow_schema

        return from_arrow_schema(_nullable(self._option("table", "spans")))

    def reader(self, schema: StructType) -> DataSourceReader:
        """Makes what plans and reads."""
        known = {it.lower() for it in self.options}
        unknown = sorted(it for it in known - _KNOWN if not it.startswith(_STORAGE))
        if unknown:
            raise ValueError(f"codex_rollout has no option `{unknown[0]}`")
        return _Reader(self)


class _Reader(DataSourceReader):
    def __init__(self, source: CodexRollouts) -> None:
        option = source._option
        self.path = option("path", "")
        if not self.path:
            raise ValueError("name an address: load('s3a://bucket/prefix')")
        self.table = option("table", "spans")
        self.partition_bytes = int(option("partitionBytes", str(128 << 20)))
        self.manifest = option("manifest", "") or None
        self.storage = _storage(source.options)
        self.how: dict[str, Any] = {
            "mode": option("mode", "permissive").lower(),
            "content": option("content", "full"),
            "redact": option("redact", "false").lower() == "true",
            "since": option("since", "") or None,
            "until": option("until", "") or None,
        }
        homes = option("homes", "")
        self.homes = [it.strip() for it in homes.split(",") if it.strip()] or None

    # Filters are not pushed down: Spark 4.3 goes on with what one query left of a data frame in
    # the next query on it, so that rows would be missing there.
    def partitions(self) -> Sequence[InputPartition]:
        parts = fleet.plan(
            self.path,
            self.partition_bytes,
            storage=self.storage,
            manifest=self.manifest,
            homes=self.homes,
            since=_day(self.how["since"]),
            until=_day(self.how["until"]),
        )
        return [_Partition(part) for part in parts]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        if not isinstance(partition, _Partition):
            # What Spark makes of no partitions.
            return
        schema = _nullable(self.table)
        for batch in partition.part.read(self.table, **self.how):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _nullable(table: str) -> pa.Schema:
    """The columns as Spark has them: what comes from outside may be null."""
    return pa.schema([field.with_nullable(True) for field in fleet.schema(table)])


def _storage(options: Any) -> dict[str, Any]:
    """The arguments of the file system, with the types that they have."""
    words = {"true": True, "false": False}
    return {
        name[len(_STORAGE) :]: words.get(str(value).lower(), value)
        for name, value in options.items()
        if name.lower().startswith(_STORAGE)
    }
