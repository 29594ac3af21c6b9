//! The skimming reader against the whole one, whose records are reduced here
//! the slow way: by taking away.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use codex_rollout::item::compacted::Compacted;
use codex_rollout::item::event_msg::ErrorEvent;
use codex_rollout::item::response_item::{
    CompactionItem, ConfigurationUpdateItem, Message, OtherItem, Reasoning, ToolOutputItem,
};
use codex_rollout::item::turn_context::TurnContext;
use codex_rollout::{
    Cursor, EventMsg, JsonText, Layout, LineStream, RawJson, ResponseItem, Result, RolloutItem,
    RolloutLine, RolloutReader, SkimReader, Source, Strings, TurnItem,
};
use proptest::prelude::*;

use crate::corpus::rollouts_of;
use crate::lines::{LINES, damaged_file, repeats_a_key};

/// Everything but the error's cause, in a form that can be compared; `item` of
/// an error is none.
#[derive(Clone, Debug, PartialEq)]
struct Said<'a> {
    place: String,
    ordinal: Option<u64>,
    timestamp: Option<Vec<u8>>,
    item: Option<RolloutItem<'a>>,
}

/// What is said of each line, by its number.
type Lines<'a> = BTreeMap<u64, Vec<Said<'a>>>;

fn by_line<'a>(
    results: impl Iterator<Item = Result<RolloutLine<'a>>>,
    reduce: impl Fn(&RolloutLine<'a>) -> RolloutItem<'a>,
) -> Lines<'a> {
    let mut lines = Lines::new();
    for result in results {
        let (line, said) = match result {
            Ok(record) => (
                record.position.line(),
                Said {
                    place: record.position.to_string(),
                    ordinal: record.ordinal,
                    timestamp: record.timestamp.map(|at| at.raw().to_vec()),
                    item: Some(reduce(&record)),
                },
            ),
            Err(err) => (
                err.position().line(),
                Said { place: err.to_string(), ordinal: None, timestamp: None, item: None },
            ),
        };
        lines.entry(line).or_default().push(said);
    }
    lines
}

/// The first `type` of an event if it comes first, else the last.
fn event_type(line: &[u8]) -> JsonText<'_> {
    let mut tags = Vec::new();
    let read = Cursor::new(line).object(|key, value| {
        if key == b"payload" {
            tags.clear();
            // A payload that is there twice need not be an object both times.
            if value.kind()? != codex_rollout::ValueKind::Object {
                return Ok(());
            }
            let mut n_keys = 0;
            return value.object(|key, value| {
                if key == b"type" {
                    tags.push((n_keys, value.raw()?.as_text()));
                }
                n_keys += 1;
                Ok(())
            });
        }
        Ok(())
    });
    read.expect("a record");
    let tag = match tags.first() {
        Some((0, Some(tag))) => Some(*tag),
        _ => tags.last().and_then(|(_, tag)| *tag),
    };
    tag.expect("an event")
}

fn emptied(text: JsonText<'_>) -> JsonText<'_> {
    if text.is_empty() { text } else { JsonText::new(b"...") }
}

fn reduced_event<'a>(event: &EventMsg<'a>, tag: JsonText<'a>) -> RolloutItem<'a> {
    let none: RawJson<'static> = Cursor::new(b"[]").raw().expect("a value");
    let some: RawJson<'static> = Cursor::new(b"[0]").raw().expect("a value");
    let list = |it: RawJson<'a>| if it.raw() == b"[]" { none } else { some };
    let mut event = *event;
    match &mut event {
        EventMsg::TokenCount(it) => it.rate_limits = None,
        EventMsg::UserMessage(it) => {
            it.message = it.message.map(emptied);
            it.images = it.images.map(list);
            it.local_images = it.local_images.map(list);
        }
        EventMsg::TaskComplete(it) => {
            it.last_agent_message = None;
            it.error = it.error.map(|_| ErrorEvent::default());
        }
        EventMsg::TurnAborted(it) => it.error = it.error.map(|_| ErrorEvent::default()),
        EventMsg::Unknown(it) => it.turn_id = None,
        EventMsg::EnteredReviewMode(it) => it.user_facing_hint = None,
        EventMsg::ExitedReviewMode(it) => it.review_output = None,
        EventMsg::ItemCompleted(it) => match &mut it.item {
            Some(TurnItem::EnteredReviewMode(item) | TurnItem::ExitedReviewMode(item)) => {
                item.user_facing_hint = None;
                item.review_output = None;
            }
            _ => return RolloutItem::Bookkeeping(tag),
        },
        EventMsg::ThreadSettingsApplied(it) => {
            if let Some(settings) = &mut it.thread_settings {
                settings.reasoning_summary = None;
                settings.personality = None;
                settings.collaboration_mode = None;
            }
        }
        EventMsg::TaskStarted(it) => it.collaboration_mode_kind = None,
        EventMsg::ThreadRolledBack(_) => {}
        _ => return RolloutItem::Bookkeeping(tag),
    }
    RolloutItem::EventMsg(event)
}

fn reduced_response_item<'a>(item: &ResponseItem<'a>) -> ResponseItem<'a> {
    match item {
        ResponseItem::Message(it) => {
            let mut message = Message::default();
            message.role = it.role;
            ResponseItem::Message(message)
        }
        ResponseItem::Reasoning(_)
        | ResponseItem::ToolCall(_)
        | ResponseItem::WebSearchCall(_)
        | ResponseItem::ImageGenerationCall(_) => ResponseItem::Reasoning(Reasoning::default()),
        ResponseItem::ToolOutput(_) => ResponseItem::ToolOutput(ToolOutputItem::default()),
        ResponseItem::GhostSnapshot => ResponseItem::GhostSnapshot,
        ResponseItem::ConfigurationUpdate(it) => {
            let mut update = ConfigurationUpdateItem::default();
            update.reasoning = it.reasoning;
            ResponseItem::ConfigurationUpdate(update)
        }
        ResponseItem::Unknown(it) => {
            let mut other = OtherItem::default();
            other.kind = it.kind;
            ResponseItem::Unknown(other)
        }
        _ => ResponseItem::Compaction(CompactionItem::default()),
    }
}

