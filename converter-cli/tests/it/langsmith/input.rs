//! How much of the history a model call is given.

use codex_trace_export::langsmith::SIDECAR;
use codex_trace_export::options::OptionSet;
use codex_trace_export::options::common::{LLM_INPUT, LLM_INPUT_BYTES};
use codex_trace_export::otlp::LlmInput;
use serde_json::Value;

use super::server::{Rules, Server};
use super::sizes::with_tool;
use super::{Upload, rollout, turns};
use crate::testenv::{TestEnv, testdata};

/// Returns what each model call was given, as one line of its messages.
fn given(server: &Server) -> Vec<String> {
    server.is_clean();
    let runs = server.runs();
    let llm = runs.iter().filter(|run| run["run_type"] == "llm");
    let word = |message: &Value| {
        let content = &message["content"][0];
        let text = content["text"].as_str().or(content["type"].as_str()).unwrap_or("?");
        format!("{}:{}", message["role"].as_str().unwrap(), &text[..text.len().min(12)])
    };
    let of = |run: &Value| {
        let messages = run["inputs"]["messages"].as_array().unwrap();
        messages.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    llm.map(of).collect()
}

fn amount(word: &str) -> OptionSet {
    let mut options = OptionSet::default();
    options.put_text(&LLM_INPUT.spec, word).unwrap();
    options
}

fn uploaded(options: OptionSet, text: &str) -> Vec<String> {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, text);
    let mut upload = Upload::new(&server.url);
    upload.options = options.with(&SIDECAR, false);
    upload.run(&[file]);
    given(&server)
}

#[test]
fn each_amount_means_what_it_says() {
    let text = turns(3);
    let of = |word| uploaded(amount(word), &text);
    assert_eq!(uploaded(OptionSet::default(), &text), of("turn"), "as the plugin has it");
    assert_eq!(of("turn"), ["user:prompt 1", "user:prompt 2", "user:prompt 3"]);
    assert_eq!(
        of("full"),
        [
            "user:prompt 1",
            "user:prompt 1 ai:done user:prompt 2",
            "user:prompt 1 ai:done user:prompt 2 ai:done user:prompt 3"
        ]
    );
    assert_eq!(of("none"), ["", "", ""]);
    let text = with_tool("{}", "listed");
    let of = |word| uploaded(amount(word), &text);
    assert_eq!(of("turn"), ["user:prompt 1", "user:prompt 1 ai:tool_call tool:listed"]);
    assert_eq!(of("full"), of("turn"), "it is the first one");
    assert_eq!(of("delta"), ["user:prompt 1", "tool:listed"]);
}

#[test]
fn what_does_not_fit_is_left_out_from_the_front() {
    let text = turns(3);
    let room = |bytes| uploaded(amount("full").with(&LLM_INPUT_BYTES, bytes), &text);
    // A message of these is 65 to 68 bytes long.
    assert_eq!(room(150)[2], "system:[earlier mes ai:done user:prompt 3");
    assert_eq!(room(80)[2], "system:[earlier mes user:prompt 3");
    assert_eq!(room(10)[2], "system:[earlier mes");
    assert_eq!(
        room(150)[1],
        "user:prompt 1 ai:done user:prompt 2".replace("user:prompt 1", "system:[earlier mes")
    );
}

/// After a compaction the model saw what came in the place of the history.
#[test]
fn full_is_what_the_model_saw() {
    let server = Server::start(Rules::default());
    let mut upload = Upload::new(&server.url);
    upload.options = upload.options.with(&LLM_INPUT, LlmInput::Full);
    upload.run(&[testdata("homes")]);
    server.is_clean();
    let runs = server.runs();
    let of_turn = |run: &&Value| run["run_type"] == "llm" && run["name"] == "openai.codex.turn";
    let n_full = runs.iter().filter(of_turn).map(|run| messages(run).len()).sum::<usize>();
    let server = Server::start(Rules::default());
    Upload::new(&server.url).run(&[testdata("homes")]);
    let runs = server.runs();
    let n_turn = runs.iter().filter(of_turn).map(|run| messages(run).len()).sum::<usize>();
    assert!(n_full > n_turn, "{n_full} messages, {n_turn} of turns");
}

fn messages(run: &Value) -> &Vec<Value> {
    run["inputs"]["messages"].as_array().unwrap()
}
