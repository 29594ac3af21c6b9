//! Which files are rollouts, and what their names say.

use std::fs;
use std::path::Path;

use codex_rollout::{
    Encoding, Found, Layout, PassedOver, RolloutPath, discover, is_codex_home, search,
};
use tempfile::TempDir;

const V4: &str = "8c0f6f0e-95a7-4b3e-a1a1-0123456789ab";
const V7: &str = "01a1fc9d-4b1e-7a52-9e27-3f6f3a2e0c11";
const OTHER: &str = "01a1fc9e-0000-7000-8000-000000000001";

/// Makes a directory with files of these names, all with the same content.
fn tree(content: &str, names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

/// What is found, as paths below the root.
fn found(root: &Path) -> Vec<String> {
    discover(root)
        .map(|rollout| {
            let path = rollout.expect("all can be read").path;
            path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/")
        })
        .collect()
}

#[test]
fn names_of_every_era_say_what_they_are() {
    #[rustfmt::skip]
    let cases = [
        // name                                                       thread     rollout      layout            encoding
        (format!("rollout-2025-04-20-{V4}.json"),                     Some(V4), Some(V4),    Layout::Document, Encoding::Plain),
        (format!("rollout-2025-05-09-{V4}.jsonl"),                    Some(V4), Some(V4),    Layout::Lines,    Encoding::Plain),
        (format!("rollout-2025-06-01T10-11-12-{V4}.jsonl"),           Some(V4), Some(V4),    Layout::Lines,    Encoding::Plain),
        (format!("rollout-2026-11-21T05-39-08-{V7}.jsonl"),           Some(V7), Some(V7),    Layout::Lines,    Encoding::Plain),
        (format!("rollout-2026-11-21T05-39-08-{V7}_{OTHER}.jsonl"),   Some(V7), Some(OTHER), Layout::Lines,    Encoding::Plain),
        (format!("rollout-2026-11-21T05-39-08-{V7}.jsonl.zst"),       Some(V7), Some(V7),    Layout::Lines,    Encoding::Zstd),
        (format!("rollout-2026-11-21T05-39-08-{V7}_{OTHER}.jsonl.zst"), Some(V7), Some(OTHER), Layout::Lines,  Encoding::Zstd),
        (format!("rollout-2026-11-21T05-39-08-{V7}.jsonl.gz"),        Some(V7), Some(V7),    Layout::Lines,    Encoding::Gzip),
        ("rollout.jsonl".to_owned(),                                  None,     None,        Layout::Lines,    Encoding::Plain),
        ("anything at all".to_owned(),                                None,     None,        Layout::Lines,    Encoding::Plain),
        (format!("rollout-2026-11-21T05-39-08-{V7} 2.jsonl"),         Some(V7), Some(V7),    Layout::Lines,    Encoding::Plain),
        (format!("Copy of rollout-2026-11-21T05-39-08-{V7}_{OTHER} (1).jsonl"), Some(V7), Some(OTHER), Layout::Lines, Encoding::Plain),
        ("rollout-é".to_owned(),                                      None,     None,        Layout::Lines,    Encoding::Plain),
    ];
    for (name, thread, rollout, layout, encoding) in cases {
        let path = Path::new("/home/me/.codex/sessions").join(&name);
        let expected = RolloutPath {
            path: path.clone(),
            thread_id: thread.map(str::to_owned),
            rollout_id: rollout.map(str::to_owned),
            archived: false,
            encoding,
            layout,
            piped: None,
            max_decompressed: None,
        };
        assert_eq!(RolloutPath::from_file(&path), expected, "{name}");
    }
}

#[test]
fn home_is_searched_in_both_its_trees_and_nowhere_else() {
    let old = format!("sessions/rollout-2025-06-01T10-11-12-{V4}.jsonl");
    let new = format!("sessions/2026/11/21/rollout-2026-11-21T05-39-08-{V7}.jsonl");
    let archived = format!("archived_sessions/rollout-2026-11-20T05-39-08-{OTHER}.jsonl");
    let outside = format!("backup/rollout-2026-11-20T05-39-08-{OTHER}.jsonl");
    let dir = tree("", &[&old, &new, &archived, &outside]);
    assert!(is_codex_home(dir.path()));
    assert_eq!(found(dir.path()), [new, old, archived.clone()]);
    let rollouts: Vec<_> = discover(dir.path()).map(|rollout| rollout.unwrap().archived).collect();
    assert_eq!(rollouts, [false, false, true]);
    assert_eq!(found(&dir.path().join("archived_sessions")), [archived.split_once('/').unwrap().1]);
}

#[test]
fn temporary_and_foreign_files_are_ignored() {
    let name = format!("rollout-2026-11-21T05-39-08-{V7}");
    let dir = tree(
        "{\"type\":\"session_meta\"}",
        &[
            &format!("sessions/{name}.jsonl.decompress.41.1.tmp"),
            "sessions/rollout-compress-abc.tmp",
            &format!("sessions/.{name}.jsonl.paginated.tmp"),
            &format!("sessions/.{name}.jsonl"),
            &format!("sessions/.{name}.paginated.zst.tmp"),
            "sessions/session_index.jsonl",
            "sessions/history.jsonl",
            &format!("sessions/{name}.jsonl.langsmith"),
            &format!("sessions/{name}.jsonl.bak"),
            "sessions/notes.json",
        ],
    );
    assert!(found(dir.path()).is_empty(), "{:?}", found(dir.path()));
}

/// Copies that file managers make, and other tools' names, count if they
/// begin like a rollout.
#[test]
fn odd_names_count_by_their_content() {
    let copy = format!("sessions/rollout-2026-11-21T05-39-08-{V7} 2.jsonl");
    let foreign = format!("sessions/{OTHER}/rollout.jsonl");
    let names = [foreign.as_str(), &copy];
    assert_eq!(found(tree("{\"type\":\"session_meta\",", &names).path()), names);
    assert!(found(tree("", &names).path()).is_empty(), "zero-byte copies are no rollouts");
}

#[test]
fn any_directory_is_searched_for_names_and_content() {
    let named = format!("a/rollout-2026-11-21T05-39-08-{V7}.jsonl");
    let dir = tree("{\"type\":\"session_meta\",", &[&named, "b/exported.jsonl", "b/data.json"]);
    assert!(!is_codex_home(dir.path()));
    assert_eq!(found(dir.path()), [named.as_str(), "b/exported.jsonl"]);
    fs::write(dir.path().join("b/exported.jsonl"), "{\"some\":\"thing\"}").unwrap();
    assert_eq!(found(dir.path()), [named]);
}

#[test]
fn plain_file_and_its_compressed_form_are_both_found() {
    let name = format!("sessions/rollout-2026-11-21T05-39-08-{V7}.jsonl");
    let other = format!("sessions/rollout-2026-11-21T05-39-08-{OTHER}.jsonl");
    let (zst, gz) = (format!("{name}.zst"), format!("{name}.gz"));
    let lonely = format!("{other}.zst");
    let dir = tree("", &[&name, &zst, &gz, &lonely]);
    assert_eq!(found(dir.path()), [name, gz, zst, lonely]);
}

#[test]
fn directory_that_does_not_exist_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nowhere");
    let [result] = discover(&missing).collect::<Vec<_>>().try_into().unwrap();
    let err = result.unwrap_err();
    assert!(!err.is_about_a_line());
    let cause = std::error::Error::source(&err).unwrap().to_string();
    assert!(cause.starts_with(missing.to_str().unwrap()), "{cause}");
}

