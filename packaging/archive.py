"""Packs a directory as a zip file, with nothing of this machine in it.

archive.py ROOT DIRECTORY ARCHIVE

DIRECTORY lies in ROOT, and the names in the archive begin with it.
"""

import os
import sys
import time
import zipfile
from pathlib import Path


def main(root: Path, directory: str, archive: Path) -> None:
    entries = {path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mode) for path in files(root / directory)}
    write(archive, entries)


def files(directory: Path) -> list:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def write(archive: Path, entries: dict) -> None:
    """Writes entries, each with its bytes and its mode; all of the time that SOURCE_DATE_EPOCH says."""
    date = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
    with zipfile.ZipFile(archive, "w") as out:
        for path, (data, mode) in entries.items():
            info = zipfile.ZipInfo(path, date)
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100000 | mode & 0o777) << 16
            out.writestr(info, data, compresslevel=9)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
