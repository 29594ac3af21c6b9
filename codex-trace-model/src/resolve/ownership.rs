//! Which lines of a file are the thread's own: forks and subagents begin with
//! a copy of their parent's history (rollout-format: "own-line rule").

use codex_rollout::{
    EventMsg, JsonText, ResponseItem, RolloutItem, RolloutLine, SessionMeta, Source, TurnItem,
};
use jiff::Timestamp;

use crate::resolve::{common, stamp};

/// Where a file's own lines begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Boundary {
    /// The first own line, starting at 1; lines of `session_meta` aside.
    pub(crate) first_own_line: u64,
    /// By what that was decided.
    pub(crate) told_by: ToldBy,
}

/// What tells where a file's own lines begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// What the file or its ancestor says.
    #[default]
    Records,
    /// The times of lines alone.
    Times,
    /// Nothing: the file was forked from another one, and may begin with a
    /// copy of that.
    Nothing,
}

impl Boundary {
    pub(crate) fn at(first_own_line: u64) -> Boundary {
        Boundary { first_own_line, told_by: ToldBy::Records }
    }
}

/// How long a model takes to answer at least, in milliseconds. Copied lines
/// are written faster than that, one after the other.
const SHORTEST_ANSWER_MS: i64 = 20;

/// How a file begins, by its first `session_meta` and the line after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// With its own lines.
    Own,
    /// With a copy of another thread's, whose `session_meta` is there too.
    Copied,
    /// Perhaps with a copy: a migration drops the `session_meta` of ancestors,
    /// and so do tools that leave out most lines.
    Forked,
}

impl Head {
    fn of(meta: &SessionMeta<'_>, next: Option<&RolloutLine<'_>>) -> Head {
        if next.is_some_and(|line| foreign_meta(line, meta)) {
            Head::Copied
        } else if meta.forked_from_id.is_some()
            && meta.forked_from_id != meta.id
            && meta.history_base.is_none()
            && meta.subagent_history_start_ordinal.is_none()
        {
            Head::Forked
        } else {
            Head::Own
        }
    }
}

/// The line that says whose a file is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnMeta<'a> {
    meta: SessionMeta<'a>,
    /// Its line, starting at 1.
    pub(crate) line: u64,
    /// Whether an ancestor's comes before it.
    is_late: bool,
}

impl<'a> OwnMeta<'a> {
    /// Finds the first `session_meta` with the id of the thread; where none has
    /// it, the first of all. Mostly that is in the head of the file already.
    pub(crate) fn find<'l>(
        head: impl IntoIterator<Item = &'l RolloutLine<'a>>,
        source: &'a Source,
        thread_id: &str,
    ) -> Option<OwnMeta<'a>>
    where
        'a: 'l,
    {
        let meta = |line: &RolloutLine<'a>| {
            Some(OwnMeta { meta: meta_of(line)?, line: line.position.line(), is_late: false })
        };
        let is_own = |it: &OwnMeta<'_>| is_of(&it.meta, thread_id);
        let first = head.into_iter().find_map(meta);
        if first.as_ref().is_some_and(is_own) {
            return first;
        }
        let mut metas = source.lines().filter_map(Result::ok).filter_map(|line| meta(&line));
        let first = first.or_else(|| metas.next())?;
        let own = if is_own(&first) { None } else { metas.find(is_own) };
        Some(own.map_or(first, |own| OwnMeta { is_late: true, ..own }))
    }
}

/// Whether a `session_meta` is that of a thread.
pub(crate) fn is_of(meta: &SessionMeta<'_>, thread_id: &str) -> bool {
    meta.id.is_some_and(|id| id.is(thread_id) || id.decode() == thread_id)
}

/// Whether the first lines of a file tell that all of it is the thread's own.
pub(crate) fn owns_all<'l, 'a: 'l>(
    head: impl IntoIterator<Item = &'l RolloutLine<'a>>,
    own: Option<&OwnMeta<'_>>,
) -> bool {
    if own.is_some_and(|own| own.is_late) {
        return false;
    }
    let mut head = head.into_iter();
    let Some(meta) = head.by_ref().find_map(meta_of) else { return false };
    let next = head.next();
    meta.subagent_history_start_ordinal.is_none()
        && next.is_some()
        && Head::of(&meta, next) == Head::Own
}

