#!/usr/bin/env python3
"""Kills uploads at random moments, with servers that fail, and compares what is there in the end.

usage: kills.py BINARY [--live] [--kills 40] [--faults 0.2] [--seed 1] [--history DIR] [--backend NAME]...

For each backend a server of its own keeps what it is sent by its id: spans, runs, rows, log records. It fails so many
of its answers: resets before and after it has read or stored, 429, 500, 503, half an answer, silence for a moment; over
gRPC statuses with and without RetryInfo, GOAWAY, resets of calls, answers without a status, messages too large. The
upload is killed (SIGKILL) after a random time and started again, with the same ledger, until it has ended by itself;
then the ledger is thrown away and it begins anew, on the same server. In the end the server must hold what one clean
run brings to another server: nothing missing, nothing else, every byte the same; and one more run sends nothing.
Exit code 1 if that is not so.

With --live nothing is killed and no server fails: the files of the history are written while uploads run one after the
other: line by line in the order of their times, each line in two pieces. Once all is written, the server must hold what one
clean run of the whole files brings to another server. Standard library only.
"""
import argparse
import collections
import gzip
import hashlib
import http.server
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import grpc

# What follows `--to`.
BACKENDS = {
    "otlp": ["otlp"], "mlflow": ["mlflow"], "langsmith": ["langsmith", "--assume-backfill-allowed"],
    "logfire": ["logfire", "--assume-backfill-allowed"], "braintrust": ["braintrust"], "codex-otel": ["codex-otel"],
    "codex-otel, one stream": ["codex-otel", "--stream", "service"],
    "otlp over gRPC": ["otlp", "--protocol", "grpc"],
    "codex-otel logs over gRPC": ["codex-otel", "--protocol", "grpc"],
    "codex-otel metrics over gRPC": ["codex-otel", "--protocol", "grpc", "--signal", "metrics"],
    "codex-otel traces over gRPC": ["codex-otel", "--protocol", "grpc", "--signal", "traces"],
}
KEYS = {"LANGSMITH_API_KEY": "key-of-langsmith", "BRAINTRUST_API_KEY": "key-of-braintrust",
        "LOGFIRE_TOKEN": "pylf_v1_us_keyoflogfire"}


