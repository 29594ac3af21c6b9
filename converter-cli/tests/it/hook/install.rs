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

const HOOKS: &str = "{\n  \"hooks\": {\n    \"Stop\": [\n      {\"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]}\n    ]\n  }\n}\n";

/// Codex warns of hooks in both files of a home.
#[test]
fn where_there_is_a_hooks_json_hooks_go_there() {
    let (_sink, user) = user();
    let config = user.env.write(".codex/config.toml", CONFIG);
    let json = user.env.write(".codex/hooks.json", HOOKS);
    let read = || [&config, &json].map(|path| fs::read_to_string(path).unwrap());
    let run = user.env.run(&["hook", "--install"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("config.toml` and `[DIR]/.codex/hooks.json`"), "{}", run.stderr);
    let [toml, hooks] = read();
    assert!(toml.starts_with("notify = [") && !toml.contains("[[hooks"), "{toml}");
    let parsed: serde_json::Value = serde_json::from_str(&hooks).unwrap();
    assert_eq!(parsed["hooks"].as_object().unwrap().len(), 5);
    assert_eq!(parsed["hooks"]["Stop"][0]["hooks"][0]["command"], "mine");
    let again = user.env.run(&["hook", "--install"]);
    assert!(again.stderr.starts_with("Codex calls codex-trace already"), "{}", again.stderr);
    assert_eq!(read(), [toml, hooks]);
    let hook = user.env.run(&["doctor", "--json"]).json();
    let hook = hook.into_iter().find(|line| line["type"] == "hook").unwrap();
    assert_eq!(hook["events"].as_array().unwrap().len(), 5, "{hook}");
    assert!(
        hook["problems"].to_string().contains("of the hooks in `[DIR]/.codex/hooks.json` until"),
        "{hook}"
    );
    assert_eq!(user.env.run(&["hook", "--uninstall"]).code, Some(0));
    assert_eq!(read(), [CONFIG, HOOKS]);
    // Where others have hooks in config.toml, ours go there.
    let both = format!(
        "{CONFIG}\n[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = \"command\"\ncommand = \"x\"\n"
    );
    user.env.write(".codex/config.toml", &both);
    assert_eq!(user.env.run(&["hook", "--install"]).code, Some(0));
    assert!(read()[0].contains("[[hooks.SessionEnd]]") && read()[1] == HOOKS);
    assert_eq!(user.env.run(&["hook", "--uninstall"]).code, Some(0));
    assert_eq!(read(), [both.as_str(), HOOKS]);
    user.env.write(".codex/hooks.json", "{");
    let run = user.env.run(&["hook", "--install"]);
    assert!(run.code == Some(2) && run.stderr.contains("hooks.json`"), "{}", run.stderr);
    assert_eq!(read(), [both.as_str(), "{"]);
}

/// The directory that one works in, whatever repository is around it: Codex looks
/// from there up to the root of the repository.
#[test]
fn a_project_is_as_before_once_it_is_uninstalled() {
    let (_sink, user) = user();
    for (place, git) in
        [("repo", "dir"), ("repo/nested/inner", "dir"), ("repo/tree", "gitdir: x\n"), ("none", "")]
    {
        user.env.write(&format!("{place}/file"), "");
        match git {
            "dir" => drop(user.env.write(&format!("{place}/.git/HEAD"), "ref: refs/heads/main\n")),
            "" => {}
            file => drop(user.env.write(&format!("{place}/.git"), file)),
        }
    }
    let run = |place: &str, flag: &str| {
        let mut command = user.env.command(&["hook", flag, "--project"]);
        let run = user.env.finish(command.current_dir(user.env.dir().join(place)));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    };
    for place in ["repo", "repo/nested/inner", "repo/tree", "none"] {
        let dir = user.env.dir().join(place).join(".codex");
        run(place, "--install");
        let text = fs::read_to_string(dir.join("config.toml")).unwrap();
        assert!(text.contains("command = \"codex-trace hook\"") && !text.contains("notify"));
        run(place, "--install");
        assert_eq!(fs::read_to_string(dir.join("config.toml")).unwrap(), text);
        run(place, "--uninstall");
        assert!(!dir.exists(), "{place}: it was not there");
        for before in ["", CONFIG] {
            user.env.write(&format!("{place}/.codex/config.toml"), before);
            run(place, "--install");
            run(place, "--uninstall");
            assert_eq!(fs::read_to_string(dir.join("config.toml")).unwrap(), before);
        }
        fs::remove_file(dir.join("config.toml")).unwrap();
        user.env.write(&format!("{place}/.codex/hooks.json"), HOOKS);
        run(place, "--install");
        assert!(!dir.join("config.toml").exists());
        run(place, "--uninstall");
        assert_eq!(fs::read_to_string(dir.join("hooks.json")).unwrap(), HOOKS);
    }
}

/// Of a linked working tree, Codex (0.144, 0.171) reads the hooks in the main one.
#[test]
fn a_linked_worktree_has_the_hooks_of_the_main_one() {
    let (_sink, user) = user();
    user.env.write("repo/.git/worktrees/tree/HEAD", "ref: refs/heads/x\n");
    let linked = user.env.dir().join("repo/.git/worktrees/tree");
    user.env.write("tree/.git", format!("gitdir: {}\n", linked.display()));
    user.env.write("tree/sub/file", "");
    for (place, main) in [("tree", "repo"), ("tree/sub", "repo/sub")] {
        let made = user.env.dir().join(main).join(".codex/config.toml");
        for flag in ["--install", "--uninstall"] {
            let mut command = user.env.command(&["hook", flag, "--project"]);
            let run = user.env.finish(command.current_dir(user.env.dir().join(place)));
            assert!(
                run.stderr.contains(&format!("[DIR]/{main}/.codex/config.toml")),
                "{}",
                run.stderr
            );
            assert_eq!(made.exists(), flag == "--install");
        }
    }
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
