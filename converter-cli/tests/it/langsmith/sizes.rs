//! Runs that the service finds too large.

use serde_json::Value;

use super::server::{Rules, Server};
use super::{START, Upload, rollout, turns};
use crate::testenv::TestEnv;

/// A turn in which the model calls a tool and then answers.
pub(super) fn with_tool(arguments: &str, output: &str) -> String {
    let line = |at: u32, payload: Value| {
        let line = serde_json::json!({
            "timestamp": format!("{START}:{at:02}.000Z"), "type": "response_item", "payload": payload
        });
        format!("{line}\n")
    };
    let call = line(
        2,
        serde_json::json!({
            "type": "function_call", "name": "shell", "call_id": "c1", "arguments": arguments
        }),
    );
    let answer = line(
        2,
        serde_json::json!({
            "type": "function_call_output", "call_id": "c1", "output": output
        }),
    );
    let text = turns(1);
    let said = text.find(&format!(r#"{{"timestamp":"{START}:03.000Z""#)).unwrap();
    format!("{}{call}{answer}{}", &text[..said], &text[said..])
}

fn one<'r>(runs: &'r [Value], run_type: &str, nth: usize) -> &'r Value {
    runs.iter().filter(|run| run["run_type"] == *run_type).nth(nth).unwrap()
}

/// As it is known of the service: 20 MiB a request, 100 runs.
#[test]
fn a_tool_that_said_thirty_megabytes_arrives() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let output = format!("begin{}end", "0123456789abcde\n".repeat(30 << 16));
    let file = rollout(&env, &with_tool("{}", &output));
    let upload = Upload::new(&server.url);
    let account = upload.run(&[file]);
    assert_eq!((account.turns(), account.rejected), (1, 0), "{}", upload.dead_letters());
    server.is_clean();
    let runs = server.runs();
    assert_eq!(runs.len(), 4);
    let said = text_of(&one(&runs, "tool", 0)["outputs"]["messages"][0]);
    assert!(said.starts_with("begin0123456789abcde\n0") && said.ends_with("abcde\nend"));
    assert!(said.contains("bytes omitted]") && said.len() > 3 << 20, "{} bytes", said.len());
    // The root has it, and the answer; so has the call that was told of it.
    let root = &one(&runs, "chain", 0)["outputs"]["messages"];
    assert_eq!(root.as_array().unwrap().len(), 3);
    assert_eq!((text_of(&root[1]), text_of(&root[2])), (said, "done"));
    let told = one(&runs, "llm", 1)["inputs"]["messages"].as_array().unwrap();
    assert_eq!(text_of(told.last().unwrap()), said);
}

#[test]
fn an_image_of_thirty_nine_megabytes_is_named() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let base64 = "QUJD".repeat(13 << 20);
    let image =
        format!(r#""}},{{"type":"input_image","image_url":"data:image/png;base64,{base64}"#);
    let text = turns(1).replacen(r#""text":"prompt 1"#, &format!(r#""text":"prompt 1{image}"#), 1);
    let file = rollout(&env, &text);
    // However large an image may be: a request has its limit.
    let mut upload = Upload::new(&server.url);
    upload.max_image_bytes = 1 << 30;
    let account = upload.run(&[file]);
    assert_eq!((account.turns(), account.rejected), (1, 0), "{}", upload.dead_letters());
    server.is_clean();
    let runs = server.runs();
    let content = &one(&runs, "chain", 0)["inputs"]["messages"][0]["content"];
    assert_eq!(content[0]["text"], "prompt 1");
    let note = content[1]["image_url"].as_str().unwrap();
    let size = format!("[omitted image/png, {} bytes, sha256 ", 39 << 20);
    assert!(note.starts_with(&size), "{note}");
    assert_eq!(one(&runs, "llm", 0)["inputs"]["messages"][0]["content"], *content);
}

/// Each call is given all of its turn: of a long one that would be the square
/// of its length.
#[test]
fn a_long_turn_does_not_grow_with_the_square_of_its_length() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let output = "0123456789abcde ".repeat(40 << 10);
    let mut text = String::new();
    for line in with_tool("{}", &output).lines() {
        // Nothing of the model's ends the turn in between.
        let rounds = if line.contains("\"c1\"") && line.contains("_output") { 40 } else { 1 };
        for round in 0..rounds {
            if round > 0 {
                let call = serde_json::json!({
                    "timestamp": format!("{START}:02.{round:03}Z"), "type": "response_item",
                    "payload": {"type": "function_call", "name": "shell", "call_id": format!("r{round}"), "arguments": "{}"}
                });
                text.push_str(&(call.to_string() + "\n"));
            }
            let id = if round == 0 { "c1".to_owned() } else { format!("r{round}") };
            text.push_str(&line.replace("\"c1\"", &format!("\"{id}\"")));
            text.push('\n');
        }
    }
    let account = Upload::new(&server.url).run(&[rollout(&env, &text)]);
    assert_eq!((account.turns(), account.rejected), (1, 0), "{account:?}");
    server.is_clean();
    let runs = server.runs();
    let llm: Vec<&Value> = runs.iter().filter(|run| run["run_type"] == "llm").collect();
    assert_eq!(llm.len(), 41);
    let given = |run: &Value| run["inputs"]["messages"].as_array().unwrap().clone();
    let len = |run: &&Value| given(run).iter().map(|it| text_of(it).len()).sum::<usize>();
    // What the limit per request leaves of 25 MB, until the turn has had its share.
    let all: usize = llm.iter().map(len).sum();
    assert!(all > 120 << 20 && all < 160 << 20, "{all}");
    // The last is given what is new to it, and told that there was more.
    let last = given(llm[40]);
    assert_eq!((last.len(), text_of(&last[1])), (2, output.as_str()));
    assert!(text_of(&last[0]).contains("omitted"), "{:?}", last[0]);
}

fn text_of(message: &Value) -> &str {
    message["content"][0]["text"].as_str().unwrap_or_default()
}

/// Whatever the limit: what does not fit is left out, and said to be.
#[test]
fn many_texts_that_are_too_much_together_arrive_as_far_as_they_fit() {
    let rules = Rules { max_bytes: 100_000, ..Rules::default() };
    let server = Server::start(rules);
    let env = TestEnv::new();
    let arguments = format!(r#"{{"patch":"{}"}}"#, "y".repeat(60_000));
    let mut text = String::new();
    for (nth, line) in with_tool(&arguments, &"z".repeat(60_000)).lines().enumerate() {
        // The tool is called twenty times.
        let n = if line.contains("\"c1\"") { 20 } else { 1 };
        let calls = (0..n).map(|call| line.replace("\"c1\"", &format!("\"c{nth}.{call}\"")));
        let calls: Vec<String> = calls.collect();
        text.push_str(&(calls.join("\n") + "\n"));
    }
    let file = rollout(&env, &text);
    let upload = Upload::new(&server.url);
    let account = upload.run(&[file]);
    assert_eq!((account.turns(), account.rejected), (1, 0), "{}", upload.dead_letters());
    server.is_clean();
    let runs = server.runs();
    let root = one(&runs, "chain", 0);
    let all = serde_json::to_string(root).unwrap();
    assert!(all.contains("earlier messages omitted") && all.contains("done"), "{all}");
    // Twenty calls of 20 kB in one message: no room for any of it.
    let said = serde_json::to_string(one(&runs, "llm", 0)).unwrap();
    assert!(said.contains("more than a run can hold"), "{said}");
}