def fields(message):
    """Yields the fields of a protobuf message: number, and bytes where it has such."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            varint()
            yield tag >> 3, None
        elif kind == 2:
            size = varint()
            yield tag >> 3, message[at:at + size]
            at += size
        else:
            at += 8 if kind == 1 else 4
            yield tag >> 3, None


def inner(message, *path):
    """Yields the messages that lie at a path of field numbers."""
    for number, value in fields(message):
        if number == path[0] and value is not None:
            if len(path) == 1:
                yield value
            else:
                yield from inner(value, *path[1:])


class Store:
    """What a backend holds, by id, and how often each was sent."""

    def __init__(self):
        self.held, self.times = {}, collections.Counter()
        self.faults = collections.Counter()
        self.uploads = 0
        self.lock = threading.Lock()

    def put(self, key, content):
        digest = hashlib.sha256(content).hexdigest()
        self.held[key] = digest
        self.times[key] += 1

    def take(self, path, content_type, body):
        """Stores an upload; returns status and answer. None: it is a question."""
        if path.endswith("/v1/traces"):
            for span in inner(body, 1, 2, 2):
                ids = dict(fields(span))
                self.put("span " + ids[1].hex() + ids[2].hex(), span)
            return 200, b""
        if path.endswith("/v1/logs"):
            # A record has no id: whoever keeps it knows one that comes twice by what is in it.
            for record in inner(body, 1, 2, 2):
                self.put("record " + hashlib.sha256(record).hexdigest(), record)
            return 200, b""
        if path.endswith("/v1/metrics"):
            for resource in inner(body, 1):
                self.put("points " + hashlib.sha256(resource).hexdigest(), resource)
            return 200, b""
        if path.endswith("/api/3.0/mlflow/traces"):
            info = json.loads(body)["trace"]["trace_info"]
            self.put("info " + info["trace_id"], body)
            return 200, b"{}"
        if path.endswith("/runs/multipart"):
            boundary = re.search("boundary=(\\S+)", content_type).group(1).strip('"').encode()
            parts = collections.defaultdict(list)
            for part in body.split(b"--" + boundary)[1:-1]:
                head, _, content = part.partition(b"\r\n\r\n")
                name = re.search(b'name="([^"]+)"', head).group(1).decode()
                parts[name.split(".")[1]].append(name.encode() + b"\0" + content)
            for run, contents in parts.items():
                self.put("run " + run, b"\0".join(sorted(contents)))
            return 202, b"{}"
        if path.endswith("/logs3"):
            rows = json.loads(body)["rows"]
            for row in rows:
                self.put("row " + row["id"], json.dumps(row, sort_keys=True).encode())
            return 200, json.dumps({"ids": [row["id"] for row in rows]}).encode()
        return None


def question(path):
    """Answers what is asked before an upload."""
    if "/experiments/" in path:
        experiment = {"experiment_id": "1", "name": "codex-trace"}
        return {"experiments": [experiment]} if "search" in path else {"experiment": experiment}
    if path.endswith("/traces/search"):
        return {"traces": []}
    if path.endswith("/info"):
        return {"batch_ingest_config": {"use_multipart_endpoint": True}}
    if path.endswith("/v1/project"):
        return {"id": "p"}
    if path.endswith("/btql"):
        return {"data": []}
    return {}


def server(backend, store, dice, rate):
    """Starts a server that spoils so many of its answers."""
    if "gRPC" in backend:
        signal = "logs" if "logs" in backend else "metrics" if "metrics" in backend else "traces"
        return grpc.Server(store, f"/v1/{signal}", dice, rate)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reset(self):
            # Not a goodbye, but a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def answer(self, status, body, whole=True):
            self.send_response(status)
            if status in (429, 503):
                self.send_header("Retry-After", "0")
            self.send_header("Content-Type", "application/json" if body else "application/x-protobuf")
            self.send_header("Content-Length", str(len(body) + (0 if whole else 10)))
            self.end_headers()
            self.wfile.write(body)
            if not whole:
                self.wfile.flush()
                self.reset()

        def do_POST(self):
            with store.lock:
                kind = dice.choice(["before", "unread", "stored", "429", "500", "503", "half", "slow"])
                fault = kind if dice.random() < rate else None
            if fault == "unread":
                store.faults[fault] += 1
                return self.reset()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            path = self.path.split("?")[0]
            if fault:
                store.faults[fault] += 1
            if fault == "before":
                return self.reset()
            if fault in ("429", "500", "503"):
                return self.answer(int(fault), b'{"message": "not now"}')
            if fault == "slow":
                time.sleep(0.1)
            with store.lock:
                taken = store.take(path, self.headers.get("Content-Type") or "", body)
                store.uploads += taken is not None
            status, text = taken or (200, json.dumps(question(path)).encode())
            if fault == "stored":
                return self.reset()
            self.answer(status, text, whole=fault != "half")

        do_GET = do_POST

        def handle(self):
            try:
                super().handle()
            except OSError:
                pass  # the client was killed

        def finish(self):
            try:
                super().finish()
            except (OSError, ValueError):
                pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.handle_error = lambda *_: None
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


def run(options, backend, store_server, state, kill_after=None, history=None, settle="0s"):
    """Runs an upload; returns its exit code, or None if it was killed."""
    home = os.path.dirname(state)
    env = {"HOME": home, "PATH": os.environ["PATH"], **KEYS}
    command = [options.binary, "upload", "--to", *BACKENDS[backend], "--settle", settle, "--state-dir", state, "--endpoint",
               f"http://127.0.0.1:{store_server.server_port}", "--compress", "gzip", history or options.history]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, words = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, ""
    return process.returncode, words.decode()


def one(options, backend):
    dice = random.Random(f"{options.seed} {backend}")
    with tempfile.TemporaryDirectory() as temp:
        clean, clean_server = Store(), None
        clean_server = server(backend, clean, dice, 0)
        begun = time.monotonic()
        code, words = run(options, backend, clean_server, f"{temp}/clean")
        longest = time.monotonic() - begun
        assert code == 0, words
        store = Store()
        failing = server(backend, store, dice, options.faults)
        kills = runs = rounds = 0
        while kills < options.kills:
            rounds += 1
            state = f"{temp}/state"
            shutil.rmtree(state, ignore_errors=True)
            while True:
                runs += 1
                late = dice.uniform(0.02, 1.2) * longest if kills < options.kills else None
                code, words = run(options, backend, failing, state, late)
                if code is None:
                    kills += 1
                elif code == 0:
                    break
                else:
                    assert code == 1, f"{backend}: exit code {code}: {words}"
        uploads = store.uploads
        code, words = run(options, backend, failing, state)
        again = store.uploads - uploads
        missing = sum(key not in store.held for key in clean.held)
        extra = sum(key not in clean.held for key in store.held)
        differ = sum(clean.held.get(key, digest) != digest for key, digest in store.held.items())
        most = max(store.times.values())
        print(f"| {backend} | {len(clean.held)} | {rounds} | {runs} | {kills} | {sum(store.faults.values())} | "
              f"{missing} | {extra} | {differ} | {again} | {most / rounds:.1f} |", flush=True)
        if options.verbose:
            print(f"  faults: {dict(store.faults)}", flush=True)
        for it in (clean_server, failing):
            it.shutdown()
        return not (missing or extra or differ or again or code)


def write_slowly(source, target, dice, seconds):
    """Writes all files of a history in the order of their lines' times, each line in two pieces."""
    lines = []
    for folder, _, names in os.walk(source):
        for name in names:
            # A migration writes another file of a session, and all of it at once.
            if not name.endswith(".jsonl") or "/mig-" in folder:
                continue
            path = os.path.join(folder, name)
            to = os.path.join(target, os.path.relpath(path, source))
            last = ""
            with open(path, "rb") as file:
                for nth, line in enumerate(file):
                    at = re.search(rb'"timestamp":"([^"]+)"', line[:200])
                    last = max(last, at.group(1).decode() if at else last)
                    lines.append((last, to, nth, line))
    begun = time.monotonic()
    for done, (_, to, _, line) in enumerate(sorted(lines)):
        os.makedirs(os.path.dirname(to), exist_ok=True)
        cut = dice.randint(0, len(line))
        for piece in (line[:cut], line[cut:]):
            with open(to, "ab") as file:
                file.write(piece)
            time.sleep(max(0, done / len(lines) * seconds - (time.monotonic() - begun)) / 2)


