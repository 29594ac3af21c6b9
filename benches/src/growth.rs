//! What a history costs as it grows: by sessions, turns, calls, threads and
//! bytes, and on more processors.

use std::fmt::Write;
use std::path::Path;

use codex_trace_history::pipeline;
use converter_cli::measure::{self, Measured, Stage};

#[expect(dead_code, clippy::unwrap_used, reason = "the model's tests, which need more of it")]
#[path = "../../codex-trace-model/tests/linear/rollout.rs"]
mod rollout;

use rollout::{Rollout, id};

/// The factors by which each history grows.
const FACTORS: [usize; 4] = [1, 2, 4, 8];

/// How often each is measured.
const REPEAT: usize = 5;

/// The jobs that are measured.
const STAGES: [Stage; 3] = [Stage::Usage, Stage::Resolve, Stage::Convert];

/// A way to grow: its name, and what to write for a factor.
struct Way {
    name: &'static str,
    make: fn(usize) -> Vec<Rollout>,
}

const WAYS: [Way; 5] = [
    Way { name: "sessions: 200 of 20 calls", make: |n| sessions(200 * n) },
    Way { name: "turns of one session: 1000 of 4 calls", make: |n| vec![one(1000 * n, 4)] },
    Way { name: "calls of one turn: 4000", make: |n| vec![one(1, 4000 * n)] },
    Way {
        name: "threads of one session: 200 of 20 calls",
        make: |n| Rollout::with_subagents(200 * n, 20),
    },
    Way { name: "bytes: 200 outputs of 8 kB", make: |n| vec![outputs(1000 * n)] },
];

fn sessions(n: usize) -> Vec<Rollout> {
    let session = |nth| {
        let mut rollout = Rollout::new(nth);
        (0..5).for_each(|turn| rollout.turn(turn, 4));
        rollout
    };
    (0..n).map(session).collect()
}

fn one(turns: usize, calls: usize) -> Rollout {
    let mut rollout = Rollout::new(0);
    (0..turns).for_each(|turn| rollout.turn(turn, calls));
    rollout
}

fn outputs(len: usize) -> Rollout {
    let mut rollout = Rollout::new(0);
    rollout.started(0);
    for nth in 0..200 {
        rollout.call(&id(nth), nth);
        rollout.long_output(&id(nth), len);
    }
    rollout.complete(0);
    rollout
}

fn write(home: &Path, rollouts: &[Rollout]) {
    let dir = home.join("sessions/2026/01/01");
    std::fs::create_dir_all(&dir).expect("a directory");
    for rollout in rollouts {
        let name = format!("rollout-2026-01-01T00-00-00-{}.jsonl", rollout.thread);
        std::fs::write(dir.join(name), &rollout.text).expect("a file");
    }
}

/// Measures every way to grow and returns a table in Markdown: processor time
/// for each unit, compared with the smallest history. A straight line is 1.00
/// throughout.
///
/// # Panics
///
/// If histories cannot be written, or a job did not do the same every time.
pub fn table() -> String {
    let mut out = String::from("| grows by | job | ms |");
    for factor in FACTORS {
        write!(out, " × {factor} |").expect("a string takes everything");
    }
    out += "\n|---|---|---|---|---|---|---|\n";
    for way in &WAYS {
        let homes = FACTORS.map(|factor| {
            let home = tempfile::tempdir().expect("a temporary directory");
            write(home.path(), &(way.make)(factor));
            home
        });
        for stage in STAGES {
            let seconds = homes.each_ref().map(|home| cpu(least(home.path(), stage, 1)));
            row(&mut out, way.name, stage, seconds);
        }
    }
    out += "\n| 1600 sessions | seconds on 1 thread | on 2 | processor time on 2, compared |\n";
    out += "|---|---|---|---|\n";
    let home = tempfile::tempdir().expect("a temporary directory");
    write(home.path(), &sessions(1600));
    for stage in STAGES {
        let [one, two] = [1, 2].map(|threads| least(home.path(), stage, threads));
        let [first, second] = [one, two].map(|it| it.time.as_secs_f64());
        let (word, ratio) = (stage.word(), cpu(two) / cpu(one));
        writeln!(out, "| {word} | {first:.3} | {second:.3} | {ratio:.2} |")
            .expect("a string takes everything");
    }
    out
}

/// Returns the least of several runs of a job.
fn least(home: &Path, stage: Stage, threads: usize) -> Measured {
    let pool = pipeline::pool(threads).expect("threads");
    let history = crate::targets::find(home, &pool);
    let mut best = measure::measure(|| stage.run(&history, &pool));
    for _ in 1..REPEAT {
        let now = measure::measure(|| stage.run(&history, &pool));
        assert_eq!(now.result, best.result, "{}", stage.word());
        best.improve(now);
    }
    best
}

fn cpu(measured: Measured) -> f64 {
    measured.cpu.unwrap_or(measured.time).as_secs_f64()
}

fn row(out: &mut String, name: &str, stage: Stage, seconds: [f64; FACTORS.len()]) {
    write!(out, "| {name} | {} | {:.2} |", stage.word(), seconds[0] * 1e3)
        .expect("a string takes everything");
    for (seconds_now, factor) in seconds.iter().zip(FACTORS) {
        #[expect(clippy::cast_precision_loss, reason = "a small factor")]
        let ratio = seconds_now / seconds[0] / factor as f64;
        write!(out, " {ratio:.2} |").expect("a string takes everything");
    }
    out.push('\n');
}
