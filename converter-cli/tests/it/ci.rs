//! The recipe for CI in docs/scripting.md, run as it stands there.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, place, small_rollout, testdata};

const ID: &str = "019a0000-0000-7000-8000-00000000000c";

/// Returns the commands of the recipe's steps.
fn steps() -> Vec<String> {
    let page = fs::read_to_string(testdata("../docs/scripting.md")).expect("a page");
    let (_, recipe) = page.split_once("## In a CI job").expect("the recipe");
    let (_, yaml) = recipe.split_once("```yaml\n").expect("its steps");
    let (yaml, _) = yaml.split_once("```").expect("their end");
    let run = |line: &str| line.trim().strip_prefix("run: ").map(str::to_owned);
    let steps: Vec<String> = yaml.lines().filter_map(run).collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(steps[0].starts_with("codex exec ") && steps[1].contains("codex-trace upload"));
    steps
}

/// A machine with the command and a Codex that writes one session.
fn machine() -> TestEnv {
    let env = TestEnv::new();
    env.write("rollout", small_rollout(ID, "2026-03-01T10:00", "fix the failing test"));
    let file = place("2026-03-01T10-00-00", ID);
    let dir = Path::new(&file).parent().expect("a directory").display();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = exec ] || exit 64\nmkdir -p \"$CODEX_HOME/{dir}\"\ncp rollout \"$CODEX_HOME/{file}\"\n"
    );
    let codex = env.write("bin/codex", script);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(codex, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    env
}

fn step(env: &TestEnv, command: &str, server: &str) -> Run {
    let bin = Path::new(env!("CARGO_BIN_EXE_codex-trace")).parent().expect("a directory");
    let path = format!("{}:{}:/usr/bin:/bin", env.dir().join("bin").display(), bin.display());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-e", "-c", command]).env_clear().current_dir(env.dir());
    shell.env("PATH", path).env("HOME", env.dir()).env("CODEX_HOME", env.dir().join("codex"));
    shell.env("GITHUB_RUN_ID", "4711").env("LANGFUSE_BASE_URL", server);
    shell.env("LANGFUSE_PUBLIC_KEY", "pk").env("LANGFUSE_SECRET_KEY", "sk");
    env.finish(&mut shell)
}

#[test]
fn the_recipe_uploads_its_own_session_once() {
    let server = Server::start(&[], Some(Act::Ok));
    let host = server.url.trim_end_matches("/units").to_owned();
    let (env, steps) = (machine(), steps());
    assert_eq!(step(&env, &steps[0], &host).code, Some(0));
    let run = step(&env, &steps[1], &host);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("one JSON object");
    assert_eq!((&report["complete"], &report["turns"]["sent"]), (&true.into(), &1.into()));
    assert!(server.heads().contains("post /api/public/otel/v1/traces"), "{}", server.heads());

    // Once more, as when a job is repeated on the same machine.
    let again = step(&env, &steps[1], &host);
    let report: Value = serde_json::from_str(&again.stdout).expect("one JSON object");
    assert_eq!((again.code, &report["complete"]), (Some(0), &true.into()), "{}", again.stderr);
    assert_eq!(server.requests(), 1, "nothing is sent twice");
}

#[test]
fn the_exit_codes_are_those_of_the_recipe() {
    let steps = steps();
    let refusing = Server::start(&[], Some(Act::Refuse(401, "", "no such key")));
    let host = refusing.url.trim_end_matches("/units").to_owned();
    let env = machine();
    assert_eq!(step(&env, &steps[1], &host).code, Some(2), "there is no session");
    assert_eq!(step(&env, &steps[0], &host).code, Some(0));
    let run = step(&env, &steps[1], &host);
    assert_ne!(run.code, Some(0), "a wrong key");
    assert!(run.stderr.contains("401") || run.stdout.contains("401"), "{}", run.stderr);
}
