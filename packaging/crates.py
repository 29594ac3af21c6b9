#!/usr/bin/env python3
"""Makes a copy of the workspace whose crates can be published:

    packaging/crates.py OUTDIR
    cd OUTDIR && cargo publish --workspace --exclude codex-trace-benches

The copy is of the last commit. In it the crates have names that are free: Codex has a crate `codex-rollout` of its own,
and `converter-cli` says little to strangers. Sources need no change, as the names of the libraries stay.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

# What a crate is called here, and where it is published.
NAMES = {"codex-rollout": "codex-trace-rollout", "converter-cli": "codex-trace"}

root = Path(__file__).resolve().parent.parent
out = Path(sys.argv[1])
out.mkdir(parents=True)
archive = subprocess.run(["git", "-C", root, "archive", "HEAD"], check=True, capture_output=True).stdout
subprocess.run(["tar", "-x", "-C", out], input=archive, check=True)

manifest = (out / "Cargo.toml").read_text()
workspace = tomllib.loads(manifest)["workspace"]
version = workspace["package"]["version"]


def dependency(line: re.Match[str]) -> str:
    """A dependency within the workspace: published, it is found by name and version."""
    name = line[1]
    package = f', package = "{NAMES[name]}"' if name in NAMES else ""
    return f'{name} = {{ path = "{line[2]}", version = "={version}"{package}'


WITHIN = re.compile(r'^([\w-]+) = \{ path = "([^"]+)"', flags=re.M)
manifest = WITHIN.sub(dependency, manifest)
manifest = manifest.replace("publish = false\n", "publish = true\n")
(out / "Cargo.toml").write_text(manifest)

for member in workspace["members"]:
    path = out / member / "Cargo.toml"
    text = WITHIN.sub(dependency, path.read_text())
    parsed = tomllib.loads(text)
    name = parsed["package"]["name"]
    if name in NAMES:
        text = text.replace(f'name = "{name}"', f'name = "{NAMES[name]}"', 1)
        if "lib" not in parsed:
            text = text.replace("[dependencies]", f'[lib]\nname = "{name.replace("-", "_")}"\n\n[dependencies]', 1)
    path.write_text(text)

subprocess.run(["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"], cwd=out, check=True, stdout=subprocess.DEVNULL)
print(f"{out}: codex-trace {version}, to be published with `cargo publish --workspace`")
