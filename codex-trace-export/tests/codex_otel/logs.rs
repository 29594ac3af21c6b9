//! Every record against the live one of the same meaning.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::recorded::{LiveRecord, Recording, recordings};
use crate::sent::{self, SentRecord};

/// What the live telemetry says and a rollout does not (graded N or C).
#[rustfmt::skip]
const NOT_RECORDED: &[(&str, &[&str])] = &[
    ("", &["auth_mode", "terminal.type", "user.email"]),
    ("codex.conversation_starts", &[
        "auth.env_openai_api_key_present", "auth.env_codex_api_key_present",
        "auth.env_codex_api_key_enabled", "auth.env_refresh_token_url_override_present",
        "config.legacy_multi_agent_disabled_sources", "mcp_servers", "context_window",
        "auto_compact_token_limit", "max_output_tokens",
    ]),
    ("codex.sse_event", &["ttft_ms", "service_tier"]),
    ("codex.tool_result", &["mcp_server_origin"]),
    ("codex.agent_communication", &["communication_id"]),
];

/// The same for single versions: recorded neither in these nor before.
const NOT_BEFORE: &[(&str, &str, &[&str])] = &[
    // The provider of a thread is recorded since 0.51, of its trace since 0.125.
    ("0.44.0", "codex.conversation_starts", &["provider_name"]),
    // Another word stands there.
    ("0.171.0", "codex.conversation_starts", &["reasoning_summary"]),
    // The model's default is not recorded.
    ("0.171.0", "codex.sse_event", &["model_reasoning_effort"]),
    // A form of its own.
    ("0.110.0", "codex.tool_result", &["output"]),
];

/// How far times may be from the live ones: milliseconds before and after.
#[rustfmt::skip]
const TIMES: &[(&str, (i64, i64))] = &[
    ("codex.conversation_starts", (30, 0)),
    ("codex.user_prompt",         (3, 440)),
    ("codex.sse_event",           (140, 460)),
    ("codex.tool_result",         (90, 190)),
    ("codex.turn_ttft",           (3, 220)),
    ("codex.agent_response",      (50, 50)),
    ("codex.agent_communication", (50, 50)),
];

/// How far durations of tools may be from the live ones, in milliseconds: as call
/// and output were recorded, and as a nested call was.
const DIRECT: (i64, i64) = (30, 320);
const NESTED: (i64, i64) = (370, 0);

/// What the live telemetry has and history has not, and why.
#[rustfmt::skip]
const MISSING: &[(&str, &str, &str)] = &[
    ("0.171.0-deny", "tool_result 01a22618-c1e9-7123-b2a3-3d8b6e3df7ee exec-0ff0c59a-9e9d-4799-ac2a-a40646ccbf5a 1", "a nested call that was refused"),
    ("0.171.0-interrupt", "turn_ttft 01a22619-0aae-7152-89a9-a2b9345b4d9e 563 1", "of an interrupted turn"),
    ("0.171.0-resume", "conversation_starts 01a22618-1989-73a1-ab38-b1baae8244c8  2", "a resume"),
    ("0.171.0-tuind", "conversation_starts 01a22626-23b3-73f3-a0f6-6843541a5037  1", "a title"),
    ("0.171.0-tuind", "sse_event 01a22626-23b3-73f3-a0f6-6843541a5037  1", "a title"),
    ("0.171.0-tuind", "turn_ttft 01a22626-23b3-73f3-a0f6-6843541a5037 429 1", "a title"),
    ("0.171.0-tuind", "user_prompt 01a22626-23b3-73f3-a0f6-6843541a5037  1", "a title"),
    ("0.171.0-turns", "tool_result 01a22618-9f06-7722-bee4-9bd1ee7c5303 exec-f7592b75-4219-4da3-857e-fcb5285ef0ff 1", "a nested call that failed"),
];

