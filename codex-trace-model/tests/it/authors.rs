//! Who wrote a text: the user, or the harness in the user's name.

use codex_rollout::ResponseItem;
use codex_trace_model::{EventKind, SpanKind, Trace};

use crate::script::with_script;

/// Of each turn, the inputs that the user typed; of the whole thread, which of
/// the user's messages the harness wrote.
fn typed(trace: &Trace<'_>) -> (Vec<Vec<u32>>, Vec<bool>) {
    let turns = trace.spans.iter().filter_map(|span| match &span.kind {
        SpanKind::Turn(turn) => Some(turn.input.iter().map(|ix| ix.0).collect()),
        _ => None,
    });
    let of_user = |body: &ResponseItem<'_>| match body {
        ResponseItem::Message(message) => message.role.is_some_and(|role| role.is("user")),
        _ => false,
    };
    let items = trace.root().items.iter().filter(|item| of_user(&item.body));
    (turns.collect(), items.map(|item| item.synthetic).collect())
}

#[track_caller]
fn check(script: &str, inputs: &[&[u32]], synthetic: &[bool]) {
    let (found_inputs, found_synthetic) = with_script(script, typed);
    assert_eq!(found_inputs, inputs);
    assert_eq!(found_synthetic, synthetic);
}

/// Since 0.163 each part of a message says where it comes from, whatever it
/// begins with. A turn that a goal began has no prompt.
#[test]
fn the_provenance_of_its_parts_tells_who_wrote_a_message() {
    let script = r#"
        0 meta {"id":"t","cli_version":"0.171.0"}
        10 started a
        20 item {"type":"message","role":"user","content":[{"type":"input_text","text":"be brief"}],"internal_chat_message_metadata_passthrough":{"content_item_kinds":["unknown"],"content_item_metadata":[{"provenance":{"type":"harness","hook":true}}]}}
        30 item {"type":"message","role":"user","content":[{"type":"input_text","text":"<skill> what is it?"}],"internal_chat_message_metadata_passthrough":{"content_item_kinds":["user.text"],"content_item_metadata":[{"provenance":{"type":"user"}}]}}
        40 says one
        50 complete a
        60 event {"type":"task_started","turn_id":"b","turn_attribution":{"turn_trigger":"goal"}}
        70 item {"type":"function_call_output","name":"goal_objective","namespace":"agent","output":"make it work"}
        80 item {"type":"message","role":"user","content":[{"type":"input_text","text":"Go on with the goal."}],"internal_chat_message_metadata_passthrough":{"content_item_metadata":[{"provenance":{"type":"harness"}}]}}
        90 says two
        100 complete b
        110 started c
        120 item {"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>"},{"type":"input_text","text":"hi"}],"internal_chat_message_metadata_passthrough":{"content_item_metadata":[{"provenance":{"type":"harness"}},{"provenance":{"type":"user"}}]}}
        130 says three
        140 complete c
        "#;
    check(script, &[&[1], &[], &[6]], &[true, false, true, false]);
    with_script(script, |trace| {
        let turn = &trace.spans.iter().find(|span| span.key == "turn:b").unwrap();
        let SpanKind::Turn(facts) = &turn.kind else { panic!("a turn") };
        assert!(facts.prompt.is_none() && facts.trigger.is_some_and(|it| it.is("goal")));
        let [EventKind::OrphanOutput { call_id: None, name: Some(name), item }] =
            turn.events().iter().map(|event| &event.kind).collect::<Vec<_>>()[..]
        else {
            panic!("{:?}", turn.events())
        };
        assert!(name.is("goal_objective"));
        assert!(matches!(trace.root()[*item].body, ResponseItem::ToolOutput(_)));
    });
}

/// From 0.150 to 0.162 there are only the kinds of the parts.
#[test]
fn the_kinds_of_its_parts_tell_where_there_is_no_provenance() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.162.0"}
        10 started a
        20 item {"type":"message","role":"user","content":[{"type":"input_text","text":"Go on."}],"internal_chat_message_metadata_passthrough":{"content_item_kinds":["goal.internal_context"]}}
        30 item {"type":"message","role":"user","content":[{"type":"input_text","text":"still there?"}],"internal_chat_message_metadata_passthrough":{"content_item_kinds":["user.heartbeat"]}}
        40 item {"type":"message","role":"user","content":[{"type":"input_text","text":"<user_action> is a tag"}],"internal_chat_message_metadata_passthrough":{"content_item_kinds":["user.text","user.image"]}}
        50 item {"type":"message","role":"user","content":[{"type":"input_text","text":"<turn_aborted>"}],"internal_chat_message_metadata_passthrough":{"content_item_kinds":["unknown"]}}
        60 says one
        70 complete a
        "#,
        &[&[2]],
        &[true, true, false, true],
    );
}

/// Before, what the user interface shows right behind a message was typed.
#[test]
fn the_event_about_a_prompt_tells_that_it_was_typed() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.120.0"}
        10 started a
        20 user <environment_context>
        30 user <skill> what is it?
        40 typed <skill> what is it?
        50 says one
        60 user <skill>x</skill>
        70 says two
        80 complete a
        "#,
        &[&[1]],
        &[true, false, true],
    );
    // Where turns are not marked, the prompt begins one.
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        20 user <environment_context>
        30 user <user_action> is a tag
        40 typed <user_action> is a tag
        50 says one
        60 count 100/0/10/0
        "#,
        &[&[1]],
        &[true, false],
    );
}

/// A goal's words before 0.150, and what is known by how it begins.
#[test]
fn without_any_word_the_beginning_tells() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        10 started a
        20 user <codex_internal_context source="goal">go on</codex_internal_context>
        30 says one
        40 complete a
        "#,
        &[&[]],
        &[true],
    );
}