fn reduced<'a>(line: &RolloutLine<'a>) -> RolloutItem<'a> {
    match &line.item {
        RolloutItem::SessionMeta(meta) => {
            let mut meta = *meta;
            meta.base_instructions = None;
            meta.instructions = None;
            meta.dynamic_tools = None;
            meta.memory_mode = None;
            meta.runtime_workspace_roots = None;
            meta.context_window = None;
            meta.creator_user_id = None;
            meta.creator_account_id = None;
            meta.account_scoped = None;
            RolloutItem::SessionMeta(meta)
        }
        RolloutItem::TurnContext(it) => {
            let mut context: TurnContext<'a> = *it;
            context.approval_policy = None;
            context.approvals_reviewer = None;
            context.sandbox_policy = None;
            context.summary = None;
            context.personality = None;
            context.collaboration_mode = None;
            context.cyber_access_program = None;
            context.disabled_plugin_ids = None;
            RolloutItem::TurnContext(context)
        }
        RolloutItem::Compacted(_) => RolloutItem::Compacted(Compacted::default()),
        RolloutItem::InterAgentCommunication(it) => {
            let mut message = *it;
            message.content = None;
            RolloutItem::InterAgentCommunication(message)
        }
        RolloutItem::DynamicTools(_) => {
            RolloutItem::Bookkeeping(JsonText::new(b"dynamic_tools_updated"))
        }
        RolloutItem::Realtime(_) => RolloutItem::Bookkeeping(JsonText::new(b"realtime_item")),
        RolloutItem::SecurityRiskScore(_) => {
            RolloutItem::Bookkeeping(JsonText::new(b"security_risk_score"))
        }
        RolloutItem::RetainedContext(_) => {
            RolloutItem::Bookkeeping(JsonText::new(b"retained_context"))
        }
        RolloutItem::EventMsg(event) => reduced_event(event, event_type(line.bytes)),
        RolloutItem::ResponseItem(item) => RolloutItem::ResponseItem(reduced_response_item(item)),
        other => *other,
    }
}

fn skim<'a>(text: &[u8], strings: &'a Strings) -> Lines<'a> {
    let stream = LineStream::new(Box::new(io::Cursor::new(text.to_vec())));
    let records = SkimReader::new(stream, strings).inspect(|record| {
        assert!(record.as_ref().map_or(true, |record| record.bytes.is_empty()));
    });
    by_line(records, |record| record.item)
}

fn assert_same(text: &[u8], what: &str) {
    let strings = Strings::new();
    let skimmed = skim(text, &strings);
    let expected = by_line(RolloutReader::new(text), reduced);
    for (line, expected) in &expected {
        assert_eq!(skimmed.get(line), Some(expected), "{what}, line {line}");
    }
    assert_eq!(skimmed.len(), expected.len(), "{what}");
}

/// Puts spaces behind commas and colons, as Python does.
fn respaced(text: &[u8]) -> Vec<u8> {
    let (mut spaced, mut in_string, mut escaped) = (Vec::new(), false, false);
    for byte in text {
        spaced.push(*byte);
        in_string ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        if !in_string && matches!(byte, b',' | b':') {
            spaced.push(b' ');
        }
    }
    spaced
}

