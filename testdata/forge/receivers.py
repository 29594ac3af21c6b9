"""Receivers that keep what each backend would keep, by its ids, and fail at times.

`Receiver.rows` is what is there: equal rows mean that the backend holds the same. A request is kept whole or not at all.
"""

import gzip
import http.server
import json
import random
import re
import threading
import time

import script

# What befalls a request: before it is kept, or after, in which case only its answer is lost.
FAULTS = ("cut", 503, 429, "kept, then cut", "kept, half an answer", "kept, then silent")
SILENCE = 5  # seconds; longer than TIMEOUT of the configuration
TIMEOUT = "2s"


class Server(script.Server):
    daemon_threads, request_queue_size = True, 128


class Receiver:
    """Answers as one backend; so many of 100 requests go wrong. `configuration` is what its table has to say."""

    backend, configuration = None, ""

    def __init__(self, percent=0):
        self.rows, self.arrived, self.requests, self.faults = {}, {}, 0, {}
        chance, self.lock, receiver = random.Random(7), threading.Lock(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # whoever sent it was killed
                    self.close_connection = True
                    return
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                with receiver.lock:
                    receiver.requests += 1
                    fault = FAULTS[chance.randrange(len(FAULTS))] if chance.randrange(100) < percent else None
                    if fault is not None:
                        receiver.faults[fault] = receiver.faults.get(fault, 0) + 1
                    lost = fault in ("cut", 503, 429)
                    status, answer = (fault, b"") if lost else receiver.answer(self, self.path, body)
                if fault in ("cut", "kept, then cut", "kept, then silent"):
                    time.sleep(SILENCE if fault == "kept, then silent" else 0)
                    self.close_connection = True
                    return
                answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer) + (fault == "kept, half an answer")))
                self.end_headers()
                self.wfile.write(answer)
                self.close_connection = fault == "kept, half an answer"

            do_GET = do_PUT = do_POST

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, handler, path, body):
        """Keeps what a request brings; returns the status and the answer."""
        raise NotImplementedError

    def table(self, name):
        """The table of codex-trace.toml for this place."""
        return (f'[destinations.{name}]\nbackend = "{self.backend}"\nendpoint = "{self.address}"\n'
                f'timeout = "{TIMEOUT}"\n{self.configuration}')


def items(body, outer, scope, inner):
    """What is in a request of OTLP/JSON, each with its resource."""
    for resource in json.loads(body).get(outer, []):
        for scoped in resource[scope]:
            for item in scoped[inner]:
                yield json.dumps(resource["resource"], sort_keys=True), item


class Spans(Receiver):
    backend = "otlp"
    configuration = 'protocol = "http/json"\ncompression = "none"\n'

    def answer(self, handler, path, body):
        if handler.command != "POST":
            return 404, b""
        for turn in re.findall(rb"lat-\d+-\d+", body):
            self.arrived.setdefault(turn.decode(), time.monotonic())
        for _, span in items(body, "resourceSpans", "scopeSpans", "spans"):
            self.rows[span["traceId"], span["spanId"]] = span
        return 200, b"{}"


class Logfire(Spans):
    backend = "logfire"
    configuration = Spans.configuration + 'key = { env = "SINK_KEY" }\n'


class Telemetry(Receiver):
    """Loki and Prometheus keep the same record of the same stream once; a sample stays as it was first."""

    backend = "codex-otel"
    configuration = 'protocol = "http/json"\ncompression = "none"\nsignals = ["logs", "traces", "metrics"]\n'

    def answer(self, handler, path, body):
        if path.endswith("/v1/logs"):
            for resource, record in items(body, "resourceLogs", "scopeLogs", "logRecords"):
                self.rows["log", resource, json.dumps(record, sort_keys=True)] = True
        elif path.endswith("/v1/metrics"):
            for resource, metric in items(body, "resourceMetrics", "scopeMetrics", "metrics"):
                for kind in ("sum", "histogram", "gauge"):
                    for point in metric.get(kind, {}).get("dataPoints", []):
                        labels = json.dumps(point.get("attributes", []), sort_keys=True)
                        key = ("metric", resource, metric["name"], labels, point["timeUnixNano"])
                        self.rows.setdefault(key, point)
        elif path.endswith("/v1/traces"):
            for _, span in items(body, "resourceSpans", "scopeSpans", "spans"):
                self.rows[span["traceId"], span["spanId"]] = span
        else:
            return 404, b""
        return 200, b"{}"


