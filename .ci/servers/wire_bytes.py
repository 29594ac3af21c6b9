#!/usr/bin/env python3
"""Compares the bytes that plugins, Braintrust's importer and Codex itself sent with ours.

usage: wire_bytes.py CODEX_TRACE GOLDEN CORPUS [COMPRESSION]

GOLDEN has what others sent for certain rollouts, one document for each (`testdata/golden`
is a part of it); CORPUS has the homes that the documents name. Prints a table in
Markdown: for each backend the bytes of bodies that others sent and that a dry run of ours
writes for the same sessions, with the default compression unless another one is named.
Counted are bodies, not headers. What Logfire's exporter sent was kept decoded, and is
measured as the shortest JSON of it. Where a document has fewer turns than its session (the
plugin for MLflow takes the last one alone), it is left out.
"""
import http.server, json, os, pathlib, subprocess, sys, tempfile, threading

binary, golden, corpus = os.path.abspath(sys.argv[1]), *map(pathlib.Path, sys.argv[2:4])
compression = sys.argv[4:5]
UPLOADS = ("/runs/multipart", "/logs3", "/traces", "/artifacts/", "/v1/logs", "/v1/metrics")
KEYS = {"LANGSMITH_API_KEY": "k", "BRAINTRUST_API_KEY": "k", "LOGFIRE_TOKEN": "pylf_v1_us_k",
        "MLFLOW_EXPERIMENT_ID": "1", "PATH": os.environ["PATH"]}
ENDPOINT = {"mlflow", "otlp", "codex-otel"}


INFO = {"version": "0.13.0", "batch_ingest_config": {"use_multipart_endpoint": True},
        "instance_flags": {"gzip_body_enabled": True, "zstd_compression_enabled": True}}


