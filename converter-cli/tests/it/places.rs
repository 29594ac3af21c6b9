//! Where rollouts come from: pipes, links, other systems; and what is told of
//! what was not read.

use std::process::Stdio;

use serde_json::json;

use crate::testenv::{Run, TestEnv, place, small_rollout, testdata};

const ID: &str = "01a1fc00-0000-7000-8000-000000000001";

fn one() -> String {
    small_rollout(ID, "2026-11-20T05:00", "one")
}

/// The head is read before the content: a pipe has both only once.
#[cfg(unix)]
#[test]
fn what_comes_through_a_pipe_counts_as_the_file_does() {
    let home = testdata("homes/s144");
    let env = TestEnv::new();
    let mut n_files = 0;
    for rollout in codex_rollout::discover(&home).map(Result::unwrap) {
        let whole = rollout.path.to_str().unwrap();
        for command in ["usage", "list"] {
            let file: Run = env.run(&[command, "--json", whole]);
            let mut piped = env.command(&[command, "--json", "/dev/stdin"]);
            let mut cat = std::process::Command::new("cat")
                .arg(whole)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let run = env.finish(piped.stdin(cat.stdout.take().unwrap()));
            cat.wait().unwrap();
            let expected = file.stdout.replace(
                &format!("[TESTDATA]/{}", &whole[whole.find("homes/").unwrap()..]),
                "/dev/stdin",
            );
            assert_eq!((run.code, run.stdout), (Some(0), expected), "{whole}: {}", run.stderr);
        }
        n_files += 1;
    }
    assert!(n_files > 1);
}

#[cfg(unix)]
#[test]
fn devices_and_sockets_are_refused() {
    let env = TestEnv::new();
    let _socket = std::os::unix::net::UnixListener::bind(env.dir().join("socket")).unwrap();
    for path in ["/dev/null", "/dev/zero", "socket"] {
        env.run(&["usage", path]).is(
            2,
            "",
            &format!(
                "error: neither a file nor a directory: `{path}`\n\
                 hint: name a rollout, a directory, or a pipe that a rollout comes out of\n"
            ),
        );
    }
}

#[cfg(unix)]
#[test]
fn homes_that_share_sessions_show_them_once() {
    use std::os::unix::fs::symlink;

    let env = TestEnv::new();
    env.write(&format!("homes/main/{}", place("2026-11-20T05-00-00", ID)), one());
    std::fs::create_dir(env.dir().join("homes/task")).unwrap();
    symlink("../main/sessions", env.dir().join("homes/task/sessions")).unwrap();
    symlink("main", env.dir().join("homes/alias")).unwrap();
    for paths in [
        &["homes"][..],
        &["homes/main"],
        &["homes/task"],
        &["homes/alias"],
        &["homes/main", "homes/task", "homes/alias"],
    ] {
        let run = env.run(&[&["list", "--json"], paths].concat());
        assert_eq!((run.json().len(), run.stderr.as_str()), (1, ""), "{paths:?}");
        assert!(run.json()[0].get("copies").is_none());
    }
}

#[test]
fn what_may_be_a_rollout_and_was_passed_over_is_told() {
    let env = TestEnv::new();
    let name = place("2026-11-20T05-00-00", ID);
    env.write(&format!(".codex/{name}"), one());
    env.write(&format!(".codex/{name}.xz"), "x");
    env.write(".codex/sessions/notes.txt", "x");
    let run = env.run(&["usage", "--json"]);
    assert_eq!(run.json()[0]["total"]["model_calls"], 1);
    assert_eq!(
        run.stderr,
        "warning: passed over 1 file that may be rollouts: 1 compressed with xz \
         (`codex-trace list -v` names them)\n"
    );
    for args in [&["list", "-v"], &["list", "--problems"]] {
        let told = env.run(args).stderr;
        assert!(told.contains(&format!("{name}.xz`: compressed with xz\n")), "{told}");
        assert!(told.contains("notes.txt`: no rollout by name or content\n"), "{told}");
    }
    let report = &env.run(&["doctor", "--json"]).json()[0];
    let expected = json!({"compressed with xz": 1, "no rollout by name or content": 1});
    assert_eq!(report["passed_over"], expected);
}

