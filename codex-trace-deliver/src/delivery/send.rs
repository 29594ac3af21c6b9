use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::jitter;
use crate::delivery::body::request_of;
use crate::delivery::dead_letter::DeadLetter;
use crate::delivery::flight::{Settled, Slice, Whole, halve};
use crate::delivery::queue::LOOK;
use crate::delivery::{Engine, Fate, TELL_AT, pause};
use crate::failure::Failure;
use crate::ledger::Outcome;
use crate::text::count;
use crate::transport::{Cause, Request, Response};
use codex_trace_export::{Body, Found, Reread, Verdict};

/// How often a part of a request that could not be got through is tried.
const SHORT_ATTEMPTS: u32 = 3;

/// How many units may be refused before any is taken: then it is not them.
const MAX_REFUSED: usize = 10;

/// How many single pieces may fail in a row before it is the destination.
const MAX_SUSPECTS: usize = 3;

/// A connection that ends sooner than this was not too slow for the request.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What to do about a destination that wants nothing of what it is sent.
const LOOK_INTO_IT: &str = "`codex-trace doctor --connect` checks the address and the key; then run the same command again: it continues where it stopped";

/// How much a request is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as the policy says.
    Full,
    /// A few attempts: the whole that it is part of did not get through.
    Short,
}

/// What came of sending a request, however often.
pub(super) enum Outcomes {
    /// The destination said what it has to say.
    Answer(Verdict),
    /// It did not get through, perhaps because of what is in it.
    Exhausted { reason: String, suspicious: bool },
    /// It must go another way, and that one is not open just now.
    Blocked { reason: String },
    /// The run ends.
    Ended,
}

