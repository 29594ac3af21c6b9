"""Tables and objects against what the command prints, for every home of testdata."""

from __future__ import annotations

import json
import pathlib
import re
from collections import Counter
from datetime import datetime, timezone

import pyarrow as pa
import pytest

import codex_trace as ct

from conftest import HOMES, TESTDATA, Command, talk

TOKENS = [
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "total_tokens",
]
TABLES = ["spans", "calls", "items", "sessions", "problems"]


def total(table: pa.Table, column: str) -> int:
    return sum(n or 0 for n in table[column].to_pylist())


def test_calls_are_those_of_usage(home: pathlib.Path, cli: Command) -> None:
    expected = cli.usage(home)["total"]
    scan = ct.scan(home)
    calls, spans = scan.calls.to_arrow(), scan.to_arrow()
    sessions = scan.sessions.to_arrow()
    assert calls.num_rows == expected["model_calls"]
    assert total(sessions, "model_calls") == expected["model_calls"]
    for column in TOKENS:
        for table in (calls, spans, sessions):
            assert total(table, column) == expected[column], column
    cost = sum(n or 0 for n in calls["cost_usd"].to_pylist())
    assert cost == pytest.approx(expected.get("cost_usd", 0), abs=1e-9)


def by_words(cli: Command) -> list[str]:
    """Every word that the command takes after `--by`, in its own words."""
    told = cli.run("usage", "--help").partition("--by")[2].partition("Possible values:")[2]
    words = re.findall(r"^ +- (\w+): ", told.partition("\n\n")[0], re.MULTILINE)
    assert {"total", "day", "tool"} <= set(words), words
    return words


def test_usage_is_that_of_the_command(home: pathlib.Path, cli: Command) -> None:
    for by in [*by_words(cli), "day,model", "session,model"]:
        assert ct.usage(home, by=by) == cli.usage(home, by)["rows"], by


