//! What the exporter does not send, and where it hangs.

use std::collections::BTreeMap;

use codex_trace_export::content::Capture;
use codex_trace_model::{SpanIx, SpanKind as Kind, Status};
use serde_json::json;

use super::spans::{by_id, written};
use crate::support::for_each_trace;

/// Every span of every tree is there once, in the session's one trace, below
/// what it belongs to; failures are failures.
#[test]
fn every_span_of_every_home_is_there() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for_each_trace(|home, trace| {
        let all = written(trace, Capture::Full).spans;
        let spans = by_id(&all);
        assert_eq!(all.len(), trace.spans.len() - 1, "{home}: all but the session itself");
        let mut by_key = BTreeMap::new();
        for span in &all {
            assert_eq!(span.trace, all[0].trace, "{home}: a session is a trace");
            let key = (span.get("codex.thread.id"), span.get("codex.span.key"));
            assert!(by_key.insert(format!("{key:?}"), span).is_none(), "{home}: {key:?} twice");
        }
        for (ix, tree) in trace.iter().skip(1) {
            let of = |ix: SpanIx| {
                let tree = trace.span(ix);
                let key = (json!(trace.thread_of(tree).id), json!(tree.key));
                by_key[&format!("{key:?}")]
            };
            let span = of(ix);
            let parent = tree.parent.filter(|parent| *parent != SpanIx(0));
            let above = span.parent.as_deref().map(|id| spans[id]);
            match &tree.kind {
                Kind::ToolCall(_) => {
                    *seen.entry("tools").or_default() += 1;
                    assert_eq!(above.unwrap().name, "codex turn", "{home} {}", tree.key);
                }
                _ => assert_eq!(above.map(|it| &it.id), parent.map(|it| &of(it).id), "{home}"),
            }
            let code = span.status["code"].as_u64();
            match &tree.status {
                Status::Error { .. } => {
                    *seen.entry("errors").or_default() += 1;
                    assert_eq!((code, span.get("logfire.level_num")), (Some(2), json!("17")));
                }
                Status::Interrupted { .. } => {
                    *seen.entry("interrupted").or_default() += 1;
                    assert_eq!((code, span.get("logfire.level_num")), (Some(2), json!("13")));
                }
                Status::Ok => assert_eq!(code, Some(1), "{home} {}", tree.key),
                _ => assert_ne!(code, Some(2), "{home} {}", tree.key),
            }
            if let Kind::Compaction(_) = tree.kind {
                *seen.entry("compactions").or_default() += 1;
                assert_eq!(span.name, "codex compaction");
            }
        }
    });
    for what in ["tools", "errors", "interrupted", "compactions"] {
        assert!(seen.get(what).is_some_and(|n| *n > 0), "{what}: {seen:?}");
    }
}
