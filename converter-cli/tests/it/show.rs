use crate::testenv::{TestEnv, place, small_rollout, testdata};

const ID: &str = "01a1fc00-0000-7000-8000-000000000001";

fn one_session() -> TestEnv {
    let env = TestEnv::new();
    let text = small_rollout(ID, "2026-11-21T05:00", "do it");
    env.write(&format!(".codex/{}", place("2026-11-21T05-00-00", ID)), text);
    env
}

/// The turn takes 3 s, the model call the first 2 s of it: 20 and 13⅓ columns.
#[test]
fn a_turn_and_its_call() {
    let env = one_session();
    let mut command = env.command(&["show", "01a1fc00"]);
    env.finish(command.env("COLUMNS", "80")).is(
        0,
        "\
session 01a1fc00-0000-7000-8000-000000000001  complete
/home/u/work/small · gpt-x · exec · codex 0.120.0
2026-11-21 05:00 UTC · 4.0s · 1 turn · 1 model call · 0 tool calls
? · 107 tokens: 100 in (40 cached), 7 out (3 reasoning)

                                              TIME  TOKENS
turn 1 “do it”                                3.0s     107  ████████████████████
└─ model gpt-x                                2.0s     107  █████████████▍
",
        "",
    );
}

/// What the home was made to show, as its origin tells: a review in a thread
/// of its own, steering, an abort, failing tools.
#[test]
fn what_happened_is_said_in_words() {
    let env = TestEnv::new();
    let home = testdata("homes/d153.0");
    let home = home.to_str().unwrap();
    let mut command = env.command(&["show", "--codex-home", home, "01a1fca4-d97e"]);
    let run = env.finish(command.env("COLUMNS", "160"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let line = |start: &str| {
        let found = run.stdout.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no line `{start}` in\n{}", run.stdout))
    };
    assert!(line("├─ exec_command [error").contains("[error: exit code 4] echo one; exit 4"));
    assert!(line("├─ nosuch_tool").contains("[error: unsupported call: nosuch_tool]"));
    assert!(line("turn 3").starts_with("turn 3 [steered 1 time] “SCN_NAP”"));
    assert!(line("turn 4").starts_with("turn 4 [interrupted] “SCN_NAP”"));
    assert!(line("turn 5").starts_with("turn 5 [review]"));
    line("└─ thread 01a1fca4-fcbe");
    line("   └─ turn 1 “SCN_PLAIN review”");
}

#[test]
fn turns_that_were_given_up_are_marked() {
    let env = TestEnv::new();
    for (home, id, mark) in
        [("rev148.0", "01a1fca0-b312", "[abandoned]"), ("rb144", "01a1fca0-ec02", "[rolled back]")]
    {
        let home = testdata("homes").join(home);
        let run = env.run(&["show", "--codex-home", home.to_str().unwrap(), id]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let marked =
            run.stdout.lines().filter(|line| line.starts_with("turn ") && line.contains(mark));
        assert!(marked.count() > 0, "{}", run.stdout);
    }
}

#[test]
fn depth_and_turn_show_less() {
    let env = TestEnv::new();
    let home = testdata("homes/sp169");
    let home = home.to_str().unwrap();
    let show = |more: &[&str]| {
        let args: Vec<&str> =
            ["show", "--codex-home", home, "01a1fc83-3bf9"].iter().chain(more).copied().collect();
        env.run(&args)
    };
    let lines_of = |run: &str| run.lines().skip(6).count();
    assert_eq!(lines_of(&show(&[]).stdout), 9);
    assert_eq!(lines_of(&show(&["--depth", "1"]).stdout), 1);
    assert_eq!(lines_of(&show(&["--depth", "2"]).stdout), 6);
    assert_eq!(lines_of(&show(&["--turn", "1"]).stdout), 9);
    show(&["--turn", "2"]).is(
        2,
        "",
        "error: the session has no turn 2\nhint: without `--turn`, all turns are shown with their numbers\n",
    );
}

#[test]
fn json_is_that_of_convert() {
    let env = one_session();
    let shown = env.run(&["show", "--json", ID]);
    assert_eq!(shown.code, Some(0));
    assert_eq!(shown.bytes, env.run(&["convert", ID]).bytes);
}

#[test]
fn color_is_for_those_who_want_it() {
    let env = one_session();
    let plain = env.run(&["show", ID]).stdout;
    assert!(!plain.contains('\x1b'));
    let colored = env.run(&["show", ID, "--color", "always"]).stdout;
    assert!(colored.contains("\x1b[32mcomplete\x1b[0m"), "{colored}");
    let mut command = env.command(&["show", ID]);
    assert_eq!(env.finish(command.env("NO_COLOR", "1")).stdout, plain);
}

#[test]
fn several_sessions_cannot_be_shown_at_once() {
    let env = TestEnv::new();
    env.copy(
        "homes/r98/sessions/2026/11/21/rollout-2026-11-21T05-15-37-01a1fc88-0d24-7753-9dc0-85c2f872f09e.jsonl",
        "both/rollout-2026-11-21T05-15-37-01a1fc88-0d24-7753-9dc0-85c2f872f09e.jsonl",
    );
    env.write("both/other.jsonl", small_rollout(ID, "2026-11-21T05:00", "do it"));
    env.run(&["show", "both"]).is(
        2,
        "",
        "error: these are 2 sessions, and one is shown at a time\n\
         hint: `codex-trace list both` lists them; `codex-trace show both 01a1fc88` shows the newest, as `--last` does\n",
    );
}

/// Editors put their context before the request, voice sessions and other
/// agents markup around it: titles show the request, items all of it.
#[test]
fn a_turn_is_called_by_what_was_asked_for() {
    let tabs = r"- lib.rs: src/lib.rs\n".repeat(60);
    for (prompt, asked) in [
        (
            format!(
                r"# Context from my IDE setup:\n\n## Open tabs:\n{tabs}\n## My request for Codex:\nrename the parser\n"
            ),
            "“rename the parser”",
        ),
        (
            r"<realtime_delegation>\n  <input>look at it</input>\n  <transcript_delta>user: look</transcript_delta>".to_owned(),
            "“look at it”",
        ),
        (
            r"Message Type: NEW_TASK\nTask name: /root/a\nSender: /root\nPayload:\ncount them".to_owned(),
            "“count them”",
        ),
        // Nothing is asked for behind the heading: all of it is the prompt.
        (r"# Title\n\n## My request for Codex:\n".to_owned(), "“# Title"),
    ] {
        let env = TestEnv::new();
        let path = format!(".codex/{}", place("2026-11-21T05-00-00", ID));
        env.write(&path, small_rollout(ID, "2026-11-21T05:00", &prompt));
        let run = env.run(&["show", ID]);
        assert!(run.stdout.contains(asked), "{}", run.stdout);
        let listed = env.finish(env.command(&["list"]).env("COLUMNS", "200")).stdout;
        assert!(listed.contains(asked.trim_matches(['“', '”'])), "{listed}");
        let converted = env.run(&["convert", ID]).stdout;
        assert!(converted.contains(&format!(r#""text":"{prompt}""#)), "{converted}");
    }
}

/// Ids of 2025 say nothing of time, so their order is not that of sessions.
#[test]
fn the_newest_session_is_the_first_of_the_list() {
    let env = TestEnv::new();
    let tree = testdata("tree");
    let tree = tree.to_str().unwrap();
    let newest = env.run(&["list", tree, "--json", "-n", "1"]).json()[0]["session_id"].clone();
    let shown = env.run(&["show", tree, "--last"]).stdout;
    assert!(shown.starts_with(&format!("session {}", newest.as_str().unwrap())), "{shown}");
    let several = env.run(&["show", tree]).stderr;
    let hint = format!(" {}", &newest.as_str().unwrap()[..8]);
    assert!(several.contains(&hint) && several.contains("shows the newest"), "{several}");
}
