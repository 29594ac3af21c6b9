//! The targets of speed, as ratios in one run.

use std::fmt::Write;
use std::path::Path;

use codex_rollout::Encoding;
use codex_trace_history::history::{self, History};
use codex_trace_history::pipeline;
use converter_cli::config::{Selection, Settings};
use converter_cli::measure::{self, Measured, Stage};
use converter_cli::ui::Ui;
use rayon::ThreadPool;

use crate::facts::{self, Way};
use crate::yardstick;

/// What may take how long, compared with the mapped newlines on as many threads.
const TARGETS: [(Stage, usize, f64); 5] = [
    (Stage::Records, 1, 2.0),
    (Stage::Usage, 2, 1.6),
    (Stage::Resolve, 1, 2.5),
    (Stage::Resolve, 2, 2.5),
    (Stage::Convert, 2, 4.0),
];

/// Finds the history in a Codex home.
///
/// # Panics
///
/// If there is none.
pub fn find(home: &Path, pool: &ThreadPool) -> History {
    let ui = Ui::new(Settings::unresolved());
    history::find(&Selection::of(home), &ui, pool).expect("a Codex home")
}

/// What else is measured for comparison, on one thread.
const OTHERS: [(&str, Way); 5] = [
    ("facts by our reader", facts::ours),
    ("facts by serde_json, typed", facts::typed),
    ("facts by serde_json, `Value`", facts::value),
    ("facts by simd-json, typed", facts::simd_typed),
    ("facts by simd-json, `Value`", facts::simd_value),
];

/// Does something with a history and returns a number that must not change.
type Job = Box<dyn Fn(&History, &ThreadPool) -> u64>;

/// A job, on so many threads.
struct Row {
    name: &'static str,
    threads: usize,
    target: Option<f64>,
    job: Job,
    best: Option<Measured>,
}

impl Row {
    fn new(
        name: &'static str,
        threads: usize,
        job: impl Fn(&History, &ThreadPool) -> u64 + 'static,
    ) -> Row {
        Row { name, threads, target: None, job: Box::new(job), best: None }
    }

    fn of_stage(stage: Stage, threads: usize) -> Row {
        let target = TARGETS.iter().find(|it| (it.0, it.1) == (stage, threads)).map(|it| it.2);
        let row = Row::new(stage.word(), threads, move |history, pool| stage.run(history, pool));
        Row { target, ..row }
    }
}

/// The name of what all times are compared with.
const YARDSTICK: &str = "N: newlines, mapped";

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for threads in [1, 2] {
        rows.push(Row::new(YARDSTICK, threads, |history, pool| {
            measure::files(history, pool, |rollout| Some(yardstick::newlines(&rollout.path)))
        }));
        rows.extend(Stage::ALL.map(|stage| Row::of_stage(stage, threads)));
    }
    rows.extend(OTHERS.map(|(name, way)| {
        Row::new(name, 1, move |history, pool| {
            measure::files(history, pool, |rollout| {
                let facts = way(&yardstick::map(&rollout.path));
                Some(facts.timestamps + facts.names + facts.tokens + facts.outputs)
            })
        })
    }));
    rows
}

/// Measures `home`, each job `repeat` times in turns, and returns a table in
/// Markdown.
///
/// # Panics
///
/// If there is no history in `home`, or some of it is compressed, or a job did
/// not do the same every time.
pub fn table(home: &Path, repeat: usize) -> String {
    let pools = [1, 2].map(|threads| pipeline::pool(threads).expect("threads"));
    let history = find(home, &pools[1]);
    let plain = history.heads.iter().all(|head| head.rollout.encoding == Encoding::Plain);
    assert!(plain, "the yardstick is for files that are not compressed");
    let bytes = measure::bytes(&history, &pools[1]);
    let mut rows = rows();
    for _ in 0..repeat {
        for row in &mut rows {
            let now = measure::measure(|| (row.job)(&history, &pools[row.threads - 1]));
            let best = row.best.get_or_insert(now);
            assert_eq!(best.result, now.result, "{}", row.name);
            best.improve(now);
        }
    }
    let facts: Vec<u64> = rows
        .iter()
        .filter(|row| row.name.starts_with("facts"))
        .filter_map(|row| row.best.map(|best| best.result))
        .collect();
    assert!(facts.windows(2).all(|pair| pair[0] == pair[1]), "the same facts: {facts:?}");
    write(&rows, history.heads.len(), bytes, repeat)
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn write(rows: &[Row], files: usize, bytes: u64, repeat: usize) -> String {
    let cpu =
        |row: &Row| row.best.and_then(|best| best.cpu).map_or(f64::NAN, |cpu| cpu.as_secs_f64());
    let seconds = |row: &Row| row.best.map_or(f64::NAN, |best| best.time.as_secs_f64());
    let mut out = format!(
        "{files} files, {:.0} MB; best of {repeat}, the jobs in turns.\n\n| job | threads | seconds | cpu s | GB/s | × N | × N in cpu s | target |\n|---|---|---|---|---|---|---|---|\n",
        bytes as f64 / 1e6
    );
    for row in rows {
        let yardstick = rows.iter().find(|it| (it.name, it.threads) == (YARDSTICK, row.threads));
        let ratio = seconds(row) / yardstick.map_or(f64::NAN, seconds);
        let target = row.target.map_or(String::new(), |target| {
            let met = if ratio <= target { "met" } else { "**missed**" };
            format!("≤ {target:.1}: {met}")
        });
        let of_cpu = cpu(row) / yardstick.map_or(f64::NAN, cpu);
        let (name, threads, time, cpu) = (row.name, row.threads, seconds(row), cpu(row));
        let throughput = bytes as f64 / 1e9 / time;
        writeln!(
            out,
            "| {name} | {threads} | {time:.3} | {cpu:.3} | {throughput:.2} | {ratio:.2} | {of_cpu:.2} | {target} |"
        )
        .expect("a string takes everything");
    }
    out
}
