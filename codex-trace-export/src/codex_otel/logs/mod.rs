//! The events of a turn, in order: a file for each family.
//!
//! What the live telemetry says and no rollout knows is left out; so are the
//! events of which nothing is recorded: requests, connections, decisions.

mod agents;
mod answers;
mod prompts;
mod starts;
mod tools;

use super::record::{Record, tell_apart};
use super::told::{Told, ToldTurn};
use crate::EncodeError;
use crate::otlp::log_proto::LogRecord;
use crate::otlp::times::Times;

/// Which events are wanted that Codex sends only when asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The agent's final answers: `log_agent_responses`.
    pub(crate) answers: bool,
}

/// Hands out the events of each turn of a session: threads one after the other,
/// the turns of each in order. The first turn of a thread has its start, too.
///
/// # Errors
///
/// If a file says nowhere when it was.
pub(crate) fn for_each_turn<'t, 'a>(
    told: &'t Told<'t, 'a>,
    wanted: Wanted,
    mut f: impl FnMut(ToldTurn<'t, 'a>, Vec<LogRecord>),
) -> Result<(), EncodeError> {
    let mut timeless = None;
    for thread in &told.trace.threads {
        let mut n_tools = 0;
        let mut is_first = true;
        for turn in told.turns(thread) {
            let Some(times) = turn.times() else {
                timeless.get_or_insert_with(|| crate::otlp::timeless(turn.span));
                continue;
            };
            let mut records = Vec::new();
            if std::mem::take(&mut is_first) {
                starts::add(turn, times, &mut records);
            }
            add_all(turn, times, wanted, &mut n_tools, &mut records);
            records.sort_by_key(|record| record.at);
            tell_apart(&mut records);
            f(turn, records.into_iter().map(Record::finish).collect());
        }
    }
    timeless.map_or(Ok(()), Err)
}

fn add_all(
    turn: ToldTurn<'_, '_>,
    times: Times,
    wanted: Wanted,
    n_tools: &mut u64,
    records: &mut Vec<Record>,
) {
    prompts::add(turn, times, records);
    answers::add_usage(turn, times, records);
    answers::add_first_token(turn, times, records);
    if wanted.answers {
        answers::add_answers(turn, times, records);
    }
    tools::add(turn, times, n_tools, records);
    agents::add_result(turn, times, records);
}
