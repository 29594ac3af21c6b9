//! Which lines of a file are the thread's own: forks and subagents begin with
//! a copy of their parent's history (rollout-format: "own-line rule").

use codex_rollout::{
    EventMsg, JsonText, ResponseItem, RolloutItem, RolloutLine, SessionMeta, Source,
};
use jiff::Timestamp;

use crate::resolve::stamp;

/// Where a file's own lines begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Boundary {
    /// The first own line, starting at 1; lines of `session_meta` aside.
    pub(crate) first_own_line: u64,
    /// Whether it was decided by times alone.
    pub(crate) by_time: bool,
}

/// How long a model takes to answer at least, in milliseconds. Copied lines
/// are written faster than that, one after the other.
const SHORTEST_ANSWER_MS: i64 = 20;

/// Whether the first lines of a file tell that all of it is the thread's own.
pub(crate) fn owns_all<'l, 'a: 'l>(head: impl IntoIterator<Item = &'l RolloutLine<'a>>) -> bool {
    let mut head = head.into_iter();
    let Some(meta) = head.by_ref().find_map(meta_of) else { return false };
    meta.subagent_history_start_ordinal.is_none()
        && head.next().is_some_and(|line| !foreign_meta(line, &meta))
}

/// Finds where a file's own lines begin.
///
/// `ancestor` is the file that the head was copied from, if it is here.
pub(crate) fn boundary(source: &Source, ancestor: Option<&Source>) -> Boundary {
    let own_from_start = Boundary { first_own_line: 0, by_time: false };
    let mut lines = source.lines().filter_map(Result::ok);
    let Some(meta) = lines.by_ref().find_map(|line| meta_of(&line)) else {
        return own_from_start;
    };
    let copied = lines.next().is_some_and(|line| foreign_meta(&line, &meta));
    if meta.subagent_history_start_ordinal.is_none() && !copied {
        return own_from_start;
    }
    if has_turn_ids(&meta) || meta.subagent_history_start_ordinal.is_some() {
        match by_ids(source, &meta) {
            Some(boundary) => return boundary,
            // A migration drops the metas of ancestors: nothing tells any more.
            None if !copied => return own_from_start,
            None => {}
        }
    }
    match ancestor {
        Some(ancestor) => by_content(source, ancestor),
        None => by_time(source),
    }
}

pub(crate) fn meta_of<'a>(line: &RolloutLine<'a>) -> Option<SessionMeta<'a>> {
    match line.item {
        RolloutItem::SessionMeta(meta) => Some(meta),
        _ => None,
    }
}

fn foreign_meta(line: &RolloutLine<'_>, own: &SessionMeta<'_>) -> bool {
    meta_of(line).is_some_and(|meta| meta.id.is_some() && meta.id != own.id)
}

/// Whether the version that copied the head recorded turn ids (since 0.100).
fn has_turn_ids(meta: &SessionMeta<'_>) -> bool {
    let version = meta.cli_version.map(JsonText::decode).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    match (parts.next(), parts.next()) {
        (Some(0), Some(minor)) => minor == 0 || minor >= 100,
        _ => true,
    }
}

/// The first own line by its ids. Nothing if no turn has an id that tells.
fn by_ids(source: &Source, meta: &SessionMeta<'_>) -> Option<Boundary> {
    let mut ids = ByIds::new(meta);
    let mut last = 0;
    for line in source.lines().filter_map(Result::ok) {
        last = line.position.line();
        if ids.is_own(&line) {
            return Some(Boundary { first_own_line: last, by_time: false });
        }
    }
    ids.told().then_some(Boundary { first_own_line: last + 1, by_time: false })
}

/// Tells own lines by ids, one line after the other: they begin at or after the
/// recorded ordinal, or with the first turn whose `UUIDv7` is younger than the
/// thread's own: whichever comes first, because a migration puts the recorded
/// ordinal at the end of the file.
#[derive(Clone, Debug)]
pub(crate) struct ByIds {
    thread: String,
    start_ordinal: Option<u64>,
    /// Whether the own lines have begun.
    own: bool,
    /// Whether there were turns, and ids of turns that can be compared.
    turns: bool,
    compared: bool,
}

impl ByIds {
    fn new(meta: &SessionMeta<'_>) -> ByIds {
        ByIds {
            thread: meta.id.map(JsonText::decode).unwrap_or_default().into_owned(),
            start_ordinal: meta.subagent_history_start_ordinal,
            own: false,
            turns: false,
            compared: false,
        }
    }

    /// For a file whose lines are its own from the start.
    fn all_own() -> ByIds {
        ByIds { own: true, ..ByIds::new(&SessionMeta::default()) }
    }

