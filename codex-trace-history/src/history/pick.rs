use std::collections::HashSet;

use codex_rollout::RolloutHead;

use super::{History, Place};
use crate::failure::Failure;
use crate::{ids, words};

/// Keeps the sessions that one of `prefixes` names.
pub(super) fn pick(
    mut all: History,
    prefixes: &[String],
    trees: &[Place],
) -> Result<History, Failure> {
    let mut wanted = HashSet::new();
    for prefix in prefixes {
        let mut hits: Vec<(usize, &RolloutHead)> = Vec::new();
        for (nth, session) in all.sessions.iter().enumerate() {
            let heads = session.members.iter().map(|member| &all.heads[member.head]);
            hits.extend(heads.filter(|head| ids::matches(head, prefix)).map(|head| (nth, head)));
        }
        hits.dedup_by_key(|(nth, head)| (*nth, head.thread_id.clone()));
        let exact: Vec<_> =
            hits.iter().filter(|(_, head)| head.thread_id == *prefix).copied().collect();
        let hits = if exact.is_empty() { hits } else { exact };
        let sessions: HashSet<usize> = hits.iter().map(|(nth, _)| *nth).collect();
        match sessions.len() {
            1 => wanted.extend(sessions),
            0 => {
                let trees: Vec<String> =
                    trees.iter().map(|tree| format!("`{}`", tree.path().display())).collect();
                return Err(Failure::new(format!(
                    "no session or thread whose id begins with `{prefix}` in {}",
                    trees.join(" or ")
                ))
                .hint("`codex-trace list` shows the ids; a directory named before the id is searched instead"));
            }
            n => return Err(ambiguous(prefix, n, &hits)),
        }
    }
    let mut nth = 0;
    all.sessions.retain(|_| {
        nth += 1;
        wanted.contains(&(nth - 1))
    });
    Ok(all)
}

fn ambiguous(prefix: &str, n: usize, hits: &[(usize, &RolloutHead)]) -> Failure {
    const SHOWN: usize = 8;
    let mut lines: Vec<String> = hits
        .iter()
        .take(SHOWN)
        .map(|(_, head)| {
            let created = head.created.as_deref().unwrap_or("unknown time");
            let cwd = head.cwd.as_deref().unwrap_or_default();
            format!("{}  {}  {}", head.thread_id, created, cwd).trim_end().to_owned()
        })
        .collect();
    if hits.len() > SHOWN {
        lines.push(format!("and {} more", hits.len() - SHOWN));
    }
    Failure::new(format!("`{prefix}` begins the ids of {}", words::count(n, "session")))
        .details(lines)
        .hint("type more of the id")
}
