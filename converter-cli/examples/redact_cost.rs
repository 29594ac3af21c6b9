//! Measures what redaction costs on a history, against what reading and
//! converting it costs: `cargo run --release --example redact_cost -- PATH…`
//!
//! One thread, output thrown away, bytes of output counted.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use codex_rollout::{Copies, RolloutHead, RolloutPath, Source, discover};
use codex_trace_export::content::Content;
use codex_trace_export::redact::Redactor;
use codex_trace_export::wire::jsonl;
use codex_trace_model::{RolloutInput, group, resolve};

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn main() {
    let redactor = Redactor::default();
    let (mut bytes, mut n_changed) = (0, 0);
    let (mut convert, mut redact) = (Duration::ZERO, Duration::ZERO);
    for root in std::env::args().skip(1) {
        for (head, source) in rollouts(Path::new(&root)) {
            let path = head.rollout.path.display().to_string();
            let input = RolloutInput::new(&path, &head.thread_id, &source);
            let mut out = Vec::new();
            convert += time(|| {
                jsonl::encode(&resolve(&[input]), Content::default(), &mut out, |_| true);
            });
            bytes += out.len();
            let ends = memchr::memchr_iter(b'\n', &out);
            let mut from = 0;
            let lines: Vec<&[u8]> =
                ends.map(|end| &out[std::mem::replace(&mut from, end + 1)..=end]).collect();
            redact += time(|| {
                for line in &lines {
                    let redacted = black_box(redactor.json(line));
                    n_changed += usize::from(matches!(redacted, std::borrow::Cow::Owned(_)));
                }
            });
        }
    }
    let rate = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
    println!("output      {:.1} MB, {n_changed} lines with secrets", bytes as f64 / 1e6);
    println!("convert     {convert:.2?}  {:.2} GB/s", rate(convert));
    println!("redact      {redact:.2?}  {:.2} GB/s", rate(redact));
    println!("ratio       {:.0} %", 100.0 * redact.as_secs_f64() / convert.as_secs_f64());
}

#[expect(clippy::disallowed_methods, reason = "measuring needs a clock")]
fn time(job: impl FnOnce()) -> Duration {
    let start = Instant::now();
    job();
    start.elapsed()
}

fn rollouts(root: &Path) -> Vec<(RolloutHead, Source)> {
    let found: Vec<RolloutPath> = if root.is_file() {
        vec![RolloutPath::from_file(root)]
    } else {
        discover(root).filter_map(Result::ok).collect()
    };
    let heads = found.iter().filter_map(|rollout| RolloutHead::read(rollout).ok());
    // Sessions of one file: linking is not what is measured.
    let heads: Vec<RolloutHead> = heads.collect();
    let alone = group(&heads, &Copies::find(&heads))
        .into_iter()
        .filter(|session| session.members.len() == 1);
    alone
        .filter_map(|session| {
            let head = heads[session.members[0].head].clone();
            Source::open(&head.rollout).ok().map(|source| (head, source))
        })
        .collect()
}
