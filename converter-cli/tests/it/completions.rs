use crate::testenv::TestEnv;

#[test]
fn every_shell_gets_a_script_that_names_the_commands() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = env.run(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{shell}");
        for word in ["codex-trace", "convert", "list", "show", "files-from"] {
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

/// A shell that can parse it is the best judge; where there is none, nothing
/// is said.
#[test]
fn bash_can_parse_its_script() {
    let env = TestEnv::new();
    let script = env.write("script.bash", env.run(&["completions", "bash"]).bytes);
    let Ok(status) = std::process::Command::new("bash").arg("-n").arg(&script).status() else {
        return;
    };
    assert!(status.success());
}

/// Words so far, the one to complete, and what it becomes.
#[test]
fn bash_completes_commands_their_options_and_values() {
    let env = TestEnv::new();
    let script = env.write("script.bash", env.run(&["completions", "bash"]).bytes);
    for (words, completed) in [
        (&["codex-trace", "upl"][..], "upload"),
        (&["codex-trace", "upload", "--dry"], "--dry-run"),
        (&["codex-trace", "upload", "--capture", "meta"], "metadata-only"),
    ] {
        let n = words.len() - 1;
        let test = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={n}; _codex__trace codex-trace {} {}; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words[n],
            words[n - 1],
        );
        let Ok(output) = std::process::Command::new("bash").args(["-c", &test]).output() else {
            return;
        };
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), completed, "{words:?}");
    }
}
