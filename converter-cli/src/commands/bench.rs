//! `codex-trace bench`

use std::io::Write;
use std::sync::atomic::Ordering;

use crate::args::BenchArgs;
use crate::config::Selection;
use crate::exit::ExitStatus;
use crate::measure::{self, Measured, Stage};
use crate::table::{self, Cell, Column};
use crate::ui::{Tone, Ui};
use crate::{interrupt, text};
use codex_trace_export::json::{self, Object};
use codex_trace_history::failure::Failure;
use codex_trace_history::{history, pipeline};

/// The best of several runs of a stage.
struct Best {
    stage: Stage,
    threads: usize,
    measured: Measured,
    /// How long it took, compared with the newlines on as many threads.
    ratio: f64,
}

/// What was measured over.
struct Over {
    files: usize,
    sessions: usize,
    bytes: u64,
}

/// Measures the stages over a history.
///
/// # Errors
///
/// If nothing can be read, or stdout cannot be written to.
pub fn run(args: &BenchArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let counts = thread_counts(args, ui)?;
    let selection = Selection { paths: args.paths.clone(), ..Selection::default() };
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(&selection, ui, &pool)?;
    let interrupted = interrupt::flag(ui);
    let over = Over {
        files: history.sessions.iter().map(|session| session.members.len()).sum(),
        sessions: history.sessions.len(),
        // Also brings what fits into the system's cache.
        bytes: measure::bytes(&history, &pool),
    };
    drop(pool);

    let mut all: Vec<Best> = Vec::new();
    ui.start("measuring", counts.len() * args.repeat * Stage::ALL.len());
    for threads in counts {
        let pool = pipeline::pool(threads)?;
        let mut best: [Option<Measured>; Stage::ALL.len()] = [None; Stage::ALL.len()];
        // In turns, so that what else goes on hits all of them.
        for _ in 0..args.repeat {
            for (stage, best) in Stage::ALL.into_iter().zip(&mut best) {
                if interrupted.load(Ordering::Relaxed) {
                    return Ok(ExitStatus::Interrupted);
                }
                let now = measure::measure(|| stage.run(&history, &pool));
                let before = best.get_or_insert(now);
                if before.result != now.result {
                    return Err(Failure::new(format!(
                        "`{}` came to {} and then to {}",
                        stage.word(),
                        before.result,
                        now.result
                    ))
                    .hint("the history changed meanwhile: measure a copy of it")
                    .into());
                }
                before.improve(now);
                ui.step();
            }
        }
        let yardstick = best[0].map_or(0.0, |best| best.time.as_secs_f64());
        all.extend(Stage::ALL.into_iter().zip(best).filter_map(|(stage, best)| {
            let best = best?;
            Some(Best {
                stage,
                threads,
                measured: best,
                ratio: best.time.as_secs_f64() / yardstick,
            })
        }));
    }
    ui.stop();
    let mut out = ui.out();
    if args.json {
        let mut line = Vec::new();
        write_json(&over, args.repeat, &all, &mut line);
        out.write_all(&line)?;
    } else {
        let lines =
            all.iter().find(|it| it.stage == Stage::Newlines).map_or(0, |it| it.measured.result);
        writeln!(
            out,
            "{} in {}, {:.1} MB, {lines} lines; best of {}",
            text::count(over.files, "file"),
            text::count(over.sessions, "session"),
            megabytes(over.bytes),
            args.repeat
        )?;
        let cells: Vec<_> = all.iter().map(|it| cells(it, over.bytes)).collect();
        let settings = ui.settings();
        out.write_all(
            table::lay_out(&COLUMNS, &cells, settings.width, settings.color_out).as_bytes(),
        )?;
    }
    out.flush()?;
    Ok(ExitStatus::Complete)
}

/// Returns the numbers of threads to measure with.
fn thread_counts(args: &BenchArgs, ui: &Ui) -> Result<Vec<usize>, Failure> {
    if args.repeat == 0 {
        return Err(Failure::new("`--repeat` needs at least one run"));
    }
    let mut counts = args.threads.clone();
    if counts.is_empty() {
        counts.extend([1, ui.settings().jobs]);
    }
    if counts.contains(&0) {
        return Err(Failure::new("`--threads` needs at least one thread"));
    }
    counts.sort_unstable();
    counts.dedup();
    Ok(counts)
}

const COLUMNS: [Column<'_>; 7] = [
    Column::new("STAGE"),
    Column::new("THREADS").right(),
    Column::new("SECONDS").right(),
    Column::new("CPU").right(),
    Column::new("GB/S").right(),
    Column::new("× NEWLINES").right(),
    Column::new("PEAK MEMORY").right(),
];

fn cells(it: &Best, bytes: u64) -> Vec<Cell> {
    let memory = it.measured.peak_memory.map(|bytes| format!("{:.1} MB", megabytes(bytes)));
    let texts = [
        it.stage.word().to_owned(),
        it.threads.to_string(),
        format!("{:.3}", it.measured.time.as_secs_f64()),
        it.measured.cpu.map(|cpu| format!("{:.3}", cpu.as_secs_f64())).unwrap_or_default(),
        format!("{:.2}", gb_per_s(bytes, it)),
        format!("{:.2}", it.ratio),
        memory.unwrap_or_default(),
    ];
    texts.into_iter().map(|text| Cell::new(&text, Tone::Plain)).collect()
}

fn write_json(over: &Over, repeat: usize, all: &[Best], out: &mut Vec<u8>) {
    let number = |o: &mut Object<'_>, key: &str, number: f64| {
        write!(o.value(key), "{number:.6}").expect("a vector takes everything");
    };
    json::object(out, |o| {
        o.put("files", over.files);
        o.put("sessions", over.sessions);
        o.put("bytes", over.bytes);
        o.put("repeat", repeat);
        o.array("stages", all, |it, out| {
            json::object(out, |o| {
                o.put("stage", it.stage.word());
                o.put("threads", it.threads);
                number(o, "seconds", it.measured.time.as_secs_f64());
                if let Some(cpu) = it.measured.cpu {
                    number(o, "cpu_seconds", cpu.as_secs_f64());
                }
                number(o, "gb_per_s", gb_per_s(over.bytes, it));
                number(o, "ratio", it.ratio);
                o.maybe("peak_memory_bytes", it.measured.peak_memory);
                o.put("result", it.measured.result);
            });
        });
    });
    out.push(b'\n');
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn gb_per_s(bytes: u64, it: &Best) -> f64 {
    bytes as f64 / 1e9 / it.measured.time.as_secs_f64().max(1e-9)
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
