//! Completion scripts, run in the shells that they are for.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::testenv::{TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-00000000000a";

#[test]
fn every_shell_gets_a_script() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = env.run(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{shell}");
        for word in ["codex-trace", "CODEX_TRACE_COMPLETE"] {
            assert!(run.stdout.contains(word), "{shell} lacks {word}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let env = TestEnv::new();
    let run = env.run(&["man", "."]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for (page, word) in [("codex-trace", "Exit codes"), ("codex-trace-convert", "gzip")] {
        let text = std::fs::read_to_string(env.dir().join(format!("{page}.1"))).expect("a page");
        assert!(text.contains(word), "{page} lacks {word}");
    }
}

/// A home with a session, a destination, and the script of a shell.
fn env(shell: &str) -> TestEnv {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2026-03-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
    let table = "[destinations.team]\nbackend = 'otlp'\n";
    env.write(".config/codex-trace/codex-trace.toml", table);
    env.write("script", env.run(&["completions", shell]).bytes);
    env
}

/// What is typed, and what it becomes.
const CASES: &[(&str, &str)] = &[
    ("codex-trace upl", "upload"),
    ("codex-trace upload --dry", "--dry-run"),
    ("codex-trace upload --capture meta", "metadata-only"),
    ("codex-trace show 019a", ID),
    ("codex-trace usage 019a", ID),
    ("codex-trace upload --to tea", "team"),
    ("codex-trace upload --to team,langf", "team,langfuse"),
    ("codex-trace doctor --to mlf", "mlflow"),
    ("codex-trace list --model gpt-6-lu", "gpt-6-luna"),
    ("codex-trace list --source vsc", "vscode"),
    ("codex-trace completions fi", "fish"),
];

/// Runs a shell with the command on its path; nothing, where it is missing.
#[expect(clippy::print_stderr, reason = "a test says why it has tested nothing")]
fn shell(env: &TestEnv, name: &str, args: &[&str]) -> Option<String> {
    let bin = Path::new(env!("CARGO_BIN_EXE_codex-trace")).parent().expect("a directory");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let mut command = Command::new(name);
    command.args(args).env_clear().env("HOME", env.dir()).env("PATH", path).env("TERM", "dumb");
    command.current_dir(env.dir()).stdin(Stdio::null());
    match command.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(err) => {
            eprintln!("skipped: {name} cannot be run: {err}");
            None
        }
    }
}

#[test]
fn bash_completes_commands_options_sessions_and_destinations() {
    let env = env("bash");
    for (typed, completed) in CASES {
        let words: Vec<&str> = typed.split(' ').collect();
        let last = words.len() - 1;
        let script = format!(
            "source ./script; COMP_WORDS=({}); COMP_CWORD={last}; COMP_TYPE=9; \
             _clap_complete_codex_trace codex-trace '{}' '{}'; echo \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words[last],
            words[last - 1],
        );
        let Some(output) = shell(&env, "bash", &["--norc", "-c", &script]) else { return };
        assert_eq!(output.trim(), *completed, "{typed}");
    }
}

#[test]
fn fish_completes_commands_options_sessions_and_destinations() {
    let env = env("fish");
    for (typed, completed) in CASES {
        let script = format!("source ./script; complete -C '{typed}'");
        let Some(output) = shell(&env, "fish", &["--no-config", "-c", &script]) else { return };
        let offered: Vec<&str> =
            output.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect();
        assert!(offered.contains(completed), "{typed}: {offered:?}");
    }
}

/// A line editor of zsh needs a terminal: its own module makes one.
#[test]
fn zsh_completes_commands_options_sessions_and_destinations() {
    let env = env("zsh");
    for (typed, completed) in CASES {
        let script = format!(
            r#"
zmodload zsh/zpty || exit 3
zpty shell 'TERM=dumb PS1="READY " zsh -f -i'
zpty -w shell 'unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source ./script; echo SO""URCED'
zpty -r shell line '*SOURCED*' || exit 4
zpty -w -n shell $'{typed}\t'
zpty -w -n shell $'\001print -r -- RES""ULT: \n'
zpty -r shell line $'*RESULT: *\r*' || exit 5
print -r -- "$line"
zpty -d shell
"#
        );
        let Some(output) = shell(&env, "zsh", &["-f", "-c", &script]) else { return };
        let result = output.rsplit("RESULT: ").next().unwrap_or_default();
        let last = result.lines().next().unwrap_or_default().split_whitespace().next_back();
        assert_eq!(last, Some(*completed), "{typed}: {output}");
    }
}

/// A large home costs a shell no more than a small one.
#[test]
fn a_bounded_number_of_sessions_is_offered() {
    let env = env("fish");
    for nth in 0..300 {
        let id = format!("019b0000-0000-7000-8000-{nth:012}");
        env.write(&format!(".codex/{}", place("2026-03-02T10-00-00", &id)), "");
    }
    let mut command = env.command(&["--", "codex-trace", "show", "019b"]);
    command.env("CODEX_TRACE_COMPLETE", "fish");
    let run = env.finish(&mut command);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let offered = run.stdout.lines().filter(|line| line.starts_with("019b")).count();
    assert_eq!(offered, 100);
}
