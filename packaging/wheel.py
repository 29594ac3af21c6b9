"""Packs the Python package with files that are laid out as below a prefix, the command among them, as one wheel.

wheel.py FILES PACKAGE EXTENSION VERSION PLATFORM-TAG SUMMARY OUTDIR

PACKAGE is the directory of the package, EXTENSION the module that cargo builds of `codex-trace-python`.
"""

import base64
import hashlib
import sys
from pathlib import Path

import archive


def main(files: Path, package: Path, extension: Path, version: str, tag: str, summary: str, out: Path) -> None:
    name = f"codex_trace-{version}"
    readme = (files / "share/doc/codex-trace/README.md").read_text()
    entries = {f"{package.name}/_core.abi3.so": (extension.read_bytes(), 0o755)}
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".pyi") or path.name == "py.typed"):
        entries[f"{package.name}/{path.relative_to(package).as_posix()}"] = (path.read_bytes(), 0o644)
    for path in sorted(path for path in files.rglob("*") if path.is_file()):
        below = path.relative_to(files)
        if below.parts[0] == "bin":
            entries[f"{name}.data/scripts/{below.name}"] = (path.read_bytes(), 0o755)
        elif "LICENSE" in below.name:
            entries[f"{name}.dist-info/licenses/{below.name}"] = (path.read_bytes(), 0o644)
        elif below.parts[1] != "doc":
            entries[f"{name}.data/data/{below.as_posix()}"] = (path.read_bytes(), 0o644)
    metadata = (
        f"Metadata-Version: 2.4\nName: codex-trace\nVersion: {version}\nSummary: {summary}\n"
        "License-Expression: Apache-2.0\nLicense-File: LICENSE\nLicense-File: THIRD-PARTY-LICENSES.txt\n"
        "Requires-Python: >=3.10\nClassifier: Environment :: Console\nClassifier: Typing :: Typed\n"
        "Provides-Extra: fleet\nRequires-Dist: pyarrow>=16; extra == 'fleet'\n"
        "Provides-Extra: spark\nRequires-Dist: pyarrow>=16; extra == 'spark'\nRequires-Dist: pyspark>=4; extra == 'spark'\n"
        f"Description-Content-Type: text/markdown\n\n{readme}"
    )
    wheel = f"Wheel-Version: 1.0\nGenerator: codex-trace packaging\nRoot-Is-Purelib: false\nTag: cp310-abi3-{tag}\n"
    entries[f"{name}.dist-info/METADATA"] = (metadata.encode(), 0o644)
    entries[f"{name}.dist-info/WHEEL"] = (wheel.encode(), 0o644)
    record = "".join(f"{path},sha256={digest(data)},{len(data)}\n" for path, (data, _) in entries.items())
    entries[f"{name}.dist-info/RECORD"] = (f"{record}{name}.dist-info/RECORD,,\n".encode(), 0o644)

    archive.write(out / f"{name}-cp310-abi3-{tag}.whl", entries)


def digest(data: bytes) -> str:
    """As RECORD wants it: base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), *sys.argv[4:7], Path(sys.argv[7]))
