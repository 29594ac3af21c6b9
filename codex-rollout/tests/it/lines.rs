//! Lines as Codex and others write them, and ways to damage them.

use codex_rollout::{Cursor, ValueKind};
use proptest::prelude::*;

/// One line of each shape that the reader treats differently.
pub(crate) const LINES: &[&str] = &[
    r#"{"timestamp":"2026-11-21T05:39:08.357Z","ordinal":0,"type":"session_meta","payload":{"id":"01a1fc9d-4b1e-7a52-9e27-3f6f3a2e0c11","timestamp":"2026-11-21T05:39:08.100Z","cwd":"C:\\src\\app","originator":"codex_cli_rs","cli_version":"0.169.0","source":{"subagent":{"thread_spawn":{"parent_thread_id":"p","depth":1}}},"git":{"commit_hash":"abc","branch":"main"},"base_instructions":{"text":"Be \"kind\".\n"}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:08.451Z","type":"turn_context","payload":{"turn_id":"t1","cwd":"/w","model":"gpt-5.5","effort":"high","approval_policy":"never","sandbox_policy":{"type":"read-only"}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:08.452Z","type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"naïve 漢字 🚀 \u2028 caf\u00e9 \ud83d\ude80"}]},"metadata":{"history_sequence":7}}"#,
    r#"{"timestamp":"2026-11-21T05:39:09.001Z","type":"response_item","payload":{"type":"reasoning","id":"rs_1","summary":[],"content":null,"encrypted_content":"gAAAAABo"}}"#,
    r#"{"timestamp":"2026-11-21T05:39:09.002Z","type":"response_item","payload":{"type":"function_call","id":"fc_1","name":"shell","arguments":"{\"command\":[\"bash\",\"-lc\",\"ls\\n\"]}","call_id":"call_1"}}"#,
    r#"{"timestamp":"2026-11-21T05:39:09.500Z","type":"response_item","payload":{"type":"function_call_output","call_id":"call_1","output":"a\tb\r\nc:\\d\u0000\/"}}"#,
    r#"{"timestamp":"2026-11-21T05:39:09.501Z","type":"response_item","payload":{"type":"custom_tool_call","call_id":"call_2","name":"apply_patch","input":"*** Begin Patch\n","status":"completed"}}"#,
    r#"{"timestamp":"2026-11-21T05:39:09.600Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":2006,"cached_input_tokens":1920,"output_tokens":300,"reasoning_output_tokens":64,"total_tokens":2306},"last_token_usage":{"input_tokens":6,"cached_input_tokens":0,"output_tokens":3e2,"reasoning_output_tokens":-0,"total_tokens":306},"model_context_window":272000},"rate_limits":{"primary":{"used_percent":26.0}}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:09.601Z","type":"event_msg","payload":{"type":"token_count","info":null}}"#,
    r#"{"timestamp":"2026-11-21T05:39:09.700Z","type":"event_msg","payload":{"type":"task_started","turn_id":"t1","model_context_window":272000,"started_at":1795239549}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.000Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"t1","last_agent_message":"done","duration_ms":1200}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.100Z","type":"event_msg","payload":{"type":"user_message","message":"hi","images":[]}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.110Z","type":"event_msg","payload":{"type":"user_message","message":"","kind":"plain","images":["data:image/png;base64,AA"],"local_images":["/a.png"]}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.210Z","ordinal":12,"type":"event_msg","payload":{"type":"item_completed","thread_id":"th","turn_id":"t1","item":{"type":"EnteredReviewMode","id":"r","user_facing_hint":"all of it"},"completed_at_ms":0}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.220Z","type":"event_msg","payload":{"type":"exited_review_mode","turn_id":"t1","review_output":{"findings":[]}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.230Z","type":"event_msg","payload":{"type":"thread_settings_applied","thread_id":"th","thread_settings":{"model":"gpt-5.5","reasoning_effort":"low"}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.232Z","type":"world_state","payload":{"full":true,"state":{"model":"gpt-5.5","skills":[]}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.234Z","ordinal":14,"type":"world_state","payload":{"full":false,"state":{"model":{"model":"gpt-6.1-sol","instructions":"38a5"}}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.235Z","ordinal":15,"type":"realtime_item","payload":{"id":"r","realtime_session_id":"s","observed_at_ms":1795935930904,"type":"frame","channels":{"voice_transcript":{"role":"user","text":"look"}}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.235Z","type":"retained_context","payload":{"type":"verified_answer","call_id":"c","questions":[{"question":"Which?","answer":"blue"}]}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.236Z","type":"response_item","payload":{"type":"configuration_update","reasoning":{"effort":"high"}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.240Z","type":"event_msg","payload":{"type":"collab_waiting_end","call_id":"c","statuses":{}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.250Z","type":"event_msg","payload":{"type":"thread_rolled_back","num_turns":1}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.260Z","type":"event_msg","payload":{"type":"novel_event","turn_id":"t1"}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.270Z","ordinal":13,"type":"response_item","payload":{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"ok"}]}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.280Z","type":"response_item","payload":{"type":"ghost_snapshot","ghost_commit":{"id":"g"}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.290Z","type":"response_item","payload":{"type":"novel_item","id":"n"}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.291Z","type":"response_item","payload":{"type":"compaction","encrypted_content":"gAAA"}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.292Z","type":"inter_agent_communication","payload":{"author":"/root","recipient":"/root/a","content":"do it","trigger_turn":true}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.150Z","type":"event_msg","payload":{"type":"turn_aborted","turn_id":"t1","reason":"interrupted"}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.200Z","type":"event_msg","payload":{"type":"item_completed","thread_id":"th","turn_id":"t1","item":{"type":"CommandExecution","id":"call_1","status":"completed"},"completed_at_ms":1795239550}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.300Z","type":"token_usage_record","payload":{"thread_id":"th","turn_id":"t1","response_id":"resp_1","usage":{"input_tokens":5,"output_tokens":7}}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.400Z","type":"compacted","payload":{"message":"so far","replacement_history":[{"type":"message"}],"window_number":2}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.500Z","type":"world_state","payload":{"a":[true,false,null,-1.5E-3,[],{}]}}"#,
    r#"{"timestamp":"2026-11-21T05:39:10.600Z","type":"novel","payload":[1]}"#,
    r#"{ "timestamp" : 1795239550 , "payload" : { "call_id" : "c" , "type" : "function_call_output" , "output" : [ { "a" : 1 } ] } , "type" : "response_item" }"#,
    r#"{"id":"25eb7a1b-fd25-4c86-9d9a-895d08a07ac4","timestamp":"2025-08-01T12:00:00.123Z","instructions":null,"git":{}}"#,
    r#"{"record_type":"state"}"#,
    r#"{"type":"message","id":null,"role":"user","content":[{"type":"input_text","text":"hello"}]}"#,
];