#[test]
fn file_in_place_of_a_directory_is_taken_by_the_same_rules() {
    let name = format!("rollout-2026-11-21T05-39-08-{V7}.jsonl");
    let dir = tree("", &[&name, "other.txt"]);
    let rollouts: Vec<_> = discover(&dir.path().join(&name)).map(Result::unwrap).collect();
    assert_eq!(rollouts.len(), 1);
    assert_eq!(discover(&dir.path().join("other.txt")).count(), 0);
}

/// Years moved to another disk and linked back, a linked day, a linked file.
#[cfg(unix)]
#[test]
fn links_are_followed_and_nothing_is_searched_twice() {
    use std::os::unix::fs::symlink;

    let name = format!("sessions/2026/rollout-2026-11-21T05-39-08-{V7}.jsonl");
    let moved = format!("old/01/rollout-2025-11-21T05-39-08-{V4}.jsonl");
    let single = format!("rollout-2025-01-01T05-39-08-{OTHER}.jsonl");
    let dir = tree("", &[&format!("home/{name}"), &moved, &format!("files/{single}")]);
    let (home, sessions) = (dir.path().join("home"), dir.path().join("home/sessions"));
    symlink(&sessions, sessions.join("2026/loop")).unwrap();
    symlink(dir.path().join("old"), sessions.join("2025")).unwrap();
    symlink(dir.path().join("old"), sessions.join("2025-again")).unwrap();
    symlink(dir.path().join("files").join(&single), sessions.join(&single)).unwrap();
    symlink(dir.path().join("nowhere"), sessions.join("rollout-gone.jsonl")).unwrap();
    symlink("/", sessions.join("everything")).unwrap();
    symlink(&home, sessions.join("home")).unwrap();
    let linked = moved.replace("old/", "sessions/2025/");
    assert_eq!(found(&home), [linked, name, format!("sessions/{single}")]);
    let passed: Vec<_> = passed_over(&home).into_iter().map(|(_, why)| why).collect();
    let (gone, back) = (PassedOver::BrokenLink, PassedOver::Loop);
    assert_eq!(passed, [back, gone, back, back]);
}

