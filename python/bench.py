#!/usr/bin/env python3
"""Compares the ways from a history to a data frame: CPU seconds and peak memory of each, in a process of its own.

    bench.py HOME [--runs 3]

Needs polars, pandas, pyarrow and duckdb, and `codex-trace` in PATH. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile

WAYS = {
    "`convert`, then `pandas.read_json(lines=True)`": (
        "pandas.read_json(lines, lines=True)",
        "pandas",
    ),
    "`convert`, then `polars.read_ndjson`": (
        "polars.read_ndjson(lines, infer_schema_length=None)",
        "polars",
    ),
    "`convert`, then DuckDB": (
        "duckdb.sql(f\"select count(*), sum(length(output)) from read_json('{lines}', sample_size=-1)\").fetchall()",
        "duckdb",
    ),
    "`scan(…).to_polars()`": ("ct.scan(home).to_polars()", ""),
    "`scan(…).to_arrow()`": ("ct.scan(home).to_arrow()", ""),
    "`scan(…).to_pandas()`": ("ct.scan(home).to_pandas()", ""),
    "`scan(…, content='none').to_arrow()`": ("ct.scan(home, content='none').to_arrow()", ""),
    "`scan(…)` batch by batch": ("[batch.num_rows for batch in ct.scan(home).to_batches()]", ""),
    "`scan(…).calls.to_arrow()`": ("ct.scan(home).calls.to_arrow()", ""),
    "`read(…)`, all spans": ("sum(len(trace.spans) for trace in ct.read(home))", ""),
    "`usage(…)`": ("ct.usage(home)", ""),
}

PROGRAM = """
import json, resource, sys
home, lines, library, code = sys.argv[1:]
if library:
    exec(f"import {library}")
else:
    import codex_trace as ct
exec(code)
own = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([own.ru_utime + own.ru_stime, own.ru_maxrss / 1024]))
"""


def convert(home: str, lines: str) -> tuple[float, float]:
    """CPU seconds of the command, and its peak memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(lines, "wb") as out:
        subprocess.run(["codex-trace", "convert", "-q", home], stdout=out, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, after.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    print("| way | CPU s | peak MB |\n|---|---|---|")
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        first = min(convert(args.home, file.name) for _ in range(args.runs))
        print(f"| `convert` alone | {first[0]:.2f} | {first[1]:.0f} |")
        for way, (code, library) in WAYS.items():
            runs = []
            for _ in range(args.runs):
                argv = [sys.executable, "-c", PROGRAM, args.home, file.name, library, code]
                out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
                runs.append(json.loads(out.splitlines()[-1]))
            cpu, memory = min(runs)
            before = f"{first[0]:.2f} + " if library else ""
            print(f"| {way} | {before}{cpu:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