/// All tokens that were used are told, each once.
#[test]
fn tokens_are_those_of_the_server() {
    for recording in recordings() {
        let records = sent::logs(&recording);
        let counts = records.iter().filter_map(|it| it.attributes.get("tool_token_count"));
        let sum: u64 = counts.map(|it| it.as_str().unwrap().parse::<u64>().unwrap()).sum();
        let title = if recording.name == "0.171.0-tuind" { TITLE_TOKENS } else { 0 };
        assert_eq!(sum, recording.total_tokens() - title, "{}", recording.name);
    }
}

/// What making a title used, of which there is no file.
const TITLE_TOKENS: u64 = 1250;

#[test]
fn every_record_equals_the_live_one() {
    let mut wrong = Vec::new();
    for recording in recordings() {
        compare(&recording, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What tells an event from others of its name: an id, or else its place among
/// those of its conversation.
fn keyed<T>(
    records: Vec<T>,
    attributes: impl Fn(&T) -> &BTreeMap<String, Value>,
) -> BTreeMap<String, T> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = BTreeMap::new();
    for record in records {
        let at = attributes(&record);
        let text = |key: &str| at.get(key).map_or("", |it| it.as_str().unwrap());
        let name = text("event.name");
        if name == "codex.sse_event" && text("tool_token_count") == "0" {
            continue; // A connection that was made in time.
        }
        if name == "codex.agent_communication" && text("state") == "receive" {
            continue; // Says no more than an id that is not recorded.
        }
        let id = match name {
            "codex.tool_result" => text("call_id"),
            "codex.agent_response" => text("item.id"),
            "codex.agent_communication" => text("kind"),
            // Those of interrupted turns are not recorded.
            "codex.turn_ttft" => text("duration_ms"),
            _ => "",
        };
        let key = format!("{name} {} {id}", text("conversation.id"));
        let n = counts.entry(key.clone()).or_default();
        *n += 1;
        all.insert(format!("{key} {n}"), record);
    }
    all
}

fn compare(recording: &Recording, wrong: &mut Vec<String>) {
    let live = keyed(recording.logs(), |it| &it.attributes);
    let sent = keyed(sent::logs(recording), |it| &it.attributes);
    let keys = |all: &mut dyn Iterator<Item = &String>| all.cloned().collect::<BTreeSet<_>>();
    let (ours, theirs) = (keys(&mut sent.keys()), keys(&mut live.keys()));
    let name = &recording.name;
    for key in ours.difference(&theirs) {
        wrong.push(format!("{name}: {key}: live has none"));
    }
    let missing = theirs.difference(&ours).map(|key| key.trim_start_matches("codex."));
    let expected = MISSING.iter().filter(|(of, ..)| of == name).map(|(_, key, _)| *key);
    let (missing, expected): (BTreeSet<_>, BTreeSet<_>) = (missing.collect(), expected.collect());
    for key in missing.symmetric_difference(&expected) {
        wrong.push(format!("{name}: {key}: missing, or expected to be"));
    }
    for (key, sent) in &sent {
        if let Some(live) = live.get(key) {
            compare_records(sent, live, |what| wrong.push(format!("{name}: {key}: {what}")));
        }
    }
}

fn compare_records(sent: &SentRecord, live: &LiveRecord, mut say: impl FnMut(String)) {
    let event = sent.attributes["event.name"].as_str().unwrap();
    let is_nested =
        sent.attributes.get("call_id").is_some_and(|id| id.as_str().unwrap().starts_with("exec-"));
    for (key, value) in &sent.attributes {
        let Some(theirs) = live.attributes.get(key) else {
            say(format!("{key}: {value}, live has none"));
            continue;
        };
        let is_right = match (event, key.as_str()) {
            (_, "event.timestamp") => {
                // The record's own time, which is compared below.
                let at: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
                let millis = sent.record.time_unix_nano / 1_000_000;
                u64::try_from(at.as_millisecond()).unwrap() == millis
            }
            ("codex.tool_result", "duration_ms") => {
                let millis = |it: &Value| it.as_str().unwrap().parse::<i64>().unwrap();
                let (less, more) = if is_nested { NESTED } else { DIRECT };
                (-less..=more).contains(&(millis(value) - millis(theirs)))
            }
            // Outputs are written in another order than they come.
            ("codex.tool_result", "tool_result_seq") => {
                value.as_i64().unwrap().abs_diff(theirs.as_i64().unwrap()) <= 1
            }
            // What a nested command printed, without the header that it got.
            ("codex.tool_result", "output") if is_nested => {
                let ours = value.as_str().unwrap().split("\n[... ").next().unwrap();
                let start = &ours[..ours.len().min(1000)];
                theirs.as_str().unwrap().contains(start)
            }
            _ => value == theirs,
        };
        if !is_right {
            say(format!("{key}: {value}, live {theirs}"));
        }
    }
    for (key, theirs) in &live.attributes {
        if !sent.attributes.contains_key(key) && !may_lack(live, event, key, is_nested) {
            say(format!("{key}: left out, live {theirs}"));
        }
    }
    if sent.resource["service.name"] != *live.service
        || sent.resource["service.version"] != *live.version
    {
        say(format!("resource {:?}, live {} {}", sent.resource, live.service, live.version));
    }
    compare_traces(sent, live, event, is_nested, &mut say);
    let millis = |nanos: u64| i64::try_from(nanos / 1_000_000).unwrap();
    let later = millis(sent.record.time_unix_nano) - millis(live.at);
    let (_, (before, after)) = TIMES.iter().find(|(name, _)| *name == event).unwrap();
    if !(-before..=*after).contains(&later) {
        say(format!("{later} ms later"));
    }
    assert_eq!(sent.record.event_name, event);
    assert_eq!(sent.resource["service.instance.id"].as_str(), instance(sent));
}

/// The thread of a record: that of its conversation, or the agent concerned.
fn instance(sent: &SentRecord) -> Option<&str> {
    let key = match sent.attributes.get("kind").and_then(Value::as_str) {
        Some("spawn") => "receiver_thread_id",
        Some(_) => "sender_thread_id",
        None => "conversation.id",
    };
    sent.attributes[key].as_str()
}

/// Whether a rollout does not tell what the live telemetry does.
fn may_lack(live: &LiveRecord, event: &str, key: &str, is_nested: bool) -> bool {
    let known = NOT_RECORDED.iter().filter(|(name, _)| name.is_empty() || *name == event);
    let mut lacks = known.flat_map(|(_, keys)| keys.iter());
    let before = NOT_BEFORE.iter().filter(|(version, ..)| live.version == *version);
    let mut of_version = before.filter(|(_, name, _)| *name == event).flat_map(|(.., keys)| *keys);
    let tool = live.attributes.get("tool_name").and_then(Value::as_str);
    let of_call = match key {
        "output_truncated" => is_nested || tool == Some("view_image"),
        // Of a patch only its effect is there, and an image is another one.
        "arguments" | "duration_ms" => is_nested && tool == Some("apply_patch"),
        "output" => tool == Some("view_image") || is_nested && tool == Some("apply_patch"),
        _ => false,
    };
    let mcp = key != "output" || live.attributes["mcp_server"] != *"";
    lacks.any(|it| *it == key) || of_version.any(|it| *it == key) && mcp || of_call
}

fn compare_traces(
    sent: &SentRecord,
    live: &LiveRecord,
    event: &str,
    is_nested: bool,
    say: &mut impl FnMut(String),
) {
    let ours = sent.trace_id();
    // Nested calls and the start of a thread have traces of their own, and until
    // 0.110 no rollout says which.
    let own = is_nested || event == "codex.conversation_starts" || live.version == "0.110.0";
    if ours != live.trace_id && !(own && ours.is_empty()) {
        say(format!("trace id {ours}, live {}", live.trace_id));
    }
}