/// What is passed over, as paths below the root.
fn passed_over(root: &Path) -> Vec<(String, PassedOver)> {
    search(root)
        .filter_map(|found| match found.expect("all can be read") {
            Found::PassedOver { path, why } => {
                let path = path.strip_prefix(root).unwrap().to_str().unwrap();
                Some((path.replace('\\', "/"), why))
            }
            Found::Rollout(_) => None,
        })
        .collect()
}

#[test]
fn what_is_passed_over_is_told_where_rollouts_are_kept() {
    let name = format!("rollout-2026-11-21T05-39-08-{V7}.jsonl");
    let inside = [
        format!("sessions/.{name}"),
        "sessions/notes.txt".to_owned(),
        format!("sessions/{name}.bz2"),
        format!("sessions/{name}.langsmith"),
        format!("sessions/{name}.xz"),
        "sessions/old.tar.gz".to_owned(),
        "sessions/old.zip".to_owned(),
    ];
    let mut all: Vec<&str> = inside.iter().map(String::as_str).collect();
    all.extend(["config.toml", "old.zip"]);
    let dir = tree("", &all);
    let expected = [
        (inside[0].as_str(), PassedOver::Hidden),
        ("sessions/notes.txt", PassedOver::Other),
        ("sessions/old.tar.gz", PassedOver::Encoding("tar")),
        ("sessions/old.zip", PassedOver::Encoding("zip")),
        (inside[2].as_str(), PassedOver::Encoding("bzip2")),
        (inside[4].as_str(), PassedOver::Encoding("xz")),
    ];
    let expected = expected.map(|(path, why)| (path.to_owned(), why));
    assert_eq!(passed_over(dir.path()), expected);
    // Elsewhere only what speaks of a rollout.
    fs::rename(dir.path().join("sessions"), dir.path().join("backup")).unwrap();
    let passed: Vec<_> = passed_over(dir.path()).into_iter().map(|(_, why)| why).collect();
    let [hidden, .., bzip2, xz] = expected.map(|(_, why)| why);
    assert_eq!(passed, [hidden, bzip2, xz]);
}

/// Whatever its name, in a home as elsewhere: a copy, a chosen name, a suffix
/// that does not say how it is stored.
#[test]
fn names_that_codex_does_not_give_count_by_content() {
    let meta = b"{\"timestamp\":\"x\",\"type\":\"session_meta\",\"payload\":{}}\n";
    let packed = zstd::encode_all(&meta[..], 0).unwrap();
    let dir = tree("", &[]);
    let sessions = dir.path().join("sessions");
    fs::create_dir(&sessions).unwrap();
    let names = [
        ("Copy of rollout.jsonl", &meta[..]),
        ("UPPER.JSONL", meta),
        ("mine.jsonl", meta),
        ("packed.jsonl", &packed),
        ("packed.jsonl.gz", &packed),
    ];
    for (name, bytes) in names {
        fs::write(sessions.join(name), bytes).unwrap();
    }
    fs::write(sessions.join("other.jsonl"), "{\"a\":1}\n").unwrap();
    assert_eq!(found(dir.path()), names.map(|(name, _)| format!("sessions/{name}")));
    assert_eq!(passed_over(dir.path()), [("sessions/other.jsonl".into(), PassedOver::Other)]);
}

/// Root may read everything, so that there the second half says nothing.
#[cfg(unix)]
#[test]
fn unreadable_directory_is_one_error_and_the_rest_is_found() {
    use std::os::unix::fs::PermissionsExt;

    let hidden = format!("sessions/a/rollout-2026-11-21T05-39-08-{V7}.jsonl");
    let seen = format!("sessions/b/rollout-2026-11-21T05-39-08-{OTHER}.jsonl");
    let dir = tree("", &[&hidden, &seen]);
    let locked = dir.path().join("sessions/a");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let is_root = fs::read_dir(&locked).is_ok();
    let results: Vec<_> = discover(dir.path()).collect();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    if is_root {
        return;
    }
    let [err, rollout] = results.try_into().unwrap();
    let err = err.unwrap_err();
    let cause = std::error::Error::source(&err).unwrap().to_string();
    assert!(cause.starts_with(locked.to_str().unwrap()), "{cause}");
    assert!(rollout.unwrap().path.ends_with(seen));
}
