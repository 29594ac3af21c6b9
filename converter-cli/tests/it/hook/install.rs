//! `hook --install` and `--uninstall`, as a user runs them.

use std::fs;

use super::{Sink, User, id, payload};

const CONFIG: &str =
    "# my own\nmodel = \"gpt-x\" # the good one\n\n[projects.\"/w\"]\ntrust_level = \"trusted\"\n";

fn user() -> (Sink, User) {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    (sink, user)
}

#[test]
fn there_and_back() {
    let (_sink, user) = user();
    let path = user.env.write(".codex/config.toml", CONFIG);
    let run = user.env.run(&["hook", "--install", "--dry-run"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("[[hooks.Stop]]") && run.stdout.contains("notify = ["));
    assert_eq!(fs::read_to_string(&path).unwrap(), CONFIG, "a dry run");
    let run = user.env.run(&["hook", "--install"]);
    assert_eq!((run.code, &*run.stdout), (Some(0), ""), "{}", run.stderr);
    for word in ["[DIR]/.codex/config.toml", "to: otlp", "`/hooks`"] {
        assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
    }
    let text = fs::read_to_string(&path).unwrap();
    let run = user.env.run(&["hook", "--install"]);
    assert!(run.stderr.starts_with("Codex calls codex-trace already"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let run = user.env.run(&["hook", "--uninstall"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), CONFIG);
    let run = user.env.run(&["hook", "--uninstall"]);
    assert!(run.stderr.starts_with("nothing of codex-trace is in"), "{}", run.stderr);
}

#[test]
fn a_project_has_hooks_by_name_and_no_destination() {
    let (_sink, user) = user();
    let run = user.env.run(&["hook", "--install", "--project"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("each user's own codex-trace.toml"), "{}", run.stderr);
}

#[test]
fn somebody_elses_notify_is_named_and_stays() {
    let (_sink, user) = user();
    let text = "notify = [\"mlflow-codex\", \"notify-hook\"]\n";
    let path = user.env.write(".codex/config.toml", text);
    let run = user.env.run(&["hook", "--install"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stderr.contains("`notify` calls `mlflow-codex notify-hook`"), "{}", run.stderr);
    assert!(fs::read_to_string(&path).unwrap().starts_with(text));
    user.env.run(&["hook", "--uninstall"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn what_cannot_be_read_stays_as_it_is() {
    let (_sink, user) = user();
    for text in ["model = ", "hooks = { Stop = [] }\n"] {
        let path = user.env.write(".codex/config.toml", text);
        let run = user.env.run(&["hook", "--install"]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (_sink, user) = user();
    let real = user.env.write("dotfiles/codex.toml", CONFIG);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let link = user.env.dir().join(".codex/config.toml");
    symlink(&real, &link).unwrap();
    assert_eq!(user.env.run(&["hook", "--install"]).code, Some(0));
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&real).unwrap().contains("hooks.Stop"));
}

#[test]
fn doctor_says_whether_it_runs() {
    let (_sink, user) = user();
    user.session(1);
    let hook = || {
        let lines = user.env.run(&["doctor", "--json"]).json();
        lines.into_iter().find(|line| line["type"] == "hook").unwrap_or_default()
    };
    assert!(hook().is_null(), "nobody asked for it");
    user.env.run(&["hook", "--install"]);
    let report = hook();
    assert_eq!(report["usable"], true, "{report}");
    assert_eq!((&report["notify"], &report["called_at"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(report["trusted"], serde_json::json!([]));
    assert!(report["problems"].to_string().contains("has not called yet"), "{report}");
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    user.drained();
    let report = hook();
    assert!(report["called_at"].is_string(), "{report}");
    let run = user.env.run(&["doctor"]);
    assert!(run.stdout.contains("\nhook       ok          notify, "), "{}", run.stdout);
}
