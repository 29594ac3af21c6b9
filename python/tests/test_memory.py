"""How much memory a part takes: what its largest session takes, and not what the part does."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("pyarrow")

from conftest import talk

if not pathlib.Path("/proc/self/clear_refs").exists():
    pytest.skip("only Linux tells the peak of a process", allow_module_level=True)

#: Sessions of this many bytes, so many of them.
SIZE, COUNT = 12 << 20, 6

PROGRAM = """
import sys
from codex_trace import fleet

def peak():
    return next(int(it.split()[1]) for it in open("/proc/self/status") if it.startswith("VmHWM"))

parts = fleet.plan(sys.argv[1], int(sys.argv[2]))
fleet.plan(sys.argv[3])[0].read(sys.argv[4]).read_all()
before = peak()
rows = sum(batch.num_rows for part in parts for batch in part.read(sys.argv[4]))
print(rows, peak() - before)
"""


@pytest.mark.parametrize("table", ["spans", "items", "calls"])
@pytest.mark.parametrize("partition_bytes", [1, 1 << 30])
def test_the_peak_is_at_most_twice_the_largest_session(
    table: str, partition_bytes: int, tmp_path: pathlib.Path
) -> None:
    for nth in range(COUNT):
        talk(tmp_path / "home", nth, SIZE)
    talk(tmp_path / "small", 0, 10_000)
    args = [str(tmp_path / "home"), str(partition_bytes), str(tmp_path / "small"), table]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True, check=True)
    rows, more = map(int, done.stdout.split())
    assert rows >= (COUNT if table == "spans" else 0)
    assert more * 1024 <= 2 * SIZE, f"{more} kB"
