//! Reading files: all of their bytes, or lines without their content.

use std::path::Path;

use codex_rollout::{Layout, Position, ReadRecords, Result, RolloutItem, RolloutLine, Source};

use crate::diagnostic::Code;
use crate::resolve::fork::Reading;
use crate::resolve::ownership::{self, Boundary, ByIds, OwnMeta, ToldBy, meta_of};
use crate::resolve::usage::UsageTracker;
use crate::resolve::{Outcome, ThreadBuilder};
use crate::session::{RolloutFile, RolloutInput};
use crate::trace::Rollout;

/// How many lines are looked at, once, to tell what is whose. A `session_meta`
/// that comes later is looked for apart, and is none for an outline.
const HEAD_LINES: usize = 4;

/// How many bytes of a file there are for each item, at least, in most files.
const BYTES_OF_AN_ITEM: usize = 4096;

/// How many items most threads come to: room for them from the start.
const USUAL_ITEMS: usize = 256;

/// How many lines are held until two of them can be read.
const MOST_DAMAGED: usize = 64;

impl<'a> ThreadBuilder<'a> {
    /// As [`new`](Self::new), for lines without their content.
    pub(crate) fn outline(thread_id: &str) -> ThreadBuilder<'a> {
        let items = Vec::with_capacity(USUAL_ITEMS);
        ThreadBuilder { outline: true, items, ..ThreadBuilder::new(thread_id) }
    }

    /// Reads one file of the thread; a later file is what the thread went on in.
    pub(crate) fn read(&mut self, input: &RolloutInput<'a>) {
        self.items.reserve(input.source.bytes().len() / BYTES_OF_AN_ITEM);
        let mut lines = input.source.lines();
        let head: Vec<_> = lines.by_ref().take(HEAD_LINES).collect();
        let own = OwnMeta::find(head.iter().flatten(), input.source, input.file.thread_id);
        let boundary = if ownership::owns_all(head.iter().flatten(), own.as_ref()) {
            Boundary::default()
        } else {
            ownership::boundary(input.source, own.as_ref(), input.ancestor)
        };
        let mut reading = self.begin_rollout(&input.file, Some(input.source));
        reading.meta_line = own.map_or(0, |own| own.line);
        match boundary.told_by {
            ToldBy::Records => {}
            ToldBy::Times => self.diagnose(
                Code::InferredBoundary,
                None,
                format_args!(
                    "its head is a copy of another thread's history that is not here; by the time \
                     that the model took to answer, line {} is the thread's first own line",
                    boundary.first_own_line
                ),
            ),
            ToldBy::Nothing => self.diagnose(
                Code::InferredBoundary,
                None,
                "it was forked from a thread that is not here, and nothing tells whether its head \
                 is a copy of that; all of it was taken for the thread's own",
            ),
        }
        let is_own = |line: &RolloutLine<'_>| line.position.line() >= boundary.first_own_line;
        let mut passed = 0;
        let pass = |at: Position, fetched: Option<u64>| {
            // Names of tools and models stay in the file, and were looked at again.
            let fetched = fetched.map_or(passed, |at| usize::try_from(at).unwrap_or(0));
            let at = usize::try_from(at.byte()).unwrap_or(0);
            passed = input.source.passed(passed.min(fetched), at);
        };
        let lines = Ahead { head: head.into_iter(), lines };
        self.read_lines(&mut reading, lines, is_own, pass, input.ancestor);
        input.source.passed_all();
        self.sources.push(input.source);
        if input.source.was_shortened() {
            self.diagnose(
                Code::Changed,
                None,
                "it became shorter while it was read; what was \
                 lost reads as damaged lines",
            );
        }
    }

    /// Reads one file of the thread. Returns `false` if its lines, one by one,
    /// are not enough to tell what is whose.
    pub(crate) fn read_outline(
        &mut self,
        file: &RolloutFile<'a>,
        mut lines: impl ReadRecords<'a>,
    ) -> bool {
        let mut head = Vec::new();
        let Some(mut ids) = decide(&mut lines, &mut head) else { return false };
        let mut reading = self.begin_rollout(file, None);
        let mut bare = false;
        let is_own = |line: &RolloutLine<'_>| {
            // What a line without a time is, is told by its bytes.
            bare |= line.timestamp.is_none();
            ids.is_own(line)
        };
        let lines = Ahead { head: head.into_iter(), lines };
        self.read_lines(&mut reading, lines, is_own, |_, _| {}, None);
        !bare && !self.unsure && ids.told_at_once()
    }

    /// Notes a file of the thread; one that is read in outline has no source, and
    /// is never a document.
    fn begin_rollout(&mut self, file: &RolloutFile<'a>, source: Option<&Source>) -> Reading<'a> {
        let reading = self.reading(*file);
        self.indexed_name = self.indexed_name.or(file.name);
        self.rollouts.push(Rollout {
            path: file.path.to_owned(),
            file: source.and_then(Source::path).map(Path::to_owned),
            layout: source.map_or(Layout::Lines, Source::layout),
            copies: file.copies.to_vec(),
            links: file.links.to_vec(),
        });
        if self.rollouts.len() > 1 {
            self.close_open_turn();
            self.check_usage();
            self.usage = UsageTracker::default();
            self.prompted = false;
            self.cut_turn = None;
        }
        reading
    }

    fn read_lines(
        &mut self,
        reading: &mut Reading<'_>,
        mut lines: impl ReadRecords<'a>,
        mut is_own: impl FnMut(&RolloutLine<'_>) -> bool,
        mut pass: impl FnMut(Position, Option<u64>),
        ancestor: Option<&'a Source>,
    ) {
        let mut has_meta = false;
        let mut line = RolloutLine::empty(Position::default());
        while let Some(read) = lines.read_next(&mut line) {
            let line = read.map(|()| &line);
            self.account.lines += 1;
            let position =
                line.as_ref().map_or_else(codex_rollout::Error::position, |it| it.position);
            if self.rollouts.len() == 1 {
                self.last_line = self.last_line.max(position.line());
            }
            pass(position, self.write_ended_turns());
            self.note_forks(reading, position.line());
            let elsewhere = self.pass_over(reading, position.line(), line.as_ref().ok().copied());
            let outcome = match line {
                Ok(line) => {
                    let meta = !has_meta
                        && matches!(line.item, RolloutItem::SessionMeta(_))
                        && position.line() >= reading.meta_line;
                    let own = is_own(line);
                    if has_meta && self.outline && self.is_late_meta(line, reading) {
                        self.unsure = true;
                    }
                    has_meta |= meta;
                    if let Some(elsewhere) = elsewhere {
                        elsewhere
                    } else if meta && reading.branch().is_none() {
                        self.take_meta(line, ancestor)
                    } else if own {
                        self.take(line)
                    } else {
                        self.inherit(line)
                    }
                }
                Err(err) => elsewhere.unwrap_or_else(|| self.take_error(&err)),
            };
            self.settle(outcome);
        }
        self.note_forks(reading, u64::MAX);
        if !has_meta {
            self.diagnose(
                Code::NoMeta,
                None,
                "it has no session_meta line; the thread's id is \
                 that of the file's name",
            );
        }
    }

    /// Whether it is the thread's own `session_meta` that comes after another
    /// one, which was taken for it.
    fn is_late_meta(&self, line: &RolloutLine<'_>, reading: &Reading<'_>) -> bool {
        let id = reading.file.thread_id;
        matches!(line.item, RolloutItem::SessionMeta(_))
            && self.thread_id != id
            && meta_of(line).is_some_and(|meta| ownership::is_of(&meta, id))
    }

    fn settle(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Item => self.account.items += 1,
            Outcome::Span => self.account.spans += 1,
            Outcome::Diagnosed => self.account.diagnosed += 1,
            Outcome::Ignored(name) => {
                // A word of this program, and most often the one before.
                match self.ignored.iter_mut().find(|(known, _)| std::ptr::eq(*known, name)) {
                    Some((_, n)) => *n += 1,
                    None => self.ignored.push((name, 1)),
                }
            }
        }
    }
}