def test_tools_are_counted_as_the_command_counts_them(cli: Command) -> None:
    tree = TESTDATA / "tree"
    starts = [row["start"] for row in ct.scan(tree).to_arrow().to_pylist() if row["kind"] == "tool_call"]
    middle = sorted(it for it in starts if it)[len(starts) // 2].isoformat()
    all_calls = sum(row["calls"] for row in ct.usage(tree, by="tool"))
    assert all_calls == len(starts)
    for limits in ({"since": middle}, {"until": middle}):
        args = [it for name, value in limits.items() for it in (f"--{name}", value)]
        rows = ct.usage(tree, by="tool", **limits)
        assert rows == json.loads(cli.run("usage", str(tree), "--json", "--by", "tool", *args))["rows"]
        assert 0 < sum(row["calls"] for row in rows) < all_calls
    for by in ("tool,model", ["day", "tool"]):
        with pytest.raises(ct.CodexTraceError, match="`tool` stands alone"):
            ct.usage(tree, by=by)


def test_rows_are_the_lines_of_convert(home: pathlib.Path, cli: Command) -> None:
    lines = cli.convert(home)
    of = {kind: [it for it in lines if it["type"] == kind] for kind in ("trace", "item", "span")}
    scan = ct.scan(home)
    spans, items = scan.to_arrow().to_pylist(), scan.items.to_arrow().to_pylist()
    assert [json.loads(row["json"]) for row in spans] == of["span"]
    assert [json.loads(row["json"]) for row in items] == of["item"]
    assert [row["session_id"] for row in scan.sessions.to_arrow().to_pylist()] == [
        line["session_id"] for line in of["trace"]
    ]
    for row, line in zip(spans, of["span"]):
        assert (row["key"], row["kind"], row["status"]) == (line["key"], line["kind"], line["status"])
        start = row["start"] and row["start"].astimezone(timezone.utc)
        expected = line.get("start")
        assert (start is None) == (expected is None)
        if start and expected:
            assert start.strftime("%Y-%m-%dT%H:%M:%S") == expected[:19]
    problems = [(it["code"], it["text"]) for line in of["trace"] for it in line.get("diagnostics", [])]
    rows = scan.problems.to_arrow().to_pylist()
    assert [(row["code"], row["text"]) for row in rows if row["session_id"]] == problems


def test_objects_are_the_lines_of_convert(home: pathlib.Path, cli: Command) -> None:
    lines = cli.convert(home)
    traces = list(ct.read(home))
    assert [trace.fields for trace in traces] == [it for it in lines if it["type"] == "trace"]
    spans = [span for trace in traces for span in trace.spans]
    assert [span.fields for span in spans] == [it for it in lines if it["type"] == "span"]
    for trace in traces:
        assert {id(span) for span in trace.root.walk()} == {id(span) for span in trace.spans}
        assert trace.root.usage.total_tokens == trace.usage.total_tokens
        assert sum((call.usage for call in trace.model_calls), ct.Usage()) == trace.root.usage
        for span in trace.spans:
            assert all(child.parent is span for child in span.children)


def test_same_rows_with_any_number_of_threads(home: pathlib.Path) -> None:
    for name in TABLES:
        one, more = (ct.scan(home, threads=n).table(name).to_arrow() for n in (1, 4))
        assert one.combine_chunks() == more.combine_chunks(), name


def test_records_are_the_lines_of_the_file() -> None:
    files = sorted((TESTDATA / "homes" / "r169").rglob("rollout-*.jsonl"))
    assert files
    for file in files:
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        reader = ct.RolloutReader(file)
        assert list(reader) == lines
        assert reader.errors == []


def test_a_broken_line_is_told_and_not_skipped(tmp_path: pathlib.Path) -> None:
    source = sorted((TESTDATA / "homes" / "r169").rglob("rollout-*.jsonl"))[0]
    lines = source.read_text().splitlines()
    lines[3] = lines[3][:-20]
    file = tmp_path / source.name
    file.write_text("\n".join(lines) + "\n")
    reader = ct.RolloutReader(file)
    assert len(list(reader)) == len(lines) - 1
    assert [line for line, _ in reader.errors] == [4]
    with pytest.raises(ct.CodexTraceError, match="line 4"):
        list(ct.RolloutReader(file, strict=True))

    problems = ct.scan(tmp_path).problems.to_arrow().to_pylist()
    bad = [row for row in problems if row["code"] == "bad_line"]
    assert [(row["line"], row["file"]) for row in bad] == [(4, str(file))]
    for table in ("spans", "calls", "items", "sessions", "problems"):
        with pytest.raises(Exception, match="bad_line"):
            ct.scan(tmp_path, strict=True).table(table).to_arrow()
    with pytest.raises(ct.CodexTraceError, match="bad_line"):
        list(ct.read(tmp_path, strict=True))
    with pytest.raises(ct.CodexTraceError, match="problems"):
        ct.usage(tmp_path, strict=True)


def test_a_file_that_is_no_rollout_is_a_problem(tmp_path: pathlib.Path) -> None:
    source = sorted((TESTDATA / "homes" / "r169").rglob("rollout-*.jsonl"))[0]
    (tmp_path / source.name).write_bytes(source.read_bytes())
    other = tmp_path / "rollout-2026-11-21T05-00-00-01a1fca4-0000-7000-8000-000000000000.jsonl"
    other.write_text("no rollout\n")
    scan = ct.scan(tmp_path)
    assert len(scan) == 1
    rows = scan.problems.to_arrow().to_pylist()
    assert [row["file"] for row in rows if row["code"] == "unreadable"] == [str(other)]
    with pytest.raises(Exception, match="not a rollout"):
        ct.scan(tmp_path, strict=True).to_arrow()


def test_what_is_not_there_is_an_error() -> None:
    for args, what in [
        ({"home": "/no/such/home"}, "no such file"),
        ({"home": HOMES[0], "since": "someday"}, "`since` cannot be `someday`"),
        ({"home": HOMES[0], "content": "all"}, "`content` cannot be `all`"),
        ({"home": HOMES[0], "redact": ["("]}, "\\("),
    ]:
        with pytest.raises(ct.CodexTraceError, match=what):
            ct.scan(**args)  # type: ignore[arg-type]
    with pytest.raises(ct.CodexTraceError, match="`by` cannot be `colour`"):
        ct.usage(HOMES[0], by="colour")
    with pytest.raises(ValueError, match="no table `turns`"):
        ct.scan(HOMES[0]).table("turns")


def test_filters_are_those_of_the_command(cli: Command) -> None:
    tree = TESTDATA / "tree"
    sessions = ct.scan(tree).sessions.to_arrow().to_pylist()
    starts = sorted(row["started_at"] for row in sessions if row["started_at"])
    middle: datetime = starts[len(starts) // 2]
    lines = cli.run("list", str(tree), "--json", "--since", middle.isoformat()).splitlines()
    expected = {json.loads(line)["session_id"] for line in lines}
    assert 0 < len(expected) < len(sessions)
    scan = ct.scan(tree, since=middle)
    assert {row["session_id"] for row in scan.sessions.to_arrow().to_pylist()} == expected
    assert {row["session_id"] for row in scan.calls.to_arrow().to_pylist()} <= expected
    assert {trace.session_id for trace in ct.read(tree, since=middle)} == expected


def test_content_is_as_much_as_was_asked_for() -> None:
    home = TESTDATA / "homes" / "r169"
    full, short, none = (
        ct.scan(home, content=content).to_arrow() for content in ("full", "short", "none")
    )
    sizes = full["output_bytes"].to_pylist()
    # How long texts are is known whether they are there or not.
    assert short["output_bytes"].to_pylist() == none["output_bytes"].to_pylist() == sizes
    assert [text and len(text.encode()) for text in full["output"].to_pylist()] == sizes
    assert all(len(text.encode()) < 460 for text in short["output"].to_pylist() if text)
    for column in ("input", "output", "json", "command", "cwd"):
        assert none[column].null_count == none.num_rows, column
    assert none["total_tokens"] == full["total_tokens"]


def test_secrets_are_taken_out_if_wanted(tmp_path: pathlib.Path) -> None:
    source = sorted((TESTDATA / "homes" / "r169").rglob("rollout-*.jsonl"))[0]
    secret = "sk-proj-" + "Ab1" * 16
    file = tmp_path / source.name
    file.write_text(source.read_text().replace("README", f"README {secret}"))
    tables = [ct.scan(tmp_path, redact=True).table(name).to_arrow() for name in TABLES]
    assert not any(secret in str(table.to_pydict()) for table in tables)
    plain = [ct.scan(tmp_path).table(name).to_arrow() for name in TABLES]
    assert (secret in file.read_text()) == any(secret in str(it.to_pydict()) for it in plain)
    own = ct.scan(tmp_path, redact=["README"]).to_arrow()
    assert "README" not in str(own["output"].to_pylist())
    assert not any(secret in json.dumps(span.fields) for t in ct.read(tmp_path, redact=True) for span in t.spans)


def test_parquet_has_row_groups_of_a_good_size(tmp_path: pathlib.Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for nth in range(3):
        talk(tmp_path, nth, 1 << 20)
    table = ct.scan(tmp_path).items
    batches = list(table.to_batches())
    assert len(batches) > 2
    table.write_parquet(tmp_path / "items.parquet")
    file = parquet.ParquetFile(tmp_path / "items.parquet")
    assert file.metadata.num_row_groups == 1
    assert file.read().to_pylist() == table.to_arrow().to_pylist()


def test_every_column_has_its_schema() -> None:
    scan = ct.scan(HOMES[0])
    for name in TABLES:
        table = scan.table(name)
        schema = pa.schema(table)  # type: ignore[arg-type]
        assert schema == table.to_batches().schema
        assert schema.names == table.columns
        types = Counter(str(field.type) for field in schema)
        assert set(types) <= {"string", "int64", "double", "bool", "timestamp[us, tz=UTC]"}, types
        assert schema.names[0] == "home"
    assert set(scan.to_arrow()["home"].to_pylist()) == {str(HOMES[0])}
    assert set(ct.scan(HOMES[0], name="me").to_arrow()["home"].to_pylist()) == {"me"}
