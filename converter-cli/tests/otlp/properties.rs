//! What holds for every session of every home, in every convention.

use std::collections::{BTreeMap, HashMap, HashSet};

use codex_trace_export::Settings;
use codex_trace_export::content::ContentRules;
use codex_trace_export::otlp::{Options, Semconv, encode_json, encode_proto};
use codex_trace_model::{SpanKind as Kind, TokenUsage, Trace};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::support::{exporter, for_each_trace, units};

fn spans_of(request: ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request.resource_spans.into_iter().flat_map(|it| it.scope_spans);
    scopes.flat_map(|it| it.spans).collect()
}

fn attribute<'s>(span: &'s Span, key: &str) -> Option<&'s Value> {
    let attribute = span.attributes.iter().find(|it| it.key == key)?;
    attribute.value.as_ref()?.value.as_ref()
}

fn text<'s>(span: &'s Span, key: &str) -> &'s str {
    match attribute(span, key) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key} of {}: {other:?}", span.name),
    }
}

fn int(span: &Span, key: &str) -> u64 {
    match attribute(span, key) {
        Some(Value::IntValue(it)) => u64::try_from(*it).unwrap(),
        None => 0,
        other => panic!("{key} of {}: {other:?}", span.name),
    }
}

fn options(semconv: Semconv) -> Options {
    Options { semconv, ..Options::default() }
}

/// Checks spans against the tree they were made of.
fn check(trace: &Trace<'_>, spans: &[Span]) {
    let mut by_key: HashMap<(&str, &str), &Span> = HashMap::new();
    let mut ids = HashSet::new();
    for span in spans {
        let key = (text(span, "codex.thread.id"), text(span, "codex.span.key"));
        assert!(by_key.insert(key, span).is_none(), "{key:?} twice");
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert!(ids.insert((&span.trace_id, &span.span_id)), "an id twice");
        assert!(
            span.start_time_unix_nano > 0 && span.end_time_unix_nano >= span.start_time_unix_nano
        );
        let mut keys = HashSet::new();
        assert!(span.attributes.iter().all(|it| keys.insert(&it.key)), "an attribute twice");
    }
    assert_eq!(spans.len(), trace.spans.len() - 1, "all but the root thread's span");
    for (ix, span) in trace.iter().skip(1) {
        let ours = by_key[&(trace.thread_of(span).id.as_str(), span.key.as_str())];
        assert_eq!(text(ours, "codex.span.kind"), span.kind.word());
        if let Some(start) = span.start {
            assert_eq!(u128::from(ours.start_time_unix_nano), start.as_nanosecond().unsigned_abs());
        }
        if let (Some(_), Some(end)) = (span.start, span.end) {
            assert_eq!(u128::from(ours.end_time_unix_nano), end.as_nanosecond().unsigned_abs());
        }
        let parent = span.parent.unwrap();
        if parent.0 == 0 {
            assert!(ours.parent_span_id.is_empty(), "{ix:?} is a root");
        } else {
            let parent = trace.span(parent);
            let theirs = by_key[&(trace.thread_of(parent).id.as_str(), parent.key.as_str())];
            assert_eq!(ours.parent_span_id, theirs.span_id);
            assert_eq!(ours.trace_id, theirs.trace_id);
        }
    }
}

fn no_encrypted_content(bytes: &[u8]) {
    for needle in ["encrypted_content", "fakeenc", "gAAAAcompacted"] {
        let found = bytes.windows(needle.len()).any(|it| it == needle.as_bytes());
        assert!(!found, "{needle} is in what would be sent");
    }
}

#[test]
fn every_span_is_written_once_where_it_belongs() {
    for semconv in [Semconv::GenAi, Semconv::OpenInference] {
        for_each_trace(|home, trace| {
            let mut bytes = Vec::new();
            encode_proto(
                trace,
                &ContentRules::default(),
                &options(semconv),
                &mut bytes,
                &mut |_| true,
            )
            .unwrap_or_else(|err| panic!("{home}: {err}"));
            no_encrypted_content(&bytes);
            let request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
            check(trace, &spans_of(request));
        });
    }
}

#[test]
fn json_says_what_protobuf_says() {
    for_each_trace(|_, trace| {
        for semconv in [Semconv::GenAi, Semconv::OpenInference] {
            let (mut proto, mut json) = (Vec::new(), Vec::new());
            let rules = ContentRules::default();
            encode_proto(trace, &rules, &options(semconv), &mut proto, &mut |_| true).unwrap();
            encode_json(trace, &rules, &options(semconv), &mut json, &mut |_| true).unwrap();
            let of_proto = ExportTraceServiceRequest::decode(proto.as_slice()).unwrap();
            let lines = json.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let of_json: Vec<_> = lines
                .flat_map(|line| {
                    let request: ExportTraceServiceRequest = serde_json::from_slice(line).unwrap();
                    request.resource_spans
                })
                .collect();
            assert_eq!(of_proto.resource_spans, of_json);
        }
    });
}

