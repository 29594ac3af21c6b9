//! `report`: what is in the file, and what a real browser makes of it.

use std::fs;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::testenv::{TestEnv, place, small_rollout, testdata};

/// Unpacks a block of a page.
fn unpacked(page: &str, id: &str) -> Vec<Value> {
    let start = page.split(&format!("<script type=\"text/plain\" id=\"{id}\">")).nth(1);
    let packed = STANDARD
        .decode(start.expect(id).split('<').next().expect("the block is closed"))
        .expect("base64");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).expect("gzip");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Writes a report and returns it.
fn report(env: &TestEnv, args: &[&str]) -> String {
    let run = env.run(&[&["report", "-o", "r.html", "-q"], args].concat());
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    fs::read_to_string(env.dir().join("r.html")).expect("a report")
}

const ID: &str = "01a1fca4-0000-7000-8000-000000000001";

fn small(prompt: &str) -> TestEnv {
    let env = TestEnv::new();
    let path = format!(".codex/{}", place("2026-11-21T05-39-08", ID));
    env.write(&path, small_rollout(ID, "2026-11-21T05:39", prompt));
    env
}

#[test]
fn a_report_is_one_private_file_and_the_same_twice() {
    let env = small("say it");
    let page = report(&env, &[]);
    assert_eq!(page, report(&env, &["-j", "2"]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(env.dir().join("r.html")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let rows = unpacked(&page, "rows");
    let row = json!({
        "id": ID, "at": 1_795_239_540_000_i64, "end": 1_795_239_544_000_i64,
        "cwd": "/home/u/work/small", "version": "0.120.0", "source": "exec", "prompt": "say it",
        "status": "complete", "turns": 1, "tools_n": 0, "threads": 1, "errors": 0,
        "u": [[20_778, "gpt-x", 1, 100, 40, 0, 7, 3, 107]], "tools": []
    });
    assert_eq!(rows, [row]);
    let session = unpacked(&page, "s0");
    let kinds: Vec<&str> = session[1..].iter().map(|it| it["k"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["thread", "turn", "model_call"]);
    assert_eq!((&session[2]["in"], &session[2]["out"]), (&json!("say it"), &json!("done")));
    assert_eq!(session[3]["u"], json!([100, 40, 7, 3, 107]));
    assert_eq!(session[3]["l"], json!([6, 7]));
}

#[test]
fn content_is_short_and_redacted_unless_told_otherwise() {
    let secret = "sk-proj-0123456789abcdefABCDEF";
    let long = format!("{secret} {}END", "x".repeat(500));
    let env = small(&long);
    let text = |args: &[&str]| {
        let page = report(&env, args);
        format!("{:?}{:?}", unpacked(&page, "rows"), unpacked(&page, "s0"))
    };
    let short = text(&[]);
    assert!(short.contains("[SECRET_DETECTED] xxx") && short.contains("bytes in all]"), "{short}");
    assert!(!short.contains(secret) && !short.contains("END"), "{short}");
    let full = text(&["--content", "full", "--no-redact"]);
    assert!(full.contains(&long), "{full}");
    let none = text(&["--content", "none"]);
    assert!(!none.contains("xxx") && !none.contains("done") && none.contains("gpt-x"), "{none}");
}

/// A cut does not go through a secret before it is looked for.
#[test]
fn no_part_of_a_secret_is_left_at_the_cut() {
    let env = small(&format!("{} sk-proj-0123456789abcdefABCDEF", "x".repeat(380)));
    let page = report(&env, &[]);
    let text = format!("{:?}{:?}", unpacked(&page, "rows"), unpacked(&page, "s0"));
    assert!(!text.contains("sk-proj"), "{text}");
}

#[test]
fn costs_are_those_of_usage() {
    let env = TestEnv::new();
    let home = testdata("homes/r169");
    let home = home.to_str().unwrap();
    let page = report(&env, &[home, "--cost"]);
    let calls: Vec<Value> = unpacked(&page, "rows")
        .iter()
        .flat_map(|row| row["u"].as_array().unwrap().clone())
        .collect();
    let usage = &env.run(&["usage", home, "--json", "--cost"]).json()[0]["total"];
    let sum = |at: usize| calls.iter().filter_map(|it| it[at].as_u64()).sum::<u64>();
    for (at, key) in
        [(2, "model_calls"), (3, "input_tokens"), (6, "output_tokens"), (8, "total_tokens")]
    {
        assert_eq!(json!(sum(at)), usage[key], "{key}");
    }
    let cost: f64 = calls.iter().filter_map(|it| it[9].as_f64()).sum();
    assert!(cost > 0.0 && (cost - usage["cost_usd"].as_f64().unwrap()).abs() < 1e-9, "{cost}");
}

#[test]
fn a_directory_gets_an_index_that_leads_to_the_parts() {
    let env = small("say it");
    let run = env.run(&["report", "-q", "-o", "out/"]);
    run.is(0, "", "");
    let read = |name: &str| fs::read_to_string(env.dir().join("out").join(name)).unwrap();
    let (index, part) =
        (unpacked(&read("index.html"), "rows"), unpacked(&read("part-1.html"), "rows"));
    assert_eq!(index[0], json!({"part": "part-1.html"}));
    assert_eq!(index[1..], part);
    assert!(!read("index.html").contains("id=\"s0\""));
}

#[test]
fn what_is_read_is_not_written_to() {
    let env = small("say it");
    let path = format!(".codex/{}", place("2026-11-21T05-39-08", ID));
    let run = env.run(&["report", "-o", &path]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let run = env.run(&["report", "-o", "none/r.html"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("there is no directory `none`"), "{}", run.stderr);
}

/// What a transcript may hold to harm who looks at it.
const HOSTILE: &str = "</script><script>document.title='RUN'</script><img src=x onerror=\"document.title='RUN'\">\
     <style>*{display:none}</style>\u{202e}\u{0}\u{7}\u{1b}[2J\u{2028}&lt;'`${document.title='RUN'}`javascript:alert(1)";

/// Adds it to every text of a record that does not say what the record is.
fn poison(value: &mut Value, key: &str) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| poison(value, key)),
        Value::Array(list) => list.iter_mut().for_each(|value| poison(value, key)),
        Value::String(text) if !["type", "timestamp", "role", "status", "kind"].contains(&key) => {
            text.push_str(HOSTILE);
        }
        _ => {}
    }
}

fn poisoned_home(env: &TestEnv) {
    let mut n = 0;
    for home in ["r169", "sp169", "c169", "i169", "rev148.0", "r44", "mini34"] {
        for rollout in rollouts(&testdata("homes").join(home)) {
            let text = fs::read_to_string(&rollout).expect("a readable rollout");
            let mut lines = String::new();
            for line in text.lines() {
                let mut value: Value = serde_json::from_str(line).expect("a line is JSON");
                poison(&mut value, "");
                lines.push_str(&value.to_string());
                lines.push('\n');
            }
            let name = rollout.file_name().expect("a name").to_str().expect("UTF-8");
            env.write(&format!(".codex/sessions/2026/11/{home}/{name}"), lines);
            n += 1;
        }
    }
    assert!(n >= 12, "{n}");
}

fn rollouts(dir: &Path) -> Vec<std::path::PathBuf> {
    let found = codex_rollout::discover(dir);
    found
        .map(|it| it.expect("a readable directory").path)
        .filter(|it| it.extension().is_some_and(|it| it == "jsonl"))
        .collect()
}

#[test]
fn nothing_that_is_recorded_runs_in_a_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let env = TestEnv::new();
    poisoned_home(&env);
    for content in ["short", "full"] {
        let page = report(&env, &["--content", content, "--no-redact"]);
        let rows = unpacked(&page, "rows").len();
        assert!(rows > 10, "{rows}");
        assert!(!page.contains("<img") && page.matches("<script").count() == rows + 4);
        browser.open(&env.dir().join("r.html"), "");
        assert_eq!(browser.eval("document.documentElement.dataset.ready"), json!(rows.to_string()));
        browser.wait("document.querySelector('.list').textContent");
        let shown = browser.eval("document.querySelector('.list').textContent");
        assert!(shown.as_str().unwrap().contains("<img src=x onerror"), "{shown}");
        assert!(shown.as_str().unwrap().contains("\\u{202e}"), "{shown}");
        // Each session, and each span of it.
        let mut all = 0;
        for row in unpacked(&page, "rows") {
            let id = &row["id"];
            let opened = browser.eval(&format!(
                "(async () => {{ history.replaceState(null, '', '#' + new URLSearchParams({{s: {id}}})); \
                 dispatchEvent(new PopStateEvent('popstate')); \
                 const pause = () => new Promise(done => setTimeout(done, 10)); \
                 for (let n = 0; n < 3000 && !document.querySelector('.detail dl'); n++) await pause(); \
                 const spans = [...document.querySelectorAll('.water .row')]; \
                 for (const span of spans) span.click(); \
                 return [spans.length, document.title, document.querySelectorAll('img, main script, main style').length]; }})()"
            ));
            let [spans, title, foreign] = opened.as_array().unwrap().as_slice() else {
                panic!("{opened}")
            };
            all += spans.as_u64().unwrap();
            assert_eq!((title, foreign), (&json!("codex-trace report"), &json!(0)), "session {id}");
        }
        assert!(all > 60, "{all}");
        assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
    }
}

#[test]
fn the_page_shows_the_right_figures_and_is_reached_by_keyboard() {
    let Some(mut browser) = Browser::start() else { return };
    let env = TestEnv::new();
    let home = testdata("homes/sp169");
    let home = home.to_str().unwrap();
    report(&env, &[home]);
    let usage = env.run(&["usage", home, "--json"]).json()[0]["total"].clone();
    let listed = env.run(&["list", home, "--json"]).json();
    browser.open(&env.dir().join("r.html"), "");
    browser.wait("document.querySelector('.table .row')");
    let tiles = browser.eval(
        "[...document.querySelectorAll('.tile')].map(it => [it.textContent, it.title]).flat().join(' | ').replaceAll(',', '')",
    );
    let tiles = tiles.as_str().unwrap();
    let n = |key: &str| usage[key].as_u64().unwrap();
    for expected in [
        format!("{}session", listed.len()),
        format!("{}model calls", n("model_calls")),
        format!("{} tokens", n("total_tokens")),
        format!("{} of {}", n("cached_input_tokens"), n("input_tokens")),
        format!("{} tokens", n("output_tokens")),
    ] {
        assert!(tiles.contains(&expected), "{expected}: {tiles}");
    }
    // The rows are those of `list`, in its order.
    let rows = browser.eval(
        "[...document.querySelectorAll('.table .row')].map(row => [...row.children].slice(4, 7).map(it => Number(it.textContent)))",
    );
    let expected: Vec<Value> =
        listed.iter().map(|it| json!([it["turns"], it["model_calls"], it["tool_calls"]])).collect();
    assert_eq!(rows, json!(expected));

    // A filter, then the session that has subagents, then its spans.
    let agents = listed.iter().find(|it| it["thread_ids"].as_array().unwrap().len() > 1).unwrap();
    let id = agents["session_id"].as_str().unwrap();
    browser.press("/");
    for key in format!("id:{}", &id[..18]).chars() {
        browser.press(&key.to_string());
    }
    // Enter applies what has been typed so far, and a second one opens what it left.
    browser.press("Enter");
    assert!(browser.eval("location.hash").as_str().unwrap().contains("q=id"));
    browser.wait("document.activeElement.matches('.list')");
    browser.wait("document.querySelectorAll('.table .row').length === 1");
    browser.press("Enter");
    browser.wait("document.querySelectorAll('.water .row').length > 3");
    assert!(browser.eval("location.hash").as_str().unwrap().contains(id));
    let kinds = browser.eval(
        "[...document.querySelectorAll('.water .row')].map(row => row.className.split(' ')[1]).join()",
    );
    assert!(kinds.as_str().unwrap().contains("tool_call,thread,turn,model_call"), "{kinds}");
    browser.press("ArrowDown");
    browser.wait("document.querySelector('.detail h2').textContent !== 'Turn 1'");
    let place = browser.eval("document.querySelector('.detail dl').textContent");
    assert!(place.as_str().unwrap().contains(".jsonl:"), "{place}");
    browser.press("a");
    browser.wait("!document.querySelector('.water .row.thread')");
    browser.press("m");
    browser.wait("!document.querySelector('.water .row.tool_call')");
    browser.press("Escape");
    browser.wait("document.querySelector('.table .row')");
    browser.press("?");
    browser.wait("document.querySelector('dialog').open");
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}
