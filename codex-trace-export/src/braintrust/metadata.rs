//! What rows say of themselves beside content.

use codex_rollout::ResponseItem;
use codex_trace_model::{Compaction, Span, Status, Thread};

use crate::content::{ContentRules, Part};
use crate::json::{self, Object};

/// The keys of the session's row that are not the user's to set.
pub(super) const OF_SESSION: &[&str] = &[
    "source",
    "session_source",
    "username",
    "transcript_path",
    "session_id",
    "cwd",
    "cli_version",
    "model",
    "project",
    "thread_name",
    "forked_from_id",
    "git_origin_url",
    "git_branch",
    "git_commit_sha",
];

/// Returns the last part of a path of whichever system.
pub(super) fn last_part(path: &str) -> Option<&str> {
    let is_separator = |c| matches!(c, '/' | '\\');
    let path = path.trim_end_matches(is_separator);
    path.rsplit(is_separator).next().filter(|part| !part.is_empty())
}

/// Writes the state of the repository, as it was recorded.
pub(super) fn git(thread: &Thread<'_>, rules: &ContentRules, o: &mut Object<'_>) {
    let Some(git) = thread.meta.git else { return };
    let url = git.repository_url.and_then(|url| rules.decoded(Part::Place, url));
    o.maybe("git_origin_url", url.map(|url| without_login(&url)));
    o.maybe("git_branch", git.branch.and_then(|branch| rules.decoded(Part::Place, branch)));
    o.maybe("git_commit_sha", git.commit_hash.and_then(|it| rules.decoded(Part::Place, it)));
}

/// Cuts name and password out of an address; `git@host:path` has none.
fn without_login(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// Says how a span ended, if not as it should.
pub(super) fn status(span: &Span<'_>, merge: bool, o: &mut Object<'_>) {
    if span.status != Status::Ok {
        o.put("status", span.status.word());
    } else if merge {
        // It may have been open when it was sent before.
        o.null("status");
    }
}

/// Says what a compaction did. What started it, the live tracer alone knows.
pub(super) fn compaction(compaction: &Compaction<'_>, merge: bool, o: &mut Object<'_>) {
    o.object("compaction", |o| {
        if !merge {
            o.null("trigger");
        }
        o.maybe(
            "replaced_message_count",
            compaction.replacement_history.map(|list| ResponseItem::list(list).len()),
        );
        o.maybe("window_id", compaction.window_id.map(json::Id));
    });
}

/// Says which skills a prompt loads.
pub(super) fn skills(names: &[String], o: &mut Object<'_>) {
    o.list("loaded_skill_names", names);
    if !names.is_empty() {
        o.array("loaded_skills", names, |name, out| json::object(out, |o| o.put("name", name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_path_is_that_of_whichever_system() {
        let cases = [
            ("/home/u/work/x", Some("x")),
            ("/home/u/work/x//", Some("x")),
            (r"C:\Users\u\repo\", Some("repo")),
            ("/", None),
            ("", None),
        ];
        for (path, last) in cases {
            assert_eq!(last_part(path), last, "{path}");
        }
    }

    #[test]
    fn addresses_of_repositories_lose_their_logins() {
        assert_eq!(without_login("https://u:p@h.org/a@b/c.git"), "https://h.org/a@b/c.git");
        assert_eq!(without_login("git@github.com:a/b.git"), "git@github.com:a/b.git");
    }
}
