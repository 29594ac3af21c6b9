"""A fleet in an object store: what is asked for, and what happens if it is refused."""

from __future__ import annotations

import urllib.request
from datetime import date, datetime, timezone
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("pyarrow")

import codex_trace as ct
from codex_trace import fleet

from conftest import TESTDATA
from s3_server import Bucket, PAGE, serving
from test_fleet import expected_rows, rows_of

ROOT = TESTDATA / "homes"
URL = "s3a://fleet/all"


def objects() -> dict[str, bytes]:
    files = [it for it in ROOT.rglob("*") if it.is_file()]
    return {f"all/{it.relative_to(ROOT)}": it.read_bytes() for it in files}


def plan(bucket: Bucket, size: int = 1 << 30, **options: Any) -> list[fleet.Part]:
    return fleet.plan(URL, size, storage=bucket.storage, **options)


def in_part(parts: list[fleet.Part]) -> set[str]:
    return {part.address(it.path) for part in parts for unit in part.units for it in unit.objects}


def test_a_bucket_gives_the_rows_of_the_homes() -> None:
    with serving(objects()) as bucket:
        for size in (1, 1 << 30):
            parts = plan(bucket, size)
            for table in ("calls", "sessions"):
                rows = [it.replace(URL, str(ROOT)) for it in rows_of(parts, table)]
                assert sorted(rows) == expected_rows(ROOT, table)


def test_an_object_is_asked_for_as_seldom_as_can_be() -> None:
    with serving(objects()) as bucket:
        n_objects = len(bucket.objects)
        parts = plan(bucket)
        # One page after the other, and nothing of what is in them.
        assert bucket.requests == {"LIST": -(-n_objects // PAGE)}
        bucket.requests.clear()
        n_wanted = sum(
            len(unit.objects) + (unit.index is not None) for part in parts for unit in part.units
        )
        for part in parts:
            part.read("calls").read_all()
        # None is larger than what is copied at a time.
        assert bucket.requests["GET"] == bucket.requests["HEAD"] == n_wanted
        assert bucket.requests["LIST"] == 0


def test_what_is_refused_or_broken_is_a_row_or_an_error() -> None:
    kept = objects()
    rollouts = sorted(it for it in kept if it.endswith(".jsonl") and "rollout-" in it)
    denied, gone, broken = rollouts[0], f"{rollouts[0][:-6]}0.jsonl", rollouts[-1]
    kept[broken] = b"no rollout\n"
    addresses = {f"s3a://fleet/{it}" for it in (denied, gone, broken)}
    with serving(kept) as bucket:
        bucket.denied, bucket.gone = {denied}, {gone}
        for size in (1, 1 << 30):
            parts = plan(bucket, size)
            found = [row for part in parts for row in part.read("problems").read_all().to_pylist()]
            odd = {it["file"] or it["home"]: it["text"] for it in found if it["code"] == "unreadable"}
            assert set(odd) <= addresses | {f"{URL}/{denied.split('/')[1]}", f"{URL}/{broken.split('/')[1]}"}
            assert "ACCESS_DENIED" in odd[f"s3a://fleet/{denied}"].upper().replace(" ", "_")
            assert f"s3a://fleet/{gone}" in odd
            assert sum("not a rollout" in it for it in odd.values()) == 1
            calls = sum(part.read("calls").read_all().num_rows for part in parts)
            assert 0 < calls
        for part in plan(bucket, 1):
            mine = in_part([part]) & addresses
            if mine:
                with pytest.raises(ct.CodexTraceError, match="s3a://fleet/all/") as told:
                    part.read("calls", mode="failfast").read_all()
                assert any(it in str(told.value) for it in mine), told.value


def test_a_prefix_that_cannot_be_listed_is_named() -> None:
    with serving({}) as bucket:
        with pytest.raises(ct.CodexTraceError, match="no rollouts at `s3a://fleet/all`"):
            plan(bucket)
    with pytest.raises(ct.CodexTraceError, match="cannot list `s3a://fleet/all`"):
        fleet.plan(URL, storage={**bucket.storage, "connect_timeout": 1, "request_timeout": 1})


def test_days_and_homes_leave_out_what_has_nothing_of_them() -> None:
    kept = objects()
    homes = sorted({it.split("/")[1] for it in kept})
    old = {it for it in kept if it.split("/")[1] == homes[0]}
    with serving(kept) as bucket:
        bucket.modified = {it: datetime(2026, 11, 1, tzinfo=timezone.utc) for it in old}
        everything = in_part(plan(bucket, 1))
        for since, left_out in ((date(2026, 11, 2), False), (date(2026, 11, 3), True)):
            left = everything - in_part(plan(bucket, 1, since=since))
            expected = {it for it in everything if f"/{homes[0]}/" in it} if left_out else set()
            assert left == expected
        one = f"{URL}/{homes[1]}"
        bucket.requests.clear()
        parts = plan(bucket, homes=[one])
        assert in_part(parts) == {it for it in everything if it.startswith(f"{one}/")}
        assert bucket.requests["LIST"] == 1
        assert plan(bucket, homes=["s3a://elsewhere/x"]) == []
    # Times of files are no evidence.
    assert in_part(fleet.plan(str(ROOT), since=date(2999, 1, 1)))


def test_google_gives_the_same_rows() -> None:
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="fleet")
    server.start()
    try:
        at = f"127.0.0.1:{server._api._httpd.server_port}"
        for name, data in objects().items():
            address = f"http://{at}/upload/storage/v1/b/fleet/o?uploadType=media&name={quote(name, safe='')}"
            headers = {"Content-Type": "application/octet-stream"}
            urllib.request.urlopen(urllib.request.Request(address, data, headers)).close()
        storage = {"anonymous": True, "scheme": "http", "endpoint_override": at}
        for size in (1, 1 << 30):
            parts = fleet.plan("gs://fleet/all", size, storage=storage)
            rows = [it.replace("gs://fleet/all", str(ROOT)) for it in rows_of(parts, "sessions")]
            assert sorted(rows) == expected_rows(ROOT, "sessions")
    finally:
        server.stop()
