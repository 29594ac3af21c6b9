#!/usr/bin/env python3
"""Reduces what the Logfire exporter uploaded to what the test compares with.

usage: reduce.py GOLDEN_DIR > exporter-0.1.0.jsonl

One line for each recorded document: the fixture, the capture mode, whether
Codex itself called the exporter, resource, scope, and the spans as they were
sent. Of a span's attributes each is [key, type, value], in the order of the
wire; nothing of them is left out.
"""
import glob, json, os, sys

ROOT = os.path.abspath(sys.argv[1])


def attribute(it):
    (kind, value), = it["value"].items()
    if kind == "arrayValue":
        value = [list(item.values())[0] for item in value["values"]]
    return [it["key"], kind, value]


def span(it):
    return {"trace": it["traceId"], "id": it["spanId"], "parent": it.get("parentSpanId"), "name": it["name"],
            "kind": it["kind"], "start": it["startTimeUnixNano"], "end": it["endTimeUnixNano"],
            "status": it["status"], "attributes": [attribute(a) for a in it["attributes"]]}


def document(path):
    doc = json.load(open(path))
    batches = [b for request in doc["requests"] for b in request["batches"]]
    heads = {json.dumps([b["resource"]["attributes"], b["scope"]], sort_keys=True) for b in batches}
    assert len(heads) <= 1, path
    resource, scope = json.loads(heads.pop()) if heads else ([], None)
    return {"fixture": doc["fixture"].replace("../corpus/real-codex/", "../homes/"),
            "mode": doc["content_capture_mode"], "live": doc["driver"].startswith("live"),
            "resource": [attribute(a) for a in resource], "scope": scope,
            "spans": [span(s) for s in doc["spans"]]}


paths = glob.glob(ROOT + "/logfire/**/*.json", recursive=True) + glob.glob(ROOT + "/e2e/*/logfire.json")
for path in sorted(paths):
    print(json.dumps(document(path), separators=(",", ":"), ensure_ascii=True))
