//! What a destination is asked before anything is sent to it.

use crate::clock::{Clock, jitter};
use crate::delivery::{Destination, Run, TELL_AT, pause, tell_of_trouble};
use crate::transport::Cause;
use codex_trace_export::{Learned, Question, Request, Response, Verdict};

/// Asks what is to be asked before anything is sent; returns whether there was
/// an answer to anything.
///
/// # Errors
///
/// Why the destination cannot be used.
pub(super) fn ask(run: &Run<'_>, destination: &mut Destination) -> Result<bool, String> {
    let (mut asked, mut heard) = (false, false);
    let mut next = destination.exporter.preflight();
    while let Some(Question { request, inquiry }) = next {
        let answer = one(run, destination, &request, &mut asked, &mut heard)?;
        let learned = inquiry.learn(&answer).map_err(|err| match err.hint {
            Some(hint) => format!("{} ({hint})", err.message),
            None => err.message,
        })?;
        next = match learned {
            Learned::More(question) => Some(question),
            Learned::All(exporter) => {
                destination.exporter = exporter;
                None
            }
        };
    }
    Ok(asked)
}

/// Sends one question until there is an answer.
fn one(
    run: &Run<'_>,
    destination: &Destination,
    request: &Request,
    asked: &mut bool,
    heard: &mut bool,
) -> Result<Response, String> {
    let clock = Clock::start();
    let mut attempt = 0;
    loop {
        attempt += 1;
        if *asked {
            pause(run, destination.transport.pause())?;
        }
        *asked = true;
        let (after, reason) = match destination.transport.send(request) {
            Ok(response) => {
                *heard = true;
                let Verdict::Retry { after, reason } = Verdict::from_status(&response) else {
                    run.progress.go_on(&destination.name);
                    return Ok(response);
                };
                (after, reason)
            }
            Err(no) if no.cause == Cause::Lasting => return Err(no.reason),
            Err(no) => (None, no.reason),
        };
        let retry = run.options.retry;
        let retry = if *heard { retry } else { retry.at_first() };
        let wait = retry.next_wait(attempt, clock.elapsed(), after, jitter());
        let Some(wait) = wait else { return Err(reason) };
        if attempt == TELL_AT {
            tell_of_trouble(run, &destination.name, &reason, retry.budget);
        }
        run.progress.wait(&destination.name, &reason, attempt, wait);
        pause(run, wait)?;
    }
}
