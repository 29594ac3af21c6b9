//! A second `list` or `usage` says what a first one would, whatever happened to
//! the files in between.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::testenv::{TestEnv, place, small_rollout, testdata};

const LOOKS: &str = ".local/state/codex-trace/looks";

/// Long enough for a change of a file to show in its times.
fn settle() {
    thread::sleep(Duration::from_millis(250));
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_tree(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a copy");
        }
    }
}

/// Returns the files below a directory, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

const COMMANDS: &[&[&str]] = &[
    &["usage", "h", "--by", "day,model", "--json"],
    &["usage", "h", "--by", "session", "--json"],
    &["list", "h", "--json"],
];

/// Compares what is remembered with what is read; twice, because the first of
/// the two may be the one that remembers.
#[track_caller]
fn compare(env: &TestEnv, what: &str) {
    for command in COMMANDS {
        let cold = env.run(&[command, &["--no-cache"][..]].concat());
        for nth in 1..=2 {
            let warm = env.run(command);
            assert_eq!(warm.stdout, cold.stdout, "{what}: {command:?}, look {nth}");
            assert_eq!((warm.code, &warm.stderr), (cold.code, &cold.stderr), "{what}: {command:?}");
        }
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("it is small") % n.max(1)
    }
}

/// Does something to a file as programs and people do.
fn change(dir: &Path, random: &mut Random, nth: usize) -> String {
    let all = files(dir);
    let path = all[random.below(all.len())].clone();
    let bytes = fs::read(&path).expect("a file");
    let name = path.file_name().and_then(|it| it.to_str()).expect("a name").to_owned();
    let what = match random.below(8) {
        0 => {
            let line = bytes.split(|byte| *byte == b'\n').next_back().unwrap_or_default();
            let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
            file.write_all(&[line, b"\n"].concat()).expect("written");
            "appended to"
        }
        1 => {
            let len = random.below(bytes.len()) as u64;
            OpenOptions::new().write(true).open(&path).expect("a file").set_len(len).expect("cut");
            "cut"
        }
        2 => {
            // Another content of the same length and the same time.
            let at = fs::metadata(&path).and_then(|it| it.modified()).expect("a time");
            let text =
                String::from_utf8_lossy(&bytes).replace("\"input_tokens\":1", "\"input_tokens\":7");
            fs::write(&path, text).expect("written");
            File::options().write(true).open(&path).expect("a file").set_modified(at).expect("set");
            "changed in place"
        }
        3 => {
            let other = dir.join("replacement");
            let shorter = &bytes[..bytes.len() / 2];
            fs::write(&other, shorter).expect("written");
            fs::rename(&other, &path).expect("renamed");
            "replaced"
        }
        4 => {
            let to = path.with_file_name(format!("rollout-2026-02-0{}-{name}", nth % 9 + 1));
            fs::rename(&path, to).expect("renamed");
            "renamed"
        }
        5 => {
            File::options()
                .write(true)
                .open(&path)
                .expect("a file")
                .set_modified(SystemTime::now())
                .expect("set");
            "touched"
        }
        6 => {
            let id = format!("019a0000-0000-7000-8000-0000000001{nth:02}");
            let to = dir.join(place("2026-03-01T10-00-00", &id));
            fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
            fs::write(to, small_rollout(&id, "2026-03-01T10:00", "hello")).expect("written");
            "added one beside"
        }
        _ => {
            fs::remove_file(&path).expect("removed");
            "removed"
        }
    };
    format!("step {nth}: {what} {name}")
}

#[test]
fn what_is_remembered_is_what_would_be_read() {
    let env = TestEnv::new();
    // Forks, subagents, compressed files, copies, reviews.
    for home in ["fk98.0", "r169", "z169", "q0.150.1", "rev148.0", "sp169"] {
        copy_tree(&testdata("homes").join(home), &env.dir().join("h").join(home));
    }
    let dir = env.dir().join("h");
    copy_tree(&dir.join("fk98.0"), &dir.join("a-copy"));
    settle();
    compare(&env, "at first");
    let mut random = Random(7);
    for nth in 0..24 {
        let what = change(&dir, &mut random, nth);
        // Every other change falls into the tick in which the files were read.
        if nth % 2 == 0 {
            settle();
        }
        compare(&env, &what);
    }
}

