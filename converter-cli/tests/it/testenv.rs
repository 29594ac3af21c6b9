//! A temporary directory, a cleared environment, and the command.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Returns a path below `testdata/`.
pub(crate) fn testdata(relative: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the workspace");
    root.join("testdata").join(relative)
}

/// A place of its own for one test.
pub(crate) struct TestEnv {
    dir: TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) bytes: Vec<u8>,
}

impl TestEnv {
    pub(crate) fn new() -> TestEnv {
        TestEnv { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Returns the directory, which is also the working and the home directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, with the directories it needs.
    pub(crate) fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir().join(relative);
        fs::create_dir_all(path.parent().expect("a file has a parent")).expect("directories");
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// Copies a file of `testdata/`.
    pub(crate) fn copy(&self, from: &str, to: &str) -> PathBuf {
        self.write(to, fs::read(testdata(from)).expect("a fixture"))
    }

    /// Prepares the command with nothing in its environment but a home.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_codex-trace"));
        command.args(args).env_clear().env("HOME", self.dir()).current_dir(self.dir());
        command.stdin(Stdio::null());
        command
    }

    /// Runs the command.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        self.finish(&mut self.command(args))
    }

    /// Runs a prepared command. In what it says, the directory of the test is
    /// `[DIR]` and that of the fixtures `[TESTDATA]`.
    pub(crate) fn finish(&self, command: &mut Command) -> Run {
        let Output { status, stdout, stderr } = command.output().expect("the command runs");
        let readable = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .replace(&self.dir().display().to_string(), "[DIR]")
                .replace(&testdata("").display().to_string(), "[TESTDATA]/")
        };
        Run {
            code: status.code(),
            stdout: readable(&stdout),
            stderr: readable(&stderr),
            bytes: stdout,
        }
    }
}

impl Run {
    /// Checks exit code, stdout and stderr, all of each.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, stdout: &str, stderr: &str) {
        let all = (self.code, self.stdout.as_str(), self.stderr.as_str());
        assert_eq!(all, (Some(code), stdout, stderr), "\n{}\n{}", self.stdout, self.stderr);
    }

    /// Returns the lines of stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect()
    }
}

/// A rollout of one turn, small enough to know what must come of it.
pub(crate) fn small_rollout(id: &str, start: &str, prompt: &str) -> String {
    format!(
        r#"{{"timestamp":"{start}:00.000Z","type":"session_meta","payload":{{"id":"{id}","timestamp":"{start}:00.000Z","cwd":"/home/u/work/small","originator":"codex_exec","cli_version":"0.120.0","source":"exec"}}}}
{{"timestamp":"{start}:01.000Z","type":"event_msg","payload":{{"type":"task_started","turn_id":"t-1","model_context_window":1000}}}}
{{"timestamp":"{start}:01.000Z","type":"turn_context","payload":{{"turn_id":"t-1","cwd":"/home/u/work/small","model":"gpt-x","approval_policy":"never","sandbox_policy":{{"type":"read-only"}}}}}}
{{"timestamp":"{start}:01.000Z","type":"response_item","payload":{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{prompt}"}}]}}}}
{{"timestamp":"{start}:01.000Z","type":"event_msg","payload":{{"type":"user_message","message":"{prompt}"}}}}
{{"timestamp":"{start}:03.000Z","type":"response_item","payload":{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"done"}}]}}}}
{{"timestamp":"{start}:03.500Z","type":"event_msg","payload":{{"type":"token_count","info":{{"total_token_usage":{{"input_tokens":100,"cached_input_tokens":40,"output_tokens":7,"reasoning_output_tokens":3,"total_tokens":107}},"last_token_usage":{{"input_tokens":100,"cached_input_tokens":40,"output_tokens":7,"reasoning_output_tokens":3,"total_tokens":107}}}}}}}}
{{"timestamp":"{start}:04.000Z","type":"event_msg","payload":{{"type":"task_complete","turn_id":"t-1","last_agent_message":"done"}}}}
"#
    )
}

/// Where a Codex home keeps a thread.
pub(crate) fn place(stamp: &str, id: &str) -> String {
    let day = stamp[..10].replace('-', "/");
    format!("sessions/{day}/rollout-{stamp}-{id}.jsonl")
}
