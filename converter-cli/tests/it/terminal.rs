//! Whatever stands in a transcript, or in the name of one, steers no terminal.

use std::fs;

use crate::testenv::{TestEnv, small_rollout, testdata};

/// Sets colors, a title, rings, goes back, turns the writing around.
const EVIL: &str = "01\u{1b}[31mX\u{202e}\u{1b}]0;pwned\u{7}\rY\u{9b}2J\nerror: Z";

/// Returns what would steer a terminal in a text.
fn steering(text: &str) -> Vec<char> {
    let plain = |c: &char| *c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(c));
    text.chars().filter(|c| !plain(c)).collect()
}

#[test]
fn no_id_name_or_text_steers_a_terminal() {
    let env = TestEnv::new();
    let in_json = serde_json::to_string(EVIL).unwrap();
    let in_json = &in_json[1..in_json.len() - 1];
    let named = small_rollout("PLAIN", "2026-11-21T05:00", "PLAIN").replace("PLAIN", in_json);
    let named = named.replace("/home/u/work/small", in_json).replace("gpt-x", in_json);
    env.write("named/rollout.jsonl", &named);
    // Without a line that says it, the id is the file's name.
    let nameless = named.split_once('\n').unwrap().1.replace("task_complete", in_json);
    for dir in ["nameless", &EVIL.replace('/', "")] {
        let dir = env.dir().join(dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{EVIL}.jsonl")), format!("{nameless}no JSON: {EVIL}\n"))
            .unwrap();
    }
    let commands = [
        "list",
        "list -v",
        "list --problems",
        "list --problems -v",
        "show",
        "show -v",
        "usage --by session",
        "usage --by model",
        "usage --by directory",
        "convert -o out.jsonl -v",
        "convert -o out/ -v",
        "upload --to otlp --endpoint http://127.0.0.1:1 --dry-run -v",
        "upload --to otlp --endpoint http://127.0.0.1:1 --retry-for 0s -v",
        "status",
        "doctor --to otlp",
        "doctor -v",
    ];
    for command in commands {
        for place in ["named", "nameless", EVIL, "no such \u{1b}[31m"] {
            let words: Vec<&str> = command.split(' ').collect();
            let mut args: Vec<&str> = words.clone();
            match words[0] {
                "status" => {}
                "doctor" => args.extend(["--codex-home", place]),
                _ => args.push(place),
            }
            let run = env.run(&args);
            for text in [&run.stdout, &run.stderr] {
                assert_eq!(steering(text), [], "{args:?}\n{text:?}");
                assert!(!text.lines().any(|line| line == "error: Z"), "{args:?}\n{text:?}");
            }
        }
    }
}

/// `--color` is obeyed by help and errors of the command line too, and the
/// variables that people set for all programs hold where no flag stands.
#[test]
fn colors_are_as_asked_for_everywhere() {
    let env = TestEnv::new();
    let colored = |args: &[&str], vars: &[(&str, &str)]| {
        let mut command = env.command(args);
        let run = env.finish(command.envs(vars.iter().copied()));
        run.stdout.contains('\x1b') || run.stderr.contains('\x1b')
    };
    let tree = testdata("tree").display().to_string();
    let cases: &[&[&str]] = &[
        &["lst"],
        &["list", "--sort", "nothing"],
        &["--help"],
        &["list", &tree],
        &["list", "/none"],
    ];
    for case in cases {
        let with = |more: &[&'static str]| [case, more].concat();
        assert!(!colored(case, &[]), "{case:?}: no terminal");
        assert!(colored(&with(&["--color", "always"]), &[]), "{case:?}");
        assert!(colored(&with(&["--color=always"]), &[("NO_COLOR", "1")]), "{case:?}");
        assert!(colored(case, &[("CLICOLOR_FORCE", "1")]), "{case:?}");
        assert!(!colored(&with(&["--color", "never"]), &[("CLICOLOR_FORCE", "1")]), "{case:?}");
        assert!(!colored(case, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "{case:?}");
        assert!(!colored(case, &[("CLICOLOR_FORCE", "0")]), "{case:?}");
    }
}

/// Names may come from a pipe into which nobody writes: the first request to end
/// is enough then, whatever the command.
#[cfg(target_os = "linux")]
#[test]
fn who_waits_for_names_can_be_ended() {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};
    use std::thread::sleep;
    use std::time::Duration;

    let env = TestEnv::new();
    for command in [
        &["list"][..],
        &["usage"],
        &["convert"],
        &["report", "-o", "r.html"],
        &["upload", "--to", "otlp", "--dry-run"],
    ] {
        let mut waiting = env.command(&[command, &["--files-from", "-"]].concat());
        let mut child = waiting.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let place = format!("/proc/{}/wchan", child.id());
        let reads = || fs::read_to_string(&place).is_ok_and(|it| it.contains("pipe"));
        for _ in 0..600 {
            if reads() {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut ended = None;
        for _ in 0..600 {
            ended = child.try_wait().unwrap();
            if ended.is_some() {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        child.kill().ok();
        child.wait().unwrap();
        assert_eq!(ended.and_then(|it| it.signal()), Some(15), "{command:?}");
    }
}

/// A word that only looks similar means something else: no tip names it.
#[test]
fn tips_name_only_what_may_have_been_meant() {
    let env = TestEnv::new();
    let told = |args: &[&str]| env.run(args).stderr;
    assert!(told(&["lst"]).contains("'list'"), "{}", told(&["lst"]));
    assert!(told(&["usage", "--by", "hours"]).contains("tip: a similar value exists: 'hour'"));
    for wrong in [
        &["list", "--status", "done"][..],
        &["usage", "--sort", "cost"],
        &["usage", "-n", "3"],
        &["done"],
    ] {
        assert!(!told(wrong).contains("tip:"), "{wrong:?}: {}", told(wrong));
    }
}
