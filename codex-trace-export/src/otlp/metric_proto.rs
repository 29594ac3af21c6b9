//! The messages of opentelemetry-proto (metrics v1) that we write, declared by
//! hand as those of traces are.

use prost::{Message, Oneof};

use super::proto::{InstrumentationScope, KeyValue, Resource};

/// `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`: two of
/// them one after the other are one.
#[derive(Clone, PartialEq, Message)]
pub struct ExportMetricsServiceRequest {
    /// Metrics by resource.
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

/// Metrics of one resource.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceMetrics {
    /// What produced them.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Metrics by scope.
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

/// Metrics of one scope.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeMetrics {
    /// What wrote them.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// The metrics.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

/// A metric.
#[derive(Clone, PartialEq, Message)]
pub struct Metric {
    /// What to call it.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it is, for people.
    #[prost(string, tag = "2")]
    pub description: String,
    /// What it is measured in.
    #[prost(string, tag = "3")]
    pub unit: String,
    /// Its points.
    #[prost(oneof = "Data", tags = "7, 9")]
    pub data: Option<Data>,
}

/// The points of a metric, by its kind.
#[derive(Clone, PartialEq, Oneof)]
pub enum Data {
    /// Something counted.
    #[prost(message, tag = "7")]
    Sum(Sum),
    /// Something measured each time.
    #[prost(message, tag = "9")]
    Histogram(Histogram),
}

/// What points refer to: 2 is cumulative, from the start of the series.
pub const CUMULATIVE: i32 = 2;

/// Something counted.
#[derive(Clone, PartialEq, Message)]
pub struct Sum {
    /// The points.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
    /// Whether it only grows.
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

/// Something measured each time.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// The points.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<HistogramDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

/// How much was counted up to a time.
#[derive(Clone, PartialEq, Message)]
pub struct NumberDataPoint {
    /// When the series began: nanoseconds since 1970.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// How much.
    #[prost(sfixed64, tag = "6")]
    pub as_int: i64,
    /// Which series.
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
}

/// What was measured up to a time, in one bucket for all: neither the sums nor the
/// counts that people ask for need more, but vmagent drops what has none.
#[derive(Clone, PartialEq, Message)]
pub struct HistogramDataPoint {
    /// When the series began: nanoseconds since 1970.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// How often.
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    /// The sum of what was measured.
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// How often by bucket; between two of them is a bound, so that one needs none.
    #[prost(fixed64, repeated, tag = "6")]
    pub bucket_counts: Vec<u64>,
    /// Which series.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
}