/// Lines of which the first ones have been read already.
struct Ahead<'a, I> {
    head: std::vec::IntoIter<Result<RolloutLine<'a>>>,
    lines: I,
}

impl<'a, I: ReadRecords<'a>> ReadRecords<'a> for Ahead<'a, I> {
    fn read_next(&mut self, line: &mut RolloutLine<'a>) -> Option<Result<()>> {
        match self.head.next() {
            Some(read) => Some(read.map(|read| *line = read)),
            None => self.lines.read_next(line),
        }
    }
}

/// Reads the head of a file and decides by it what is its own; keeps what was
/// read. `None` if that takes more.
fn decide<'a>(
    lines: &mut impl ReadRecords<'a>,
    head: &mut Vec<Result<RolloutLine<'a>>>,
) -> Option<ByIds> {
    let mut meta = None;
    let mut line = RolloutLine::empty(Position::default());
    while let Some(read) = lines.read_next(&mut line) {
        let line = read.map(|()| line);
        if head.len() >= HEAD_LINES && meta.is_none() {
            return None;
        }
        let decoded = line.as_ref().ok().copied();
        head.push(line);
        let Some(line) = decoded else {
            // Damage after the meta tells nothing, however much of it there is.
            if head.len() >= MOST_DAMAGED {
                return None;
            }
            continue;
        };
        if let Some(meta) = &meta {
            return ByIds::of_head(meta, Some(&line));
        }
        // Bare lines came with a `session_meta` that says no version.
        meta = meta_of(&line).filter(|meta| meta.cli_version.is_some());
        let base = meta.is_some_and(|meta| meta.history_base.is_some());
        let bare = meta.is_none() && matches!(line.item, RolloutItem::SessionMeta(_));
        if base || bare {
            return None;
        }
    }
    ByIds::of_head(&meta?, None)
}
