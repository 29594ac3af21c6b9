//! What each model call was made with: model, effort, tier, provider.

use codex_rollout::JsonText;
use codex_trace_model::{SpanKind, Trace};
use serde_json::Value;

use crate::script::with_script;
use crate::support::{directories, for_each_trace, testdata};

/// Model, effort, tier and provider of each call, `-` for what is not known.
fn settings(trace: &Trace<'_>) -> Vec<String> {
    let calls = trace.model_calls().map(|span| {
        let SpanKind::ModelCall(call) = &span.kind else { unreachable!() };
        let words = [call.model, call.effort, call.service_tier, call.provider];
        words.map(|it| it.map_or("-".into(), |it| it.decode().into_owned())).join(" ")
    });
    calls.collect()
}

#[track_caller]
fn check(script: &str, expected: &[&str]) {
    assert_eq!(with_script(script, settings), expected);
}

/// As in 0.171 after `turn/settings/update`: `world_state` names the model that
/// the next request goes to, `configuration_update` the effort. What was not
/// asked for anew stays as it was last said.
#[test]
fn a_switch_in_the_middle_of_a_turn_holds_from_the_next_request_on() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0","model_provider":"openai"}
        10 started a
        20 line world_state {"full":true,"state":{"model":{"model":"gpt-6.2-sol","instructions":"44"}}}
        30 context {"turn_id":"a","model":"gpt-6.2-sol"}
        40 user go
        50 call c1 exec_command {"cmd":"ls"}
        60 record a r1 100/0/10/0
        70 output c1 Process exited with code 0\nOutput:\n
        80 line world_state {"full":false,"state":{"model":{"model":"gpt-6.1-sol"}}}
        90 item {"type":"configuration_update","reasoning":{"effort":"high"}}
        100 says done
        110 record a r2 100/0/10/0
        120 complete a
        200 started b
        210 line world_state {"full":false,"state":{"model":"gpt-6.2-sol"}}
        220 context {"turn_id":"b","model":"gpt-6.2-sol"}
        230 user again
        240 item {"type":"configuration_update","reasoning":{"effort":"low"}}
        250 says done
        260 record b r3 100/0/10/0
        270 complete b
        300 started c
        310 context {"turn_id":"c","model":"gpt-6.2-sol"}
        320 says done
        330 record c r4 100/0/10/0
        340 complete c
        400 started d
        410 context {"turn_id":"d","model":"gpt-6.2-sol","effort":"max"}
        420 says done
        430 record d r5 100/0/10/0
        440 complete d
        "#,
        &[
            "gpt-6.2-sol - - openai",
            "gpt-6.1-sol high - openai",
            "gpt-6.2-sol low - openai",
            "gpt-6.2-sol low - openai",
            "gpt-6.2-sol max - openai",
        ],
    );
}

/// Settings of a thread come before the turn that they are for, or behind its
/// `turn_context`; while it answers they are the next one's. Another thread's
/// are none of this one's.
#[test]
fn settings_of_the_thread_hold_for_whole_turns() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0","model_provider":"custom"}
        10 started a
        20 context {"turn_id":"a","model":"gpt-5.5","effort":"low"}
        30 event {"type":"thread_settings_applied","thread_id":"t","thread_settings":{"model":"gpt-5.5","model_provider_id":"openai","reasoning_effort":"low","service_tier":"default"}}
        40 says one
        50 record a r1 100/0/10/0
        60 event {"type":"thread_settings_applied","thread_id":"t","thread_settings":{"model":"gpt-5.4","model_provider_id":"azure","reasoning_effort":"high","service_tier":"priority"}}
        65 event {"type":"thread_settings_applied","thread_id":"u","thread_settings":{"model":"gpt-5.2","service_tier":"flex"}}
        70 says two
        80 record a r2 100/0/10/0
        90 complete a
        100 started b
        110 context {"turn_id":"b","model":"gpt-5.4","effort":"high"}
        120 says three
        130 record b r3 100/0/10/0
        140 complete b
        150 event {"type":"thread_settings_applied","thread_id":"t","thread_settings":{"model":"gpt-5.4","model_provider_id":"azure"}}
        160 started c
        170 context {"turn_id":"c","model":"gpt-5.4"}
        180 says four
        190 record c r4 100/0/10/0
        200 complete c
        "#,
        &[
            "gpt-5.5 low default openai",
            "gpt-5.5 low default openai",
            "gpt-5.4 high priority azure",
            "gpt-5.4 - - azure",
        ],
    );
}

