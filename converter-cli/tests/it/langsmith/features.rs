//! What the plugin does not upload.

use std::fs;

use serde_json::{Value, json};

use super::server::{Rules, Server};
use super::{ID, Upload, rollout};
use crate::testenv::{TestEnv, testdata};

/// A record of a rollout, so many seconds after ten.
fn line(at: f64, kind: &str, payload: &Value) -> String {
    let at = format!("2026-03-01T10:00:{at:06.3}Z");
    format!("{}\n", json!({"timestamp": at, "type": kind, "payload": payload}))
}

fn usage(total: u64, last: u64) -> Value {
    let usage = |n: u64| {
        json!({
            "input_tokens": n - 7, "cached_input_tokens": n / 2, "output_tokens": 7,
            "reasoning_output_tokens": 3, "total_tokens": n
        })
    };
    json!({"type": "token_count", "info": {"total_token_usage": usage(total), "last_token_usage": usage(last)}})
}

/// One turn with everything, and one that was interrupted in a command.
fn everything() -> String {
    let item = |at, payload: Value| line(at, "response_item", &payload);
    let event = |at, payload: Value| line(at, "event_msg", &payload);
    [
        line(0.0, "session_meta", &json!({
            "id": ID, "timestamp": "2026-03-01T10:00:00.000Z", "cwd": "/w", "originator": "codex_exec",
            "cli_version": "0.120.0", "source": "exec", "model_provider": "openai"
        })),
        event(1.0, json!({"type": "task_started", "turn_id": "t-1", "model_context_window": 1000})),
        line(1.0, "turn_context", &json!({
            "turn_id": "t-1", "cwd": "/w", "model": "gpt-x", "approval_policy": "never"
        })),
        item(1.1, json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]})),
        item(2.0, json!({"type": "web_search_call", "id": "ws1", "status": "completed", "action": {"type": "search", "query": "q"}})),
        item(2.5, json!({"type": "function_call", "name": "exec_command", "call_id": "c1", "arguments": "{\"cmd\":\"false\"}"})),
        event(2.6, usage(107, 107)),
        item(3.0, json!({"type": "function_call_output", "call_id": "c1", "output": "Exit code: 1\nWall time: 0.1 seconds\nOutput:\nno"})),
        item(4.0, json!({"type": "local_shell_call", "call_id": "c2", "status": "completed", "action": {"type": "exec", "command": ["ls", "-l"]}})),
        event(4.1, usage(307, 200)),
        item(4.5, json!({"type": "function_call_output", "call_id": "c2", "output": "total 0"})),
        item(5.0, json!({"type": "image_generation_call", "id": "ig1", "status": "completed", "revised_prompt": "a cat", "result": "QUJD"})),
        item(5.5, json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]})),
        event(5.6, usage(607, 300)),
        event(6.0, json!({"type": "task_complete", "turn_id": "t-1", "last_agent_message": "done", "duration_ms": 5000, "time_to_first_token_ms": 1200})),
        event(10.0, json!({"type": "task_started", "turn_id": "t-2", "model_context_window": 1000})),
        item(10.1, json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "again"}]})),
        item(11.0, json!({"type": "function_call", "name": "exec_command", "call_id": "c3", "arguments": "{\"cmd\":\"sleep 9\"}"})),
        event(11.5, json!({"type": "turn_aborted", "turn_id": "t-2", "reason": "interrupted"})),
    ]
    .concat()
}

#[test]
fn everything_that_happened_is_a_run() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    Upload::new(&server.url).run(&[rollout(&env, &everything())]);
    server.is_clean();
    let runs = server.runs();
    let named =
        |name: &str| -> Vec<&Value> { runs.iter().filter(|run| run["name"] == *name).collect() };
    let metadata = |run: &Value| run["extra"]["metadata"].clone();

    let search = named("web_search")[0];
    assert_eq!(
        (&search["run_type"], &search["inputs"]["input"]["query"]),
        (&json!("tool"), &json!("q"))
    );
    let shell = named("local_shell")[0];
    assert_eq!(shell["inputs"]["input"]["command"], json!(["ls", "-l"]));
    assert_eq!(shell["outputs"]["messages"][0]["content"][0]["text"], "total 0");
    let image = named("image_generation")[0];
    assert_eq!(image["inputs"]["input"], "a cat");
    assert_eq!(
        image["outputs"]["messages"][0]["content"][0]["image_url"],
        "data:image/png;base64,QUJD"
    );

    let commands = named("exec_command");
    assert_eq!(commands[0]["error"], "Exit code: 1");
    assert!(metadata(commands[0])["ls_is_error_interrupt"].is_null());
    assert_eq!(metadata(commands[1])["ls_is_error_interrupt"], true);
    let roots = named("openai.codex");
    assert!(roots[0]["error"].is_null());
    assert_eq!(
        (&roots[1]["error"], &metadata(roots[1])["ls_is_error_interrupt"]),
        (&json!("Turn interrupted"), &json!(true))
    );

    // Every request has its own tokens, those of tool rounds, too, and what it
    // said, whatever that was.
    let calls: Vec<&Value> = runs.iter().filter(|run| run["run_type"] == "llm").collect();
    let of = |total: u64| {
        let is_it = |run: &&&Value| metadata(run)["usage_metadata"]["total_tokens"] == total;
        *calls.iter().find(is_it).unwrap()
    };
    let first = of(107);
    assert_eq!(first["outputs"]["messages"][0]["content"][0]["type"], "tool_call");
    let usage = &metadata(first)["usage_metadata"];
    assert_eq!(usage["input_token_details"]["cache_read"], 53);
    assert_eq!(usage["output_token_details"]["reasoning"], 3);
    assert_eq!(first["events"], json!([{"name": "new_token", "time": "2026-03-01T10:00:02.200Z"}]));
    let second = of(200);
    assert_eq!(second["outputs"]["messages"][0]["content"][0]["value"]["type"], "local_shell_call");
    let given = second["inputs"]["messages"].as_array().unwrap();
    assert_eq!(given.last().unwrap()["role"], "tool", "{given:?}");
    let last = of(300);
    assert_eq!(last["outputs"]["messages"][0]["content"][0]["text"], "done");
    assert_eq!(metadata(roots[0])["ls_raw_aggregated_usage"]["total_tokens"], 607);
}

