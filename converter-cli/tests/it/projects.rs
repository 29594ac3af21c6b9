//! What the files of projects say of the sessions that were in them.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::testenv::{Run, TestEnv, place, small_rollout};

const SERVER: &str = "http://127.0.0.1:7001";
const OTHER: &str = "http://127.0.0.1:7002";

/// Sessions in several directories; each says its directory in its prompt.
struct Case {
    env: TestEnv,
    vars: Vec<(&'static str, String)>,
    cwd: PathBuf,
}

impl Case {
    fn new(dirs: &[&str]) -> Case {
        let env = TestEnv::new();
        for (nth, dir) in dirs.iter().enumerate() {
            let id = format!("019a0000-0000-7000-8000-00000000000{nth:x}");
            let text = small_rollout(&id, "2026-03-01T10:00", &format!("of {dir} for ACME-1"));
            let cwd = env.dir().join(dir);
            fs::create_dir_all(&cwd).unwrap();
            env.write(
                &format!(".codex/{}", place("2026-03-01T10-00-00", &id)),
                text.replace("/home/u/work/small", cwd.to_str().unwrap()),
            );
        }
        let cwd = env.dir().to_owned();
        Case { env, vars: Vec::new(), cwd }
    }

    fn file(self, path: &str, text: &str) -> Case {
        self.env.write(path, text);
        self
    }

    fn var(mut self, name: &'static str, value: &str) -> Case {
        self.vars.push((name, value.to_owned()));
        self
    }

    /// Returns what would be sent, by the name of the destination.
    fn sent(&self, args: &[&str]) -> (BTreeMap<String, String>, Run) {
        let out = tempfile::tempdir().unwrap();
        let dir = format!("--dry-run={}", out.path().display());
        let usual = ["upload", "--settle", "0s", "--compress", "none", "--json", &dir];
        let mut command = self.env.command(&[&usual, args].concat());
        command.current_dir(&self.cwd).envs(self.vars.iter().map(|(name, value)| (name, value)));
        let run = self.env.finish(&mut command);
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(out.path()).unwrap().map(Result::unwrap) {
            let files = fs::read_dir(entry.path()).unwrap().map(|it| it.unwrap().path());
            let text: Vec<String> = files
                .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())
                .collect();
            all.insert(entry.file_name().into_string().unwrap(), text.concat());
        }
        (all, run)
    }
}

const LANGSMITH: &[&str] = &["--to", "langsmith", "--assume-backfill-allowed"];

