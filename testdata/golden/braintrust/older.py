#!/usr/bin/env python3
"""older.py RECORDINGS > plugin-0.1.0.jsonl: what the recordings of the older plugin hold, small enough to keep.

RECORDINGS is a directory with one JSON document for each rollout, rows nested as `children`, below `braintrust/` and
`e2e/*/braintrust.json`. Its ids are random, so rows are named by what they are of: `root`, `turn:<turn id>`,
`llm:<turn id>:<n>`, `llm:<turn id>:compaction`, `tool:<call id>`, `subagent:<thread id>`. Texts are digested as by
digest.py. A document is kept where its rollout is in testdata/, by its SHA-256; the file of a subagent alone is not,
as its parent's document holds it.
"""
import glob
import hashlib
import json
import os
import sys

from digest import DATA, content


def key(row, calls):
    about = row.get("metadata", {})
    kind = row["span_attributes"]["type"]
    if kind == "tool":
        return f"tool:{about['call_id']}"
    if kind == "task":
        if "session_id" in about:
            return "root"
        return f"subagent:{about['agent_id']}" if "agent_id" in about else f"turn:{about['turn_id']}"
    turn = about["turn_id"]
    if about.get("compaction") is True:
        return f"llm:{turn}:compaction"
    calls[turn] = calls.get(turn, -1) + 1
    return f"llm:{turn}:{calls[turn]}"


def rows(tree, parent, calls, found):
    for row in sorted(tree, key=lambda row: row["span_attributes"]["exec_counter"]):
        name = key(row, calls)
        about = {k: v for k, v in row.get("metadata", {}).items() if k != "transcript_path"}
        kept = {"key": name, "parent": parent, "name": row["span_attributes"]["name"],
                "type": row["span_attributes"]["type"], "metadata": about, "metrics": row.get("metrics", {})}
        for field in ("tags", "error"):
            if field in row:
                kept[field] = row[field]
        for field in ("input", "output"):
            if row.get(field) is not None:
                kept[field] = content(row[field])
        found.append(kept)
        rows(row["children"], name, calls, found)
    return found


def main(directory):
    known = {}
    for path in sorted(glob.glob(f"{DATA}/**/*.jsonl", recursive=True)):
        with open(path, "rb") as file:
            known.setdefault(hashlib.sha256(file.read()).hexdigest(), os.path.relpath(path, DATA))
    paths = glob.glob(f"{directory}/braintrust/**/*.json", recursive=True) + glob.glob(f"{directory}/e2e/*/braintrust.json")
    for path in sorted(paths):
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        fixture = known.get(document["fixture_sha256"])
        if fixture and "01a1fc83-3ef4" not in path:
            line = {"fixture": fixture, "live": "e2e" in path, "rows": rows(document["tree"], None, {}, [])}
            print(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1])
