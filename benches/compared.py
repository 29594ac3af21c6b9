#!/usr/bin/env python3
"""Compares the sums of `codex-trace usage` with those of ccusage, home by home and day by day.

  benches/compared.py --codex-trace target/release/codex-trace --ccusage node_modules/.bin/ccusage HOME...

Prints the tables of docs/compared.md; `--write` puts them there. ccusage comes from npm
(`npm install ccusage@20.0.24`). Both are run with UTC days and the prices that they bring along;
nothing is sent and nothing is written but the page. Only the standard library is used.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "compared.md"
BEGIN, END = "<!-- compared -->\n", "<!-- end of compared -->"


def ours(binary, home):
    """Days, tokens and dollars of codex-trace."""
    command = [binary, "usage", home, "--by", "day,model", "--json", "--timezone", "utc", "--no-cache"]
    out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    days = {}
    for row in out["rows"]:
        day = days.setdefault(row["day"], [0, 0.0])
        day[0] += row["total_tokens"]
        day[1] += row.get("cost_usd", 0.0)
    return {day: sums for day, sums in days.items() if sums[0]}


def theirs(binary, home):
    """The same of ccusage, which takes a home by its variable."""
    with tempfile.TemporaryDirectory() as empty:
        env = {**os.environ, "CODEX_HOME": str(home), "HOME": empty}
        command = [binary, "codex", "daily", "--offline", "-z", "UTC", "--json"]
        run = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    days = json.loads(run.stdout)["daily"] if run.stdout.strip() else []
    return {day["date"]: [day["totalTokens"], day["costUSD"]] for day in days}


def row(name, one, other):
    """One line of the table of homes."""
    days = one.keys() | other.keys()
    zero = [0, 0.0]
    same_tokens = sum(one.get(day, zero)[0] == other.get(day, zero)[0] for day in days)
    same_cents = sum(round(one.get(day, zero)[1] - other.get(day, zero)[1], 2) == 0 for day in days)
    tokens = [sum(sums[0] for sums in of.values()) for of in (one, other)]
    dollars = [sum(sums[1] for sums in of.values()) for of in (one, other)]
    return (
        f"| {name} | {tokens[0]:,} | {tokens[1]:,} | ${dollars[0]:,.2f} | ${dollars[1]:,.2f} "
        f"| {same_tokens} of {len(days)} | {same_cents} of {len(days)} |",
        tokens[0] == tokens[1] and round(dollars[0] - dollars[1], 2) == 0,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codex-trace", required=True)
    parser.add_argument("--ccusage", required=True)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/compared.md")
    parser.add_argument("homes", nargs="+", help="Codex homes, NAME=DIR to give one a name")
    args = parser.parse_args()
    version = subprocess.run([args.ccusage, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    lines = [
        f"Made by `benches/compared.py` with {version}, prices as built in, UTC days.",
        "",
        "| history | tokens here | tokens ccusage | cost here | cost ccusage | days with equal tokens | to the cent |",
        "|---|---|---|---|---|---|---|",
    ]
    equal = 0
    for home in args.homes:
        name, _, path = home.rpartition("=")
        path = os.path.abspath(path)
        line, is_equal = row(name or f"`{Path(path).name}`", ours(args.codex_trace, path), theirs(args.ccusage, path))
        lines.append(line)
        equal += is_equal
    lines += ["", f"Equal: {equal} of {len(args.homes)} histories."]
    table = "\n".join(lines) + "\n"
    if not args.write:
        sys.stdout.write(table)
        return
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + table + END + after)


if __name__ == "__main__":
    main()
