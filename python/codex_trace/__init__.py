"""Histories of Codex CLI as Arrow tables and as objects.

    import codex_trace as ct

    ct.scan("~/.codex").calls.to_polars()
    for trace in ct.read("~/.codex"):
        print(trace.session_id, trace.usage.total_tokens)

`scan` finds files and groups them into sessions; rows are read when a table is
read, in order and in bounded memory, and each time anew. `read` goes through
the traces one by one. `usage` counts tokens and costs. `RolloutReader` reads
the records of one file. Nothing is changed on disk.

What cannot be read is never skipped in silence: it is in `Scan.problems`, and
`strict=True` makes it an error.
"""

from codex_trace._core import CodexTraceError, __version__
from codex_trace._scan import Scan, Table, scan
from codex_trace._trace import Span, Trace, Usage, read
from codex_trace._usage import RolloutReader, usage

__all__ = [
    "CodexTraceError",
    "RolloutReader",
    "Scan",
    "Span",
    "Table",
    "Trace",
    "Usage",
    "__version__",
    "read",
    "scan",
    "usage",
]
