//! Prints the span trees of a Codex home, one line a span.
use std::path::Path;

use codex_rollout::{RolloutHead, Source, discover};
use codex_trace_model::{RolloutInput, SpanKind, group, resolve};

fn main() {
    for root in std::env::args().skip(1) {
        let path = Path::new(&root);
        let found: Vec<_> = if path.is_file() {
            vec![Ok(codex_rollout::RolloutPath::from_file(path))]
        } else {
            discover(path).collect()
        };
        let heads: Vec<_> = found
            .into_iter()
            .filter_map(Result::ok)
            .filter_map(|it| RolloutHead::read(&it).ok())
            .collect();
        let mut calls = 0;
        let mut usage = codex_trace_model::TokenUsage::default();
        for session in group(&heads) {
            let sources: Vec<_> = session
                .members
                .iter()
                .map(|m| {
                    (
                        Source::open(&heads[m.head].rollout).unwrap(),
                        m.ancestor.map(|a| Source::open(&heads[a].rollout).unwrap()),
                    )
                })
                .collect();
            let paths: Vec<_> = session
                .members
                .iter()
                .map(|m| heads[m.head].rollout.path.display().to_string())
                .collect();
            let inputs: Vec<_> = session
                .members
                .iter()
                .zip(&sources)
                .zip(&paths)
                .map(|((m, (source, ancestor)), path)| RolloutInput {
                    path,
                    thread_id: &heads[m.head].thread_id,
                    source,
                    ancestor: ancestor.as_ref(),
                })
                .collect();
            let trace = resolve(&inputs);
            if let Err(e) = trace.validate() {
                println!("INVALID {e}");
            }
            let mut depth = vec![0; trace.spans.len()];
            for (ix, span) in trace.iter() {
                let d = span.parent.map_or(0, |p| depth[p.index()] + 1);
                depth[ix.index()] = d;
                let extra = match &span.kind {
                    SpanKind::ModelCall(c) => {
                        format!("{:?} out={} win={:?}", c.evidence, c.output.len(), c.window)
                    }
                    SpanKind::ToolCall(c) => format!(
                        "{:?} exit={:?} dur={:?} cmd={:?}",
                        c.family, c.exit_code, c.duration, c.command
                    ),
                    SpanKind::Turn(t) => {
                        format!("{:?} in={} model={:?}", t.fate, t.input.len(), t.model)
                    }
                    _ => String::new(),
                };
                println!(
                    "{:w$}{} [{}] {:?}..{:?} {:?} u={:?} L{}-{} {}{}",
                    "",
                    span.kind.word(),
                    span.name,
                    span.start.map(|t| t.to_string()[14..].to_string()),
                    span.end.map(|t| t.to_string()[14..].to_string()),
                    span.status,
                    span.usage.map(|u| u.total_tokens),
                    span.provenance.first_line,
                    span.provenance.last_line,
                    extra,
                    if span.outlives_parent { " OUTLIVES" } else { "" },
                    w = d * 2
                );
            }
            for thread in &trace.threads {
                println!(
                    "   account {:?} closes={} items={} turns in items {}",
                    thread.account,
                    thread.account.closes(),
                    thread.items.len(),
                    thread.items.iter().filter(|i| i.turn.is_some()).count()
                );
            }
            for d in &trace.diagnostics {
                println!("   ! {} {d}", d.code.word());
            }
            calls += trace.model_calls().count();
            usage += trace.usage();
        }
        println!(
            "TOTAL {root} calls={calls} in={} cached={} out={} reas={}",
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens,
            usage.reasoning_output_tokens
        );
    }
}
