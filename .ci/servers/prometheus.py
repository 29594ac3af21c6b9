#!/usr/bin/env python3
"""Gives a real Prometheus what `convert --to openmetrics` writes, and compares its answers with `codex-trace usage`.

usage: prometheus.py BINARY HISTORY [--keep DIR]

`promtool tsdb create-blocks-from openmetrics` makes blocks of the file, twice, as if somebody had imported it again; a
Prometheus that keeps ten years serves them. Asked over the whole history, the tokens of all threads, those of each model
and the calls of each tool must be what `codex-trace usage` counts of the same files, to the last one.
Needs `prometheus` and `promtool` on the PATH (install.sh prometheus). Exit code 1 if anything differs.
"""
import argparse
import collections
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

DAY = 86_400
TOKENS = 'codex_turn_token_usage_sum{token_type="%s"}'
# What `usage --json` calls the types of tokens.
TYPES = {"total": "total_tokens", "input": "input_tokens", "cached_input": "cached_input_tokens",
         "output": "output_tokens", "reasoning_output": "reasoning_output_tokens"}


def run(*command, **options):
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    return done.stdout


def times(path):
    """Returns the first and the last time of a file of samples, and how many there are."""
    first, last, n = float("inf"), 0.0, 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("#"):
                at = float(line.rsplit(" ", 1)[1])
                first, last, n = min(first, at), max(last, at), n + 1
    return first, last, n


class Prometheus:
    def __init__(self, data):
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "127.0.0.1:%d" % free.getsockname()[1]
        with open(f"{data}.yml", "w", encoding="utf-8") as config:
            config.write("global: {scrape_interval: 1h}\n")
        self.address = f"http://{address}"
        self.log = open(f"{data}.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={data}.yml", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=10y",
             f"--web.listen-address={address}"], stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.address}/-/ready", timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, open(f"{data}.log", encoding="utf-8").read()[-2000:]
                time.sleep(0.1)
        raise TimeoutError("Prometheus does not come up")

    def ask(self, query, at):
        """Returns the answer to an instant query: values by the labels that are left."""
        form = urllib.parse.urlencode({"query": query, "time": at, "timeout": "10m"})
        with urllib.request.urlopen(f"{self.address}/api/v1/query", form.encode(), timeout=600) as answer:
            rows = json.load(answer)["data"]["result"]
        return {tuple(row["metric"].values()): int(float(row["value"][1])) for row in rows}

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def counted(binary, history, by):
    return json.loads(run(binary, "usage", history, "--json", "--by", by))


def plain(tool):
    """Returns a tool's name without the spelling of where it comes from, which versions of Codex differ in."""
    return tool.removeprefix("mcp__").removeprefix("collaboration").replace("__", "")


def handled(rows):
    """Returns the calls that Codex' telemetry counts, by tool: not those that never ended, nor those of the provider's."""
    calls = collections.Counter()
    for row in rows:
        if row["tool"] not in ("web_search", "image_generation"):
            calls[plain(row.get("server", "") + row["tool"])] += row["calls"] - row["unfinished"]
    return {tool: n for tool, n in calls.items() if n}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("history")
    parser.add_argument("--keep", help="work in this directory, and leave it")
    options = parser.parse_args()
    binary, history = os.path.abspath(options.binary), os.path.abspath(options.history)
    temp = options.keep or tempfile.mkdtemp()
    os.makedirs(temp, exist_ok=True)
    om, data = f"{temp}/codex.om", f"{temp}/data"
    os.makedirs(data, exist_ok=True)
    run(binary, "convert", "--to", "openmetrics", "-o", om, history)
    first, last, n = times(om)
    for _ in range(2):
        run("promtool", "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", om, data)
    blocks = len([name for name in os.listdir(data) if re.fullmatch("[0-9A-Z]{26}", name)])
    span = f"[{int(last - first) + 2 * DAY}s]"
    at = last + DAY
    server = Prometheus(data)
    wrong = []
    try:
        def compare(what, expected, found):
            if expected != found:
                wrong.append(f"{what}: usage has {expected}, Prometheus {found}")
            print(f"| {what} | {sum(expected.values())} | {sum(found.values())} | {len(expected)} | "
                  f"{'equal' if expected == found else 'DIFFERENT'} |", flush=True)

        print(f"{n} samples over {(last - first) / DAY:.0f} days in {blocks} blocks\n\n"
              "| what | usage | Prometheus | rows | |\n|---|---|---|---|---|", flush=True)
        total = counted(binary, history, "total")["total"]
        for kind, key in TYPES.items():
            found = server.ask(f"sum(max_over_time({TOKENS % kind}{span}))", at)
            compare(f"tokens: {kind}", {(): total[key]}, found)
        expected = {(row["model"],): row["total_tokens"] for row in counted(binary, history, "model")["rows"]}
        found = server.ask(f"sum by (model)(max_over_time({TOKENS % 'total'}{span}))", at)
        compare("tokens by model", {key: n for key, n in expected.items() if n}, {key: n for key, n in found.items() if n})
        found = server.ask(f"sum by (tool)(max_over_time(codex_tool_call_total{span}))", at)
        by_tool = collections.Counter()
        for (name,), n in found.items():
            by_tool[plain(name)] += n
        compare("calls by tool", handled(counted(binary, history, "tool")["rows"]), dict(by_tool))
    finally:
        server.stop()
    if not options.keep:
        shutil.rmtree(temp)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
