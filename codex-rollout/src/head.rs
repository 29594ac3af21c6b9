#![expect(clippy::disallowed_methods, reason = "says when a file was changed")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use memchr::memmem;

use crate::discover::{Layout, RolloutPath};
use crate::error::Result;
use crate::identity::FileId;
use crate::item::response_item::ResponseItem;
use crate::item::session_meta::{SessionMeta, ThreadOrigin};
use crate::line::{RolloutItem, RolloutLine};
use crate::position::Position;
use crate::scan::{Cursor, ValueKind};
use crate::source::Source;
use crate::stream::LineStream;
use crate::text::JsonText;
use crate::wire::Field;

/// How many lines are decoded in any case. Later ones are decoded if something
/// is still wanted of them.
const HEAD_LINES: usize = 4;

/// The longest line looked at, in bytes: what says whose the file is is short.
pub(crate) const MAX_HEAD_LINE: usize = 16 << 20;

/// How many bytes of a line are searched for its type.
const SEARCHED: usize = 256;

/// What the first lines of a rollout say about it: enough to group threads
/// into sessions before anything is read in full.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RolloutHead {
    /// The file.
    pub rollout: RolloutPath,
    /// The thread: that of the file's name if one of its first `session_meta`
    /// lines has it too, else that of the first of them, else that of the name.
    pub thread_id: String,
    /// What tells several rollouts of one thread apart.
    pub rollout_id: String,
    /// The root thread of the session, if recorded (since 0.142).
    pub session_id: Option<String>,
    /// The thread that spawned this one.
    pub parent_thread_id: Option<String>,
    /// The thread whose history this one continues or derives from.
    pub forked_from_id: Option<String>,
    /// The thread whose lines were copied into this file, meta included.
    pub copied_from_id: Option<String>,
    /// The id of the rollout that this one continues without copying it.
    pub base_rollout_id: Option<String>,
    /// When the thread was made, as written.
    pub created: Option<String>,
    /// The working directory.
    pub cwd: Option<String>,
    /// The version of Codex that made the file.
    pub cli_version: Option<String>,
    /// What started the thread, in one word: `cli`, `exec`, `subagent`, …
    pub source: Option<String>,
    /// For a whole-file rollout, a hash of each item: a save of the same
    /// session at an earlier time has the same ones, but fewer.
    pub document_items: Vec<u64>,
    /// The size of the file on disk, in bytes.
    pub len: u64,
    /// When the file was last written, by its file system.
    pub modified: Option<SystemTime>,
    /// What the file is to its file system, whatever its names.
    pub file_id: Option<FileId>,
    /// What the lines are.
    pub content: Content,
    /// The thread's name as the home's index has it, as JSON text without its
    /// quotes: the file itself does not say. See [`SessionIndex`](crate::SessionIndex).
    pub name: Option<String>,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// At least one record that a rollout may have.
    Rollout,
    /// Nothing.
    #[default]
    Empty,
    /// What `codex exec --json` prints while it works: no rollout, which Codex
    /// writes elsewhere at the same time.
    ExecStream {
        /// The thread, if the stream says so.
        thread_id: Option<String>,
    },
    /// Nothing that could be read as a record.
    Unknown,
}

impl RolloutHead {
    /// Reads the head of a rollout.
    ///
    /// A file without a `session_meta` has a head all the same: what the file's
    /// name says.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or read.
    pub fn read(rollout: &RolloutPath) -> Result<RolloutHead> {
        RolloutHead::read_with(rollout, &mut Vec::new())
    }