#[test]
fn a_turn_that_failed_says_with_what() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let turn = |nth: f64, events: &[Value]| {
        let begin = json!({"type": "task_started", "turn_id": format!("t-{nth}")});
        let events = events.iter().map(|event| line(nth + 0.5, "event_msg", event));
        line(nth, "event_msg", &begin) + &events.collect::<String>()
    };
    let ends = |nth: u32| json!({"type": "task_complete", "turn_id": format!("t-{nth}"), "last_agent_message": null});
    let mut failed = ends(1);
    failed["error"] = json!({
        "message": "no luck", "additional_details": "none at all", "codex_error_info": "usage_limit_exceeded"
    });
    let mut answered = ends(3);
    answered["last_agent_message"] = "done".into();
    let lost = json!({"type": "stream_error", "message": "connection lost"});
    let meta = everything().lines().next().unwrap().to_owned() + "\n";
    let text = meta
        + &turn(1.0, &[failed])
        + &turn(2.0, &[lost.clone(), ends(2)])
        + &turn(3.0, &[lost, answered]);
    let file = rollout(&env, &text);
    let errors = |upload: &Upload| -> Vec<Value> {
        server.state().runs.clear();
        upload.run(std::slice::from_ref(&file));
        server.is_clean();
        server.runs().iter().map(|run| run["error"].clone()).collect()
    };
    let said = json!("no luck — none at all — usage_limit_exceeded");
    let mut upload = Upload::new(&server.url);
    assert_eq!(errors(&upload), [said, json!("connection lost"), Value::Null]);
    // What is private may say what was.
    upload = Upload::new(&server.url);
    upload.env.push(("LANGSMITH_DEFAULT_MUTED", "true".to_owned()));
    assert_eq!(errors(&upload), [json!("failed"), json!("failed"), Value::Null]);
}

/// Two ways: the runs uploaded, and the counting of `usage`, which reads
/// neither items nor spans.
#[test]
fn the_tokens_of_every_home_are_all_there() {
    let env = TestEnv::new();
    let mut n_tokens = 0;
    for home in fs::read_dir(testdata("homes")).unwrap() {
        let home = home.unwrap().path();
        let server = Server::start(Rules::default());
        Upload::new(&server.url).run(std::slice::from_ref(&home));
        let run = env.run(&["usage", "--json", home.to_str().unwrap()]);
        let counted: Value = serde_json::from_str(&run.stdout).unwrap();
        let runs = server.runs();
        let sum = |key: &str, within: &str| -> u64 {
            let usages = runs.iter().map(|run| &run["extra"]["metadata"]["usage_metadata"]);
            usages.filter_map(|it| it[key].as_u64().or(it[within][key].as_u64())).sum()
        };
        for (ours, within, theirs) in [
            ("input_tokens", "", "input_tokens"),
            ("output_tokens", "", "output_tokens"),
            ("total_tokens", "", "total_tokens"),
            ("cache_read", "input_token_details", "cached_input_tokens"),
            ("reasoning", "output_token_details", "reasoning_output_tokens"),
        ] {
            assert_eq!(sum(ours, within), counted["total"][theirs], "{ours} of {}", home.display());
        }
        n_tokens += sum("total_tokens", "");
        let of_compactions = runs.iter().filter(|run| run["name"] == "openai.codex.compaction");
        if home.ends_with("r169") {
            let spent = of_compactions.map(|run| &run["extra"]["metadata"]["usage_metadata"]);
            assert!(spent.clone().count() > 0 && spent.into_iter().all(Value::is_object));
        }
    }
    assert!(n_tokens > 1_000_000, "{n_tokens}");
}