impl Engine<'_> {
    /// Sends what is in the queue until nothing can come any more.
    pub(super) fn send_all(&self) {
        while !self.interrupted()
            && let Some(batch) = self.queue.take(&self.routes)
        {
            self.fetch_and_deliver(batch);
            self.queue.settled();
        }
        // Those who wait for room must not wait for nobody.
        if self.interrupted() {
            self.queue.stop();
        }
    }

    /// Delivers a batch, in parts if need be.
    pub(super) fn deliver(&self, batch: Vec<Slice>) {
        let mut parts = vec![(batch, Patience::Full)];
        // Single pieces that did not get through: is it them or the destination?
        let mut suspects: Vec<(Vec<Slice>, String)> = Vec::new();
        let mut good_before = None;
        while let Some((part, patience)) = parts.pop() {
            match self.send(&part, patience) {
                Outcomes::Answer(verdict) => {
                    let again = self.settle_by(verdict, part).into_iter().rev();
                    parts.extend(again.map(|part| (part, Patience::Full)));
                }
                Outcomes::Ended => self.unsent(part, &self.why_ended()),
                Outcomes::Blocked { reason } => self.unsent(part, &reason),
                Outcomes::Exhausted { reason, suspicious } => {
                    good_before.get_or_insert(self.n_good.load(Ordering::Relaxed));
                    if !suspicious || suspects.len() == MAX_SUSPECTS {
                        self.give_up(reason.clone(), None);
                        self.unsent(part, &reason);
                        continue;
                    }
                    match halve(part) {
                        Ok((first, second)) => {
                            parts.push((second, Patience::Short));
                            parts.push((first, Patience::Short));
                        }
                        Err(part) => suspects.push((part, reason)),
                    }
                }
            }
        }
        let alive = good_before.is_some_and(|n| self.n_good.load(Ordering::Relaxed) > n);
        for (part, reason) in suspects {
            if alive {
                self.convict(part);
            } else {
                self.give_up(reason.clone(), None);
                self.unsent(part, &reason);
            }
        }
    }

    /// Sends a single piece once more, now that the destination has taken
    /// others: what still does not get through is to blame itself.
    fn convict(&self, part: Vec<Slice>) {
        match self.send(&part, Patience::Short) {
            Outcomes::Answer(verdict) => {
                let again = self.settle_by(verdict, part);
                debug_assert!(again.is_empty(), "a single piece has no parts");
            }
            Outcomes::Exhausted { reason, suspicious: true } => self.refuse(&part, &reason),
            Outcomes::Exhausted { reason, suspicious: false } => {
                self.give_up(reason.clone(), None);
                self.unsent(part, &reason);
            }
            Outcomes::Ended => self.unsent(part, &self.why_ended()),
            Outcomes::Blocked { reason } => self.unsent(part, &reason),
        }
    }

    /// Acts upon an answer; returns the parts that are to be tried again.
    fn settle_by(&self, verdict: Verdict, part: Vec<Slice>) -> Vec<Vec<Slice>> {
        match verdict {
            Verdict::Done | Verdict::AlreadyThere => self.settle(&part, Settled::Taken),
            Verdict::Partial { rejected, reason } => {
                let mut account = self.account();
                // Whatever it says, it cannot refuse more than it was sent.
                let sent: u64 = part.iter().map(|slice| u64::from(slice.spans())).sum();
                let rejected = rejected.min(sent.max(1));
                account.rejected_spans = account.rejected_spans.saturating_add(rejected);
                account.why_rejected.get_or_insert_with(|| reason.clone());
                let n = count(usize::try_from(rejected).unwrap_or(usize::MAX), account.thing);
                drop(account);
                let note = format!("{n} rejected of a request that was taken: {reason}");
                for slice in &part {
                    self.dead_letter(slice, &note);
                }
                self.settle(&part, Settled::Partly(&note));
            }
            Verdict::Conflict { reason } => return self.reconcile(part, &reason),
            Verdict::Split { reason } | Verdict::Reject { reason } => match halve(part) {
                Ok((first, second)) => return vec![first, second],
                Err(part) => self.refuse(&part, &reason),
            },
            Verdict::GiveUp { reason } | Verdict::Retry { reason, .. } => {
                self.give_up(reason.clone(), Some(LOOK_INTO_IT));
                self.unsent(part, &reason);
            }
        }
        Vec::new()
    }

    /// Reads back what is there of a part: what is the same is settled, what is
    /// missing is to be sent again without the rest, what is another thing is
    /// refused.
    fn reconcile(&self, part: Vec<Slice>, reason: &str) -> Vec<Vec<Slice>> {
        let found = self.read_back(&part);
        let Some(found) = found else {
            // Nobody can say what is there: claim nothing, try another time.
            self.unsent(part, &format!("{reason}; what is there could not be read back"));
            return Vec::new();
        };
        let mut missing = Vec::new();
        let mut found = found.into_iter();
        for piece in part.iter().flat_map(Slice::singles) {
            match found.next() {
                Some(Found::Same) => self.settle(&[piece], Settled::Taken),
                Some(Found::Other(what)) => self.refuse(&[piece], &self.words(&what)),
                Some(Found::Missing) | None => missing.push(piece),
            }
        }
        let all_missing = missing.len() == part.iter().map(Slice::n_pieces).sum::<usize>();
        match (missing.is_empty(), all_missing) {
            (true, _) => Vec::new(),
            // It was refused for something that is not there: look closer.
            (_, true) => match halve(missing) {
                Ok((first, second)) => vec![first, second],
                Err(part) => {
                    self.refuse(&part, reason);
                    Vec::new()
                }
            },
            _ => vec![missing],
        }
    }

    /// Asks what is there of a part, piece by piece; `None` if nobody can say.
    fn read_back(&self, part: &[Slice]) -> Option<Vec<Found>> {
        let pieces = part.iter().flat_map(Slice::pieces);
        let pieces: Vec<Vec<u8>> = pieces.map(|it| it.flatten().copied().collect()).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let mut answers = Vec::new();
        loop {
            match self.exporter.reread(&pieces, &answers) {
                Reread::Ask(request) => answers.push(self.ask(&request)?),
                Reread::Found(found) => return Some(found).filter(|it| it.len() == pieces.len()),
                Reread::Unknown => return None,
            }
        }
    }

    /// Asks something in between, with a few attempts.
    pub(super) fn ask(&self, request: &Request) -> Option<Response> {
        for attempt in 1..=SHORT_ATTEMPTS {
            if !self.enter() {
                return None;
            }
            let answer = self.transport.send(request);
            self.leave_flow();
            self.note_request(request.body.len());
            let (after, reason) = match answer {
                Ok(response) => match Verdict::from_status(&response) {
                    Verdict::Retry { after, reason } => (after, self.words(&reason)),
                    _ => return Some(response),
                },
                Err(no) if no.cause == Cause::Lasting => return None,
                Err(no) => (None, no.reason),
            };
            let wait =
                self.run.options.retry.next_wait(attempt, Duration::ZERO, after, jitter())?;
            self.run.progress.wait(self.name, &reason, attempt, wait);
            pause(self.run, wait).ok()?;
            self.run.progress.go_on(self.name);
        }
        None
    }

    /// Notes that the destination refuses a part.
    fn refuse(&self, part: &[Slice], reason: &str) {
        self.account().why_rejected.get_or_insert_with(|| reason.to_owned());
        for slice in part {
            self.dead_letter(slice, reason);
        }
        self.settle(part, Settled::Refused(reason));
        let takes_nothing = self.n_good.load(Ordering::Relaxed) == 0;
        if takes_nothing && self.account().rejected >= MAX_REFUSED {
            self.give_up(format!("it accepts nothing: {reason}"), Some(LOOK_INTO_IT));
        }
    }

    /// Notes what became of a part, and lets go on what waited for it.
    fn settle(&self, part: &[Slice], how: Settled<'_>) {
        let mut ended = Vec::new();
        for slice in part {
            let settlement = slice.part.settle(slice.n_pieces(), how);
            self.queue.release(settlement.freed);
            slice.part.next().into_iter().for_each(|slice| self.queue.push(slice));
            settlement.next.into_iter().for_each(|part| self.begin(&part));
            ended.extend(settlement.ended.then(|| Arc::clone(&slice.part.whole)));
        }
        self.end(ended);
    }

    /// Notes what became of units of which all is known, and lets go on what
    /// waited for them.
    pub(super) fn end(&self, units: Vec<Arc<Whole>>) {
        let (unsent, known): (Vec<_>, Vec<_>) = units.into_iter().partition(|it| it.is_unsent());
        let entries = known.iter().map(|unit| {
            let outcome = if unit.is_refused() { Outcome::Failed } else { Outcome::Sent };
            self.entry(unit, outcome, unit.said())
        });
        // First what is acknowledged, then whatever builds upon it.
        self.record(&entries.collect::<Vec<_>>(), &[]);
        let there = known.iter().filter(|unit| !unit.is_refused());
        self.hand_over(
            there.flat_map(|it| it.receipts.iter().map(|receipt| (receipt, &*it.session))),
        );
        let mut files = Vec::new();
        for unit in known {
            let sent = !unit.is_refused();
            self.note(&unit.session, &unit.key, if sent { Fate::Sent } else { Fate::Rejected });
            let mut account = self.account();
            account.sent += usize::from(sent);
            account.rejected += usize::from(!sent);
            drop(account);
            self.proceed(unit.session.end(&unit, sent), &mut files);
        }
        self.record(&[], &files);
        self.leave(unsent, "another part of it was not sent");
    }

    /// Leaves a part for the next run. A unit of which another part was sent is
    /// left as a whole.
    pub(super) fn unsent(&self, part: Vec<Slice>, why: &str) {
        self.leave(self.skipped(part), why);
    }

    fn dead_letter(&self, slice: &Slice, answer: &str) {
        let contract = self.exporter.contract();
        let unit = &slice.part.whole;
        let pieces = slice.of_unit();
        let letter = DeadLetter {
            at: &self.run.options.now.to_string(),
            destination: &contract.destination,
            route: self.routes[unit.route].name,
            key: &unit.key,
            pieces: (pieces.start, pieces.end),
            spans: slice.spans(),
            bytes: slice.len(),
            answer,
        };
        if let Err(err) = self.run.dead_letters.add(self.name, letter) {
            let path = self.run.dead_letters.path(self.name);
            let what = format!("cannot write `{}`: {err}", path.display());
            self.fail(&Failure::new(what));
        }
    }

    /// Sends a part until there is an answer that means something.
    fn send(&self, part: &[Slice], patience: Patience) -> Outcomes {
        let nth = part[0].route();
        let buffer = || self.buffers().pop().unwrap_or_default();
        let request = request_of(&self.routes[nth], part, self.run, buffer);
        self.keep_to_rate(part.iter().map(Slice::len).sum());
        let is_single = part.iter().map(Slice::n_pieces).sum::<usize>() == 1;
        let outcome = if is_single {
            self.exchange_single(nth, &request, patience)
        } else {
            self.exchange(nth, &request, patience)
        };
        if let Body::Whole(mut buffer) = request.body {
            buffer.clear();
            self.buffers().push(buffer);
        }
        outcome
    }

    /// Has the next request wait for as long as so many bytes take at the rate that
    /// the destination takes.
    fn keep_to_rate(&self, bytes: usize) {
        let Some(rate) = self.exporter.max_rate().filter(|_| !self.run.options.dry_run) else {
            return;
        };
        let millis = (bytes as u64).saturating_mul(1000) / rate.max(1);
        let now = self.clock.elapsed();
        self.flow(|flow| flow.pace.spend(now, Duration::from_millis(millis)));
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request until there is an answer that means something.
    pub(super) fn exchange(&self, nth: usize, request: &Request, patience: Patience) -> Outcomes {
        let started = self.clock.elapsed();
        let mut attempt = 0;
        loop {
            if self.queue.is_stopped() || attempt > 0 && self.interrupted() || !self.enter() {
                return Outcomes::Ended;
            }
            let began = self.clock.elapsed();
            let answer = self.transport.send(request);
            self.leave_flow();
            attempt += 1;
            self.note_request(request.body.len());
            if answer.is_ok() {
                self.heard.store(true, Ordering::Relaxed);
            }
            let at_once = self.clock.elapsed().saturating_sub(began) < AT_ONCE;
            let mut retry = self.run.options.retry;
            let (after, reason, suspicious) = match answer {
                Ok(response) => match self.verdict(nth, &response) {
                    // Who says when to come back is not upset by what came.
                    Verdict::Retry { after, reason } => (after, reason, after.is_none()),
                    verdict => {
                        self.run.progress.go_on(self.name);
                        self.flow(|flow| flow.pace.good());
                        if matches!(
                            verdict,
                            Verdict::Done | Verdict::AlreadyThere | Verdict::Partial { .. }
                        ) {
                            self.n_good.fetch_add(1, Ordering::Relaxed);
                        }
                        return Outcomes::Answer(verdict);
                    }
                },
                Err(no) if no.cause == Cause::Lasting => {
                    return Outcomes::Exhausted { reason: no.reason, suspicious: false };
                }
                Err(no) => {
                    let known = self.n_good.load(Ordering::Relaxed) > 0;
                    if (no.cause == Cause::Away || at_once) && !self.heard.load(Ordering::Relaxed) {
                        retry = retry.at_first();
                    }
                    (None, no.reason, no.cause == Cause::Cut && known)
                }
            };
            let elapsed = self.clock.elapsed().saturating_sub(started);
            let wait = retry.next_wait(attempt, elapsed, after, jitter());
            let wait = wait.filter(|_| patience == Patience::Full || attempt < SHORT_ATTEMPTS);
            let Some(wait) = wait else { return Outcomes::Exhausted { reason, suspicious } };
            if attempt == TELL_AT {
                self.tell_of_trouble(&reason, retry.budget);
            }
            self.run.progress.wait(self.name, &reason, attempt, wait);
            let now = self.clock.elapsed();
            self.flow(|flow| flow.pace.overloaded(now, wait));
        }
    }

    /// Reads an answer. Whatever a backend makes of it, a page for people is no
    /// acknowledgement.
    fn verdict(&self, nth: usize, response: &Response) -> Verdict {
        match self.exporter.verdict(nth, response) {
            Verdict::Done | Verdict::AlreadyThere | Verdict::Partial { .. }
                if response.is_page() =>
            {
                let page = self.words(&response.reason());
                Verdict::GiveUp { reason: format!("a web page answers, not the server: {page}") }
            }
            verdict => verdict.map_reason(|reason| self.words(reason)),
        }
    }

    fn note_request(&self, bytes: usize) {
        self.run.progress.add_sent(bytes);
        let mut account = self.account();
        account.requests += 1;
        account.bytes += bytes as u64;
    }

    /// Waits until a request may start; `false` if the run ends before.
    fn enter(&self) -> bool {
        let mut flow = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let wait = flow.pace.wait(flow.under_way, self.clock.elapsed());
            if wait == Some(Duration::ZERO) {
                flow.under_way += 1;
                flow.pace.start(self.clock.elapsed());
                return true;
            }
            if self.interrupted() || self.queue.is_stopped() {
                return false;
            }
            let wait = wait.map_or(LOOK, |wait| wait.min(LOOK));
            flow = self
                .flow_changed
                .wait_timeout(flow, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn leave_flow(&self) {
        self.flow(|flow| flow.under_way -= 1);
        self.flow_changed.notify_all();
    }

    fn flow(&self, change: impl FnOnce(&mut super::Flow)) {
        change(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