/// A change to a text: at a place, as a fraction of its length.
#[derive(Clone, Debug)]
enum Damage {
    Replace(f64, u8),
    Insert(f64, Vec<u8>),
    Delete(f64, usize),
    Truncate(f64),
    Repeat(f64, usize),
}

/// Bytes and pieces that matter to a JSON reader.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"0",
    b"-",
    b".5",
    b"e9",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\0",
    b"\x1f",
    b"\x7f",
    b"\\u",
    b"\\ud83d",
    b"\\udc00",
    b"\\u0000",
    b"\\u12",
    b"\\n",
    b"\\x",
    b"null",
    b"tru",
    b"\xff",
    b"\xc3",
    b"\xe2\x80\xa8",
    b"\xf0\x9f",
    b"\xed\xa0\x80",
    b"\xEF\xBB\xBF",
    b"[[[[",
    b"{\"timestamp\":\"",
    b"\"info\":7,",
    b"1e999",
    b"123456789012345678901234567890",
];

/// What ends a line, or does not.
const ENDS: &[&[u8]] = &[b"\n", b"\n", b"\n", b"\r\n", b"\n\n", b" \n", b""];

/// A piece that matters, or any byte.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0.0..1.0;
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (place.clone(), pieces()).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (place.clone(), 1..9_usize).prop_map(|(at, len)| Damage::Delete(at, len)),
        place.clone().prop_map(Damage::Truncate),
        (place, 1..40_usize).prop_map(|(at, len)| Damage::Repeat(at, len)),
    ]
}

fn apply(text: &mut Vec<u8>, damage: &Damage) {
    let place = |fraction: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
        #[expect(clippy::cast_precision_loss, reason = "a line is short")]
        let place = (fraction * text.len() as f64) as usize;
        place.min(text.len())
    };
    match damage {
        Damage::Replace(at, byte) => {
            let at = place(*at);
            if let Some(slot) = text.get_mut(at) {
                *slot = *byte;
            }
        }
        Damage::Insert(at, piece) => {
            let at = place(*at);
            text.splice(at..at, piece.iter().copied());
        }
        Damage::Delete(at, len) => {
            let at = place(*at);
            text.drain(at..text.len().min(at + len));
        }
        Damage::Truncate(at) => {
            let at = place(*at);
            text.truncate(at);
        }
        Damage::Repeat(at, len) => {
            let at = place(*at);
            let piece = text[at..text.len().min(at + len)].to_vec();
            text.splice(at..at, piece);
        }
    }
}

/// A line of a known shape with at most three damages, often none.
pub(crate) fn damaged_line() -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(LINES), prop::collection::vec(damage(), 0..4)).prop_map(
        |(line, damages)| {
            let mut text = line.as_bytes().to_vec();
            for damage in &damages {
                apply(&mut text, damage);
            }
            text
        },
    )
}

/// A file of such lines, with any kind of line end.
pub(crate) fn damaged_file() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((damaged_line(), prop::sample::select(ENDS)), 0..8)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.to_vec()]).flatten())
        .prop_map(Iterator::collect)
}

/// A text made of the pieces that matter to a JSON reader.
pub(crate) fn soup() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(pieces(), 0..60).prop_map(|pieces| pieces.concat())
}

/// Whether a key of the line, of its payload or of its item that is one of
/// `those` is there twice.
pub(crate) fn repeats_a_key(line: &[u8], those: fn(&[u8]) -> bool) -> bool {
    fn walk<'a>(
        value: &mut Cursor<'a>,
        depth: usize,
        keys_of: fn(&[u8]) -> bool,
        repeated: &mut bool,
    ) {
        let mut keys: Vec<&'a [u8]> = Vec::new();
        value
            .object(|key, value| {
                *repeated |= keys_of(key) && keys.contains(&key);
                keys.push(key);
                if depth < 3 && value.kind()? == ValueKind::Object {
                    walk(value, depth + 1, keys_of, repeated);
                }
                Ok(())
            })
            .ok();
    }
    let mut repeated = false;
    walk(&mut Cursor::new(line), 0, those, &mut repeated);
    repeated
}