/// The goal's words are the harness'; what came of them is the model's alone.
#[test]
fn a_turn_that_a_goal_began_has_no_input_and_only_its_outcome() {
    let item = |at, payload: Value| line(at, "response_item", &payload);
    let event = |at, payload: Value| line(at, "event_msg", &payload);
    let text = [
        line(0.0, "session_meta", &json!({
            "id": ID, "timestamp": "2026-03-01T10:00:00.000Z", "cwd": "/w", "originator": "codex_exec",
            "cli_version": "0.171.0", "source": "exec", "model_provider": "openai"
        })),
        event(1.0, json!({"type": "task_started", "turn_id": "t-1", "turn_attribution": {"turn_trigger": "goal"}})),
        line(1.0, "turn_context", &json!({"turn_id": "t-1", "cwd": "/w", "model": "gpt-x"})),
        item(1.1, json!({"type": "function_call_output", "name": "goal_objective", "output": "make it work"})),
        item(1.2, json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on with the goal."}],
            "internal_chat_message_metadata_passthrough": {"content_item_metadata": [{"provenance": {"type": "harness"}}]}})),
        item(2.0, json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]})),
        event(2.1, usage(107, 107)),
        event(3.0, json!({"type": "task_complete", "turn_id": "t-1", "last_agent_message": "done"})),
    ]
    .concat();
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    Upload::new(&server.url).run(&[rollout(&env, &text)]);
    server.is_clean();
    let runs = server.runs();
    let root = runs.iter().find(|run| run["name"] == "openai.codex").expect("a turn");
    assert_eq!(root["inputs"], json!({"messages": []}));
    let outcome = root["outputs"]["messages"].as_array().expect("messages");
    assert_eq!(outcome.len(), 1, "{outcome:?}");
    assert_eq!(outcome[0]["role"], "ai");
}

/// What the service shows as the tools of a request, where they were written,
/// and what was said in a voice session; neither where content stays here.
#[test]
fn tools_and_voice_are_told() {
    let item = |at, payload: Value| line(at, "response_item", &payload);
    let event = |at, payload: Value| line(at, "event_msg", &payload);
    let voice = |at, text: &str| {
        let said = json!({"voice_transcript": {"role": "user", "text": text}});
        line(at, "realtime_item", &json!({"type": "frame", "channels": said}))
    };
    let tool = json!({"type": "function", "name": "look", "description": "LOOKS"});
    let text = [
        everything().lines().next().unwrap().to_owned() + "\n",
        voice(0.5, "BEFORE"),
        event(1.0, json!({"type": "task_started", "turn_id": "t-1"})),
        item(1.1, json!({"type": "additional_tools", "id": "at1", "role": "developer", "tools": [tool]})),
        item(1.2, json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]})),
        voice(1.5, "SAID"),
        item(2.0, json!({"type": "function_call", "name": "look", "call_id": "c1", "arguments": "{}"})),
        event(2.1, usage(107, 107)),
        item(2.2, json!({"type": "function_call_output", "call_id": "c1", "output": "x"})),
        item(3.0, json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]})),
        event(3.1, usage(307, 200)),
        event(4.0, json!({"type": "task_complete", "turn_id": "t-1", "last_agent_message": "done"})),
        voice(4.5, "BETWEEN"),
        event(5.0, json!({"type": "task_started", "turn_id": "t-2"})),
        item(5.2, json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "on"}]})),
        event(6.0, json!({"type": "task_complete", "turn_id": "t-2", "last_agent_message": "done"})),
        voice(6.5, "AFTER"),
    ]
    .concat();
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &text);
    Upload::new(&server.url).run(std::slice::from_ref(&file));
    server.is_clean();
    let runs = server.runs();
    let tools = runs.iter().map(|run| &run["extra"]["invocation_params"]["tools"]);
    let tools: Vec<&Value> = tools.filter(|tools| !tools.is_null()).collect();
    assert_eq!(tools, [&json!([tool])], "on the first call of the turn alone");
    let said = |at: &str, text: &str| {
        json!({
            "name": "voice", "time": format!("2026-03-01T10:00:0{at}00Z"),
            "kwargs": {"what": "frame", "role": "user", "text": text}
        })
    };
    let roots = runs.iter().filter(|run| run["name"] == "openai.codex");
    let events: Vec<&Value> = roots.map(|run| &run["events"]).collect();
    let first = json!([said("0.5", "BEFORE"), said("1.5", "SAID")]);
    // What follows a turn is not known to be all when that is sent.
    assert_eq!(events, [&first, &json!([said("4.5", "BETWEEN")])]);
    let muted = Server::start(Rules::default());
    let mut upload = Upload::new(&muted.url);
    upload.env.push(("LANGSMITH_DEFAULT_MUTED", "true".to_owned()));
    upload.run(&[file]);
    let runs = format!("{:?}", muted.runs());
    assert!(!runs.contains("SAID") && !runs.contains("LOOKS"), "{runs}");
}
