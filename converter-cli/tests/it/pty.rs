//! The command on a terminal, which `script` of util-linux makes, and what the
//! terminal shows.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::testenv::TestEnv;

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// How wide the terminal is.
const COLUMNS: usize = 80;

/// A terminal with the command on it.
pub(crate) struct Terminal {
    child: Child,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts the command; nothing, where `script` is missing.
    #[expect(clippy::print_stderr, reason = "a test says why it has tested nothing")]
    pub(crate) fn start(env: &TestEnv, args: &[&str], vars: &[(&str, &str)]) -> Option<Terminal> {
        let quoted = |word: &&str| format!("'{}'", word.replace('\'', r"'\''"));
        let args: Vec<String> = args.iter().map(quoted).collect();
        let program = env!("CARGO_BIN_EXE_codex-trace");
        let line = format!("stty rows 24 cols {COLUMNS}; exec '{program}' {}", args.join(" "));
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &line, "/dev/null"]);
        command.env_clear().env("HOME", env.dir()).env("TERM", "xterm").current_dir(env.dir());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(vars.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(err) => {
                eprintln!("skipped: script cannot be run: {err}");
                return None;
            }
        };
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut output, of_thread) = (child.stdout.take()?, Arc::clone(&written));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                of_thread.lock().expect("no panic").extend_from_slice(&bytes[..n]);
            }
        });
        Some(Terminal { child, written })
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(keys.as_bytes()).and_then(|()| input.flush()).expect("it still runs");
    }

    /// Returns what the terminal shows.
    pub(crate) fn screen(&self) -> Vec<String> {
        let written = self.written.lock().expect("no panic").clone();
        screen(&String::from_utf8_lossy(&written))
    }

    /// Waits until the terminal shows a text.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> Vec<String> {
        let began = now();
        loop {
            let screen = self.screen();
            if screen.iter().any(|line| line.contains(text)) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "no `{text}`: {screen:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end; returns the exit code and what the terminal shows then.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let began = now();
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status.code();
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {:#?}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        };
        // The last bytes may still be on their way from the reading thread.
        std::thread::sleep(Duration::from_millis(100));
        (code, self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
fn now() -> Instant {
    Instant::now()
}

/// Returns the lines that a terminal shows after such output: as much of it as
/// this program uses.
fn screen(output: &str) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column): (usize, usize) = (0, 0);
    let mut chars = output.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => column = 0,
            '\n' => {
                row += 1;
                if row == lines.len() {
                    lines.push(Vec::new());
                }
            }
            '\x08' => column = column.saturating_sub(1),
            '\x1b' => {
                if chars.next_if_eq(&'[').is_none() {
                    continue;
                }
                let mut number = String::new();
                while let Some(digit) = chars.next_if(|c| c.is_ascii_digit() || "?;".contains(*c)) {
                    number.push(digit);
                }
                let n = number.parse().unwrap_or(1);
                match chars.next() {
                    Some('A') => row = row.saturating_sub(n),
                    Some('B') => row = (row + n).min(lines.len() - 1),
                    Some('K') if number == "2" => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    Some('J') => {
                        lines[row].truncate(column);
                        lines.truncate(row + 1);
                    }
                    _ => {}
                }
            }
            c => {
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                    lines.resize(lines.len().max(row + 1), Vec::new());
                }
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
    }
    let text = |line: Vec<char>| line.into_iter().collect::<String>().trim_end().to_owned();
    lines.into_iter().map(text).filter(|line| !line.is_empty()).collect()
}
