#!/usr/bin/env python3
"""digest.py RECORDINGS > bt-0.20.0.jsonl: what the recordings of `bt` hold, small enough to keep.

RECORDINGS is a directory of one JSON document for each home, rows nested as `children`, and `live/` with one for each
scenario of `golden/e2e` that was traced live. Long texts and lists of
messages become digests: the first 16 hex digits of the SHA-256 of their compact JSON, keys sorted, without
`encrypted_content`. A document is kept where its rollouts are in testdata/, by their SHA-256.
"""
import glob
import hashlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.dirname(os.path.dirname(HERE))


def clean(value):
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items() if key != "encrypted_content"}
    return [clean(item) for item in value] if isinstance(value, list) else value


def digest(value):
    text = json.dumps(clean(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content(value):
    if isinstance(value, list):
        return [digest(item) for item in value]
    if isinstance(value, str) and len(value) < 80:
        return {"text": value}
    return digest(value)


def rows(tree, found):
    for row in tree:
        kept = {
            "id": row["id"],
            "root": row["root_span_id"],
            "parents": row.get("span_parents", []),
            "name": row["span_attributes"]["name"],
            "type": row["span_attributes"]["type"],
            "metadata": {key: value for key, value in row["metadata"].items() if key != "transcript_path"},
            "metrics": row["metrics"],
        }
        for key in ("tags", "error"):
            if key in row:
                kept[key] = row[key]
        for key in ("input", "output"):
            if key in row:
                kept[key] = content(row[key])
        found.append(kept)
        rows(row["children"], found)
    return found


def main(directory):
    known = {}
    for path in glob.glob(f"{DATA}/**/*.jsonl", recursive=True):
        with open(path, "rb") as file:
            known[hashlib.sha256(file.read()).hexdigest()] = os.path.relpath(path, DATA)
    for path in sorted(glob.glob(f"{directory}/*.json")):
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        files = {place: known.get(sha) for place, sha in document.get("files", {}).items()}
        if files and all(files.values()):
            name = os.path.basename(path).removesuffix(".json")
            line = {"home": name, "files": files, "rows": rows(document["tree"], [])}
            print(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False))

    for path in sorted(glob.glob(f"{directory}/live/*.json")):
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        name = os.path.basename(path).removesuffix(".json")
        line = {"live": name, "rows": rows(document["tree"], [])}
        print(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1])
