//! Traces beside those of the live telemetry.

use std::collections::{BTreeMap, BTreeSet};

use codex_trace_export::codex_otel::BACKEND;
use codex_trace_export::content::ContentRules;
use codex_trace_export::otlp::ids::Hex;
use codex_trace_export::otlp::proto::{ExportTraceServiceRequest, Span, Value as Any};
use codex_trace_export::{Cx, Notes, Settings, Unit};
use prost::Message as _;

use crate::recorded::recordings;
use crate::support::for_each_trace;

/// Returns the spans that we would send of a directory, with the name of the
/// process.
fn spans(dir: &std::path::Path) -> Vec<(String, Span)> {
    let mut settings = Settings::default();
    let signals = BACKEND.options.iter().find(|it| it.name() == "signals").unwrap();
    settings.options.put_text(signals, "traces").unwrap();
    let exporter = (BACKEND.connect)(&settings).unwrap().remove(0);
    let rules = ContentRules::default();
    let mut all = Vec::new();
    for_each_trace(dir, |trace| {
        let cx = Cx { trace, rules: &rules, notes: &Notes::default() };
        let mut add = |piece: &[u8]| {
            for by_resource in ExportTraceServiceRequest::decode(piece).unwrap().resource_spans {
                let attributes = by_resource.resource.unwrap().attributes;
                let name = attributes.iter().find(|it| it.key == "service.name").unwrap();
                let Some(Any::String(name)) = name.value.clone().unwrap().value else { panic!() };
                let spans = by_resource.scope_spans.into_iter().flat_map(|it| it.spans);
                all.extend(spans.map(|span| (name.clone(), span)));
            }
        };
        exporter
            .encode(&cx, &mut |unit: Unit| {
                for nth in 0..unit.pieces.len() {
                    add(unit.piece(nth));
                }
            })
            .unwrap();
    });
    all
}

/// A turn is in the trace that the live telemetry had for it, and has no second set
/// of tokens there; one without such a trace has tokens.
#[test]
fn turns_join_the_live_traces() {
    let mut n_joined = 0;
    let mut with_tokens = BTreeMap::new();
    for recording in recordings() {
        let spans = spans(&recording.dir);
        let ours: BTreeSet<String> =
            spans.iter().map(|(_, span)| Hex(&span.trace_id).to_string()).collect();
        let live = recording.logs();
        let prompts = live.iter().filter(|it| {
            it.attributes.get("event.name").is_some_and(|it| it == "codex.user_prompt")
        });
        // Rollouts have the id since 0.142.
        let records_it = !recording.name.starts_with("0.110.");
        let asked: Vec<_> = prompts.filter(|it| records_it && !it.trace_id.is_empty()).collect();
        for record in &asked {
            // The thread that makes a title is in no file, and agents are in the trace
            // of the turn that they worked for.
            let mut roots = spans.iter().filter(|(_, span)| span.parent_span_id.is_empty());
            let known = roots.any(|(_, span)| {
                let thread = &record.attributes["conversation.id"];
                span.attributes.iter().any(|it| {
                    it.key == "codex.thread.id"
                        && matches!(&it.value.as_ref().unwrap().value, Some(Any::String(id)) if thread == id)
                })
            });
            if known {
                assert!(ours.contains(&record.trace_id), "{}: {}", recording.name, record.trace_id);
                n_joined += 1;
            }
        }
        let live_ids: BTreeSet<&str> = live.iter().map(|it| it.trace_id.as_str()).collect();
        for (service, span) in &spans {
            assert!(live.iter().any(|it| it.service == *service), "{}: {service}", recording.name);
            let has_tokens = span.attributes.iter().any(|it| it.key.starts_with("gen_ai.usage."));
            let is_live = live_ids.contains(Hex(&span.trace_id).to_string().as_str());
            assert!(!(has_tokens && is_live), "{}: {}", recording.name, span.name);
            *with_tokens.entry(recording.name.clone()).or_insert(0) += usize::from(has_tokens);
        }
    }
    assert!(n_joined > 20, "{n_joined}");
    assert!(with_tokens["0.44.0-shell"] > 0, "it recorded no trace");
}
