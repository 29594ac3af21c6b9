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
