//! Work grows with the size of a history, not with its square: what is
//! allocated for twice as much, and for twice as much again. A test binary of
//! its own, because it counts what the allocator is asked for.

#![expect(clippy::disallowed_methods, reason = "tests make and read files")]
#![expect(clippy::unwrap_used, reason = "a test may stop")]

mod rollout;
mod wrong;

use codex_rollout::{Copies, RolloutHead, RolloutPath, Source};
use codex_trace_model::{RolloutInput, Trace, group, resolve};

use rollout::{Rollout, id};

/// The most by which work may grow when a history doubles.
const GROWTH: f64 = 2.2;

/// The sizes that are compared.
const SIZES: [usize; 3] = [200, 400, 800];

/// A file: its thread, its text, and the text of its ancestor.
struct File {
    thread: String,
    text: String,
    ancestor: Option<String>,
}

impl File {
    fn of(rollout: Rollout) -> File {
        File { thread: rollout.thread, text: rollout.text, ancestor: None }
    }
}

/// Resolves a session and calls `check` with its trace; returns how often and
/// how much was allocated for that.
fn work_of(files: &[File], check: impl FnOnce(&Trace<'_>)) -> [u64; 2] {
    let source = |text: &String| Source::from_bytes(text.clone().into_bytes());
    let sources: Vec<_> =
        files.iter().map(|file| (source(&file.text), file.ancestor.as_ref().map(source))).collect();
    let inputs: Vec<RolloutInput<'_>> = files
        .iter()
        .zip(&sources)
        .map(|(file, (source, ancestor))| RolloutInput {
            ancestor: ancestor.as_ref(),
            ..RolloutInput::new("rollout", &file.thread, source)
        })
        .collect();
    let mut trace = None;
    let work = allocation_counter::measure(|| trace = Some(resolve(&inputs)));
    check(&trace.unwrap());
    [work.count_total, work.bytes_total]
}

/// Holds the work for sessions of rising size to what it may be. `n_spans` is
/// how many spans one of size `n` has, so that the sizes are what they seem.
fn is_linear(session: impl Fn(usize) -> Vec<File>, n_spans: impl Fn(usize) -> usize) {
    let work = SIZES.map(|n| {
        let files = session(n);
        work_of(&files, |trace| assert_eq!(trace.spans.len(), n_spans(n), "of size {n}"))
    });
    grows_linearly(&work);
}

fn grows_linearly(work: &[[u64; 2]]) {
    for pair in work.windows(2) {
        for (of, (less, more)) in ["times", "bytes"].iter().zip(pair[0].iter().zip(pair[1])) {
            #[expect(clippy::cast_precision_loss, reason = "a ratio")]
            let growth = more as f64 / *less as f64;
            assert!(growth <= GROWTH, "{of}: {work:?}");
        }
    }
}

#[test]
fn turns() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        (0..n).for_each(|turn| rollout.turn(turn, 2));
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 1 + n * (1 + 2 * 2));
}

#[test]
fn calls_of_one_turn() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        rollout.turn(0, n);
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 2 + 2 * n);
}

#[test]
fn turns_of_a_version_without_brackets() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        for turn in 0..n {
            rollout.typed(turn);
            rollout.calls(turn, 2);
        }
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 1 + n * (1 + 2 * 2));
}

#[test]
fn prompts_that_nothing_answers() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        (0..n).for_each(|_| rollout.message("user"));
        (0..n).for_each(|turn| rollout.typed(turn));
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 1 + n);
}

#[test]
fn compactions_of_one_turn() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        rollout.started(0);
        for _ in 0..n {
            rollout.calls(0, 1);
            rollout.compacted();
        }
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 2 + n * (2 + 1));
}

#[test]
fn compactions_without_times() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        rollout.started(0);
        rollout.without_times = true;
        for _ in 0..n {
            rollout.calls(0, 1);
            rollout.compacted();
        }
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 2 + n * (2 + 1));
}

#[test]
fn turns_taken_back() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        for turn in 0..n {
            rollout.turn(turn, 1);
            if turn % 2 == 1 {
                rollout.event("thread_rolled_back", r#""num_turns":1"#);
            }
        }
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 1 + n * (1 + 2));
}

