#!/usr/bin/env python3
"""Reduces what the live plugins uploaded to the facts that the tests compare with.

usage: facts.py GOLDEN_DIR > facts.tsv

One line for each recorded document: fixture, backend, turns, model calls, tool
names in order, subagent threads in order, total tokens. A turn, a subagent and
a token are counted as that plugin's own documents name them.
"""
import glob, json, os, sys

ROOT = os.path.abspath(sys.argv[1])


def walk(nodes):
    for node in nodes:
        yield node
        yield from walk(node["children"])


def langsmith(doc):
    meta = lambda run: run.get("extra", {}).get("metadata", {})
    runs = list(walk(doc["tree"]))
    subs = [r for r in runs if r["run_type"] == "chain" and meta(r).get("ls_agent_type") == "subagent"]
    turns = [r for r in runs if r["run_type"] == "chain" and r not in subs]
    tokens = sum((meta(r).get("usage_metadata") or {}).get("total_tokens", 0) for r in runs)
    return (len(turns), sum(r["run_type"] == "llm" for r in runs),
            [r["name"] for r in runs if r["run_type"] == "tool"],
            [meta(r)["ls_subagent_id"] for r in subs], tokens)


def braintrust(doc):
    kind = lambda s: s["span_attributes"].get("type")
    name = lambda s: s["span_attributes"].get("name") or ""
    spans = list(walk(doc["tree"]))
    subs = [s for s in spans if name(s).startswith("subagent: ")]
    turns = [s for s in spans if kind(s) == "task" and (name(s).startswith("turn: ") or name(s) == "compaction")]
    llm = [s for s in spans if kind(s) == "llm"]
    return (len(turns) - len(subs), len(llm), [name(s) for s in spans if kind(s) == "tool"],
            [name(s)[len("subagent: "):] for s in subs],
            sum((s.get("metrics") or {}).get("tokens", 0) for s in llm))


def mlflow(doc):
    spans = [s for t in doc["traces"] for s in t["spans"]]
    tools = [s["name"][len("tool_"):] for s in spans if s["type"] == "TOOL"]
    return (len(doc["traces"]), sum(s["type"] in ("LLM", "CHAT_MODEL") for s in spans), tools, [],
            sum((t["token_usage"] or {}).get("total_tokens", 0) for t in doc["traces"]))


READ = {"langsmith": langsmith, "braintrust": braintrust, "mlflow": mlflow}
for path in sorted(glob.glob(ROOT + "/**/*.json", recursive=True)):
    relative = os.path.relpath(path, ROOT)
    if relative.startswith(("wire/", "rollouts/")) or "LOST" in relative or "v0.2.0" in relative:
        continue
    doc = json.load(open(path))
    if not isinstance(doc, dict) or doc.get("backend") not in READ:
        continue
    turns, calls, tools, subs, tokens = READ[doc["backend"]](doc)
    fixture = doc["fixture"].replace("../corpus/real-codex/", "../homes/")
    print(fixture, doc["backend"], turns, calls, ",".join(tools), ",".join(subs), tokens, sep="\t")