    /// Decides by the first `session_meta` of a file and the line after it;
    /// `None` if that takes more than the lines one by one.
    pub(crate) fn of_head(meta: &SessionMeta<'_>, next: Option<&RolloutLine<'_>>) -> Option<ByIds> {
        let copied = next.is_some_and(|line| foreign_meta(line, meta));
        if meta.subagent_history_start_ordinal.is_none() && !copied {
            return Some(ByIds::all_own());
        }
        let by_ids = has_turn_ids(meta) || meta.subagent_history_start_ordinal.is_some();
        by_ids.then(|| ByIds::new(meta))
    }

    /// Takes in the next line; returns whether it is the thread's own.
    pub(crate) fn is_own(&mut self, line: &RolloutLine<'_>) -> bool {
        if self.own {
            return true;
        }
        let reached =
            self.start_ordinal.zip(line.ordinal).is_some_and(|(start, ordinal)| ordinal >= start);
        self.own = reached && meta_of(line).is_none();
        if let RolloutItem::EventMsg(EventMsg::TaskStarted(started)) = line.item
            && !self.own
        {
            let turn = started.turn_id.map(JsonText::decode).unwrap_or_default();
            self.turns = true;
            match stamp::is_later_uuid_v7(&self.thread, &turn) {
                Some(later) if later => self.own = true,
                told => self.compared |= told.is_some(),
            }
        }
        self.own
    }

    /// Returns whether the ids told, now that all lines were taken in.
    pub(crate) fn told(&self) -> bool {
        self.own || self.compared || !self.turns
    }
}

/// The first line that differs from the ancestor's, copies being re-stamped
/// but otherwise equal. Metas aside: some tools rewrite those in every file.
fn by_content(source: &Source, ancestor: &Source) -> Boundary {
    let lines = |source| {
        Source::lines(source).filter_map(Result::ok).filter(|line| meta_of(line).is_none())
    };
    let mut parent = lines(ancestor);
    let mut last = 0;
    for line in lines(source) {
        last = line.position.line();
        if parent.next().is_none_or(|parent| content(&parent) != content(&line)) {
            return Boundary { first_own_line: last, by_time: false };
        }
    }
    Boundary { first_own_line: last + 1, by_time: false }
}

/// Returns a line without its timestamp: what comes before and after it.
fn content<'a>(line: &RolloutLine<'a>) -> (&'a [u8], &'a [u8]) {
    let Some(stamp) = line.timestamp else { return (line.bytes, b"") };
    let start = stamp.raw().as_ptr().addr() - line.bytes.as_ptr().addr();
    (&line.bytes[..start], &line.bytes[start + stamp.raw().len()..])
}

/// The first prompt that took a model's time to answer: the last resort, where
/// neither turn ids nor the ancestor's file tell.
fn by_time(source: &Source) -> Boundary {
    let mut last = 0;
    // The first line that led to a prompt, and when the prompt was written.
    let mut inputs: Option<u64> = None;
    let mut prompted: Option<(u64, Timestamp)> = None;
    for line in source.lines().filter_map(Result::ok) {
        last = line.position.line();
        let at = line.timestamp.and_then(stamp::parse);
        match role(&line) {
            Role::Input => {
                inputs.get_or_insert(last);
            }
            Role::Prompt => {
                let first = *inputs.get_or_insert(last);
                prompted = at.map(|at| (first, at));
            }
            Role::Answer => {
                if let (Some((first, asked)), Some(at)) = (prompted.take(), at)
                    && at.as_millisecond() - asked.as_millisecond() > SHORTEST_ANSWER_MS
                {
                    return Boundary { first_own_line: first, by_time: true };
                }
                inputs = None;
            }
            Role::Other => {}
        }
    }
    // A prompt without an answer yet is nobody's copy.
    let first_own_line = prompted.map_or(last + 1, |(first, _)| first);
    Boundary { first_own_line, by_time: true }
}

enum Role {
    Input,
    Prompt,
    Answer,
    Other,
}

fn role(line: &RolloutLine<'_>) -> Role {
    match &line.item {
        RolloutItem::EventMsg(EventMsg::UserMessage(_)) => Role::Prompt,
        RolloutItem::EventMsg(EventMsg::TaskStarted(_)) => Role::Input,
        RolloutItem::EventMsg(EventMsg::AgentMessage(_) | EventMsg::AgentReasoning(_)) => {
            Role::Answer
        }
        RolloutItem::ResponseItem(ResponseItem::Message(message)) => {
            let answer = message.role.is_some_and(|role| role.is("assistant"));
            if answer { Role::Answer } else { Role::Input }
        }
        RolloutItem::ResponseItem(
            ResponseItem::Reasoning(_) | ResponseItem::ToolCall(_) | ResponseItem::ToolOutput(_),
        ) => Role::Answer,
        _ => Role::Other,
    }
}