def fields(message):
    """The fields of a message of protobuf: number and value, of those of known length the bytes."""
    def number(at):
        value = shift = 0
        while True:
            byte = message[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value, at

    at = 0
    while at < len(message):
        tag, at = number(at)
        if tag & 7 == 0:
            value, at = number(at)
        else:
            length, at = {1: (8, at), 5: (4, at)}.get(tag & 7) or number(at)
            value, at = message[at:at + length], at + length
        yield tag >> 3, value


class MLflow(Receiver):
    backend = "mlflow"
    configuration = 'project = "live"\n'

    def __init__(self, percent=0):
        self.made = False
        super().__init__(percent)

    def answer(self, handler, path, body):
        path, _, query = path.partition("?")
        if path == "/v1/traces":
            inner = lambda messages, wanted: (value for message in messages for tag, value in fields(message)
                                              if tag == wanted)
            for span in inner(inner(inner([body], 1), 2), 2):
                ids = dict(field for field in fields(span) if field[0] in (1, 2))
                self.rows[ids[1].hex(), ids[2].hex()] = span.hex()
            return 200, b""
        asked = json.loads(body or b"{}")
        experiment = {"experiment_id": "1", "name": "live"}
        if path == "/api/3.0/mlflow/traces":
            info = asked["trace"]["trace_info"]
            self.rows["info", info["trace_id"]] = info
            return 200, {}
        if path == "/api/3.0/mlflow/traces/search":
            infos = [info for key, info in self.rows.items() if key[0] == "info"]
            wanted = (lambda it: "mlflow.trace.session" in it.get("trace_metadata", {})
                      if "mlflow.trace.session" in asked["filter"] else it["tags"].get("codex.backfill") == "true")
            return 200, {"traces": [info for info in infos if wanted(info)]}
        if path == "/api/2.0/mlflow/experiments/get-by-name":
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}
            return (200, {"experiment": experiment}) if self.made else (404, missing)
        if path == "/api/2.0/mlflow/experiments/create":
            if self.made:
                return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "it is there"}
            self.made = True
            return 200, {"experiment_id": "1"}
        if path == "/api/2.0/mlflow/experiments/search":
            return 200, {"experiments": [experiment]}
        return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": path}


class Braintrust(Receiver):
    backend = "braintrust"
    configuration = 'key = { env = "BRAINTRUST_KEY" }\n'
    fixed = ("created", "span_id", "root_span_id", "span_parents", "_is_merge")

    def merge(self, there, row):
        for key, value in row.items():
            if key in self.fixed:
                continue
            if isinstance(value, dict) and isinstance(there.get(key), dict):
                self.merge(there[key], value)
            else:
                there[key] = value

    def answer(self, handler, path, body):
        path, asked = path.split("?")[0], json.loads(body or b"{}")
        if path == "/api/apikey/login":
            return 200, {"org_info": [{"id": "o1", "name": "acme", "api_url": self.address}]}
        if path == "/v1/project":
            return 200, {"objects": []} if handler.command == "GET" else {"id": "p-1", "name": asked["name"]}
        if path == "/version":
            return 200, {"version": "1", "logs3_payload_max_bytes": 6 << 20}
        if path != "/logs3":
            return 404, {"error": "not here"}
        for row in asked["rows"]:
            if row.get("_is_merge") and row["id"] in self.rows:
                self.merge(self.rows[row["id"]], row)
            else:
                self.rows[row["id"]] = {key: value for key, value in row.items() if key != "_is_merge"}
        return 200, {"ids": [row["id"] for row in asked["rows"]]}


class LangSmith(Receiver):
    backend = "langsmith"
    configuration = 'key = { env = "LANGSMITH_KEY" }\ncompression = "none"\n'

    def answer(self, handler, path, body):
        path, _, query = path.partition("?")
        if path == "/info":
            limits = {"use_multipart_endpoint": True, "size_limit": 100, "size_limit_bytes": 20 << 20}
            return 200, {"batch_ingest_config": limits, "instance_flags": {}}
        if path == "/sessions":
            name = re.search(r"name=([^&]*)", query)[1]
            return 200, [{"id": self.project(name), "name": name}] if self.rows else []
        if path == "/runs/query":
            found = [dict(self.rows[it]) for it in json.loads(body).get("id", []) if it in self.rows]
            for run in found:
                run["session_id"] = self.project(run.pop("session_name"))
            return 200, {"runs": found}
        if path != "/runs/multipart":
            return 404, {"error": "not here"}
        runs = self.parts(handler, body)
        if any(run in self.rows for run in runs):
            return 409, {"error": "a run already exists"}
        self.rows.update(runs)
        return 202, {}

    @staticmethod
    def project(name):
        return f"00000000-0000-4000-8000-{len(name):012x}"

    @staticmethod
    def parts(handler, body):
        boundary, runs = handler.headers["Content-Type"].split("boundary=")[1].encode(), {}
        for part in body.split(b"--" + boundary)[1:-1]:
            head, _, value = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="post\.([^"]*)"', head)[1].decode()
            run, _, field = name.partition(".")
            value = json.loads(value.removesuffix(b"\r\n"))
            if field:
                runs[run][field] = value
            else:
                runs[run] = value
        return runs


ALL = (Spans, Logfire, MLflow, Telemetry, Braintrust, LangSmith)