/// One directory in three spellings, one of them of WSL, and one that is none.
#[test]
fn directories_of_another_system_are_one_and_are_found() {
    let env = TestEnv::new();
    let cwds = [
        r"C:\\Study\\ELM",
        r"c:\\Study\\ELM",
        r"\\\\?\\C:\\Study\\ELM\\sub",
        "/mnt/c/study/elm",
        "",
    ];
    for (nth, cwd) in cwds.iter().enumerate() {
        let id = ID.replace("000000000001", &format!("{nth:012}"));
        let text = small_rollout(&id, "2026-11-20T05:00", "x");
        let text = text.replace("/home/u/work/small", cwd);
        env.write(&format!("home/{}", place("2026-11-20T05-00-00", &id)), text);
    }
    let found =
        |dir: &str| env.run(&["list", "--json", "--cwd", dir, "home"]).stdout.lines().count();
    for dir in [r"C:\Study\ELM", r"c:\study", r"\\?\C:\Study\ELM", "c:/Study/ELM/", "/mnt/c/Study"]
    {
        assert_eq!(found(dir), 4, "{dir}");
    }
    assert_eq!((found(r"C:\Study\ELM\sub"), found(r"D:\"), found(".")), (1, 0, 0));
    let usage = env.run(&["usage", "--json", "--by", "directory", "home"]).json()[0].clone();
    let mut rows: Vec<(&str, &serde_json::Value)> = usage["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["key"].as_str().unwrap(), &row["model_calls"]))
        .collect();
    rows.sort_by_key(|(key, _)| *key);
    let expected = [("/mnt/c/study/elm", 3), (r"C:\Study\ELM\sub", 1), ("unknown", 1)];
    let found: Vec<_> = rows.iter().map(|(key, n)| (*key, n.as_u64().unwrap())).collect();
    assert_eq!(found, expected);
}

/// `..`, a link, `~`, a separator at the end.
#[cfg(unix)]
#[test]
fn a_directory_is_found_by_any_way_to_it() {
    let env = TestEnv::new();
    let work = env.dir().canonicalize().unwrap().join("work");
    std::fs::create_dir_all(work.join("small")).unwrap();
    std::os::unix::fs::symlink(&work, env.dir().join("link")).unwrap();
    let text = one().replace("/home/u/work/small", work.join("small").to_str().unwrap());
    env.write(&format!("home/{}", place("2026-11-20T05-00-00", ID)), text);
    for dir in ["work", "work/small/", "work/small/../small", "link/small", "~/work", "./link/.."] {
        let run = env.run(&["list", "--json", "--cwd", dir, "home"]);
        assert_eq!(run.stdout.lines().count(), 1, "{dir}: {}", run.stderr);
    }
}

/// From 0.93 to about 0.120 the name is nowhere else.
#[test]
fn names_come_from_the_index_of_the_home() {
    let env = TestEnv::new();
    env.write(&format!(".codex/{}", place("2026-11-20T05-00-00", ID)), one());
    let line = |name: &str, day: u32| {
        format!(
            "{{\"id\":\"{ID}\",\"thread_name\":\"{name}\",\"updated_at\":\"2026-11-2{day}T00:00:00Z\"}}\n"
        )
    };
    let index = line("first", 1) + "torn {\n" + &line("the \\\"last\\\" one", 0);
    env.write(".codex/session_index.jsonl", index);
    assert_eq!(env.run(&["list", "--json"]).json()[0]["name"], "the \"last\" one");
    let trace = &env.run(&["convert"]).json()[0];
    assert_eq!(trace["threads"][0]["name"], "the \"last\" one");
}

/// Codex compresses a rollout a week after its last write, and moves it when it
/// is archived: what is sent stays the same.
#[test]
fn compressing_moving_and_copying_change_nothing_that_is_sent() {
    let env = TestEnv::new();
    let name = format!("rollout-2026-11-20T05-00-00-{ID}.jsonl");
    let packed = zstd::encode_all(one().as_bytes(), 0).unwrap();
    let files = [
        (format!("a/sessions/2026/11/20/{name}"), one().into_bytes()),
        (format!("b/sessions/2026/11/20/{name}.zst"), packed.clone()),
        (format!("c/archived_sessions/{name}"), one().into_bytes()),
        (format!("d/sessions/{}", name.replace(".jsonl", " 2.jsonl")), one().into_bytes()),
        (format!("e/sessions/{name}"), packed),
    ];
    let mut sent: Vec<Vec<u8>> = Vec::new();
    for (file, bytes) in &files {
        env.write(file, bytes);
        let home = file.split('/').next().unwrap();
        sent.push(env.run(&["convert", "--to", "otlp-json", home]).bytes);
    }
    assert!(sent[0].len() > 1000);
    for (bytes, (file, _)) in sent.iter().zip(&files) {
        assert!(*bytes == sent[0], "{file}");
    }
}

/// What a small file becomes is bounded, and all commands stop at the same
/// byte: of three turns the one beyond 64 MiB is not counted.
#[test]
fn small_file_that_becomes_large_is_read_to_the_same_byte_by_all_commands() {
    let env = TestEnv::new();
    let turn = |n: usize| {
        format!(
            "{}\n",
            one().lines().skip(1).collect::<Vec<_>>().join("\n").replace("one", &n.to_string())
        )
    };
    let filler = format!("{{\"type\":\"filler\",\"payload\":\"{}\"}}\n", " ".repeat(1 << 20));
    let meta = format!("{}\n", one().lines().next().unwrap());
    let text = [meta, turn(1), turn(2), filler.repeat(65), turn(3)].concat();
    let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
    let told =
        format!("decompresses from {} bytes to more than the limit of 67108864;", packed.len());
    env.write(&format!(".codex/{}.zst", place("2026-11-20T05-00-00", ID)), packed);

    let usage = env.run(&["usage", "--json"]);
    assert_eq!((usage.code, &usage.json()[0]["total"]["model_calls"]), (Some(1), &2.into()));
    let list = env.run(&["list", "--problems", "--json"]);
    assert_eq!((list.code, &list.json()[0]["model_calls"]), (Some(1), &2.into()));
    assert!(list.stdout.contains(&told), "{}", list.stdout);
    let convert = env.run(&["convert"]);
    assert_eq!(convert.code, Some(1), "{}", convert.stderr);
    assert!(convert.stdout.contains(&told), "{}", convert.stdout);
    for run in [usage, convert] {
        assert!(run.stderr.contains("1 unreadable"), "{}", run.stderr);
    }
}

/// The compressed files of a session may become 16 GiB together: where there are
/// hundreds, none becomes 64 MiB unless it is large itself. What ran out is told
/// with its line, and the turn beyond it is counted by no command.
#[test]
fn files_of_one_session_share_the_room_for_decompression() {
    const N: u64 = 400;
    let env = TestEnv::new();
    let mut state = 1_u64;
    let mut noise = || {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{state:016x}")
        };
        let text: String = (0..1000).map(|_| next()).collect();
        format!("{{\"type\":\"filler\",\"payload\":\"{text}\"}}\n")
    };
    let turns_of = |nth: u64| {
        let id = format!("01a1fc00-0000-7000-8000-{nth:012}");
        let text = small_rollout(&id, "2026-11-20T05:00", "one");
        if nth == 1 {
            return (id, text);
        }
        let parent = format!(
            r#""source":{{"subagent":{{"thread_spawn":{{"parent_thread_id":"{ID}","depth":1}}}}}}"#
        );
        (id, text.replace(r#""source":"exec""#, &parent))
    };
    let mut write = |nth: u64, more: &str| {
        let (id, text) = turns_of(nth);
        let packed =
            zstd::encode_all([&text, "\n", more, &noise()].concat().as_bytes(), 3).unwrap();
        env.write(&format!(".codex/{}.zst", place("2026-11-20T05-00-00", &id)), packed);
    };
    let filler = format!("{{\"type\":\"filler\",\"payload\":\"{}\"}}\n", " ".repeat(1 << 20));
    let turn = turns_of(N).1.lines().skip(1).collect::<Vec<_>>().join("\n").replace("t-1", "t-2");
    (1..N).for_each(|nth| write(nth, ""));
    write(N, &[&filler.repeat(60), &turn, "\n"].concat());

    let usage = env.run(&["usage", "--json"]);
    assert_eq!((usage.code, &usage.json()[0]["total"]["model_calls"]), (Some(1), &N.into()));
    let list = env.run(&["list", "--problems", "--json"]);
    assert_eq!((list.code, &list.json()[0]["model_calls"]), (Some(1), &N.into()));
    let convert = env.run(&["convert"]);
    assert_eq!(convert.code, Some(1), "{}", convert.stderr);
    let trace = &convert.json()[0];
    let problems = trace["diagnostics"].as_array().unwrap().iter();
    let unreadable: Vec<_> = problems.filter(|it| it["code"] == "unreadable").collect();
    let [problem] = unreadable[..] else { panic!("{unreadable:?}") };
    assert!(problem["file"].as_str().unwrap().contains(&format!("{N:012}")), "{problem}");
    // Half of the room by number, and something by size.
    let line = problem["line"].as_u64().unwrap();
    assert!((8 << 30 >> 20) / N < line && line < 60, "{problem}");
}