/// Each goes on from the middle of the one before.
#[test]
fn files_of_one_thread() {
    let session = |n| {
        let mut files: Vec<File> = Vec::new();
        for nth in 0..n {
            let mut rollout = Rollout::new(0);
            if let Some(before) = files.last_mut() {
                rollout.continues(&id(0), 8);
                let ancestor = before.text.clone();
                rollout.turn(nth, 1);
                files.push(File { ancestor: Some(ancestor), ..File::of(rollout) });
            } else {
                rollout.turn(nth, 1);
                files.push(File::of(rollout));
            }
        }
        files
    };
    is_linear(session, |n| 1 + n * (1 + 2));
}

#[test]
fn subagents_side_by_side() {
    let session = |n| Rollout::with_subagents(n, 1).into_iter().map(File::of).collect();
    is_linear(session, |n| 2 + n * (2 + 1 + 1 + 2));
}

#[test]
fn subagents_of_subagents() {
    let session = |n| {
        let mut files = Vec::new();
        for nth in 0..n {
            let mut thread = if nth == 0 { Rollout::new(0) } else { Rollout::below(nth, nth - 1) };
            thread.started(nth);
            thread.spawns(nth + 1);
            files.push(File::of(thread));
        }
        files
    };
    is_linear(session, |n| n * (1 + 1 + 2));
}

/// A head that was copied before turns had ids: told by the ancestor's lines.
#[test]
fn a_fork_of_a_long_thread() {
    let session = |n| {
        let mut parent = Rollout::old(7);
        for turn in 0..n {
            parent.typed(turn);
            parent.calls(turn, 1);
        }
        let mut fork = Rollout::old(8);
        fork.text += &parent.text;
        for turn in 0..n {
            fork.typed(n + turn);
            fork.calls(n + turn, 1);
        }
        vec![File { ancestor: Some(parent.text), ..File::of(fork) }]
    };
    is_linear(session, |n| 1 + n * (1 + 2));
}

#[test]
fn ids_that_come_again_and_again() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        for turn in 0..n {
            rollout.started(turn);
            rollout.call("again", turn);
            rollout.output("again");
            rollout.complete(turn);
        }
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 1 + n * (1 + 2));
}

#[test]
fn details_whose_calls_never_come() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        rollout.started(0);
        for nth in 0..n {
            let fields = format!(r#""call_id":"x{nth}","turn_id":"{}","exit_code":0"#, id(0));
            rollout.event("exec_command_end", &fields);
        }
        vec![File::of(rollout)]
    };
    is_linear(session, |n| 2 + n);
}

#[test]
fn damaged_lines() {
    let session = |n| {
        let mut rollout = Rollout::new(0);
        rollout.turn(0, 1);
        (0..n).for_each(|_| rollout.text += "{\"timestamp\":\"2026\n");
        vec![File::of(rollout)]
    };
    is_linear(session, |_| 1 + 1 + 2);
}

/// Half of them a chain of threads, half of them continue one another.
#[test]
fn grouping() {
    let work = SIZES.map(|n| {
        let name =
            |nth| format!("/h/sessions/2026/01/01/rollout-2026-01-01T00-00-00-{}.jsonl", id(nth));
        let path = std::env::temp_dir().join("codex-trace-no-such-file.jsonl");
        let heads: Vec<RolloutHead> = (0..n)
            .map(|nth| {
                let path = path.with_file_name(name(nth));
                let mut head = RolloutHead::of_name(&RolloutPath::from_file(&path));
                head.thread_id = if nth < n / 2 { id(nth) } else { id(0) };
                head.rollout_id = id(nth);
                head.parent_thread_id = (0 < nth && nth < n / 2).then(|| id(nth - 1));
                head.base_rollout_id = (nth > n / 2).then(|| id(nth - 1));
                head.created = Some(String::new());
                head.content = codex_rollout::Content::Rollout;
                head
            })
            .collect();
        let mut groups = Vec::new();
        let work = allocation_counter::measure(|| groups = group(&heads, &Copies::default()));
        assert_eq!(groups.iter().map(|it| it.members.len()).collect::<Vec<_>>(), [n]);
        [work.count_total, work.bytes_total]
    });
    grows_linearly(&work);
}
