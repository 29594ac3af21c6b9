//! What the beginning of a file says, for who divides a home by it.

use std::path::PathBuf;

use codex_rollout::{Content, Layout, LineStream, RolloutHead, RolloutPath};
use codex_trace_history::Failure;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::detached;

/// So many lines are enough to know that no further `session_meta` of the head
/// was cut off.
const ENOUGH: usize = 8;

/// Reads the head of a rollout from its first bytes. `None` if it takes more of
/// them to be sure; `whole` says that there are no more.
#[pyfunction]
pub(crate) fn head<'py>(
    py: Python<'py>,
    name: PathBuf,
    data: &[u8],
    whole: bool,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let (head, n_lines) = detached(py, || {
        let cannot = format!("cannot read `{}`", name.display());
        let of = |err| Failure::because(&cannot, &err);
        let rollout = RolloutPath::from_bytes(&name, data).map_err(of)?;
        let head = RolloutHead::read(&rollout).map_err(of)?;
        let n_lines = lines(&head.rollout);
        Ok((head, n_lines))
    })?;
    let is_document = head.rollout.layout == Layout::Document;
    let named = head.rollout.thread_id.as_ref().is_none_or(|id| *id == head.thread_id);
    if !whole && !is_document && (n_lines < ENOUGH || head.created.is_none() || !named) {
        return Ok(None);
    }
    let dict = PyDict::new(py);
    dict.set_item("is_rollout", head.content == Content::Rollout)?;
    dict.set_item("is_document", is_document)?;
    let ids = [
        Some(head.thread_id),
        Some(head.rollout_id),
        head.session_id,
        head.parent_thread_id.clone(),
        head.forked_from_id,
        head.copied_from_id,
        head.base_rollout_id,
        head.rollout.thread_id,
        head.rollout.rollout_id,
    ];
    dict.set_item("ids", ids.into_iter().flatten().collect::<Vec<_>>())?;
    // It reviews a thread that it does not name.
    let reviews = head.parent_thread_id.is_none() && head.source.as_deref() == Some("review");
    dict.set_item("reviews", reviews)?;
    dict.set_item("cwd", head.cwd)?;
    dict.set_item("created", head.created)?;
    Ok(Some(dict))
}

/// Counts whole lines, as far as [`ENOUGH`].
fn lines(rollout: &RolloutPath) -> usize {
    let Ok(mut stream) = LineStream::open(rollout) else { return 0 };
    let mut n_lines = 0;
    while n_lines <= ENOUGH {
        match stream.next_line() {
            Ok(Some(_)) => n_lines += 1,
            Err(err) if err.is_about_a_line() => n_lines += 1,
            Ok(None) | Err(_) => break,
        }
    }
    // The last of them may have been cut.
    n_lines.saturating_sub(1)
}