/// A project that opted out stays out, and says nothing of the others; wherever
/// the command runs.
#[test]
fn a_projects_file_holds_for_its_own_sessions() {
    let off = r#"{"enabled":false,"project":"theirs"}"#;
    let rules = r#"{"redact_extra_rules":[{"pattern":"ACME-[0-9]+"}]}"#;
    let mut case = Case::new(&["open", "private/below", "ruled"])
        .var("LANGSMITH_API_KEY", "ls")
        .file("private/.codex/langsmith.json", off)
        .file("ruled/.codex/langsmith.json", rules);
    for cwd in ["open", "private", "ruled"] {
        case.cwd = case.env.dir().join(cwd);
        let (sent, run) = case.sent(LANGSMITH);
        let (all, words) = (&sent["langsmith"], &run.stderr);
        assert_eq!((sent.len(), run.code), (1, Some(0)), "{words}");
        assert!(all.contains("of open for ACME-1") && !all.contains("of private"), "{cwd}");
        assert!(all.contains("of ruled for") && !all.contains("of ruled for ACME-1"), "{cwd}");
        for told in [
            "`[DIR]/private/.codex/langsmith.json` switches tracing off for the sessions below it",
            "1 turn switched off by their project",
        ] {
            assert!(words.contains(told), "{cwd}: {told}: {words}");
        }
    }
    let (sent, run) = case.sent(&[LANGSMITH, &["--include-disabled"]].concat());
    assert!(sent["langsmith#theirs"].contains("of private/below for ACME-1"), "{}", run.stderr);
    assert!(!run.stderr.contains("switches tracing off"), "{}", run.stderr);
    case.env.write("ruled/.codex/langsmith.json", r#"{"defaultMuted":true}"#);
    let (sent, _) = case.sent(LANGSMITH);
    let all = &sent["langsmith"];
    assert!(!all.contains("of ruled") && all.contains("000000000002") && all.contains("of open"));
}

/// As the live plugin files them. The ids are those of the workspace, so that
/// nothing is there twice.
#[test]
fn sessions_go_to_the_project_that_their_own_file_names() {
    let case = Case::new(&["open", "b", "b/below", "c"])
        .var("LANGSMITH_API_KEY", "ls")
        .file(".codex/langsmith.json", r#"{"project":"usual"}"#)
        .file("b/.codex/langsmith.json", r#"{"project":"proj-b"}"#)
        .file("c/.codex/langsmith.json", r#"{"project":"../../c"}"#);
    let (sent, run) = case.sent(LANGSMITH);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let names: Vec<&str> = sent.keys().map(String::as_str).collect();
    assert_eq!(names, ["langsmith", "langsmith#------c", "langsmith#proj-b"]);
    for (name, dirs, project) in [
        ("langsmith", &["open"][..], "usual"),
        ("langsmith#proj-b", &["b", "b/below"], "proj-b"),
        ("langsmith#------c", &["c"], "../../c"),
    ] {
        for dir in ["open", "b", "b/below", "c"] {
            let is_there = sent[name].contains(&format!("of {dir} for"));
            assert_eq!(is_there, dirs.contains(&dir), "{name}: {dir}");
        }
        assert!(sent[name].contains(&format!("\"session_name\":\"{project}\"")), "{name}");
    }
    // What the user names is for all, and it is said what is not followed.
    let told =
        "`[DIR]/b/.codex/langsmith.json` (`project`) is not followed for the sessions below it";
    for (args, var) in [(&["--project", "mine"][..], ""), (&[], "mine")] {
        let case = Case::new(&["open", "b"])
            .var("LANGSMITH_API_KEY", "ls")
            .var("LANGSMITH_PROJECT", var)
            .file("b/.codex/langsmith.json", r#"{"project":"proj-b"}"#);
        let (sent, run) = case.sent(&[LANGSMITH, args].concat());
        assert_eq!(sent.len(), 1, "{}", run.stderr);
        assert!(sent["langsmith"].contains("of b for") && run.stderr.contains(told));
    }
}

/// A file that came with a repository leads nothing to another server, and
/// nothing that it wants elsewhere comes here.
#[test]
fn sessions_whose_file_names_another_server_are_left_out() {
    for file in [
        format!(r#"{{"api_url":"{OTHER}","project":"x"}}"#),
        format!(r#"{{"replicas":[{{"apiUrl":"{OTHER}"}}]}}"#),
        r#"{"api_key":"theirs"}"#.to_owned(),
    ] {
        let case = Case::new(&["open", "b"])
            .var("LANGSMITH_API_KEY", "ls")
            .file("b/.codex/langsmith.json", &file);
        let (sent, run) = case.sent(LANGSMITH);
        assert_eq!((sent.len(), run.code), (1, Some(0)), "{}", run.stderr);
        assert!(sent["langsmith"].contains("of open") && !sent["langsmith"].contains("of b for"));
        let told = "names another place for the sessions below it: they are left out";
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert_eq!(run.json().last().unwrap()["turns"]["other_place"], 1);
        // Where the user names the place, all go there.
        let (sent, run) = case.sent(&[LANGSMITH, &["--project", "all"]].concat());
        assert!(sent["langsmith"].contains("of b for"), "{}", run.stderr);
    }
    // The same server is no other one.
    let case = Case::new(&["open", "b"])
        .file(".codex/langsmith.json", &format!(r#"{{"api_url":"{SERVER}"}}"#))
        .file("b/.codex/langsmith.json", &format!(r#"{{"api_url":"{SERVER}/","project":"x"}}"#));
    let (sent, run) = case.sent(LANGSMITH);
    assert!(sent["langsmith#x"].contains("of b for"), "{}", run.stderr);
}

#[test]
fn experiments_of_mlflow_are_followed_likewise() {
    let home = format!(r#"{{"trackingUri":"{SERVER}","experimentId":"1"}}"#);
    let case = Case::new(&["open", "b", "c", "d"])
        .file(".codex/mlflow-tracing.json", &home)
        .file("b/.codex/mlflow-tracing.json", r#"{"experimentId":7}"#)
        .file("c/.codex/mlflow-tracing.json", &home.replace("7001", "7002"))
        .file("d/.codex/mlflow-tracing.json", &home.replace("\"1\"", "\"8\""));
    let (sent, run) = case.sent(&["--to", "mlflow"]);
    let names: Vec<&str> = sent.keys().map(String::as_str).collect();
    assert_eq!(names, ["mlflow", "mlflow#7", "mlflow#8"], "{}", run.stderr);
    for (name, there) in [("mlflow", "open"), ("mlflow#7", "b"), ("mlflow#8", "d")] {
        for dir in ["open", "b", "c", "d"] {
            let is_there = sent[name].contains(&format!("of {dir} for"));
            assert_eq!(is_there, dir == there, "{name}: {dir}");
        }
    }
    assert!(run.stderr.contains("c/.codex/mlflow-tracing.json` (`trackingUri`, `experimentId`)"));
    // With a place of the user's own, the experiment of another server means nothing.
    let case = case.var("MLFLOW_TRACKING_URI", "http://127.0.0.1:7003");
    let (sent, run) = case.sent(&["--to", "mlflow"]);
    let names: Vec<&str> = sent.keys().map(String::as_str).collect();
    assert_eq!(names, ["mlflow", "mlflow#7"], "{}", run.stderr);
    assert!(sent["mlflow"].contains("of c for") && sent["mlflow"].contains("of d for"));
}
