#!/usr/bin/env python3
"""Compares prices.json with LiteLLM's public table of prices, and brings it up to date.

    refresh_prices.py TABLE [--since DATE] [--write]

TABLE is a file or an address, for example
https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json

Says which models of OpenAI have another price there than here, and which new ones
there are. With --write, a price that changed gets a row of its own that holds from
DATE on (today, unless given), and a new model gets its first row. Prices that the
other table does not have are left as they are, and nothing is ever removed.
Look at the difference before you commit it.
"""

import argparse
import datetime
import json
import pathlib
import re
import sys
import urllib.request
from decimal import Decimal

PRICES = pathlib.Path(__file__).with_name("prices.json")
# What Codex asks for: no speech, no images, no embeddings.
WANTED = re.compile(r"^(gpt-5|gpt-[6-9]|o3|o4-mini|gpt-4\.1|codex)[a-z0-9.-]*$")
UNWANTED = re.compile(r"pro|chat|search|audio|realtime|image|deep-research|transcribe|tts|\d{4}-\d{2}-\d{2}$")
KINDS = {
    "input": "input_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write_input": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
}
TIERS = {"priority": "_priority", "flex": "_flex", "batch": "_batches"}
LONG = re.compile(r"^input_cost_per_token_above_(\d+)k_tokens")


def per_million(cost):
    """Dollars per token, as dollars per million."""
    value = (Decimal(repr(cost)) * 1_000_000).normalize()
    return int(value) if value == value.to_integral() else float(value)


def rates(theirs, suffix):
    found = {kind: theirs.get(name + suffix) for kind, name in KINDS.items()}
    found = {kind: per_million(cost) for kind, cost in found.items() if cost is not None}
    return found if "input" in found and "output" in found else None


def price(theirs, suffix):
    """The price in one tier, with that of long requests; None if there is none."""
    found = rates(theirs, suffix)
    above = next((m.group(1) for m in map(LONG.match, theirs) if m), None)
    if found and above:
        long = rates(theirs, f"_above_{above}k_tokens{suffix}")
        if long:
            found["long_context"] = {"above": int(above) * 1000, **long}
    return found


def row_of(theirs):
    row = price(theirs, "")
    if row:
        tiers = {tier: price(theirs, suffix) for tier, suffix in TIERS.items()}
        tiers = {tier: found for tier, found in tiers.items() if found}
        if tiers:
            row["tiers"] = tiers
    return row


def differences(ours, theirs, path=""):
    """What is said there and is otherwise here."""
    for key, value in theirs.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            yield from differences(ours.get(key, {}), value, name + ".")
        elif ours.get(key) != value:
            yield name, ours.get(key), value


def merged(ours, theirs):
    result = dict(ours)
    for key, value in theirs.items():
        result[key] = merged(ours.get(key, {}), value) if isinstance(value, dict) else value
    return result


def text_of(table):
    """The table as it is laid out: a row a line, and one for each of its variants."""
    head = {key: value for key, value in table.items() if key != "prices"}
    lines = json.dumps(head, indent=2, ensure_ascii=False)[:-2]
    return lines + ',\n  "prices": [\n' + ",\n".join(map(row_text, table["prices"])) + "\n  ]\n}\n"


def row_text(row):
    plain = {key: value for key, value in row.items() if not isinstance(value, dict)}
    parts = ["    {" + json.dumps(plain)[1:-1]]
    if "long_context" in row:
        parts.append('     "long_context": ' + json.dumps(row["long_context"]))
    if "tiers" in row:
        tiers = (f"       {json.dumps(tier)}: {json.dumps(it)}" for tier, it in row["tiers"].items())
        parts.append('     "tiers": {\n' + ",\n".join(tiers) + "}")
    return ",\n".join(parts) + "}"


def read(place):
    if re.match(r"https?://", place):
        with urllib.request.urlopen(place, timeout=60) as answer:
            return json.load(answer)
    return json.loads(pathlib.Path(place).read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", metavar="TABLE", help="LiteLLM's table: a file or an address")
    parser.add_argument("--since", metavar="DATE", default=datetime.date.today().isoformat())
    parser.add_argument("--write", action="store_true", help="change prices.json")
    args = parser.parse_args()
    since = datetime.date.fromisoformat(args.since).isoformat()

    table = json.loads(PRICES.read_text())
    last = {row["model"]: row for row in table["prices"] if row.get("provider", "openai") == "openai"}
    changed = 0
    for model, theirs in sorted(read(args.table).items()):
        wanted = WANTED.match(model) and not UNWANTED.search(model)
        row = row_of(theirs) if wanted and theirs.get("litellm_provider") == "openai" else None
        if not row:
            continue
        ours = last.get(model)
        found = list(differences(ours or {}, row))
        if not found:
            continue
        changed += 1
        print(f"{model}:" if ours else f"{model}: new")
        for name, here, there in found:
            print(f"  {name}: {'-' if here is None else here} here, {there} there")
        base = {key: value for key, value in (ours or {}).items() if key not in ("model", "from", "source")}
        start = {"from": since} if ours else {}
        new = {"model": model, **start, **merged(base, row), "source": "litellm"}
        place = table["prices"].index(ours) + 1 if ours else len(table["prices"])
        table["prices"].insert(place, new)
    print(f"{changed} models differ", file=sys.stderr)
    if args.write and changed:
        table["checked"] = since
        table["sources"]["litellm"] = f"github.com/BerriAI/litellm, model_prices_and_context_window.json, {since}"
        PRICES.write_text(text_of(table))


if __name__ == "__main__":
    main()