/// The same lines with their keys in order of the alphabet.
fn reordered(text: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        match serde_json::from_slice::<serde_json::Value>(line) {
            Ok(value) => all.extend(value.to_string().bytes()),
            Err(_) => all.extend(line),
        }
        all.push(b'\n');
    }
    all
}

/// Up to this length a line is joined with others: where they meet is then
/// within reach.
const JOINED: usize = 60_000;

/// Cuts each third line, at another place each, and joins it with the next.
fn torn(text: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (n, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let cut = line.len() * (n % 17 + 1) / 18;
        all.extend(if n % 3 == 2 && cut < JOINED { &line[..cut] } else { line });
    }
    all.truncate(all.len().saturating_sub(9));
    all
}

/// Takes away newlines, up to three in a row.
fn glued(text: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (n, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let ends = n % 5 < 3 && line.len() < JOINED;
        all.extend(if ends { line.strip_suffix(b"\n").unwrap_or(line) } else { line });
    }
    all
}

fn assert_same_in_all_forms(text: &[u8], what: &str) {
    let crlf: Vec<u8> = text
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(|line| match line.strip_suffix(b"\n") {
            Some(line) => [line, b"\r\n"],
            None => [line, b""],
        })
        .flatten()
        .copied()
        .collect();
    assert_same(text, what);
    assert_same(&respaced(text), &format!("{what} with spaces"));
    assert_same(&reordered(text), &format!("{what} with other orders"));
    assert_same(&crlf, &format!("{what} with CRLF"));
    assert_same(&[b"\xEF\xBB\xBF", text].concat(), &format!("{what} with BOM"));
    assert_same(&torn(text), &format!("{what}, torn"));
    assert_same(&glued(text), &format!("{what}, glued"));
    assert_same(&torn(&glued(text)), &format!("{what}, glued and torn"));
}

#[test]
fn every_rollout_at_hand_is_skimmed_as_it_is_read() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in a workspace");
    let mut n_rollouts = 0;
    for folder in ["testdata/homes", "testdata/golden", "../shared/corpus"] {
        let folder = workspace.join(folder);
        if !folder.is_dir() {
            writeln!(io::stderr(), "no {}: not checked", folder.display()).ok();
            continue;
        }
        for rollout in rollouts_of(&folder) {
            if rollout.layout == Layout::Lines {
                let source = Source::open(&rollout).expect("it can be read");
                assert_same_in_all_forms(source.bytes(), &rollout.path.display().to_string());
                n_rollouts += 1;
            }
        }
    }
    writeln!(io::stderr(), "{n_rollouts} rollouts").ok();
    assert!(n_rollouts > 0);
}

/// Rate limits that are the same again, their numbers aside, are not read again:
/// so that all else must be the same, to the last byte, and the numbers numbers.
#[test]
fn damage_in_limits_that_come_again_is_noticed() {
    let line = LINES.iter().find(|line| line.contains("\"rate_limits\":{")).expect("one");
    let others: [String; 2] =
        [line.replace(['1', '2'], "3"), line.replace(".0", "").replace(":1", ":-2.5e1")];
    for other in [(*line).to_owned()].iter().chain(&others) {
        let text = format!("{line}\n{other}\n{line}\n");
        assert_same(text.as_bytes(), "the same three times");
        for at in line.len() + 1..=line.len() + 1 + other.len() {
            for byte in *b"\"{},:0x\\\n\xFF-.e9" {
                let mut damaged = text.clone().into_bytes();
                damaged[at] = byte;
                assert_same(&damaged, &format!("{byte} at {at} of {other}"));
            }
        }
    }
}

#[test]
fn every_shape_of_line_is_skimmed_as_it_is_read() {
    let text = LINES.join("\n") + "\n";
    assert_same_in_all_forms(text.as_bytes(), "known lines");
    for line in LINES {
        assert_same_in_all_forms(line.as_bytes(), line);
        assert_same_in_all_forms(format!("{line}\n").repeat(4).as_bytes(), line);
    }
}

