//! Two files side by side, line by line, as far as they are alike.

use std::cmp::Ordering;

use crate::discover::{RolloutPath, is_uuid};
use crate::error::Result;
use crate::position::Position;
use crate::scan::Cursor;
use crate::stream::LineStream;

/// How many bytes of a line are searched for the id of a turn that begins.
const SEARCHED: usize = 256;

/// What came of comparing two files.
pub(super) enum Meeting {
    /// One has everything that the other one has, in the same order.
    Within {
        /// Whether it is the first.
        first_is_longer: bool,
        /// Where one record is first written in two ways, in either file.
        first_edit: Option<(Position, Position)>,
    },
    /// They went on apart.
    Apart(Apart),
}

/// Where two files part.
pub(super) struct Apart {
    /// Which one comes first: what it goes on with was written earlier. Lines
    /// that are added to a file do not change this.
    pub(super) order: Ordering,
    /// The last line of the first file that both have; 0 if none.
    pub(super) after_line: u64,
    /// The line of the second file that the first does not have there.
    pub(super) at: Position,
    /// Whether only one of them has ordinals: Codex has migrated it meanwhile.
    pub(super) migrated: bool,
    /// Whether they have more in common than whose files they say they are.
    pub(super) has_beginning: bool,
}

/// Compares two files from their beginning.
///
/// Records are the same if their lines are, or if only what tools rewrite in
/// place differs: the `session_meta`, or a record of the same turn that was
/// written at the same time.
///
/// # Errors
///
/// If one of them cannot be opened.
pub(super) fn meet(first: &RolloutPath, second: &RolloutPath) -> Result<Meeting> {
    let (mut a, mut b) = (Lines::open(first)?, Lines::open(second)?);
    let mut first_edit: Option<(Ordering, Position, Position)> = None;
    let mut after_line = 0;
    let mut has_beginning = false;
    loop {
        match (a.advance(), b.advance()) {
            (false, false) => {
                // Of two that are equally long, it is all the same which.
                let first_is_longer = match (a.len.cmp(&b.len), &first_edit) {
                    (Ordering::Equal, Some((order, ..))) => *order == Ordering::Less,
                    (order, _) => order != Ordering::Less,
                };
                return Ok(within(first_is_longer, first_edit));
            }
            (true, false) => return Ok(within(true, first_edit)),
            (false, true) => return Ok(within(false, first_edit)),
            (true, true) => {}
        }
        let is_same = a.text == b.text;
        has_beginning |= is_same;
        if !is_same {
            // The last line of a copy that was made while Codex was writing it.
            if !a.complete && b.text.starts_with(&a.text) {
                return Ok(within(false, first_edit));
            }
            if !b.complete && a.text.starts_with(&b.text) {
                return Ok(within(true, first_edit));
            }
            let (left, right) = (Facts::of(&a.text), Facts::of(&b.text));
            if !same_record(&left, a.turn.as_deref(), &right, b.turn.as_deref()) {
                let order = (left.has_ordinal, left.time, &a.text).cmp(&(
                    right.has_ordinal,
                    right.time,
                    &b.text,
                ));
                let migrated = left.has_ordinal != right.has_ordinal;
                let at = b.at;
                let apart = Apart { order, after_line, at, migrated, has_beginning };
                return Ok(Meeting::Apart(apart));
            }
            has_beginning |= left.kind != b"session_meta";
            first_edit.get_or_insert((a.text.cmp(&b.text), a.at, b.at));
        }
        after_line = a.at.line();
    }
}

fn within(first_is_longer: bool, first_edit: Option<(Ordering, Position, Position)>) -> Meeting {
    Meeting::Within { first_is_longer, first_edit: first_edit.map(|(_, a, b)| (a, b)) }
}

fn same_record(
    left: &Facts<'_>,
    left_turn: Option<&[u8]>,
    right: &Facts<'_>,
    right_turn: Option<&[u8]>,
) -> bool {
    if left.kind == b"session_meta" && right.kind == left.kind {
        return !left.id.is_empty() && left.id == right.id;
    }
    let is_alike = |left: &[u8], right: &[u8]| !left.is_empty() && left == right;
    is_alike(left.time, right.time)
        && (left.kind, left.payload_kind) == (right.kind, right.payload_kind)
        && left.turn.is_empty() == right.turn.is_empty()
        && is_alike(
            if left.turn.is_empty() { left_turn.unwrap_or_default() } else { left.turn },
            if right.turn.is_empty() { right_turn.unwrap_or_default() } else { right.turn },
        )
}

