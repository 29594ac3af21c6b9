//! OTLP/JSON of metrics.

use super::json::{attributes, put, resource, scope, text};
use super::metric_proto::{Data, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics};
use crate::json::list;

/// Appends metrics of one resource as an object.
pub(crate) fn resource_metrics(out: &mut Vec<u8>, metrics: &ResourceMetrics) {
    resource(out, metrics.resource.as_ref());
    out.extend_from_slice(b",\"scopeMetrics\":");
    list(out, &metrics.scope_metrics, |out, scope_metrics| {
        scope(out, scope_metrics.scope.as_ref());
        out.extend_from_slice(b",\"metrics\":");
        list(out, &scope_metrics.metrics, metric);
        out.push(b'}');
    });
    out.push(b'}');
}

fn metric(out: &mut Vec<u8>, metric: &Metric) {
    out.extend_from_slice(b"{\"name\":");
    text(out, &metric.name);
    out.extend_from_slice(b",\"description\":");
    text(out, &metric.description);
    out.extend_from_slice(b",\"unit\":");
    text(out, &metric.unit);
    match &metric.data {
        Some(Data::Sum(sum)) => {
            out.extend_from_slice(b",\"sum\":{\"dataPoints\":");
            list(out, &sum.data_points, number);
            let how = sum.aggregation_temporality;
            put(out, format_args!(",\"aggregationTemporality\":{how}"));
            put(out, format_args!(",\"isMonotonic\":{}}}", sum.is_monotonic));
        }
        Some(Data::Histogram(histogram)) => {
            out.extend_from_slice(b",\"histogram\":{\"dataPoints\":");
            list(out, &histogram.data_points, measured);
            let how = histogram.aggregation_temporality;
            put(out, format_args!(",\"aggregationTemporality\":{how}}}"));
        }
        None => {}
    }
    out.push(b'}');
}

fn number(out: &mut Vec<u8>, point: &NumberDataPoint) {
    times(out, point.start_time_unix_nano, point.time_unix_nano);
    put(out, format_args!(",\"asInt\":\"{}\",", point.as_int));
    attributes(out, &point.attributes);
    out.push(b'}');
}

fn measured(out: &mut Vec<u8>, point: &HistogramDataPoint) {
    times(out, point.start_time_unix_nano, point.time_unix_nano);
    put(out, format_args!(",\"count\":\"{}\"", point.count));
    if let Some(sum) = point.sum {
        put(out, format_args!(",\"sum\":{sum}"));
    }
    out.extend_from_slice(b",\"bucketCounts\":");
    list(out, &point.bucket_counts, |out, count| put(out, format_args!("\"{count}\"")));
    out.push(b',');
    attributes(out, &point.attributes);
    out.push(b'}');
}

fn times(out: &mut Vec<u8>, start: u64, at: u64) {
    put(out, format_args!("{{\"startTimeUnixNano\":\"{start}\",\"timeUnixNano\":\"{at}\""));
}