/// Where nothing tells of a provider or a tier, none is made up.
#[test]
fn what_was_not_recorded_is_not_known() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.44.0"}
        10 user go
        11 typed go
        20 says done
        30 count 100/0/10/0
        "#,
        &["- - - -"],
    );
}

#[test]
fn a_turn_tells_how_the_agent_was_to_work() {
    with_script(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0"}
        10 event {"type":"task_started","turn_id":"a","collaboration_mode_kind":"default"}
        20 context {"turn_id":"a","model":"m","summary":"detailed","personality":"friendly","collaboration_mode":{"mode":"plan","settings":{}}}
        30 item {"type":"configuration_update","reasoning":{"effort":"low"}}
        40 says done
        50 complete a
        "#,
        |trace| {
            let SpanKind::Turn(turn) = &trace.spans[1].kind else { panic!("a turn") };
            let words = [
                turn.collaboration_mode,
                turn.personality,
                turn.reasoning_summary,
                turn.effort,
                turn.service_tier,
            ];
            let words = words.map(|it| it.map(|it| it.decode().into_owned()));
            let words = words.each_ref().map(Option::as_deref);
            assert_eq!(
                words,
                [Some("plan"), Some("friendly"), Some("detailed"), Some("low"), None]
            );
        },
    );
}

/// Since 0.163 the settings of a turn leave out what those of the thread say.
#[test]
fn what_a_turn_does_not_say_is_as_the_thread_was_set() {
    with_script(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0"}
        10 started a
        20 context {"turn_id":"a","model":"m","summary":"none"}
        30 says one
        40 complete a
        50 event {"type":"thread_settings_applied","thread_id":"t","thread_settings":{"model":"m","personality":"friendly","reasoning_summary":"detailed"}}
        60 started b
        70 context {"turn_id":"b","model":"m"}
        80 says two
        90 complete b
        "#,
        |trace| {
            let turns = trace.spans.iter().filter_map(|span| match &span.kind {
                SpanKind::Turn(turn) => Some([turn.personality, turn.reasoning_summary]),
                _ => None,
            });
            let words = |it: Option<JsonText<'_>>| it.map(|it| it.decode().into_owned());
            let turns: Vec<_> = turns.map(|turn| turn.map(words)).collect();
            let [first, second] = &turns[..] else { panic!("{turns:?}") };
            assert_eq!(*first, [None, Some("none".to_owned())]);
            assert_eq!(*second, [Some("friendly".to_owned()), Some("detailed".to_owned())]);
        },
    );
}

/// Homes that real versions of Codex wrote, with what the model server was
/// asked for, response by response.
#[test]
fn every_response_has_the_model_that_the_server_was_asked_for() {
    let corpus = testdata("../../shared/corpus/real-codex-2");
    if !corpus.is_dir() {
        eprintln!("skipped: {} is not there", corpus.display());
        return;
    }
    let (mut compared, mut wrong) = (0, Vec::new());
    for home in directories(&corpus) {
        let Ok(truth) = std::fs::read(home.join("truth.json")) else { continue };
        let truth: Value = serde_json::from_slice(&truth).unwrap();
        let calls = truth["calls"].as_array().cloned().unwrap_or_default();
        for_each_trace(&home, |trace| {
            for span in trace.model_calls() {
                let SpanKind::ModelCall(call) = &span.kind else { unreachable!() };
                let Some(id) = call.response_id.map(|it| it.decode().into_owned()) else {
                    continue;
                };
                let Some(asked) = calls.iter().find(|it| it["response_id"] == id.as_str()) else {
                    continue;
                };
                compared += 1;
                let model = call.model.map(|it| it.decode().into_owned());
                if asked["model"].as_str() != model.as_deref() {
                    wrong.push(format!("{}: {id}: {model:?}, {}", home.display(), asked["model"]));
                }
            }
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 200, "{compared} responses compared");
}
