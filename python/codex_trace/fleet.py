"""Histories of many machines below one address: S3, GCS or a directory.

`plan` lists the objects and divides them into parts; `Part.read` reads one of
them, anywhere. Parts are small, can be pickled, and give the same rows in the
same order however often they are read: what Ray, Dask, Lambda or a pool of
processes need. `codex_trace.spark` stands on these two functions.

Each home, the directory above `sessions/`, is a history of its own: a thread
that is in two of them is two threads. A home that is larger than a part is cut
between sessions, never within one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from itertools import groupby
from mmap import mmap
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from codex_trace import _core
from codex_trace._families import Head, families
from codex_trace._scan import Content
from codex_trace._scan import scan as _scan

__all__ = ["TABLES", "Object", "Part", "Unit", "plan", "schema"]

#: The tables that a part can be read as.
TABLES = ("spans", "calls", "items", "sessions", "problems")

Mode = Literal["permissive", "failfast"]

#: How many objects are asked for at once.
_AT_ONCE = 16
#: How much of an object is read for its head, in bytes; more if that is not enough.
_HEAD = 128 << 10
#: How much is copied at a time, in bytes.
_CHUNK = 1 << 20

_IN_HOME = re.compile(r"^(?:(.*)/)?(?:sessions|archived_sessions)/")
#: What a rollout is called anywhere, and what it may be called within a home.
_NAME = re.compile(r"rollout-.*\.json")
_NAME_IN_HOME = re.compile(r"rollout-.*\.json|.*\.jsonl(\.zst|\.gz)?$")
_DAY = re.compile(r"rollout-(\d{4}-\d{2}-\d{2})")
_INDEX = "session_index.jsonl"
#: What clocks and zones may differ by.
_DAY_OR_SO = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Object:
    """An object: its path within the file system, and its size in bytes."""

    path: str
    size: int
    #: When it was put there, by the store's own clock; not known of files.
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """What is read together: a home, or whole session families of one."""

    home: str
    objects: tuple[Object, ...]
    #: The names of the home's threads, if it has any.
    index: Object | None = None

    @property
    def size(self) -> int:
        """The sum of the sizes of its objects, in bytes."""
        return sum(it.size for it in self.objects)


def schema(table: str = "spans") -> pa.Schema:
    """The columns of a table."""
    return pa.schema(_core.Schema(table))  # type: ignore[arg-type]


def filesystem(url: str, storage: Mapping[str, Any] | None = None) -> tuple[fs.FileSystem, str]:
    """The file system of an address, and the path in it.

    `storage` has arguments of pyarrow's `S3FileSystem` or `GcsFileSystem`;
    without, credentials are found where the cloud's own tools find them.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return fs.LocalFileSystem(), str(Path(url).absolute())
    if scheme in ("s3", "s3a", "s3n"):
        if storage:
            return fs.S3FileSystem(**storage), rest.rstrip("/")
        found, path = fs.FileSystem.from_uri(f"s3://{rest}")
        return found, path.rstrip("/")
    if scheme in ("gs", "gcs") and storage:
        return fs.GcsFileSystem(**storage), rest.rstrip("/")
    found, path = fs.FileSystem.from_uri(url)
    return found, path.rstrip("/")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a fleet's histories."""

    #: The address that was planned.
    url: str
    #: The path that the address stands for in its file system.
    base: str
    units: tuple[Unit, ...]
    storage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The sum of the sizes of its objects, in bytes."""
        return sum(unit.size for unit in self.units)

    def address(self, path: str) -> str:
        """The address of an object or a home by its path in the file system."""
        return self.url.rstrip("/") + path[len(self.base) :]

    def read(
        self,
        table: str = "spans",
        *,
        mode: Mode = "permissive",
        content: Content = "full",
        redact: bool | Iterable[str] = False,
        since: str | date | datetime | None = None,
        until: str | date | datetime | None = None,
    ) -> pa.RecordBatchReader:
        """Reads a table of this part, batch by batch.

        The column `home` is the home's address, `file` that of the object. One
        unit at a time is copied to a temporary directory. With `permissive`, an
        object that cannot be read is a row of the table `problems`; with
        `failfast`, and for any other oddity too, it raises CodexTraceError.
        """
        options = {
            "content": content,
            "redact": redact if isinstance(redact, bool) else list(redact),
            "since": since,
            "until": until,
            "strict": mode == "failfast",
        }
        if mode not in ("permissive", "failfast"):
            raise ValueError(f"`mode` cannot be `{mode}`: give permissive or failfast")
        return pa.RecordBatchReader.from_batches(schema(table), self._batches(table, options))

    def _batches(self, table: str, options: dict[str, Any]) -> Iterator[pa.RecordBatch]:
        system, _ = filesystem(self.url, self.storage)
        strict = options["strict"]
        for unit in self.units:
            with tempfile.TemporaryDirectory(prefix="codex-trace-") as directory:
                home = self.address(unit.home)
                failed = _copy(system, unit, Path(directory))
                odd = [(self.address(path), why) for path, why in failed]
                yield from _odd(table, strict, home, odd)
                if {it.path for it in unit.objects} <= {path for path, _ in failed}:
                    continue
                try:
                    called = (directory, home)
                    found = _scan(directory, threads=1, name=home, called=called, **options)
                    for batch in found.table(table).to_batches():
                        yield _addressed(batch, directory, home) if table == "problems" else batch
                except (_core.CodexTraceError, OSError, pa.ArrowInvalid) as err:
                    text = str(err).replace(directory, home)
                    if strict:
                        raise _core.CodexTraceError(text) from err
                    yield from _odd(table, strict, home, [(home, text)])


def _odd(
    table: str, strict: bool, home: str | None, odd: list[tuple[str, str]]
) -> Iterator[pa.RecordBatch]:
    """Tells of objects that could not be read."""
    if odd and strict:
        raise _core.CodexTraceError(": ".join(odd[0]))
    if odd and table == "problems":
        rows = [
            {"home": home, "code": "unreadable", "file": file, "count": 1, "text": why}
            for file, why in odd
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=schema(table))


def _addressed(batch: pa.RecordBatch, directory: str, home: str) -> pa.RecordBatch:
    """Puts addresses in the place of paths of the temporary directory."""
    columns = [
        pc.replace_substring(values, pattern=directory, replacement=home)
        if column in ("file", "text")
        else values
        for column, values in zip(batch.schema.names, batch.columns)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _copy(system: fs.FileSystem, unit: Unit, directory: Path) -> list[tuple[str, str]]:
    """Copies the objects of a unit; returns those that could not be, and why."""
    objects = [*unit.objects, unit.index] if unit.index else unit.objects
    at_once = min(_AT_ONCE, len(objects))
    # Mapped, and not of any thread's own memory, which the C library would keep.
    buffers: SimpleQueue[mmap] = SimpleQueue()
    for _ in range(at_once):
        buffers.put(mmap(-1, _CHUNK))
    # Threads that make files in one directory would wait for one another in the kernel, and not sleep.
    making = Lock()

    def copy(it: Object) -> tuple[str, str] | None:
        target = directory / it.path[len(unit.home) :].lstrip("/")
        buffer = buffers.get()
        try:
            # As it is: by default pyarrow decompresses by the name.
            with system.open_input_stream(it.path, compression=None) as source:
                with making:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    out = target.open("wb")
                with out, memoryview(buffer) as view:
                    while n_bytes := source.readinto(view):
                        out.write(view[:n_bytes])
        except OSError as err:
            target.unlink(missing_ok=True)
            return it.path, _reason(err)
        finally:
            buffers.put(buffer)
        return None

    if at_once == 1:
        return [it for it in map(copy, objects) if it is not None]
    with ThreadPoolExecutor(at_once) as pool:
        return [it for it in pool.map(copy, objects) if it is not None]


def _reason(err: OSError) -> str:
    # Without the ids of a request, which are other ones each time.
    return str(err).splitlines()[0].split(" Request ID")[0]


def _listed(
    system: fs.FileSystem,
    places: Iterable[str],
    manifest: Iterable[tuple[str, int]] | str | None,
) -> Iterator[Object]:
    if manifest is None:
        # Times of files are those of whoever copied them; times of objects are the store's.
        is_store = system.type_name in ("s3", "gcs")
        for place in places:
            selector = fs.FileSelector(place, recursive=True, allow_not_found=True)
            for info in system.get_file_info(selector):
                if info.type == fs.FileType.File:
                    yield Object(info.path, info.size, info.mtime if is_store else None)
    elif isinstance(manifest, str):
        yield from _inventory(system, manifest)
    else:
        for path, size in manifest:
            yield Object(path, size)


def _inventory(system: fs.FileSystem, manifest: str) -> Iterator[Object]:
    """Reads a Parquet file with the columns of an S3 inventory."""
    import pyarrow.parquet as pq

    path = manifest.partition("://")[2] or manifest
    with system.open_input_file(path) as file, pq.ParquetFile(file) as inventory:
        names = set(inventory.schema_arrow.names)
        columns = [it for it in ("bucket", "key", "size", "last_modified_date") if it in names]
        for batch in inventory.iter_batches(columns=columns):
            for row in batch.to_pylist():
                bucket = row.get("bucket")
                path = f"{bucket}/{row['key']}" if bucket else row["key"]
                yield Object(path, row["size"], _utc(row.get("last_modified_date")))


def _utc(time: Any) -> datetime | None:
    if not isinstance(time, datetime):
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _home_of(path: str, base: str) -> tuple[str | None, bool]:
    """The home that it is of, and whether it has the names of threads.

    The home is the directory above the last `sessions/`, or the base for a
    rollout that is in none; nothing for what is no rollout by its name.
    """
    below = path[len(base) :].lstrip("/")
    name = below.rsplit("/", 1)[-1]
    if name == _INDEX:
        return path[: -len(_INDEX) - 1], True
    found = _IN_HOME.match(below)
    if not found:
        return base if _NAME.match(name) else None, False
    if not _NAME_IN_HOME.match(name):
        return None, False
    return f"{base}/{found[1]}" if found[1] else base, False


def _begins_after(it: Object, until: date | None) -> bool:
    """Whether the name says that nothing in it is of that day or earlier."""
    named = _DAY.search(it.path.rsplit("/", 1)[-1])
    if until is None or not named:
        return False
    # Names have local time.
    return date.fromisoformat(named[1]) > until + _DAY_OR_SO


def _ends_before(it: Object, since: date | None) -> bool:
    """Whether it was put there before that day, so that nothing in it is of that day or later."""
    if since is None or it.modified is None:
        return False
    # Clocks differ.
    return it.modified.date() < since - _DAY_OR_SO


def plan(
    url: str,
    partition_bytes: int = 128 << 20,
    *,
    storage: Mapping[str, Any] | None = None,
    manifest: Iterable[tuple[str, int]] | str | None = None,
    homes: Iterable[str] | None = None,
    since: date | None = None,
    until: date | None = None,
) -> list[Part]:
    """Divides the histories below an address into parts of about this size.

    Homes up to that size are not looked into; of larger ones, the beginning of
    every file is read. A single session is never divided, however large it is.

    `manifest` takes the place of listing: pairs of path and size, or the path of
    a Parquet file with columns `key` and `size`, and perhaps `bucket` and
    `last_modified_date`. `homes` leaves out all homes but those of these
    addresses. `since` and `until` leave out homes and families that have nothing
    of these days: all objects were put there before `since` (by the clock of S3
    or GCS; files of a directory are all read), or all sessions were begun after
    `until`. Which rows are read is for `Part.read` to say.
    """
    if partition_bytes < 1:
        raise ValueError("`partition_bytes` must be positive")
    system, base = filesystem(url, storage)
    at = url.rstrip("/")
    wanted = None if homes is None else {base + it[len(at) :] for it in homes if it.startswith(at)}
    found: dict[str, list[Object]] = {}
    indexes: dict[str, Object] = {}
    try:
        for it in _listed(system, sorted(wanted) if wanted is not None else [base], manifest):
            home, is_index = _home_of(it.path, base)
            if home is None or wanted is not None and home not in wanted:
                continue
            if is_index:
                indexes[home] = it
            else:
                found.setdefault(home, []).append(it)
    except OSError as err:
        raise _core.CodexTraceError(f"cannot list `{url}`: {_reason(err)}") from err
    if not found and wanted is None:
        raise _core.CodexTraceError(f"no rollouts at `{url}`")
    units: list[Unit] = []
    for home in sorted(found):
        objects = sorted(found.pop(home), key=lambda it: it.path)
        groups = [objects]
        if sum(it.size for it in objects) > partition_bytes:
            groups = _families(system, objects)
        for group in groups:
            if all(_begins_after(it, until) for it in group):
                continue
            if all(_ends_before(it, since) for it in group):
                continue
            units.append(Unit(home, tuple(group), indexes.get(home)))
    packed = _packed(units, partition_bytes)
    return [Part(url, base, tuple(_joined(it)), dict(storage or {})) for it in packed]


def _packed(units: list[Unit], partition_bytes: int) -> Iterator[list[Unit]]:
    """Puts units together in their order, up to the size of a part."""
    together: list[Unit] = []
    size = 0
    for unit in units:
        if together and size + unit.size > partition_bytes:
            yield together
            together, size = [], 0
        together.append(unit)
        size += unit.size
    if together:
        yield together


def _joined(units: list[Unit]) -> Iterator[Unit]:
    """Makes one unit of all families of a home."""
    for home, of_home in groupby(units, key=lambda it: it.home):
        families = list(of_home)
        objects = sorted((it for unit in families for it in unit.objects), key=lambda it: it.path)
        yield Unit(home, tuple(objects), families[0].index)


def _families(system: fs.FileSystem, objects: list[Object]) -> list[list[Object]]:
    """Divides a home into families, by the heads of its files.

    What has no head goes with the first of them: who reads it tells why.
    """

    def head(it: Object) -> Head | None:
        try:
            for wanted in (_HEAD, _HEAD << 4, None):
                with system.open_input_stream(it.path, compression=None) as source:
                    data = source.read(wanted) if wanted else source.read()
                found = _core.head(it.path, data, wanted is None or len(data) < wanted)
                if found is not None:
                    return Head(**found)
        except (OSError, _core.CodexTraceError):
            pass
        return None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        heads = list(pool.map(head, objects))
    known = [
        (it, head) for it, head in zip(objects, heads) if head is not None and head.is_rollout
    ]
    grouped = families([head for _, head in known]) or [[]]
    divided = [[known[nth][0] for nth in family] for family in grouped]
    taken = {it.path for it, _ in known}
    divided[0].extend(it for it in objects if it.path not in taken)
    return divided
