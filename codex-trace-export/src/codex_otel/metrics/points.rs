//! The same series as OTLP: cumulative, from the start of the thread.

use super::{Kind, Series, Step, Total};
use crate::otlp::Attributes;
use crate::otlp::metric_proto::{
    CUMULATIVE, Data, Histogram, HistogramDataPoint, Metric as Message, NumberDataPoint, Sum,
};
use crate::otlp::proto::KeyValue;

/// Returns the points of a step, each as a metric of its own.
pub(crate) fn points(step: &Step<'_, '_>) -> Vec<Message> {
    step.changed.iter().map(|(series, total)| point(step, series, *total)).collect()
}

fn point(step: &Step<'_, '_>, (metric, labels): &Series, total: Total) -> Message {
    let (name, kind) = metric.named();
    let at = Point {
        start: step.started_at.min(step.at_ms * 1_000_000),
        at: step.at_ms * 1_000_000,
        attributes: attributes(labels),
    };
    let is_duration = kind == Kind::Duration;
    Message {
        name: name.to_owned(),
        description: if is_duration { "Duration in milliseconds." } else { "" }.to_owned(),
        unit: if is_duration { "ms" } else { "" }.to_owned(),
        data: Some(if kind == Kind::Counter { at.counted(total) } else { at.measured(total) }),
    }
}

fn attributes(labels: &[(&'static str, String)]) -> Vec<KeyValue> {
    let mut all = Attributes::default();
    for (key, value) in labels {
        all.word(*key, value);
    }
    all.0
}

struct Point {
    start: u64,
    at: u64,
    attributes: Vec<KeyValue>,
}

impl Point {
    fn counted(self, total: Total) -> Data {
        Data::Sum(Sum {
            data_points: vec![NumberDataPoint {
                start_time_unix_nano: self.start,
                time_unix_nano: self.at,
                as_int: i64::try_from(total.sum).unwrap_or(i64::MAX),
                attributes: self.attributes,
            }],
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "the protocol has a fraction")]
    fn measured(self, total: Total) -> Data {
        Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                start_time_unix_nano: self.start,
                time_unix_nano: self.at,
                count: total.count,
                sum: Some(total.sum as f64),
                bucket_counts: vec![total.count],
                attributes: self.attributes,
            }],
            aggregation_temporality: CUMULATIVE,
        })
    }
}