/// What is done with a line of which only the head is looked at: the item, if
/// it is a line in the layout that Codex writes, of a type that is skimmed.
fn by_head(line: &[u8]) -> Option<RolloutItem<'_>> {
    let text = line.strip_prefix(br#"{"timestamp":""#)?.strip_suffix(b"}}")?;
    let text = text.split_at_checked(26).filter(|(at, _)| at.ends_with(br#"","#))?.1;
    let text = match text.strip_prefix(br#""ordinal":"#) {
        Some(text) => &text[text.iter().position(|byte| *byte == b',')? + 1..],
        None => text,
    };
    let strings: Vec<&[u8]> = text.split(|byte| *byte == b'"').collect();
    let at = |n: usize| strings.get(n).copied().unwrap_or_default();
    let expect = |n: usize, expected: &[u8]| (at(n) == expected).then_some(());
    expect(1, b"type")?;
    expect(5, b"payload")?;
    let typed = expect(7, b"type");
    let none = ResponseItem::Compaction(CompactionItem::default());
    let made = ResponseItem::Reasoning(Reasoning::default());
    let answer = ResponseItem::ToolOutput(ToolOutputItem::default());
    Some(match (at(3), at(9)) {
        (b"response_item", tag) => RolloutItem::ResponseItem(match typed.map(|()| tag)? {
            b"message" => {
                let mut message = Message::default();
                let role = if at(11) == b"id" { 17 } else { 13 };
                expect(role - 2, b"role")?;
                message.role = Some(JsonText::new(at(role)));
                ResponseItem::Message(message)
            }
            b"ghost_snapshot" => ResponseItem::GhostSnapshot,
            // Its content is wanted.
            b"configuration_update" => return None,
            tag if tag.ends_with(b"_output") => answer,
            tag if tag.ends_with(b"_call") || tag == b"reasoning" => made,
            _ => none,
        }),
        (b"event_msg", b"item_completed") => {
            expect(19, b"item")?;
            let review = matches!(at(23), b"EnteredReviewMode" | b"ExitedReviewMode");
            (!review).then_some(RolloutItem::Bookkeeping(JsonText::new(b"item_completed")))?
        }
        (b"event_msg", tag) => RolloutItem::Bookkeeping(JsonText::new(tag)),
        (b"compacted", _) => RolloutItem::Compacted(Compacted::default()),
        (b"world_state", _) => return None,
        (kind, _) => RolloutItem::Bookkeeping(JsonText::new(kind)),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// The one difference is the documented one: what is wrong inside a line
    /// that is passed over, whose head says what it was.
    #[test]
    fn damaged_files_are_skimmed_as_they_are_read(bytes in damaged_file()) {
        let strings = Strings::new();
        let skimmed = skim(&bytes, &strings);
        let expected = by_line(RolloutReader::new(&bytes), reduced);
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let numbers: Vec<u64> = expected.keys().chain(skimmed.keys()).copied().collect();
        for number in numbers {
            let (ours, theirs) = (skimmed.get(&number), expected.get(&number));
            if ours == theirs {
                continue;
            }
            let index = usize::try_from(number - 1).expect("few lines");
            let line = text.split(|byte| *byte == b'\n').nth(index).expect("it is there");
            let shown = String::from_utf8_lossy(line);
            let [ours] = &ours.expect("a record")[..] else { panic!("one record: {shown}") };
            let theirs = theirs.expect("something");
            prop_assert_eq!(&ours.item, &by_head(line), "{}", shown);
            let damaged = theirs.iter().all(|said| said.item.is_none());
            prop_assert!(damaged || repeats_a_key(line, |_| true), "{:?} {}", theirs, shown);
        }
    }
}

#[test]
fn damage_inside_a_skimmed_line_goes_unnoticed() {
    let text = br#"{"timestamp":"2026-11-21T05:39:08.357Z","ordinal":3,"type":"response_item","payload":{"type":"reasoning","summary":[oops}}
"#;
    let strings = Strings::new();
    let stream = LineStream::new(Box::new(&text[..]));
    let line = SkimReader::new(stream, &strings).next().unwrap().unwrap();
    assert_eq!(line.ordinal, Some(3));
    assert_eq!(line.timestamp.unwrap().raw(), br#""2026-11-21T05:39:08.357Z""#);
    assert!(matches!(line.item, RolloutItem::ResponseItem(ResponseItem::Reasoning(_))));
}

/// A second record is found at either end of a line, however long the line.
#[test]
fn long_lines_are_searched_at_both_ends() {
    let long = |len: usize| {
        let filler = "x".repeat(len);
        format!(
            r#"{{"timestamp":"2026-11-21T05:39:08.357Z","type":"event_msg","payload":{{"type":"agent_message","message":"{filler}"}}}}"#
        )
    };
    let short = LINES[7];
    for len in [10, 60_000, 66_000, 131_000, 400_000] {
        assert_same(format!("{}{short}\n", long(len)).as_bytes(), "long first");
        assert_same(format!("{short}{}\n", long(len)).as_bytes(), "long last");
        assert_same(format!("{}{short}\n", &long(len)[..len]).as_bytes(), "long and torn");
        assert_same(format!("{}\n{short}\n", long(len)).as_bytes(), "whole");
    }
}

#[test]
fn failing_input_ends_the_iteration() {
    struct Failing;
    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    let strings = Strings::new();
    let mut reader = SkimReader::new(LineStream::new(Box::new(Failing)), &strings);
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}
