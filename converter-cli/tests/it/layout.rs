//! The house: which crate may stand on which, that one file names the backends, and that
//! no file is long.

use std::path::Path;

/// Each member and the members below it that it may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("codex-rollout", &[]),
    ("codex-trace-model", &["codex-rollout"]),
    ("codex-trace-export", &["codex-rollout", "codex-trace-model"]),
    ("codex-trace-history", &["codex-rollout", "codex-trace-model"]),
    ("codex-trace-table", &["codex-rollout", "codex-trace-model", "codex-trace-export"]),
    (
        "codex-trace-usage",
        &["codex-rollout", "codex-trace-model", "codex-trace-export", "codex-trace-history"],
    ),
    (
        "codex-trace-deliver",
        &["codex-rollout", "codex-trace-model", "codex-trace-export", "codex-trace-history"],
    ),
];

/// What opens sockets or files, starts threads or knows a terminal.
const IMPURE: &[&str] = &[
    "anyhow",
    "clap",
    "flate2",
    "memmap2",
    "rayon",
    "rusqlite",
    "signal-hook",
    "tempfile",
    "ureq",
    "walkdir",
    "zstd",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The names in `[dependencies]`.
fn dependencies(member: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(member).join("Cargo.toml")).expect("a manifest");
    let table = text.split("[dependencies]").nth(1).expect("a table");
    let table = table.split("\n[").next().unwrap_or_default();
    let names = table.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn crates_stand_on_those_below() {
    for (member, below) in LAYERS {
        for name in dependencies(member) {
            let ours = name.starts_with("codex-") || name == "converter-cli";
            assert!(!ours || below.contains(&&*name), "{member} uses {name}");
        }
    }
}

#[test]
fn encoding_depends_on_nothing_that_acts() {
    for name in dependencies("codex-trace-export") {
        assert!(!IMPURE.contains(&&*name), "{name}");
    }
}

fn sources(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn one_file_names_the_backends() {
    let mut files = Vec::new();
    for member in ["converter-cli", "codex-trace-deliver", "codex-trace-history"] {
        sources(&root().join(member).join("src"), &mut files);
    }
    for file in files.iter().filter(|file| !file.ends_with("converter-cli/src/backends.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        let named = ["otlp::BACKEND", "mlflow::BACKEND", "langsmith::BACKEND"];
        assert!(!named.iter().any(|name| text.contains(name)), "{}", file.display());
    }
}

/// The most lines that a file may have.
const LONGEST: usize = 500;

#[test]
fn no_file_is_long() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = "));
    let members = members.expect("the members in a line").split('"').skip(1).step_by(2);
    let mut files = Vec::new();
    for member in members {
        for part in ["src", "tests", "examples", "benches", "fuzz/fuzz_targets"] {
            let dir = root().join(member).join(part);
            if dir.is_dir() {
                sources(&dir, &mut files);
            }
        }
    }
    assert!(files.len() > 300, "{} files", files.len());
    let lines = |file: &Path| std::fs::read_to_string(file).expect("text").lines().count();
    let long: Vec<_> = files.iter().filter(|file| lines(file) > LONGEST).collect();
    assert!(long.is_empty(), "split by concept what has more than {LONGEST} lines: {long:?}");
}

/// What differs between systems: one file for each thing that does.
const SYSTEMS: &[&str] = &[
    "codex-rollout/src/identity.rs",
    "codex-rollout/src/mapped.rs",
    "codex-rollout/src/piped.rs",
    "codex-trace-history/src/whole.rs",
    "codex-trace-deliver/src/companions/langsmith/alive.rs",
    "codex-trace-deliver/src/private.rs",
    "codex-trace-deliver/src/writer/birth.rs",
    "codex-trace-deliver/src/writer/lease.rs",
    "converter-cli/src/config/console.rs",
    "converter-cli/src/interrupt.rs",
    "converter-cli/src/live/detach.rs",
    "converter-cli/src/live/hook.rs",
    "converter-cli/src/look/inventory.rs",
    "converter-cli/src/measure.rs",
    "python/src/lib.rs",
];

#[test]
fn systems_differ_at_named_places() {
    let mut files = Vec::new();
    for (member, _) in LAYERS.iter().chain(&[("converter-cli", &[][..]), ("python", &[])]) {
        sources(&root().join(member).join("src"), &mut files);
    }
    let differs = |file: &Path| {
        let text = std::fs::read_to_string(file).expect("text");
        let code = text.split("mod tests {").next().unwrap_or_default();
        let of_a_system = |line: &str| {
            let condition = line.contains("cfg(") || line.contains("cfg!(");
            let names = ["unix", "windows", "target_os"].iter().any(|name| line.contains(name));
            condition && names && !line.contains("test")
        };
        !file.ends_with("tests.rs") && code.lines().any(of_a_system)
    };
    let found: Vec<_> = files.iter().filter(|file| differs(file)).collect();
    let known = |file: &Path| SYSTEMS.iter().any(|name| file.ends_with(name));
    let elsewhere: Vec<_> = found.iter().filter(|file| !known(file)).collect();
    assert!(elsewhere.is_empty(), "put it where such things are: {elsewhere:?}");
    assert_eq!(found.len(), SYSTEMS.len(), "a name too many: {found:?}");
}
