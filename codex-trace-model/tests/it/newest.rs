//! What the newest versions of Codex record beside the conversation.

use codex_rollout::{JsonText, RawJson};
use codex_trace_model::{EventKind, SpanKind, Trace};

use crate::script::with_script;

/// The events of a span, in words.
fn events(trace: &Trace<'_>, key: &str) -> Vec<String> {
    let text = |it: Option<JsonText<'_>>| it.map_or("-".into(), |it| it.decode().into_owned());
    let raw = |it: Option<RawJson<'_>>| {
        it.map_or("-".into(), |it| String::from_utf8_lossy(it.raw()).into_owned())
    };
    let span = trace.spans.iter().find(|span| span.key == key).unwrap();
    let words = |kind: &EventKind<'_>| match kind {
        EventKind::Voice(it) => {
            let said = it.said();
            format!("{} {}: {}", text(it.kind), text(said.role), text(said.text))
        }
        EventKind::RetainedContext(it) => format!("{} {}", text(it.kind), raw(it.questions)),
        EventKind::MessageNotes(it) => format!(
            "{} {} {} {} {}",
            text(it.id),
            text(it.delivery),
            text(it.text),
            raw(it.questions),
            raw(it.memory_citation)
        ),
        EventKind::HookPrompt(it) => raw(*it),
        other => other.word().to_owned(),
    };
    span.events().iter().map(|event| words(&event.kind)).collect()
}

/// As in 0.171, and a segment as before.
#[test]
fn a_voice_session_tells_what_was_said() {
    with_script(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0"}
        10 line realtime_item {"id":"i1","realtime_session_id":"s","observed_at_ms":1767225600005,"type":"realtime_session_started"}
        20 line realtime_item {"id":"i2","realtime_session_id":"s","type":"frame","channels":{"voice_transcript":{"role":"user","text":"look at it"}}}
        30 event {"type":"task_started","turn_id":"a","turn_attribution":{"turn_trigger":"realtime"}}
        40 line realtime_item {"id":"i3","realtime_session_id":"s","type":"transcript_segment","role":"assistant","text":"I do."}
        50 says done
        60 complete a
        70 line realtime_item {"id":"i4","realtime_session_id":"s","type":"realtime_session_closed","outcome":"ended"}
        "#,
        |trace| {
            let of_thread = events(trace, "thread:t");
            assert_eq!(
                of_thread,
                [
                    "realtime_session_started -: -",
                    "frame user: look at it",
                    "realtime_session_closed -: -"
                ]
            );
            assert_eq!(events(trace, "turn:a"), ["transcript_segment assistant: I do."]);
            // When it was heard, and not when it was written down.
            let first = trace.spans[0].events()[0].at.unwrap();
            assert_eq!(first.as_millisecond(), 1_767_225_600_005);
        },
    );
}

#[test]
fn messages_out_of_turn_and_what_they_refer_to_are_told() {
    with_script(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0"}
        10 started a
        20 done a {"type":"AgentMessage","id":"call_1","content":[{"type":"Text","text":"an update"}],"delivery":"async"}
        30 done a {"type":"AgentMessage","id":"call_2","content":[{"type":"Text","text":"Which?"}],"delivery":"async","questions":[{"title":"Which?"}]}
        40 line retained_context {"type":"verified_answer","call_id":"call_2","questions":[{"question":"Which?","answer":"blue"}]}
        50 event {"type":"agent_message","message":"done","memory_citation":{"entries":[]}}
        60 done a {"type":"AgentMessage","id":"msg_1","content":[{"type":"Text","text":"done"}],"phase":"final_answer"}
        70 done a {"type":"HookPrompt","id":"msg_2","fragments":[{"text":"go on","hookRunId":"stop:1"}]}
        80 says done
        90 complete a
        "#,
        |trace| {
            assert_eq!(
                events(trace, "turn:a"),
                [
                    "call_1 async an update - -",
                    r#"call_2 async Which? [{"title":"Which?"}] -"#,
                    r#"verified_answer [{"answer":"blue","question":"Which?"}]"#,
                    r#"- - - - {"entries":[]}"#,
                    r#"[{"hookRunId":"stop:1","text":"go on"}]"#,
                ]
            );
        },
    );
}

/// They hold for the turns after them, too.
#[test]
fn tools_that_the_embedding_program_changed_are_told() {
    with_script(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0","dynamic_tools":[{"name":"look","description":"first"}]}
        10 started a
        20 call c1 look {}
        30 output c1 x
        40 complete a
        50 line dynamic_tools_updated {"thread_id":"t","tools":[{"name":"look","description":"second"}]}
        60 line dynamic_tools_updated {"thread_id":"other","tools":[]}
        70 started b
        80 call c2 look {}
        90 output c2 x
        99 complete b
        "#,
        |trace| {
            let thread = trace.root();
            let mut told = Vec::new();
            let mut turn = None;
            for span in &trace.spans {
                match &span.kind {
                    SpanKind::Turn(it) => turn = Some(it),
                    SpanKind::ToolCall(call) => {
                        let it = thread.definition_of(turn.unwrap(), call).unwrap();
                        told.push(it.description.unwrap().decode().into_owned());
                    }
                    _ => {}
                }
            }
            assert_eq!(told, ["first", "second"]);
            assert_eq!(events(trace, "thread:t"), ["dynamic_tools"]);
        },
    );
}

#[test]
fn windows_settings_and_modes_are_told() {
    with_script(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0","context_window":{"window_id":"w1"},"account_scoped":true,"creator_user_id":"u"}
        10 started a
        20 context {"turn_id":"a","model":"m","cyber_access_program":"trusted","disabled_plugin_ids":["p"]}
        30 meta {"id":"t","memory_mode":"disabled"}
        40 line compacted {"message":"","window_number":1,"window_id":"w2","previous_window_id":"w1"}
        50 says done
        60 complete a
        "#,
        |trace| {
            let meta = &trace.root().meta;
            assert!(meta.memory_mode.is_some_and(|it| it.is("disabled")));
            assert!(meta.context_window.unwrap().window_id.is_some_and(|it| it.is("w1")));
            assert!(meta.creator_user_id.is_some_and(|it| it.is("u")));
            assert_eq!(meta.account_scoped, Some(true));
            let SpanKind::Turn(turn) = &trace.spans[1].kind else { panic!("a turn") };
            assert!(turn.cyber_access_program.is_some_and(|it| it.is("trusted")));
            assert_eq!(turn.disabled_plugins.map(RawJson::raw), Some(&br#"["p"]"#[..]));
            let compaction = trace.spans.iter().find_map(|span| match &span.kind {
                SpanKind::Compaction(it) => Some(it),
                _ => None,
            });
            let compaction = compaction.unwrap();
            assert!(compaction.window_id.is_some_and(|it| it.is("w2")));
            assert!(compaction.previous_window_id.is_some_and(|it| it.is("w1")));
        },
    );
}
