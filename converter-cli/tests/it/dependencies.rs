//! What the build depends on, against `.deny.toml` and docs/dependencies.md: licences, sources, versions side by
//! side, the promised compiler. Asks cargo alone, and no network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What cargo knows of the workspace.
struct Tree {
    packages: BTreeMap<String, Value>,
    /// The ids of what is built, tests and benches apart.
    built: BTreeSet<String>,
    members: BTreeSet<String>,
}

impl Tree {
    /// Reads the tree for this machine, or says why it cannot be had.
    fn read() -> Option<Tree> {
        let rustc = Command::new("rustc").arg("-vV").output().ok()?;
        let version = String::from_utf8(rustc.stdout).ok()?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "))?.to_owned();
        let out = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline"])
            .args(["--filter-platform", &host])
            .current_dir(root())
            .output()
            .ok()?;
        if !out.status.success() {
            skip(&out.stderr);
            return None;
        }
        let metadata: Value = serde_json::from_slice(&out.stdout).expect("cargo writes JSON");
        let packages: BTreeMap<String, Value> =
            list(&metadata["packages"]).map(|it| (text(&it["id"]), it.clone())).collect();
        let members: BTreeSet<String> = list(&metadata["workspace_members"]).map(text).collect();
        let nodes: BTreeMap<String, &Value> =
            list(&metadata["resolve"]["nodes"]).map(|it| (text(&it["id"]), it)).collect();
        let mut built = BTreeSet::new();
        let mut open: Vec<String> = members.iter().cloned().collect();
        while let Some(id) = open.pop() {
            let deps = list(&nodes[&id]["deps"]).filter(|dep| {
                list(&dep["dep_kinds"]).any(|kind| kind["kind"] != "dev") && !is_benches(&id)
            });
            open.extend(deps.map(|dep| text(&dep["pkg"])).filter(|it| built.insert(it.clone())));
        }
        Some(Tree { packages, built, members })
    }

    /// What is built and not ours.
    fn foreign(&self) -> impl Iterator<Item = &Value> {
        self.built.difference(&self.members).map(|id| &self.packages[id])
    }
}

#[expect(clippy::print_stderr, reason = "a test says why it has tested nothing")]
fn skip(why: &[u8]) {
    eprintln!("skipped: {}", String::from_utf8_lossy(why));
}

fn is_benches(id: &str) -> bool {
    id.contains("/benches")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the workspace")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn rules() -> toml::Table {
    let text = fs::read_to_string(root().join(".deny.toml")).expect("the rules");
    text.parse().expect("TOML")
}

/// The names in a list of the rules: of texts, or of tables with `crate`.
fn names(rules: &toml::Table, table: &str, key: &str) -> Vec<String> {
    let entries = rules[table][key].as_array().expect("a list").iter();
    let name = |it: &toml::Value| it.get("crate").unwrap_or(it).as_str().map(str::to_owned);
    entries.map(|it| name(it).expect("a name")).collect()
}

/// Whether a licence expression can be met with what is allowed.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ");
    // Alternatives, each a list of what must be met together; parentheses
    // stand around alternatives only, in all that is in use.
    let (either, and) = match expression.split_once(") AND ") {
        Some((either, and)) => (either.trim_start_matches('('), Some(and)),
        None => (expression.as_str(), None),
    };
    let is_met = |alternative: &str| {
        alternative.split(" AND ").all(|it| allowed.iter().any(|allowed| allowed == it.trim()))
    };
    either.split(" OR ").any(is_met) && and.is_none_or(is_met)
}

#[test]
fn licences_and_sources_are_allowed() {
    let Some(tree) = Tree::read() else { return };
    let rules = rules();
    let allowed = names(&rules, "licenses", "allow");
    let denied = names(&rules, "bans", "deny");
    for package in tree.foreign() {
        let name = text(&package["name"]);
        let license = text(&package["license"]);
        assert!(is_allowed(&license, &allowed), "{name}: `{license}` is not in .deny.toml");
        assert!(!denied.contains(&name), "{name} is refused by .deny.toml");
        let source = text(&package["source"]);
        assert!(source.ends_with("rust-lang/crates.io-index"), "{name} comes from {source}");
    }
    assert!(!is_allowed("GPL-3.0", &allowed) && !is_allowed("MIT AND GPL-3.0", &allowed));
    assert!(!is_allowed("(MIT OR Apache-2.0) AND GPL-3.0", &allowed));
    assert!(is_allowed("MIT OR GPL-3.0", &allowed));
}

#[test]
fn no_crate_is_built_in_two_versions() {
    let Some(tree) = Tree::read() else { return };
    let skipped = names(&rules(), "bans", "skip");
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in tree.foreign() {
        versions.entry(text(&package["name"])).or_default().insert(text(&package["version"]));
    }
    versions.retain(|_, versions| versions.len() > 1);
    let found: Vec<&String> = versions.keys().collect();
    assert_eq!(found, skipped.iter().collect::<Vec<_>>(), "{versions:?}");
}

/// The oldest compiler that we promise is one that all of them take.
#[test]
fn every_dependency_builds_with_the_promised_compiler() {
    let Some(tree) = Tree::read() else { return };
    let parse = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().expect("a number")).collect()
    };
    let ours = tree.members.iter().map(|id| &tree.packages[id]);
    let promised = ours.map(|it| text(&it["rust_version"])).collect::<BTreeSet<_>>();
    assert_eq!(promised.len(), 1, "one for all: {promised:?}");
    let promised = parse(promised.first().expect("one"));
    for package in tree.foreign() {
        let wants = text(&package["rust_version"]);
        let wants = if wants.is_empty() { Vec::new() } else { parse(&wants) };
        assert!(wants[..wants.len().min(2)] <= promised[..], "{} wants {wants:?}", package["name"]);
    }
}

/// Each crate that a member asks for has its line, and no other has.
#[test]
fn every_dependency_has_its_line() {
    let Some(tree) = Tree::read() else { return };
    let ours: BTreeSet<String> =
        tree.members.iter().map(|id| text(&tree.packages[id]["name"])).collect();
    let asked = tree.members.iter().flat_map(|id| list(&tree.packages[id]["dependencies"]));
    let asked: BTreeSet<String> =
        asked.map(|it| text(&it["name"])).filter(|name| !ours.contains(name)).collect();
    let docs = fs::read_to_string(root().join("docs/dependencies.md")).expect("docs");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let said: BTreeSet<String> = rows
        .filter(|it| *it != "crate")
        .flat_map(|cell| cell.split(", ").map(str::to_owned))
        .collect();
    assert_eq!(said, asked, "docs/dependencies.md against the manifests");
}
