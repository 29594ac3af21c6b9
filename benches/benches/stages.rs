//! The stages of a run, on one thread: what `codex-trace bench` measures on a
//! user's own history.

use codex_trace_benches::history::History;
use codex_trace_benches::targets;
use codex_trace_history::pipeline;
use converter_cli::measure::Stage;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn stages(c: &mut Criterion) {
    let made = History::make(100);
    let pool = pipeline::pool(1).expect("a thread");
    let history = targets::find(made.home(), &pool);
    assert_eq!(Stage::Usage.run(&history, &pool), made.tokens);
    let mut group = c.benchmark_group("stages");
    group.throughput(Throughput::Bytes(made.bytes)).sample_size(20);
    for stage in Stage::ALL {
        let expected = stage.run(&history, &pool);
        group.bench_function(stage.word(), |b| {
            b.iter(|| assert_eq!(stage.run(&history, &pool), expected));
        });
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
