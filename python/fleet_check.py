#!/usr/bin/env python3
"""Reads a fleet in an S3 server with a real Spark, and compares it with the command, home by home.

    fleet_check.py [--homes 40] [--executors 2] [--endpoint URL] [--kill]

Needs moto (`pip install 'moto[server]'`, started by this script unless an endpoint is named), pyspark, Java, and
`codex-trace` in PATH. Copies the homes of testdata under many names, one of them larger than a part. Prints what was
compared and what it took; exits with 1 if anything differs. The tests in tests/ are the small version.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys

import threading
import time
import urllib.request
from typing import Any

from pyarrow import fs
from pyspark.sql import SparkSession


from codex_trace.spark import CodexRollouts

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUCKET = "codex-trace-check"

def serve() -> tuple[subprocess.Popen[bytes], str]:
    """Starts an S3 server."""
    port = 5599
    moto = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
            return moto, url
        except OSError:
            time.sleep(0.2)
    moto.kill()
    raise SystemExit("the S3 server does not start")

def fill(s3: fs.FileSystem, n_homes: int) -> list[pathlib.Path]:
    """Copies homes of testdata; returns which each of them is."""
    sources = sorted((ROOT / "testdata" / "homes").iterdir())
    homes = [sources[nth % len(sources)] for nth in range(n_homes)]
    for nth, home in enumerate(homes):
        for file in home.rglob("*"):
            if file.is_file():
                target = f"{BUCKET}/fleet/machine-{nth:05}/{file.relative_to(home)}"
                with s3.open_output_stream(target, compression=None) as out:
                    out.write(file.read_bytes())
    return homes

def expected(homes: list[pathlib.Path]) -> tuple[int, ...]:
    """The sums of `usage --json`, home by home."""
    keys = ("model_calls", "input_tokens", "output_tokens", "total_tokens")
    known: dict[pathlib.Path, tuple[int, ...]] = {}
    for home in set(homes):
        out = subprocess.run(["codex-trace", "usage", home, "--json"], capture_output=True, check=False)
        total = json.loads(out.stdout)["total"]
        known[home] = tuple(total[key] for key in keys)
    return tuple(map(sum, zip(*(known[home] for home in homes))))

def workers() -> list[int]:
    """The processes of Python workers' daemons, which a killed executor leaves."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"CoarseGrainedExecutorBackend" in line:
                found.append(int(entry.name))
    return found

def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=40)
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--endpoint")
    parser.add_argument("--kill", action="store_true", help="kill an executor of ours in the middle")
    args = parser.parse_args()
    moto, url = (None, args.endpoint) if args.endpoint else serve()
    storage: dict[str, Any] = {
        "endpoint_override": url,
        "access_key": "check",
        "secret_key": "check",
        "region": "us-east-1",
        "allow_bucket_creation": "true",
    }
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    ok = True
    before = set(workers())
    try:
        s3 = fs.S3FileSystem(**{**storage, "allow_bucket_creation": True})
        s3.create_dir(BUCKET)
        homes = fill(s3, args.homes)
        wanted = expected(homes)
        spark = (
            SparkSession.builder.master(f"local-cluster[{args.executors},1,1024]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .getOrCreate()
        )
        spark.dataSource.register(CodexRollouts)
        sums = ["count(*)", *(f"sum({key})" for key in ("input_tokens", "output_tokens", "total_tokens"))]
        for size in (50_000, 2_000_000, 1 << 30):
            reader = spark.read.format("codex_rollout").option("table", "calls")
            for name, value in storage.items():
                reader = reader.option(f"storage.{name}", value)
            frame = reader.option("partitionBytes", str(size)).load(f"s3a://{BUCKET}/fleet")
            if args.kill:
                ours = [pid for pid in workers() if pid not in before]
                threading.Timer(2, lambda: os.kill(ours[0], signal.SIGKILL) if ours else None).start()
            start = time.monotonic()
            got = tuple(frame.selectExpr(*sums).collect()[0])
            took = time.monotonic() - start
            same = got == wanted
            ok &= same
            print(f"parts of {size}: {'equal' if same else f'{got} instead of {wanted}'} ({took:.1f} s)")
        print(f"{len(homes)} homes: {wanted[0]} calls, {wanted[3]} tokens")
        spark.stop()
    finally:
        if moto:
            moto.terminate()
    return 0 if ok else 1

if __name__ == "__main__":
    sys.exit(main())
