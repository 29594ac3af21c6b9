"""A small history through a real Spark, if one is installed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("pyspark")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

from pyspark.sql import SparkSession

from codex_trace import fleet
from codex_trace.spark import CodexRollouts

from conftest import TESTDATA, Command
from s3_server import serving
from test_store import URL, objects

ROOT = TESTDATA / "homes"


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    session.dataSource.register(CodexRollouts)
    yield session
    session.stop()


def load(spark: Any, **options: str) -> Any:
    reader = spark.read.format("codex_rollout")
    for name, value in options.items():
        reader = reader.option(name, value)
    return reader.load(str(ROOT))


def test_calls_are_those_of_usage_for_any_size(spark: Any, cli: Command) -> None:
    totals = [cli.usage(home)["total"] for home in sorted(ROOT.iterdir())]
    expected = tuple(sum(it[key] for it in totals) for key in ("model_calls", "input_tokens", "output_tokens"))
    for size in ("100000", "134217728"):
        frame = load(spark, table="calls", partitionBytes=size)
        row = frame.selectExpr("count(*)", "sum(input_tokens)", "sum(output_tokens)").collect()[0]
        assert tuple(row) == expected, size


@pytest.mark.parametrize("table", fleet.TABLES)
def test_every_table_arrives_as_it_is(spark: Any, table: str) -> None:
    frame = load(spark, table=table, partitionBytes="300000")
    parts = [part.read(table).read_all() for part in fleet.plan(str(ROOT), 300_000)]
    assert frame.columns == fleet.schema(table).names
    assert frame.count() == sum(it.num_rows for it in parts)


def test_a_wrong_option_is_an_error(spark: Any) -> None:
    with pytest.raises(Exception, match="no option `tabel`"):
        load(spark, tabel="calls").count()
    with pytest.raises(Exception, match="there is no table `turns`"):
        load(spark, table="turns").count()


def test_a_filter_leaves_other_queries_on_the_same_frame_alone(spark: Any) -> None:
    # With filters pushed down, Spark 4.3 keeps what the first query left.
    spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    frame = load(spark, table="calls")
    some = sorted(ROOT.iterdir())[3]
    before = frame.count()
    assert 0 < frame.where(f"home = '{some}'").count() < before
    assert frame.count() == before


def test_homes_are_those_that_were_named(spark: Any) -> None:
    one, other = (str(it) for it in sorted(ROOT.iterdir())[3:5])
    frame = load(spark, table="calls", homes=f"{one}, {other}")
    assert {row.home for row in frame.select("home").distinct().collect()} == {one, other}
    assert load(spark, table="calls", homes="/elsewhere").count() == 0


def test_what_no_part_is_left_of_has_no_rows(spark: Any) -> None:
    assert load(spark, table="calls", until="2020-01-01").count() == 0


def test_refused_and_broken_objects_are_rows_or_fail_the_job(spark: Any) -> None:
    kept = objects()
    name = "all/r169/sessions/rollout-2026-11-21T00-00-00-01a1fca4-0000-7000-8000-00000000000"
    denied, broken = f"{name}b.jsonl", f"{name}c.jsonl"
    kept |= {denied: b"{}\n", broken: b"no rollout\n"}
    with serving(kept) as bucket:
        bucket.denied = {denied}

        def read(**options: str) -> Any:
            reader = spark.read.format("codex_rollout").option("partitionBytes", "1")
            for name, value in {**options, **{f"storage.{k}": v for k, v in bucket.storage.items()}}.items():
                reader = reader.option(name, value)
            return reader.load(URL)

        problems = read(table="problems").where("code = 'unreadable'").collect()
        assert {row.file for row in problems} == {f"s3a://fleet/{it}" for it in (denied, broken)}
        calls = sum(part.read("calls").read_all().num_rows for part in fleet.plan(str(ROOT)))
        assert read(table="calls").count() == calls
        with pytest.raises(Exception, match=f"s3a://fleet/({denied}|{broken})"):
            read(table="calls", mode="failfast").count()
