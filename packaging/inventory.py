"""Writes down what is linked into the binary: the texts of all licences, and a bill of materials (CycloneDX 1.6).

inventory.py WORKSPACE TARGET LICENCES BILL

The crates come from `cargo tree`, what is known of them from `cargo metadata`, checksums from Cargo.lock, and the
texts from the sources of the crates.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = "converter-cli"
LICENCE = re.compile(r"(licen[cs]e|copying|notice|unlicense|copyright)", re.IGNORECASE)


def cargo(workspace: Path, *args: str) -> str:
    command = ["cargo", *args, "--locked", "--offline"]
    return subprocess.run(command, cwd=workspace, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked(workspace: Path, target: str) -> set:
    """Name and version of each crate whose code is in the binary, or wrote some of it."""
    tree = cargo(workspace, "tree", "-p", ROOT, "-e", "normal", "--target", target, "--prefix", "none", "-f", "{p}")
    return {tuple(line.split()[:2]) for line in tree.splitlines() if line}


def texts(package: dict) -> list:
    """The licences in the sources of a crate, those of what it bundles included."""
    top = Path(package["manifest_path"]).parent
    found = sorted(path for path in top.rglob("*") if path.is_file() and LICENCE.match(path.name))
    # Beside a LICENSE, COPYING is the other choice (zstd: the GPL) or says where to look.
    beside = {path.parent for path in found if path.name.upper().startswith("LICEN")}
    found = [path for path in found if path.name != "COPYING" or path.parent not in beside]
    if not found:
        sys.exit(f"inventory.py: {package['name']} has no text of its licence")
    return [path.read_text(errors="replace").strip() for path in found]


def write_licences(packages: list, path: Path) -> None:
    users = {}
    for package in packages:
        for text in texts(package):
            users.setdefault(text, []).append(f"{package['name']} {package['version']}")
    parts = ["codex-trace contains the Rust standard library (MIT OR Apache-2.0) and these crates:\n"]
    parts += [f"{it['name']} {it['version']}: {it['license']}" for it in packages]
    for text, names in users.items():
        parts.append(f"\n{'=' * 100}\n{', '.join(dict.fromkeys(names))}\n{'=' * 100}\n\n{text}")
    path.write_text("\n".join(parts) + "\n")


def checksums(workspace: Path) -> dict:
    found = re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"', (workspace / "Cargo.lock").read_text())
    return {(name, version): checksum for name, version, checksum in found}


def component(package: dict, checksum: str, kind: str) -> dict:
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    # The slash is how crates used to write OR.
    licence = package["license"].replace("/", " OR ")
    entry = {"type": kind, "bom-ref": purl, "name": package["name"], "version": package["version"], "purl": purl}
    entry["licenses"] = [{"expression": licence}]
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def write_bill(workspace: Path, packages: list, nodes: dict, path: Path) -> None:
    sums = checksums(workspace)
    by_id = {
        it["id"]: component(it, sums.get((it["name"], it["version"])), "application" if it["name"] == ROOT else "library")
        for it in packages
    }
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    root = next(it["id"] for it in packages if it["name"] == ROOT)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": date, "component": by_id[root]},
        "components": [entry for id, entry in by_id.items() if id != root],
        "dependencies": [
            {
                "ref": entry["bom-ref"],
                "dependsOn": sorted(by_id[dep["pkg"]]["bom-ref"] for dep in nodes[id]["deps"] if is_linked(dep, by_id)),
            }
            for id, entry in by_id.items()
        ],
    }
    path.write_text(json.dumps(bill, indent=1) + "\n")


def is_linked(dep: dict, by_id: dict) -> bool:
    return dep["pkg"] in by_id and any(kind["kind"] is None for kind in dep["dep_kinds"])


def main(workspace: Path, target: str, licences: Path, bill: Path) -> None:
    metadata = json.loads(cargo(workspace, "metadata", "--format-version", "1", "--filter-platform", target))
    names = linked(workspace, target)
    packages = [it for it in metadata["packages"] if (it["name"], f"v{it['version']}") in names]
    packages.sort(key=lambda it: (it["name"], it["version"]))
    write_licences([it for it in packages if it["source"]], licences)
    write_bill(workspace, packages, {it["id"]: it for it in metadata["resolve"]["nodes"]}, bill)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