#[test]
fn usage_is_that_of_the_tree_and_only_on_model_calls() {
    for_each_trace(|home, trace| {
        let mut bytes = Vec::new();
        let rules = ContentRules::default();
        encode_proto(trace, &rules, &options(Semconv::GenAi), &mut bytes, &mut |_| true).unwrap();
        let spans = spans_of(ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap());
        let mut sum = TokenUsage::default();
        for span in &spans {
            let usage = TokenUsage {
                input_tokens: int(span, "gen_ai.usage.input_tokens"),
                cached_input_tokens: int(span, "gen_ai.usage.cache_read.input_tokens"),
                cache_write_input_tokens: attribute(span, "gen_ai.usage.cache_write.input_tokens")
                    .map(|_| int(span, "gen_ai.usage.cache_write.input_tokens")),
                output_tokens: int(span, "gen_ai.usage.output_tokens"),
                reasoning_output_tokens: int(span, "gen_ai.usage.reasoning.output_tokens"),
                total_tokens: int(span, "gen_ai.usage.input_tokens")
                    + int(span, "gen_ai.usage.output_tokens"),
            };
            let is_call = text(span, "codex.span.kind") == "model_call";
            assert!(is_call || usage.is_empty(), "{home}: usage of {}", span.name);
            sum += usage;
        }
        assert_eq!(sum, trace.usage(), "{home}");
    });
}

/// The same bytes make the same units, and the ledger can tell units apart.
#[test]
fn units_are_deterministic_and_have_keys_of_their_own() {
    let settings =
        Settings { endpoint: Some("http://127.0.0.1:1".to_owned()), ..Settings::default() };
    for backend in ["otlp", "mlflow"] {
        let exporter = exporter(backend, &settings);
        for_each_trace(|_, trace| {
            let first = units(exporter.as_ref(), trace);
            assert!(first == units(exporter.as_ref(), trace));
            let keys: HashSet<_> = first.iter().map(|unit| (&unit.key, unit.route)).collect();
            assert_eq!(keys.len(), first.len());
            let n = first.iter().map(|unit| unit.spans() as usize).sum::<usize>();
            assert_eq!(n, trace.spans.len() - 1, "every span is counted");
        });
    }
}

#[test]
fn mlflow_gets_every_span_and_the_usage_of_each_turn() {
    let settings = Settings {
        endpoint: Some("http://127.0.0.1:1".to_owned()),
        project: Some("7".to_owned()),
        ..Settings::default()
    };
    let exporter = exporter("mlflow", &settings);
    for_each_trace(|home, trace| {
        let units = units(exporter.as_ref(), trace);
        let mut spans = Vec::new();
        let mut total: BTreeMap<String, u64> = BTreeMap::new();
        for unit in &units {
            no_encrypted_content(&unit.body);
            if unit.route == 0 {
                let request = ExportTraceServiceRequest::decode(unit.body.as_slice()).unwrap();
                spans.extend(spans_of(request));
                continue;
            }
            let call: serde_json::Value = serde_json::from_slice(&unit.body).unwrap();
            let info = &call["trace"]["trace_info"];
            let usage = &info["trace_metadata"]["mlflow.trace.tokenUsage"];
            let usage: BTreeMap<String, u64> =
                usage.as_str().map(|it| serde_json::from_str(it).unwrap()).unwrap_or_default();
            for (key, n) in usage {
                *total.entry(key).or_default() += n;
            }
        }
        check(trace, &spans);
        let has_usage = trace.model_calls().any(|call| call.usage.is_some());
        let of_tree = trace.usage().total_tokens;
        assert_eq!(total.get("total_tokens").copied(), has_usage.then_some(of_tree), "{home}");
        let turns = trace.children(codex_trace_model::SpanIx(0));
        let turns = turns.filter(|(_, span)| matches!(span.kind, Kind::Turn(_))).count();
        assert!(units.iter().filter(|unit| unit.route == 1).count() >= turns);
    });
}

/// Where the origin of a fork is there, too, the link leads to it.
#[test]
fn links_lead_to_spans() {
    let mut there = std::collections::BTreeSet::new();
    let mut threads = std::collections::BTreeSet::new();
    let mut links = Vec::new();
    for_each_trace(|home, trace| {
        let mut bytes = Vec::new();
        encode_proto(
            trace,
            &ContentRules::default(),
            &options(Semconv::GenAi),
            &mut bytes,
            &mut |_| true,
        )
        .ok();
        for span in spans_of(ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap()) {
            threads.insert(text(&span, "codex.thread.id").to_owned());
            for link in &span.links {
                let said = Span { attributes: link.attributes.clone(), ..Span::default() };
                let thread = text(&said, "codex.thread.id").to_owned();
                let turn = attribute(&said, "codex.turn.id").is_some();
                links.push((home.to_owned(), thread, turn, link.clone()));
            }
            there.insert((span.trace_id, span.span_id));
        }
    });
    let known = links.iter().filter(|(_, thread, turn, _)| *turn && threads.contains(thread));
    let mut n = 0;
    for (home, thread, _, link) in known {
        let place = (link.trace_id.clone(), link.span_id.clone());
        assert!(there.contains(&place), "{home}: the link to {thread} leads nowhere");
        n += 1;
    }
    assert!(n > 1, "there are forks in the homes");
}
