//! Sends the requests of a directory again, as they were written by a dry run
//! or kept by an upload.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use codex_trace_export::{Address, Header, Method, Request, Route, Verdict, secret};
use serde::Deserialize;

use crate::clock::{Clock, jitter};
use crate::delivery::{Destination, Run, pause, preflight};
use crate::private;
use crate::transport::Cause;

/// The most that is read of what is said about a request, in bytes.
const MAX_ABOUT: u64 = 4 << 20;

/// The most that the body of a request may have, in bytes.
const MAX_BODY: u64 = 1 << 30;

/// What became of the requests of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resent {
    /// Those that the destination took, or had.
    pub sent: usize,
    /// Those that it refused, all or some of them.
    pub refused: usize,
    /// Those that are no uploads to it: questions that were asked before.
    pub left_out: usize,
    /// Those that were not looked at, because it ended before.
    pub unsent: usize,
    /// The destination's words, the first time that it refused something.
    pub why_refused: Option<String>,
    /// Why it ended before.
    pub down: Option<String>,
}

/// What is said about a request.
#[derive(Debug, Deserialize)]
struct About {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What came of one request.
enum Sending {
    Sent,
    Refused(String),
    Down(String),
}

/// Sends the uploads of a directory again, one after the other, in the order in
/// which they were sent; with the access that the destination has now. The ledger
/// is not asked, and learns nothing.
///
/// # Errors
///
/// If the directory cannot be read, or holds something else.
pub fn resend(run: &Run<'_>, destination: &mut Destination, dir: &Path) -> Result<Resent, String> {
    let names = names(dir)?;
    let mut resent = Resent::default();
    if let Err(reason) = preflight::ask(run, destination) {
        return Ok(Resent { down: Some(reason), unsent: names.len(), ..resent });
    }
    for (nth, name) in names.iter().enumerate() {
        let interrupted = run.interrupted.load(Ordering::Relaxed);
        let ended = interrupted.then(|| "interrupted".to_owned());
        let fate = match (ended, read(dir, name, destination)?) {
            (Some(why), _) => Sending::Down(why),
            (None, Some((route, request))) => {
                run.progress.add_sent(request.body.len());
                send(run, destination, route, &request)
            }
            (None, None) => {
                resent.left_out += 1;
                continue;
            }
        };
        match fate {
            Sending::Sent => resent.sent += 1,
            Sending::Refused(why) => {
                resent.refused += 1;
                resent.why_refused.get_or_insert(why);
            }
            Sending::Down(why) => {
                resent.unsent = names.len() - nth;
                resent.down = Some(why);
                break;
            }
        }
    }
    Ok(resent)
}

/// Returns the names of what is said about requests, in their order.
fn names(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |err| format!("cannot read `{}`: {err}", dir.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(cannot)? {
        let name = PathBuf::from(entry.map_err(cannot)?.file_name());
        let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
        if stem.is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit())) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(format!("there are no requests in `{}`", dir.display()));
    }
    names.sort_by_key(|name| (name.as_os_str().len(), name.clone()));
    Ok(names)
}

/// Reads a request, with its route; nothing, if it is no upload.
fn read(
    dir: &Path,
    name: &Path,
    destination: &Destination,
) -> Result<Option<(usize, Request)>, String> {
    let path = dir.join(name);
    let cannot = |what: String| format!("cannot read `{}`: {what}", path.display());
    let text =
        private::small_bytes_here(&path, MAX_ABOUT).map_err(|err| cannot(err.to_string()))?;
    let about: About = serde_json::from_slice(&text.unwrap_or_default())
        .map_err(|err| cannot(format!("it is about no request: {err}")))?;
    let routes = &destination.exporter.contract().routes;
    let Some(nth) = routes.iter().position(|route| about.is_of(route)) else { return Ok(None) };
    let body = Path::new(&about.body);
    // A name, and no way out of the directory.
    if body.file_name() != Some(body.as_os_str()) {
        return Err(cannot(format!("`{}` is not the name of a body", about.body)));
    }
    let body = private::small_bytes_here(&dir.join(body), MAX_BODY);
    let body = body.map_err(|err| cannot(format!("its body: {err}")))?;
    let body = body.ok_or_else(|| cannot("its body is not there".to_owned()))?;
    let route = &routes[nth];
    let headers = about.headers.iter().filter_map(|(name, value)| header(name, value, route));
    let request = Request {
        method: route.method,
        url: route.url.clone(),
        headers: headers.collect(),
        body: body.into(),
    };
    Ok(Some((nth, request)))
}

impl About {
    /// Whether the request went to a route: by its path, as the server may be
    /// another one now.
    fn is_of(&self, route: &Route) -> bool {
        let path = |url: &Address| url.to_string().replacen(&url.origin(), "", 1);
        self.method == route.method.word()
            && route.method != Method::Get
            && path(&Address::unchecked(&self.url)) == path(&route.url)
    }
}

/// Returns a header as it was sent; one that was masked as it is now, if it is.
fn header(name: &str, value: &str, route: &Route) -> Option<Header> {
    if value != secret::MASK {
        return Some(Header::new(name.to_owned(), value));
    }
    route.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).cloned()
}

/// Sends one request, and again for as long as it may still be taken.
fn send(run: &Run<'_>, destination: &Destination, route: usize, request: &Request) -> Sending {
    let clock = Clock::start();
    for attempt in 1.. {
        let (after, reason) = match destination.transport.send(request) {
            Ok(response) => match destination.exporter.verdict(route, &response) {
                Verdict::Done | Verdict::AlreadyThere | Verdict::Conflict { .. } => {
                    run.progress.go_on(&destination.name);
                    return Sending::Sent;
                }
                Verdict::Partial { reason, .. }
                | Verdict::Split { reason }
                | Verdict::Reject { reason } => return Sending::Refused(reason),
                Verdict::GiveUp { reason } => return Sending::Down(reason),
                Verdict::Retry { after, reason } => (after, reason),
            },
            Err(no) if no.cause == Cause::Lasting => return Sending::Down(no.reason),
            Err(no) => (None, no.reason),
        };
        let wait = run.options.retry.next_wait(attempt, clock.elapsed(), after, jitter());
        let Some(wait) = wait else { return Sending::Down(reason) };
        run.progress.wait(&destination.name, &reason, attempt, wait);
        if let Err(why) = pause(run, wait) {
            return Sending::Down(why);
        }
    }
    Sending::Down("it was tried often enough".to_owned())
}
