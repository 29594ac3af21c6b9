#![expect(clippy::disallowed_methods, reason = "says when a file was changed")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use crate::discover::{Layout, RolloutPath};
use crate::error::Result;
use crate::item::session_meta::{SessionMeta, ThreadOrigin};
use crate::line::{RolloutItem, RolloutLine};
use crate::source::Source;
use crate::stream::LineStream;
use crate::text::JsonText;

/// How many lines are searched for the first `session_meta`.
const HEAD_LINES: usize = 4;

/// What the first lines of a rollout say about it: enough to group threads
/// into sessions before anything is read in full.
#[derive(Clone, Debug)]
pub struct RolloutHead {
    /// The file.
    pub rollout: RolloutPath,
    /// The thread: from the first `session_meta`, else from the file's name.
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
    /// What the file is to its file system, whatever its names; not known on
    /// every system.
    pub file_id: Option<(u64, u64)>,
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
        let mut head = RolloutHead::of_name(rollout);
        if let Ok(metadata) = rollout.path.metadata() {
            head.len = metadata.len();
            head.modified = metadata.modified().ok();
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                head.file_id = Some((metadata.dev(), metadata.ino()));
            }
        }
        if rollout.layout == Layout::Document {
            let source = Source::open(rollout)?;
            head.take_document(&source);
            return Ok(head);
        }
        let mut stream = LineStream::open(rollout)?.head_first();
        let mut found = false;
        for _ in 0..HEAD_LINES {
            let (bytes, at) = match stream.next_line() {
                Ok(Some((bytes, at, _))) => (bytes, at),
                Ok(None) => break,
                Err(err) if err.is_about_a_line() => continue,
                Err(err) => return Err(err),
            };
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            let took = RolloutLine::decode(bytes, at).is_ok_and(|line| head.take(&line));
            if found && !took {
                break;
            }
            found |= took;
        }
        Ok(head)
    }

    /// Makes a head of the file's name alone.
    fn of_name(rollout: &RolloutPath) -> RolloutHead {
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
        }
    }

    /// Takes in a whole-file rollout. Its name is of no use to tell it from
    /// others: the first versions gave every save of a session another one.
    fn take_document(&mut self, source: &Source) {
        for line in source.lines().filter_map(Result::ok) {
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
        if self.created.is_some() {
            if id != self.thread_id && self.copied_from_id.is_none() {
                self.copied_from_id = Some(id);
            }
            return true;
        }
        if self.rollout_id == self.thread_id {
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