    /// As [`read`](Self::read), by way of a buffer that others were read into
    /// before: memory that is at hand costs less than memory that is new.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_with(rollout: &RolloutPath, buffer: &mut Vec<u8>) -> Result<RolloutHead> {
        let mut head = RolloutHead::of_name(rollout);
        if let Ok(metadata) = rollout.path.metadata() {
            head.len = metadata.len();
            head.modified = metadata.modified().ok();
            head.file_id = FileId::with(&rollout.path, &metadata);
        }
        let mut stream = LineStream::open_any(rollout)?
            .head_first()
            .max_line_len(MAX_HEAD_LINE)
            .with_buffer(std::mem::take(buffer));
        head.rollout.encoding = stream.encoding();
        let mut scan = HeadScan::default();
        loop {
            let (bytes, at) = match stream.next_line() {
                Ok(Some((bytes, at, _))) => (bytes, at),
                Ok(None) => break,
                Err(err) if err.is_about_a_line() => {
                    if scan.n_lines == 0 && rollout.layout == Layout::Document {
                        return head.of_document();
                    }
                    scan.n_lines += 1;
                    continue;
                }
                // What came before the damage is there all the same.
                Err(_) if scan.n_lines > 0 => break,
                Err(err) => return Err(err),
            };
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            if scan.n_lines == 0 {
                head.rollout.layout = layout_of(bytes, rollout.layout);
                if head.rollout.layout == Layout::Document {
                    return head.of_document();
                }
            }
            if !head.scan(bytes, at, &mut scan) {
                break;
            }
        }
        *buffer = stream.into_buffer();
        Ok(head)
    }

    /// Takes in one of the first lines; returns whether the next one is wanted.
    fn scan(&mut self, line: &[u8], at: Position, scan: &mut HeadScan) -> bool {
        let first = scan.n_lines < HEAD_LINES;
        scan.n_lines += 1;
        let start = &line[..line.len().min(SEARCHED)];
        let may_be_meta = first || memmem::find(start, b"session_meta").is_some();
        if !may_be_meta && self.content == Content::Rollout {
            return scan.n_lines < HEAD_LINES || !self.has_own_meta();
        }
        if line.trim_ascii().is_empty() {
            return true;
        }
        let record = RolloutLine::decode(line, at);
        let took = record.as_ref().is_ok_and(|record| self.take(record));
        match &record {
            Ok(record) if is_record(record) => self.content = Content::Rollout,
            _ if self.content == Content::Empty => self.content = content_of(line),
            _ => {}
        }
        let was_found = scan.found;
        scan.found |= took;
        // The line after the thread's own meta tells whether others follow.
        took || !was_found || !self.has_own_meta()
    }

    /// Whether the thread's own `session_meta` was found: one with the id of
    /// the file's name, if that has one.
    fn has_own_meta(&self) -> bool {
        let named = self.rollout.thread_id.as_ref();
        self.created.is_some() && named.is_none_or(|id| *id == self.thread_id)
    }

    /// Makes a head of the file's name alone; nothing is read.
    pub fn of_name(rollout: &RolloutPath) -> RolloutHead {
        let name = rollout.path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.split(".json").next().unwrap_or(&name).to_owned();
        let thread_id = rollout.thread_id.clone().unwrap_or(stem);
        RolloutHead {
            rollout: rollout.clone(),
            rollout_id: rollout.rollout_id.clone().unwrap_or_else(|| thread_id.clone()),
            thread_id,
            session_id: None,
            parent_thread_id: None,
            forked_from_id: None,
            copied_from_id: None,
            base_rollout_id: None,
            created: None,
            cwd: None,
            cli_version: None,
            source: None,
            document_items: Vec::new(),
            len: 0,
            modified: None,
            file_id: None,
            content: Content::Empty,
            name: None,
        }
    }

    fn of_document(mut self) -> Result<RolloutHead> {
        let source = Source::open(&self.rollout)?;
        self.take_document(&source);
        Ok(self)
    }

    /// Takes in a whole-file rollout. Its name is of no use to tell it from
    /// others: the first versions gave every save of a session another one.
    fn take_document(&mut self, source: &Source) {
        self.content = if source.bytes().is_empty() { Content::Empty } else { Content::Unknown };
        for line in source.lines().filter_map(Result::ok) {
            self.content = Content::Rollout;
            if !self.take(&line) {
                let mut hasher = DefaultHasher::new();
                line.bytes.hash(&mut hasher);
                self.document_items.push(hasher.finish());
            }
        }
        if self.created.is_some() {
            self.rollout_id.clone_from(&self.thread_id);
        }
    }

    /// Takes in a line if it is a `session_meta`; says whether it was.
    fn take(&mut self, line: &RolloutLine<'_>) -> bool {
        let RolloutItem::SessionMeta(meta) = &line.item else { return false };
        let Some(id) = owned(meta.id) else { return true };
        let is_document = self.rollout.layout == Layout::Document;
        let is_own = !is_document && self.rollout.thread_id.as_ref() == Some(&id);
        if self.created.is_some() && (!is_own || id == self.thread_id) {
            if id != self.thread_id && self.copied_from_id.is_none() {
                self.copied_from_id = Some(id);
            }
            return true;
        }
        if self.created.is_some() {
            // The one before is that of the thread whose history was copied.
            self.copied_from_id = Some(std::mem::take(&mut self.thread_id));
        }
        if self.rollout.rollout_id == self.rollout.thread_id {
            self.rollout_id.clone_from(&id);
        }
        self.thread_id = id;
        self.session_id = owned(meta.session_id);
        self.parent_thread_id = parent_of(meta);
        self.forked_from_id = owned(meta.forked_from_id);
        self.base_rollout_id = meta.history_base.and_then(|base| owned(base.rollout_id));
        self.created = Some(owned(meta.timestamp).unwrap_or_default());
        self.cwd = owned(meta.cwd);
        self.cli_version = owned(meta.cli_version);
        self.source = meta.source.map(|source| source_word(&source));
        true
    }
}