/// The one file in which looks of one kind at one place are kept.
fn pack(env: &TestEnv) -> PathBuf {
    let packs = files(&env.dir().join(LOOKS));
    assert_eq!(packs.len(), 1, "{packs:?}");
    packs[0].clone()
}

fn one_home() -> TestEnv {
    let env = TestEnv::new();
    copy_tree(&testdata("homes/fk98.0"), &env.dir().join("h"));
    settle();
    env
}

#[cfg(unix)]
#[test]
fn an_unchanged_history_is_not_read_again() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let env = one_home();
    let first = env.run(&["usage", "h", "--json"]);
    let of_first = fs::metadata(pack(&env)).expect("a pack");
    assert_eq!(of_first.permissions().mode() & 0o777, 0o600);
    let again = env.run(&["usage", "h", "--json"]);
    assert_eq!(again.stdout, first.stdout);
    let inode = || fs::metadata(pack(&env)).expect("a pack").ino();
    assert_eq!(inode(), of_first.ino(), "what is read anew is written anew");
    // The filters that single calls decide need no other look.
    let none = env.run(&["usage", "h", "--json", "--until", "2001-01-01"]);
    assert!(none.stdout.contains("\"rows\":[]"), "{}", none.stdout);
    assert_eq!(inode(), of_first.ino());

    let cold = env.run(&["usage", "h", "--json", "--no-cache"]);
    assert_eq!((cold.stdout, inode()), (first.stdout, of_first.ino()));
}

#[test]
fn nothing_is_remembered_if_the_user_does_not_want_it() {
    let env = one_home();
    env.run(&["list", "h", "--no-cache"]);
    env.write(".config/codex-trace/codex-trace.toml", "cache = false\n");
    env.run(&["list", "h"]);
    assert!(!env.dir().join(LOOKS).exists());
}

#[test]
fn a_file_of_results_that_is_damaged_or_hostile_is_ignored() {
    let env = one_home();
    let right = env.run(&["list", "h", "--json"]);
    let pack = pack(&env);
    let bytes = fs::read(&pack).expect("a pack");
    let damaged = [
        b"".to_vec(),
        b"codex-trace look 1\n".to_vec(),
        bytes[..bytes.len() / 2].to_vec(),
        [&bytes[..bytes.len() - 1], b"!"].concat(),
        vec![0xff; 4096],
    ];
    for content in damaged {
        fs::write(&pack, content).expect("written");
        assert_eq!(env.run(&["list", "h", "--json"]).stdout, right.stdout);
    }
    #[cfg(unix)]
    for target in ["/dev/zero", "/"] {
        fs::remove_file(&pack).expect("removed");
        std::os::unix::fs::symlink(target, &pack).expect("a link");
        assert_eq!(env.run(&["list", "h", "--json"]).stdout, right.stdout);
    }
}

#[test]
fn a_place_that_cannot_be_written_to_is_no_error() {
    let env = one_home();
    env.write("file", "");
    let mut command = env.command(&["usage", "h", "--json"]);
    let run = env.finish(command.env("XDG_STATE_HOME", env.dir().join("file")));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn several_processes_at_once_see_the_same() {
    let env = one_home();
    let right = env.run(&["usage", "h", "--json", "--no-cache"]).bytes;
    for _ in 0..3 {
        let children: Vec<_> = (0..6)
            .map(|_| {
                let mut command = env.command(&["usage", "h", "--json"]);
                command.stdout(std::process::Stdio::piped()).spawn().expect("it starts")
            })
            .collect();
        for child in children {
            assert_eq!(child.wait_with_output().expect("it ends").stdout, right);
        }
        fs::remove_dir_all(env.dir().join(LOOKS)).expect("removed");
    }
}
