//! Reading records, against the yardsticks and against the usual ways; each
//! way must have extracted the same facts.

use std::hint::black_box;

use codex_trace_benches::facts::{self, Way};
use codex_trace_benches::history::History;
use codex_trace_benches::yardstick;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn reading(c: &mut Criterion) {
    let history = History::make(100);
    let files: Vec<Vec<u8>> =
        history.rollouts.iter().map(|it| std::fs::read(&it.path).expect("just made")).collect();
    let all = |one: Way| files.iter().map(|file| one(file)).collect::<Vec<_>>();
    let expected = all(facts::value);
    assert!(expected.iter().all(|facts| facts.records > 0));

    let mut group = c.benchmark_group("reading");
    group.throughput(Throughput::Bytes(history.bytes)).sample_size(20);
    group.bench_function("yardstick: newlines, mapped", |b| {
        b.iter(|| history.rollouts.iter().map(|it| yardstick::newlines(&it.path)).sum::<u64>());
    });
    group.bench_function("yardstick: UTF-8", |b| {
        b.iter(|| {
            let checked: u64 = files.iter().map(|file| yardstick::utf8(black_box(file))).sum();
            assert_eq!(checked, history.bytes);
        });
    });
    let ways: [(&str, Way); 5] = [
        ("ours", facts::ours),
        ("serde_json, typed", facts::typed),
        ("serde_json, Value", facts::value),
        ("simd-json, typed", facts::simd_typed),
        ("simd-json, Value", facts::simd_value),
    ];
    for (name, way) in ways {
        group.bench_function(name, |b| b.iter(|| assert_eq!(all(way), expected, "{name}")));
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