def live(options, backend):
    dice = random.Random(f"{options.seed} {backend}")
    with tempfile.TemporaryDirectory() as temp:
        store, clean = Store(), Store()
        servers = [server(backend, store, dice, 0), server(backend, clean, dice, 0)]
        history = f"{temp}/history"
        os.makedirs(history)
        writer = threading.Thread(target=write_slowly, args=(options.history, history, dice, options.seconds))
        writer.start()
        runs = 0
        while writer.is_alive():
            code, words = run(options, backend, servers[0], f"{temp}/state", history=history, settle="24h")
            runs += bool(store.uploads)
            assert code in (0, 1) or not store.uploads, words
        before = len(store.held)
        # What never ends is sent in the end.
        code, words = run(options, backend, servers[0], f"{temp}/state", history=history)
        assert code == 0, words
        code, words = run(options, backend, servers[1], f"{temp}/clean", history=history)
        assert code == 0, words
        missing = sum(key not in store.held for key in clean.held)
        extra = sum(key not in clean.held for key in store.held)
        differ = sum(clean.held.get(key, digest) != digest for key, digest in store.held.items())
        print(f"| {backend} | {len(clean.held)} | {runs} | {before} | {missing} | {extra} | {differ} | "
              f"{max(store.times.values())} |", flush=True)
        for it in servers:
            it.shutdown()
        return not (missing or extra or differ)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--backend", dest="backends", action="append", choices=list(BACKENDS))
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--seconds", type=float, default=30, help="how long the files are written, with --live")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--faults", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="tell which faults there were")
    parser.add_argument("--history", default=os.path.join(os.path.dirname(__file__), "../../testdata/homes"))
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    backends = options.backends or BACKENDS
    if options.live:
        print("| backend | units | uploads while files grew | units sent by then | missing | else | differing | "
              "most times a unit |\n|---|---|---|---|---|---|---|---|", flush=True)
        good = [live(options, backend) for backend in backends]
        sys.exit(0 if all(good) else 1)
    print("| backend | units | histories | runs | kills | faults | missing | else | differing | sent by one more run | "
          "most times a unit, by history |\n|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    good = [one(options, backend) for backend in backends]
    sys.exit(0 if all(good) else 1)


main()