/// How far the lines of a head were looked at.
#[derive(Default)]
struct HeadScan {
    n_lines: usize,
    /// Whether a `session_meta` was found.
    found: bool,
}

/// Returns how records are laid out, by the first line, whatever the name says.
fn layout_of(first_line: &[u8], named: Layout) -> Layout {
    let line = first_line.trim_ascii();
    let inner = line.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    let is_document = inner.is_some_and(|inner| {
        inner.is_empty() || inner.starts_with(b"\"session\"") || inner.starts_with(b"\"items\"")
    });
    match named {
        _ if is_document => Layout::Document,
        Layout::Document if RolloutLine::decode(line, Position::default()).is_ok() => Layout::Lines,
        named => named,
    }
}

/// Whether a rollout may have such a record.
fn is_record(line: &RolloutLine<'_>) -> bool {
    !matches!(
        line.item,
        RolloutItem::Unknown(_) | RolloutItem::ResponseItem(ResponseItem::Unknown(_))
    )
}

/// Returns what a file holds whose first line is no record.
fn content_of(line: &[u8]) -> Content {
    const EVENTS: [&str; 4] = ["thread.", "turn.", "item.", "error"];
    let (mut kind, mut thread_id, mut is_message) = (None, None, false);
    let read = Cursor::new(line).object(|key, value| {
        match key {
            b"type" => kind = JsonText::read(value)?,
            b"thread_id" => thread_id = JsonText::read(value)?,
            // Before 0.44: `{"id":"0","msg":{"type":"task_started"}}`.
            b"msg" => is_message = value.kind()? == ValueKind::Object,
            _ => value.skip()?,
        }
        Ok(())
    });
    let is_event = kind.is_some_and(|kind| {
        let kind = kind.decode();
        EVENTS.iter().any(|event| kind.starts_with(event))
    });
    if read.is_ok() && (is_event || is_message) {
        return Content::ExecStream { thread_id: owned(thread_id) };
    }
    Content::Unknown
}

/// Returns the thread that spawned the one of `meta`, if it says so.
pub fn parent_of(meta: &SessionMeta<'_>) -> Option<String> {
    let spawned = match meta.source {
        Some(ThreadOrigin::Spawned(spawn)) => spawn.parent_thread_id,
        _ => None,
    };
    owned(meta.parent_thread_id.or(spawned))
}

/// Returns the word for what started a thread: `cli`, `exec`, `review`, …
pub fn source_word(origin: &ThreadOrigin<'_>) -> String {
    match origin {
        ThreadOrigin::Program(name)
        | ThreadOrigin::Custom(name)
        | ThreadOrigin::Internal(name)
        | ThreadOrigin::Subagent(name) => name.decode().into_owned(),
        ThreadOrigin::Spawned(_) => "subagent".to_owned(),
        ThreadOrigin::Other(_) => "other".to_owned(),
    }
}

fn owned(text: Option<JsonText<'_>>) -> Option<String> {
    text.map(|text| text.decode().into_owned())
}
