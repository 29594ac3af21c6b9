#!/usr/bin/env python3
"""Reduces what the LangSmith plugin uploaded to the facts that the test compares with.

usage: reduce.py GOLDEN_DIR > plugin-0.0.6.jsonl

One line for each recorded document: the fixture and its runs in the plugin's
own order. Run ids are random and become positions; messages become the first
16 digits of the SHA-256 of their canonical JSON, without what we leave out on
purpose (see docs/langsmith.md): encrypted reasoning, Codex' own bookkeeping
beside an item, the value of an item that the plugin does not know.
"""
import datetime, glob, hashlib, json, os, sys

ROOT = os.path.abspath(sys.argv[1])
CONTRACT = """ls_agent_purpose ls_agent_type ls_integration ls_agent_runtime ls_trace_schema_version
ls_agent_runtime_version thread_id turn_id turn_number repository_url repository_provider repository_name
git_branch git_commit_sha cwd sandbox_type approval_policy ls_subagent_id ls_subagent_type""".split()
ROOT_ONLY = ["codex_cli_version", "ls_message_format", "ls_is_error_interrupt"]
MODEL = ["ls_model_type", "ls_provider", "ls_model_name"]


def part(it):
    if it["type"] == "reasoning":
        extras = {k: v for k, v in it.get("extras", {}).items() if k in ("id", "summary")}
        return {"type": "reasoning", "reasoning": it.get("reasoning"), "extras": extras}
    if it["type"] == "non_standard":
        return {"type": "non_standard", "value": it["value"].get("type")}
    return it


def digest(message):
    kept = {"role": message["role"], "content": [part(it) for it in message["content"]],
            "call": message.get("tool_call_id")}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def millis(time):
    if isinstance(time, int):
        return time
    at = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return int(at.replace(microsecond=0).timestamp()) * 1000 + at.microsecond // 1000


def walk(node, parent, out):
    out.append((node, parent))
    for child in node["children"]:
        walk(child, node["id"], out)


def facts(path):
    doc = json.load(open(path))
    found = []
    for tree in doc.get("tree", []):
        walk(tree, None, found)
    # The order of creation, as the microseconds tell it, trace by trace.
    found.sort(key=lambda it: (it[0]["dotted_order"].split(".")[0], int(it[0]["start_time"][23:26])))
    place = {run["id"]: nth for nth, (run, _) in enumerate(found)}
    runs = []
    for run, parent in found:
        meta = run["extra"]["metadata"]
        keys = CONTRACT + (ROOT_ONLY if run["run_type"] == "chain" else MODEL)
        runs.append({
            "name": run["name"], "type": run["run_type"], "parent": place.get(parent),
            "start": millis(run["start_time"]), "order": int(run["start_time"][23:26]),
            "end": millis(run["end_time"]), "error": run.get("error"),
            "in": [digest(it) for it in run["inputs"].get("messages", [])],
            "arguments": run["inputs"].get("input"),
            "out": [digest(it) for it in run["outputs"].get("messages", [])],
            "facts": sorted(key for key in run["outputs"] if key != "messages"),
            "metadata": {key: meta[key] for key in keys if key in meta},
            "usage": (meta.get("usage_metadata") or {}).get("total_tokens"),
        })
    return {"fixture": doc["fixture"].replace("../corpus/real-codex/", "../homes/"), "runs": runs}


paths = glob.glob(ROOT + "/langsmith/**/*.json", recursive=True) + glob.glob(ROOT + "/e2e/*/langsmith.json")
for path in sorted(paths):
    if "LOST" not in path:
        print(json.dumps(facts(path), sort_keys=True, separators=(",", ":"), ensure_ascii=False))
