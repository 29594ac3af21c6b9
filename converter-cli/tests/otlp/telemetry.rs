//! Codex' own telemetry in both encodings of OTLP, read by the project's own types;
//! metrics against the text for Prometheus.

use std::collections::BTreeMap;

use codex_trace_export::codex_otel::{BACKEND, openmetrics};
use codex_trace_export::content::ContentRules;
use codex_trace_export::{Exporter, Settings};
use codex_trace_model::Trace;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Logs;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Traces;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message;
use serde::de::DeserializeOwned;

use crate::support::{exporter, for_each_trace_in, homes, recordings, units};

/// Makes the exporter of a signal.
pub(crate) fn connect(signal: &str, protocol: &str) -> Box<dyn Exporter> {
    let mut settings = Settings::default();
    let spec = BACKEND.options.iter().find(|it| it.name() == "signals").unwrap();
    settings.options.put_text(spec, signal).unwrap();
    settings.env.0.insert("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), protocol.to_owned());
    exporter("codex-otel", &settings)
}

/// Returns what would be sent of a session, piece by piece, each as a whole request.
pub(crate) fn bodies(exporter: &dyn Exporter, trace: &Trace<'_>) -> Vec<Vec<u8>> {
    let framing = &exporter.contract().routes[0].framing;
    let units = units(exporter, trace);
    let pieces = units.iter().flat_map(|unit| (0..unit.pieces.len()).map(|nth| unit.piece(nth)));
    pieces.map(|piece| [&*framing.open, piece, &*framing.close].concat()).collect()
}

fn for_each_session(mut check: impl FnMut(&Trace<'_>)) {
    for dir in recordings().iter().chain(&homes()) {
        for_each_trace_in(dir, &mut check);
    }
}

fn compare<T: Message + Default + PartialEq + DeserializeOwned>(signal: &str) -> usize {
    let proto = connect(signal, "http/protobuf");
    let json = connect(signal, "http/json");
    let grpc = connect(signal, "grpc");
    let mut n = 0;
    for_each_session(|trace| {
        let ours = bodies(&*proto, trace);
        assert_eq!(ours, bodies(&*grpc, trace), "the messages are the same over gRPC");
        let as_json = bodies(&*json, trace);
        assert_eq!(ours.len(), as_json.len());
        for (proto, json) in ours.iter().zip(&as_json) {
            let message = T::decode(proto.as_slice()).unwrap();
            assert!(message.encode_to_vec() == *proto, "no field is another one");
            let json: T = serde_json::from_slice(json).unwrap();
            assert!(message == json, "{signal}");
            n += 1;
        }
    });
    n
}

#[test]
fn both_encodings_say_the_same() {
    assert!(compare::<Logs>("logs") > 100);
    assert!(compare::<Metrics>("metrics") > 100);
    assert!(compare::<Traces>("traces") > 100);
}

type Labels = BTreeMap<String, String>;
/// The samples of each series: milliseconds since 1970, and the value.
type Series = BTreeMap<(String, Labels), Vec<(u64, u64)>>;

fn spelled(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn labels(attributes: &[KeyValue]) -> impl Iterator<Item = (String, String)> + '_ {
    attributes.iter().filter_map(|it| match it.value.clone()?.value? {
        Any::StringValue(text) if !text.is_empty() => Some((spelled(&it.key), text)),
        _ => None,
    })
}

/// Takes metrics as Prometheus does what comes by OTLP.
fn receive(request: Metrics, series: &mut Series) {
    for by_resource in request.resource_metrics {
        let mut process: Labels = labels(&by_resource.resource.unwrap().attributes).collect();
        for (label, of) in [("job", "service_name"), ("instance", "service_instance_id")] {
            process.insert(label.to_owned(), process[of].clone());
        }
        for metric in by_resource.scope_metrics.into_iter().flat_map(|it| it.metrics) {
            let unit = if metric.unit == "ms" { "_milliseconds" } else { "" };
            let name = spelled(&metric.name) + unit;
            let mut put = |suffix: &str, attributes: &[KeyValue], times: (u64, u64), value| {
                assert!(times.0 <= times.1 && times.1.is_multiple_of(1_000_000), "{times:?}");
                let mut all = process.clone();
                all.extend(labels(attributes));
                let samples = series.entry((format!("{name}{suffix}"), all)).or_default();
                samples.push((times.1 / 1_000_000, value));
            };
            match metric.data.unwrap() {
                Data::Sum(sum) => {
                    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
                    for point in sum.data_points {
                        let Some(Number::AsInt(value)) = point.value else { panic!("a number") };
                        let times = (point.start_time_unix_nano, point.time_unix_nano);
                        put("_total", &point.attributes, times, u64::try_from(value).unwrap());
                    }
                }
                Data::Histogram(histogram) => {
                    assert_eq!(histogram.aggregation_temporality, 2);
                    for point in histogram.data_points {
                        let times = (point.start_time_unix_nano, point.time_unix_nano);
                        // vmagent takes it only with one bucket more than bounds.
                        assert_eq!(point.bucket_counts, [point.count]);
                        assert!(point.explicit_bounds.is_empty());
                        let sum = point.sum.unwrap();
                        assert!(sum.fract() == 0.0 && sum >= 0.0);
                        let sum: u64 = format!("{sum}").parse().unwrap();
                        put("_sum", &point.attributes, times, sum);
                        put("_count", &point.attributes, times, point.count);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Reads a line of the text.
fn read(line: &str, series: &mut Series) {
    let (name, rest) = line.split_once('{').unwrap();
    let (text, rest) = rest.rsplit_once("} ").unwrap();
    let (value, at) = rest.split_once(' ').unwrap();
    let mut all = Labels::new();
    for pair in text.trim_end_matches('"').split("\",") {
        let (key, value) = pair.split_once("=\"").unwrap();
        all.insert(key.to_owned(), value.to_owned());
    }
    let (seconds, millis) = at.split_once('.').unwrap();
    let at = seconds.parse::<u64>().unwrap() * 1000 + millis.parse::<u64>().unwrap();
    series.entry((name.to_owned(), all)).or_default().push((at, value.parse().unwrap()));
}

#[test]
fn metrics_are_those_of_the_text() {
    let exporter = connect("metrics", "http/protobuf");
    let rules = ContentRules::default();
    let (mut by_otlp, mut by_text) = (Series::new(), Series::new());
    for_each_session(|trace| {
        for body in bodies(&*exporter, trace) {
            receive(Metrics::decode(body.as_slice()).unwrap(), &mut by_otlp);
        }
        let mut text = Vec::new();
        openmetrics::write(trace, &rules, &mut text);
        String::from_utf8(text).unwrap().lines().for_each(|line| read(line, &mut by_text));
    });
    assert!(by_otlp.len() > 1_000, "{}", by_otlp.len());
    assert!(by_otlp == by_text, "series of one are not those of the other");
}
