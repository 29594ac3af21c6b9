"""Libraries that read Arrow streams, and how a stream ends before its end."""

from __future__ import annotations

import gc
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

import codex_trace as ct

from conftest import TESTDATA, Command

HOME = TESTDATA / "homes" / "sp169"


def test_polars(cli: Command) -> None:
    polars = pytest.importorskip("polars")
    expected = cli.usage(HOME)["total"]["total_tokens"]
    scan = ct.scan(HOME)
    for frame in (polars.DataFrame(scan.calls), scan.calls.to_polars()):
        assert frame["total_tokens"].sum() == expected
    assert polars.DataFrame(scan).height == scan.to_arrow().num_rows


def test_pandas(cli: Command) -> None:
    pandas = pytest.importorskip("pandas")
    expected = cli.usage(HOME)["total"]["total_tokens"]
    calls = ct.scan(HOME).calls
    assert calls.to_pandas()["total_tokens"].sum() == expected
    if hasattr(pandas.DataFrame, "from_arrow"):
        assert pandas.DataFrame.from_arrow(calls)["total_tokens"].sum() == expected


def test_duckdb(cli: Command) -> None:
    duckdb = pytest.importorskip("duckdb")
    expected = cli.usage(HOME)["total"]["total_tokens"]
    calls = ct.scan(HOME).calls
    for _ in range(2):  # Each time anew.
        rows = duckdb.sql("select sum(total_tokens) from calls").fetchall()
        assert rows == [(expected,)]


def test_parquet(tmp_path: pathlib.Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    scan = ct.scan(HOME)
    for name in ("spans", "calls", "items", "sessions", "problems"):
        target = tmp_path / f"{name}.parquet"
        scan.table(name).write_parquet(target)
        assert parquet.read_table(target).equals(scan.table(name).to_arrow())
    assert len(list(tmp_path.iterdir())) == 5
    with pytest.raises(OSError):
        scan.write_parquet(tmp_path / "no" / "such" / "file.parquet")


def test_no_library_is_needed() -> None:
    program = f"""
import sys
for name in ("pyarrow", "polars", "pandas", "duckdb", "numpy"):
    sys.modules[name] = None
import codex_trace as ct
scan = ct.scan({str(HOME)!r})
assert len(scan) > 0 and scan.calls.__arrow_c_stream__() is not None
assert sum(len(trace.spans) for trace in ct.read({str(HOME)!r})) > 0
assert ct.usage({str(HOME)!r}, by="total")[0]["model_calls"] > 0
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def history(tmp_path: pathlib.Path, copies: int) -> pathlib.Path:
    """Copies one session under many ids."""
    source = sorted((TESTDATA / "homes" / "r169").rglob("rollout-*.jsonl"))[0]
    old = source.stem[-36:]
    text = source.read_text()
    for nth in range(copies):
        new = f"{old[:24]}{nth:012x}"
        (tmp_path / source.name.replace(old, new)).write_text(text.replace(old, new))
    return tmp_path


def n_threads() -> int:
    return len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads by /proc")
def test_threads_end_with_the_stream(tmp_path: pathlib.Path) -> None:
    scan = ct.scan(history(tmp_path, 200), threads=2)
    scan.to_arrow()
    wait(lambda: True)
    before = n_threads()
    for _ in range(5):
        capsule = scan.items.__arrow_c_stream__()
        traces = ct.read(tmp_path, threads=2)
        assert next(traces).spans
        del capsule, traces
        gc.collect()
    wait(lambda: n_threads() <= before)
    assert n_threads() <= before


def wait(until: "object") -> None:
    """Waits, for a minute at most."""
    pause = threading.Event()
    for _ in range(600):
        if callable(until) and until():
            return
        pause.wait(0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_an_interrupt_comes_through(tmp_path: pathlib.Path) -> None:
    history(tmp_path, 400)
    program = """
import os, signal, sys, threading
import codex_trace as ct
how, home = sys.argv[1:]
def stop():
    os.kill(os.getpid(), signal.SIGINT)
try:
    if how == "read":
        for trace in ct.read(home):
            stop()
    else:
        threading.Timer(0.0, stop).start()
        while True:
            ct.scan(home).to_arrow()
except KeyboardInterrupt:
    sys.exit(42)
"""
    for how in ("read", "table"):
        done = subprocess.run([sys.executable, "-c", program, how, str(tmp_path)], check=False, timeout=300)
        assert done.returncode == 42, how


def test_python_goes_on_while_rust_reads(tmp_path: pathlib.Path) -> None:
    scan = ct.scan(history(tmp_path, 100))
    counts = [0]
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            counts[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    rows = scan.to_arrow().num_rows
    stop.set()
    thread.join()
    assert rows > 0 and counts[0] > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
