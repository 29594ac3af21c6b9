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