/// Finds where a file's own lines begin.
///
/// `ancestor` is the file that the head was copied from, if it is here.
pub(crate) fn boundary(
    source: &Source,
    own: Option<&OwnMeta<'_>>,
    ancestor: Option<&Source>,
) -> Boundary {
    let own_from_start = Boundary::at(0);
    let Some(&OwnMeta { meta, line, is_late }) = own else { return own_from_start };
    let mut after = source.lines().filter_map(Result::ok);
    let next = after.find(|it| it.position.line() > line);
    let head = if is_late { Head::Copied } else { Head::of(&meta, next.as_ref()) };
    if meta.subagent_history_start_ordinal.is_none() && head == Head::Own {
        return own_from_start;
    }
    if has_turn_ids(&meta) || meta.subagent_history_start_ordinal.is_some() {
        match by_ids(source, &meta, head, ancestor) {
            Some(boundary) => return boundary,
            // A migration drops the metas of ancestors: nothing tells any more.
            None if head == Head::Own => return own_from_start,
            None => {}
        }
    }
    let common = ancestor.map(|ancestor| common::beginning(source, ancestor));
    match (common, head) {
        (Some(common), Head::Copied) => Boundary::at(common.first_other_line),
        // Of another file than it was forked from, or not a copy at all.
        (Some(common), _) if common.is_empty() => own_from_start,
        (Some(common), _) => Boundary::at(common.first_other_line),
        (None, _) => by_time(source).unwrap_or(match head {
            Head::Copied => Boundary::at(u64::MAX),
            _ => Boundary { first_own_line: 0, told_by: ToldBy::Nothing },
        }),
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
fn by_ids(
    source: &Source,
    meta: &SessionMeta<'_>,
    head: Head,
    ancestor: Option<&Source>,
) -> Option<Boundary> {
    let mut ids = ByIds::new(meta);
    let mut last = 0;
    for line in source.lines().filter_map(Result::ok) {
        last = line.position.line();
        if !ids.is_own(&line) {
            continue;
        }
        if head == Head::Forked && !ids.compared {
            // The first turn that tells is the thread's own. One before it that
            // does not may still be copied.
            return (!ids.turns_without_time).then_some(Boundary::at(0));
        }
        let Some(doubtful) = ids.doubtful else { return Some(Boundary::at(last)) };
        // What stands between a turn that is copied and one that is not is
        // whatever the ancestor does not have.
        let common = ancestor.map(|ancestor| common::beginning(source, ancestor).first_other_line);
        let common = common.filter(|first| (doubtful..=last).contains(first));
        let review = ids.review.filter(|_| common.is_none() && is_reviewers(source, last));
        return Some(Boundary::at(common.or(review).unwrap_or(last)));
    }
    let told = ids.told() && (head != Head::Forked || ids.compared);
    told.then_some(Boundary::at(last + 1))
}

/// Whether the turn that starts at a line is a reviewer's: it has no settings
/// here. Else the review before it was one of the ancestor's, which was killed.
fn is_reviewers(source: &Source, start: u64) -> bool {
    let lines = source.lines().filter_map(Result::ok);
    let mut turn = None;
    for line in lines.skip_while(|line| line.position.line() < start) {
        match (&line.item, turn) {
            (RolloutItem::EventMsg(EventMsg::TaskStarted(started)), None) => {
                turn = Some(started.turn_id);
            }
            (RolloutItem::EventMsg(EventMsg::TaskStarted(_)), _) => break,
            (RolloutItem::TurnContext(context), Some(turn)) if context.turn_id == turn => {
                return false;
            }
            _ => {}
        }
    }
    true
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
    /// Whether there were turns that are older than the thread, and turns whose
    /// ids do not tell.
    compared: bool,
    turns_without_time: bool,
    /// The first line after the last turn that is older than the thread, if a
    /// turn or a review begins there that may be its own.
    doubtful: Option<u64>,
    /// Where a review began that has not ended yet.
    review: Option<u64>,
    /// The last line that opened a turn whose id does not tell.
    opened: Option<u64>,
}

impl ByIds {
    fn new(meta: &SessionMeta<'_>) -> ByIds {
        ByIds {
            thread: meta.id.map(JsonText::decode).unwrap_or_default().into_owned(),
            start_ordinal: meta.subagent_history_start_ordinal,
            own: false,
            compared: false,
            turns_without_time: false,
            doubtful: None,
            review: None,
            opened: None,
        }
    }

    /// For a file whose lines are its own from the start.
    fn all_own() -> ByIds {
        ByIds { own: true, ..ByIds::new(&SessionMeta::default()) }
    }

    /// Decides by the first `session_meta` of a file and the line after it;
    /// `None` if that takes more than the lines one by one.
    pub(crate) fn of_head(meta: &SessionMeta<'_>, next: Option<&RolloutLine<'_>>) -> Option<ByIds> {
        let head = Head::of(meta, next);
        if meta.subagent_history_start_ordinal.is_none() && head == Head::Own {
            return Some(ByIds::all_own());
        }
        let by_ids = has_turn_ids(meta) || meta.subagent_history_start_ordinal.is_some();
        (by_ids && head != Head::Forked).then(|| ByIds::new(meta))
    }

    /// Takes in the next line; returns whether it is the thread's own.
    pub(crate) fn is_own(&mut self, line: &RolloutLine<'_>) -> bool {
        if self.own {
            return true;
        }
        let reached =
            self.start_ordinal.zip(line.ordinal).is_some_and(|(start, ordinal)| ordinal >= start);
        self.own = reached && meta_of(line).is_none();
        if let RolloutItem::EventMsg(event) = &line.item
            && !self.own
        {
            self.take_event(event, line.position.line());
        }
        self.own
    }

    fn take_event(&mut self, event: &EventMsg<'_>, line: u64) {
        match event {
            EventMsg::TaskStarted(started) => {
                let turn = started.turn_id.map(JsonText::decode).unwrap_or_default();
                match stamp::is_later_uuid_v7(&self.thread, &turn) {
                    Some(true) => self.own = true,
                    Some(false) => {
                        self.compared = true;
                        (self.doubtful, self.review, self.opened) = (None, None, None);
                    }
                    None => {
                        self.turns_without_time = true;
                        self.opened = Some(line);
                        self.doubtful.get_or_insert(line);
                    }
                }
            }
            EventMsg::EnteredReviewMode(_) => self.enter_review(line),
            EventMsg::ExitedReviewMode(_) => self.review = None,
            EventMsg::ItemCompleted(done) => match done.item {
                Some(TurnItem::EnteredReviewMode(_)) => self.enter_review(line),
                Some(TurnItem::ExitedReviewMode(_)) => self.review = None,
                _ => {}
            },
            _ => {}
        }
    }

    /// A migration puts brackets around a review that had none.
    fn enter_review(&mut self, line: u64) {
        let first = self.opened.unwrap_or(line);
        self.review = Some(first);
        self.doubtful.get_or_insert(first);
    }

    /// Returns whether the ids told, now that all lines were taken in.
    pub(crate) fn told(&self) -> bool {
        self.own || self.compared || !self.turns_without_time
    }

    /// Returns whether the ids told, and each line as it came.
    pub(crate) fn told_at_once(&self) -> bool {
        self.told() && !(self.own && self.doubtful.is_some())
    }
}

/// The first prompt that took a model's time to answer: the last resort, where
/// neither turn ids nor the ancestor's file tell. Nothing if no prompt has a
/// time and is answered.
fn by_time(source: &Source) -> Option<Boundary> {
    let mut last = 0;
    // The first line that led to a prompt, and when the prompt was written.
    let mut inputs: Option<u64> = None;
    let mut prompted: Option<(u64, Timestamp)> = None;
    let mut answered = false;
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
                if let (Some((first, asked)), Some(at)) = (prompted.take(), at) {
                    if at.as_millisecond() - asked.as_millisecond() > SHORTEST_ANSWER_MS {
                        return Some(Boundary { first_own_line: first, told_by: ToldBy::Times });
                    }
                    answered = true;
                }
                inputs = None;
            }
            Role::Other => {}
        }
    }
    // A prompt without an answer yet is nobody's copy.
    let first_own_line = prompted.map_or(last + 1, |(first, _)| first);
    answered.then_some(Boundary { first_own_line, told_by: ToldBy::Times })
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
        RolloutItem::EventMsg(EventMsg::ItemCompleted(done)) => match done.item {
            Some(TurnItem::UserMessage(_)) => Role::Prompt,
            Some(TurnItem::AgentMessage(_) | TurnItem::Reasoning(_)) => Role::Answer,
            _ => Role::Other,
        },
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
