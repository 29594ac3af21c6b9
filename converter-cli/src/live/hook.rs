//! The call itself: reads what Codex says, notes it, sees to it that a worker
//! runs. It prints nothing, never fails, and loads nothing that takes time.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use codex_trace_deliver::private;

use crate::config::{self, Environment, Settings};
use crate::live::detach;
use crate::live::event::Event;
use crate::live::queue::{Entry, Queue};

/// How much of a payload is looked at, in bytes: what matters comes first.
const LOOKED_AT: u64 = 1 << 20;

/// How much more is taken so that Codex can write to its end, in bytes.
const SWALLOWED: u64 = 256 << 20;

/// How long to wait for a payload: Codex writes it at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a call of Codex comes with.
#[derive(Debug)]
pub enum Payload {
    /// `notify`: the last argument.
    Argument(OsString),
    /// A hook: standard input.
    Input,
}

/// Returns the payload if this is a call of Codex and not of a person.
pub fn called(argv: &[OsString]) -> Option<Payload> {
    let [_, command, rest @ ..] = argv else { return None };
    if command != "hook" || rest.iter().any(|arg| arg.as_encoded_bytes().starts_with(b"-")) {
        return None;
    }
    match rest {
        [] if io::stdin().is_terminal() => None,
        [] => Some(Payload::Input),
        [.., last] if is_typed(last) => None,
        [.., last] => Some(Payload::Argument(last.clone())),
    }
}

/// Whether this is what a person types, and no payload.
fn is_typed(text: &OsStr) -> bool {
    !text.as_encoded_bytes().starts_with(b"{") && io::stdin().is_terminal()
}

/// Notes what Codex says. Whatever goes wrong, Codex must not notice.
pub fn run(payload: Payload) {
    std::panic::set_hook(Box::new(|_| {}));
    // A fault here leaves the session to the next call, which looks for it.
    let noted = std::panic::catch_unwind(|| note(payload));
    drop(noted);
}

fn note(payload: Payload) -> Option<()> {
    let event = match payload {
        Payload::Argument(text) => Event::read(text.as_encoded_bytes()),
        Payload::Input => Event::read(&input()),
    };
    let settings = Settings::of_environment(&Environment::read()).ok()?;
    let state_dir = config::state_dir(None, &settings).ok()?;
    let queue = Queue::within(&state_dir);
    queue.make().ok()?;
    let entry = Entry {
        home: std::path::absolute(settings.own_codex_home?).ok()?,
        thread: event.thread,
        occasion: event.occasion,
        at: settings.now.as_millisecond(),
        seen: None,
    };
    // Without room, a worker that runs may still find the session by itself.
    queue.put(&entry).ok();
    if !queue.has_worker() {
        start_worker(&queue).ok()?;
    }
    Some(())
}

/// Reads standard input, as far and as long as makes sense.
fn input() -> Vec<u8> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut bytes = Vec::new();
        // What came before a fault is looked at.
        stdin.by_ref().take(LOOKED_AT).read_to_end(&mut bytes).ok();
        let is_all = (bytes.len() as u64) < LOOKED_AT;
        if !is_all {
            io::copy(&mut stdin.take(SWALLOWED), &mut io::sink()).ok();
        }
        sender.send(bytes).ok();
    });
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

/// Starts the worker so that it outlives this process and holds nothing of it:
/// no pipe of Codex, no terminal, no directory.
fn start_worker(queue: &Queue) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let mut worker = Command::new(program);
    worker.args(["hook", "--work", "--detached"]).current_dir(queue.dir());
    worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log(&queue.log()));
    detach::prepare(&mut worker);
    worker.spawn().map(drop)
}

/// Opens the log, or nothing.
fn log(path: &Path) -> Stdio {
    let open = || -> io::Result<File> {
        private::check_regular(path)?;
        private::options().create(true).append(true).open(path)
    };
    open().map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Returns how Codex is told to call this: the program, then `hook`.
pub(super) fn command_line(program: &OsStr) -> String {
    let program = program.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if program.chars().all(plain) {
        return format!("{program} hook");
    }
    if cfg!(windows) {
        return format!("\"{program}\" hook");
    }
    format!("'{}' hook", program.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        let line = |program: &str| command_line(OsStr::new(program));
        assert_eq!(line("/usr/bin/codex-trace"), "/usr/bin/codex-trace hook");
        #[cfg(not(windows))]
        assert_eq!(line("/home/a b/it's"), r"'/home/a b/it'\''s' hook");
    }

    #[test]
    fn flags_are_of_people() {
        let argv = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(called(&argv(&["codex-trace", "list"])).is_none());
        assert!(called(&argv(&["codex-trace", "hook", "--install"])).is_none());
        let payload = called(&argv(&["codex-trace", "hook", "{}"]));
        assert!(matches!(payload, Some(Payload::Argument(text)) if text == "{}"));
    }
}
