"""Fleets: any division gives the rows of the homes read one by one."""

from __future__ import annotations

import json
import pathlib
import pickle
import shutil
from datetime import date
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

import codex_trace as ct
from codex_trace import fleet

from conftest import TESTDATA, Command

#: Directories with several homes in them.
FLEETS = [TESTDATA / "homes", TESTDATA / "cases"]


def homes_of(root: pathlib.Path) -> list[pathlib.Path]:
    kept = [*root.rglob("sessions"), *root.rglob("archived_sessions")]
    return sorted({it.parent for it in kept if it.is_dir()})


def key(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def rows_of(parts: list[fleet.Part], table: str, **options: Any) -> list[str]:
    return sorted(key(row) for part in parts for row in part.read(table, **options).read_all().to_pylist())


def expected_rows(root: pathlib.Path, table: str) -> list[str]:
    rows: list[dict[str, Any]] = []
    for home in homes_of(root):
        rows.extend(ct.scan(home).table(table).to_arrow().to_pylist())
    return sorted(key(row) for row in rows)


@pytest.mark.parametrize("root", FLEETS, ids=lambda it: it.name)
@pytest.mark.parametrize("table", fleet.TABLES)
def test_any_division_gives_the_same_rows(root: pathlib.Path, table: str) -> None:
    expected = expected_rows(root, table)
    for size in (1, 40_000, 300_000, 1 << 30):
        parts = fleet.plan(str(root), size)
        assert rows_of(parts, table) == expected, size
        objects = [it.path for part in parts for unit in part.units for it in unit.objects]
        assert len(objects) == len(set(objects))
        for part in parts:
            # Only what cannot be divided is larger.
            assert part.size <= size or len(part.units) == 1


def test_the_sums_are_those_of_the_command(cli: Command) -> None:
    root = FLEETS[0]
    totals = [cli.usage(home)["total"] for home in homes_of(root)]
    calls = pa.concat_tables(part.read("calls").read_all() for part in fleet.plan(str(root), 50_000))
    assert calls.num_rows == sum(it["model_calls"] for it in totals)
    for column in ("input_tokens", "output_tokens", "total_tokens"):
        assert sum(n or 0 for n in calls[column].to_pylist()) == sum(it[column] for it in totals)


def test_a_part_can_be_sent_and_read_again() -> None:
    for part in fleet.plan(str(FLEETS[0]), 100_000):
        first = part.read("items").read_all()
        again = pickle.loads(pickle.dumps(part)).read("items").read_all()
        assert first.equals(again)
        assert first.schema == fleet.schema("items")


def test_homes_below_a_directory_called_sessions_stay_apart(tmp_path: pathlib.Path) -> None:
    source = TESTDATA / "homes" / "r169"
    for name in ("alice", "bob"):
        shutil.copytree(source / "sessions", tmp_path / "sessions" / name / ".codex" / "sessions")
    parts = fleet.plan(str(tmp_path))
    homes = {row for part in parts for row in part.read("sessions").read_all()["home"].to_pylist()}
    assert homes == {f"{tmp_path}/sessions/{name}/.codex" for name in ("alice", "bob")}
    once = ct.scan(source).sessions.to_arrow().num_rows
    assert sum(part.read("sessions").read_all().num_rows for part in parts) == 2 * once


def test_a_bad_object_is_a_row_or_an_error(tmp_path: pathlib.Path) -> None:
    shutil.copytree(TESTDATA / "homes" / "r169", tmp_path / "a")
    good = rows_of(fleet.plan(str(tmp_path)), "calls")
    file = next((tmp_path / "a").rglob("rollout-*.jsonl"))
    broken = file.with_name("rollout-2026-11-21T00-00-00-01a1fca4-0000-7000-8000-00000000000b.jsonl")
    broken.write_text("no rollout\n")
    gone = file.with_name("rollout-2026-11-21T00-00-00-01a1fca4-0000-7000-8000-00000000000c.jsonl")
    gone.write_text("soon gone\n")
    for size in (1, 1 << 30):
        gone.write_text("soon gone\n")
        parts = fleet.plan(str(tmp_path), size)
        gone.unlink()
        assert rows_of(parts, "calls") == good
        found = [row for part in parts for row in part.read("problems").read_all().to_pylist()]
        files = {row["file"] for row in found if row["code"] == "unreadable"}
        assert files == {str(broken), str(gone)}
        assert {row["home"] for row in found} == {str(tmp_path / "a")}
        with pytest.raises(ct.CodexTraceError):
            rows_of(parts, "calls", mode="failfast")
    with pytest.raises(ValueError, match="`mode`"):
        parts[0].read("calls", mode="lenient")  # type: ignore[arg-type]


def test_a_home_without_any_rollout_is_a_row(tmp_path: pathlib.Path) -> None:
    sessions = tmp_path / "a" / "sessions"
    sessions.mkdir(parents=True)
    file = sessions / "rollout-2026-11-21T00-00-00-01a1fca4-0000-7000-8000-00000000000b.jsonl"
    file.write_text("no rollout\n")
    rows = [row for part in fleet.plan(str(tmp_path)) for row in part.read("problems").read_all().to_pylist()]
    assert len(rows) == 1 and "not a rollout" in rows[0]["text"], rows
    assert str(tmp_path / "a") in rows[0]["text"]
    with pytest.raises(ct.CodexTraceError, match="no rollouts"):
        fleet.plan(str(sessions / "nothing"), manifest=[])


def test_a_manifest_takes_the_place_of_the_list(tmp_path: pathlib.Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    root = FLEETS[0]
    files = [it for it in root.rglob("*") if it.is_file()]
    manifest = [(str(it), it.stat().st_size) for it in files]
    expected = rows_of(fleet.plan(str(root)), "calls")
    assert rows_of(fleet.plan(str(root), manifest=manifest), "calls") == expected
    table = pa.table({"key": [path for path, _ in manifest], "size": [size for _, size in manifest]})
    parquet.write_table(table, tmp_path / "inventory.parquet")
    named = str(tmp_path / "inventory.parquet")
    assert rows_of(fleet.plan(str(root), manifest=named), "calls") == expected


def test_what_was_begun_later_is_not_read() -> None:
    root = FLEETS[0]
    begun = [row for part in fleet.plan(str(root)) for row in part.read("sessions").read_all().to_pylist()]
    days = sorted(row["day"] for row in begun if row["day"])
    until = date.fromisoformat(days[len(days) // 2])
    pruned = fleet.plan(str(root), 1, until=until)
    size = sum(part.size for part in pruned)
    assert size < sum(part.size for part in fleet.plan(str(root), 1))
    options = {"until": until.isoformat()}
    assert rows_of(pruned, "calls", **options) == rows_of(fleet.plan(str(root)), "calls", **options)