/// What the envelope of a line says, and a little more; empty where it says nothing.
#[derive(Default)]
pub(super) struct Facts<'l> {
    /// The timestamp as it is written.
    pub(super) time: &'l [u8],
    kind: &'l [u8],
    payload_kind: &'l [u8],
    /// The turn that the payload names.
    turn: &'l [u8],
    /// The payload's own id.
    id: &'l [u8],
    has_ordinal: bool,
}

impl<'l> Facts<'l> {
    pub(super) fn of(line: &'l [u8]) -> Facts<'l> {
        let mut facts = Facts::default();
        let read = Cursor::new(line).object(|key, value| {
            match key {
                b"timestamp" => facts.time = value.raw()?.raw(),
                b"ordinal" => {
                    facts.has_ordinal = true;
                    value.skip()?;
                }
                b"type" => facts.kind = text(value.raw()?.raw()),
                b"payload" if value.kind()? == crate::ValueKind::Object => {
                    value.object(|key, value| {
                        match key {
                            b"type" => facts.payload_kind = text(value.raw()?.raw()),
                            b"turn_id" => facts.turn = text(value.raw()?.raw()),
                            b"id" => facts.id = text(value.raw()?.raw()),
                            _ => value.skip()?,
                        }
                        Ok(())
                    })?;
                }
                _ => value.skip()?,
            }
            Ok(())
        });
        if read.is_err() {
            // What is no JSON is compared as it is.
            return Facts::default();
        }
        facts
    }

    /// The turn that begins with the line, or that its settings are of.
    pub(super) fn begun_turn(line: &'l [u8]) -> Option<BegunTurn<'l>> {
        memchr::memmem::find(&line[..line.len().min(SEARCHED)], b"\"turn_id\"")?;
        let facts = Facts::of(line);
        let begins = facts.kind == b"turn_context" || facts.payload_kind == b"task_started";
        let turn = Some(facts.turn).filter(|turn| begins && !turn.is_empty())?;
        let is_unique = std::str::from_utf8(turn).is_ok_and(is_uuid);
        Some(BegunTurn { turn, at: if is_unique { b"" } else { facts.time } })
    }
}

/// What tells a turn from others of the rollout.
#[derive(Hash)]
pub(super) struct BegunTurn<'l> {
    turn: &'l [u8],
    /// When it began, if its id may be another turn's in another file.
    at: &'l [u8],
}

fn text(raw: &[u8]) -> &[u8] {
    raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\"")).unwrap_or_default()
}

/// The lines of a file that are not blank.
pub(super) struct Lines {
    stream: LineStream,
    /// The line, without what ended it; nothing if it is longer than a line may be.
    pub(super) text: Vec<u8>,
    pub(super) at: Position,
    complete: bool,
    /// The turn that it belongs to, if the file says so.
    pub(super) turn: Option<Vec<u8>>,
    /// The bytes of all lines so far.
    len: u64,
}

impl Lines {
    pub(super) fn open(rollout: &RolloutPath) -> Result<Lines> {
        Ok(Lines {
            stream: LineStream::open(rollout)?,
            text: Vec::new(),
            at: Position::default(),
            complete: true,
            turn: None,
            len: 0,
        })
    }

    /// Goes on to the next line; `false` if there is none that can be read.
    pub(super) fn advance(&mut self) -> bool {
        loop {
            self.text.clear();
            match self.stream.next_line() {
                Ok(Some((line, at, complete))) => {
                    let line = line.trim_ascii_end();
                    if line.is_empty() {
                        continue;
                    }
                    self.text.extend_from_slice(line);
                    (self.at, self.complete) = (at, complete);
                }
                Err(err) if err.is_about_a_line() => {
                    (self.at, self.complete) = (err.position(), true);
                }
                Ok(None) | Err(_) => return false,
            }
            self.len += self.text.len() as u64;
            if let Some(begun) = Facts::begun_turn(&self.text) {
                self.turn = Some(begun.turn.to_vec());
            }
            return true;
        }
    }
}