class Service(http.server.BaseHTTPRequestHandler):
    """LangSmith, as far as it matters here: says what the service says, takes everything."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_GET(self):
        self.answer(200, json.dumps(INFO if self.path == "/info" else {}).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Service.taken += len(body) if self.path == "/runs/multipart" else 0
        self.answer(202, b"{}")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
PORT = server.server_port
threading.Thread(target=server.serve_forever, daemon=True).start()


def short(value):
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def sent(path):
    """Returns how many bytes one document says were sent; None if it does not say."""
    doc = json.loads(path.read_text())
    if doc["backend"] == "logfire":
        spans = iter(doc["spans"])
        total = 0
        for request in doc["requests"]:
            batches = [{"resource": it["resource"], "scopeSpans": [{"scope": it["scope"], "spans": [
                {k: v for k, v in next(spans).items() if k not in ("request", "resource", "scope")}
                for _ in range(it["spans"])]}]} for it in request["batches"]]
            total += short({"resourceSpans": batches})
        return total
    if "requests_seen_by_recorder" in doc:
        whole = doc.get("turns_in_fixture") == 1
        return sum(it[4] for it in doc["requests_seen_by_recorder"]) if whole else None
    requests = doc.get("requests") or []
    lengths = [it.get("wire_len", it.get("raw_len")) for it in requests
               if it["method"] != "GET" and any(part in it["path"] for part in UPLOADS)]
    return sum(lengths) if lengths else None


def ours(backend, paths):
    """Returns the bytes of our bodies, in all and by the last word of the address."""
    with tempfile.TemporaryDirectory() as dir:
        env = KEYS | {"HOME": dir, "XDG_STATE_HOME": dir + "/s", "XDG_CONFIG_HOME": dir + "/c"}
        args = [binary, "upload", *map(str, paths), "--to", backend, "-q"]
        before = Service.taken
        args += ["--compress", *compression] if compression else []
        args += ["--endpoint", "http://127.0.0.1:1"] if backend in ENDPOINT else []
        args += ["--assume-backfill-allowed"] if backend == "logfire" else []
        if backend == "langsmith":  # Asked, and not only told, which compressions it takes.
            args += ["--assume-backfill-allowed", "--endpoint", f"http://127.0.0.1:{PORT}"]
        else:
            args += [f"--dry-run={dir}/out"]
        done = subprocess.run(args, env=env, capture_output=True, text=True)
        if done.returncode not in (0, 1, 2):  # 1: a turn is still open.
            sys.exit(f"{args}: {done.stderr}")
        if backend == "langsmith":
            return Service.taken - before, {}
        routes = {}
        for about in pathlib.Path(dir, "out").rglob("*.json"):
            if about.stem.isdigit():
                it = json.loads(about.read_text())
                route = it["url"].rsplit("/", 1)[-1]
                routes[route] = routes.get(route, 0) + it["bytes"]
        return sum(routes.values()), routes


def pairs():
    """Yields who sent it, our backend, the documents and the files of the same sessions."""
    fixtures = golden / "rollouts/langsmith"
    names = ["rollout-attachments", "rollout-editing", "rollout-subagents"]
    plugins = {"langsmith": "langsmith", "braintrust": "braintrust", "logfire": "logfire",
               "mlflow": "mlflow/v2026-09"}
    for backend, folder in plugins.items():
        yield "plugin", backend, [golden / folder / f"{it}.json" for it in names], [fixtures]
        for scenario in sorted((golden / "e2e").iterdir()):
            yield "plugin", backend, [scenario / f"{backend}.json"], [scenario / "rollouts"]
        for home in ("a169", "i169", "r144", "r169", "sp169"):
            docs = sorted((golden / backend / "real-codex" / home).glob("*.json"))
            for doc in docs:
                if "3ef4" not in doc.stem:  # The file of a subagent, sent with its parent.
                    files = [(golden / json.loads(doc.read_text())["fixture"]).resolve()]
                    if home == "sp169":
                        files = [corpus / "real-codex" / home]
                    yield "plugin", backend, [doc], files
    homes = {f"e2e_{it.name}": it / "rollouts" for it in (golden / "e2e").iterdir()}
    homes |= {it: corpus / "real-codex" / it for it in ("a169", "i169", "r144", "r169", "sp169")}
    homes["fx_langsmith"] = fixtures
    for name, home in homes.items():
        yield "`bt` 0.20.0", "braintrust", [golden / "braintrust-bt" / f"{name}.json"], [home]


def telemetry():
    """Returns what Codex sent as logs and metrics, what we send of the same, and of how many."""
    theirs, mine, n = {}, {}, {}
    for home in sorted((golden / "codex-otel").glob("0.*/home")):
        if any(it in (home / "config.toml").read_text() for it in ("binary", "protobuf", "grpc")):
            continue  # Kept decoded, so that its length is not known.
        _, routes = ours("codex-otel", [home])
        for signal in ("logs", "metrics"):
            lines = home.parent / f"{signal}.jsonl"
            if lines.is_file() and lines.stat().st_size and routes.get(signal):
                theirs[signal] = theirs.get(signal, 0) + lines.stat().st_size
                mine[signal] = mine.get(signal, 0) + routes[signal]
                n[signal] = n.get(signal, 0) + 1
    return theirs, mine, n


def main():
    total = {}
    for who, backend, docs, files in pairs():
        lengths = [sent(doc) for doc in docs if doc.is_file()]
        if not lengths or None in lengths or not all(lengths):
            continue
        mine = ours(backend, files)[0]
        if mine:  # Nothing is sent of turns that are still open.
            row = total.setdefault((who, backend), [0, 0, 0])
            row[:] = row[0] + 1, row[1] + sum(lengths), row[2] + mine
    print("| backend | sent by | sets of sessions | their bytes | ours | ratio |\n|---|---|---|---|---|---|")
    for (who, backend), (n, theirs, mine) in total.items():
        print(f"| `{backend}` | {who} | {n} | {theirs} | {mine} | {mine / theirs:.2f} |")
    theirs, mine, n = telemetry()
    for signal, length in theirs.items():
        print(f"| `codex-otel`, {signal} | Codex | {n[signal]} | {length} | {mine[signal]} | {mine[signal] / length:.2f} |")


main()
