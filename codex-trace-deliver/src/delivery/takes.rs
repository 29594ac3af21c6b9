//! Which sessions a destination takes: the files of projects may send theirs
//! elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use codex_trace_model::SessionGroup;

use crate::history::History;

/// Where the sessions of a directory go that do not go where all others do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goes {
    /// To the project or experiment of this name.
    To(String),
    /// Nowhere, and why.
    Nowhere(String),
}

/// Which sessions a destination takes.
#[derive(Clone, Debug, Default)]
pub struct Takes {
    /// Where sessions go, by their directory.
    pub by_cwd: Arc<HashMap<String, Goes>>,
    /// The project whose sessions are taken; those that go nowhere else, if none.
    pub project: Option<String>,
}

/// Returns the directory that a session was in.
pub fn cwd_of<'h>(history: &'h History, group: &SessionGroup) -> Option<&'h str> {
    let mut heads = group.members.iter().map(|member| &history.heads[member.head]);
    let root = heads.find(|head| head.thread_id == group.root_thread_id);
    root.or_else(|| Some(&history.heads[group.members.first()?.head]))?.cwd.as_deref()
}

impl Takes {
    /// Returns where a session goes, if it does not go here.
    pub(super) fn elsewhere(&self, history: &History, group: &SessionGroup) -> Option<&Goes> {
        let goes = cwd_of(history, group).and_then(|cwd| self.by_cwd.get(cwd));
        match (goes, &self.project) {
            (Some(Goes::To(to)), Some(own)) if to == own => None,
            // Whoever takes all others says why it does not take these.
            (Some(goes), None) => Some(goes),
            (None, None) => None,
            (_, Some(_)) => Some(NOT_HERE),
        }
    }
}

const NOT_HERE: &Goes = &Goes::To(String::new());
