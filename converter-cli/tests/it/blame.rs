//! Whose fault it is: what a piece is refused for is about the piece, not about
//! the server, the line, or somebody in between.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use codex_trace_deliver::transport::{Cause, Http, NoAnswer, Request, Response, Transport};

use crate::delivery::{Stage, no_doubles};
use crate::scripted_server::{Act, Server};
use crate::toy::Toy;

/// A place where one logs in, a proxy, another server: all is well, they say.
#[test]
fn a_page_for_people_is_no_acknowledgement() {
    let page = Act::Refuse(200, "Content-Type: text/html\r\n", "<!doctype html>Log in");
    let stage = Stage::new(3, 3);
    let server = Server::start(&[], Some(page));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    let why = account.down.clone().unwrap_or_default();
    assert!(why.starts_with("a web page answers"), "{account:?}");
    assert_eq!(account.sent, 0);
    stage.arrives(&[], &Act::Ok);
}

/// It is not what is in the request that such an answer is about.
#[test]
fn who_says_when_to_come_back_is_not_sent_every_piece_by_itself() {
    let mut stage = Stage::new(2, 10);
    stage.case.options.retry.budget = Duration::ZERO;
    let busy = Act::Refuse(429, "Retry-After: 60\r\n", "later");
    let server = Server::start(&[], Some(busy));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!(account.down.as_deref(), Some("status 429: later"));
    assert!(server.requests() <= 3, "one for each sender");
    assert_eq!(stage.case.dead_letters(), "");
    stage.arrives(&[], &Act::Ok);
}

/// Gets through, or not, as the test says.
struct Line {
    http: Http,
    /// For each request in turn what goes wrong, if something does.
    script: Mutex<VecDeque<Option<Cause>>>,
    /// For all that follow.
    always: Option<Cause>,
}

impl Transport for Line {
    fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
        let next = self.script.lock().expect("no panic").pop_front();
        match next.unwrap_or(self.always) {
            Some(cause) => Err(NoAnswer { reason: "no line".to_owned(), cause }),
            None => self.http.send(request),
        }
    }
}

/// Were they to blame, or was it the line? Only who fails while others get
/// through is refused.
#[test]
fn nobody_is_refused_because_the_line_is_down() {
    let cut = Some(Cause::Cut);
    #[rustfmt::skip]
    let cases = [
        ("gone for good",  vec![None, cut, None],          Some(Cause::Away)),
        ("and comes back", vec![None, cut, cut, cut, cut], None),
    ];
    for (why, script, always) in cases {
        let mut stage = Stage::new(4, 10);
        stage.case.options.senders = 1;
        stage.case.options.retry.budget = Duration::ZERO;
        let server = Server::start(&[], Some(Act::Ok));
        let http = Http::new(1, Duration::from_secs(10));
        let line = Line { http, script: Mutex::new(script.into()), always };
        let to = vec![(Toy::new(&server.url), Box::new(line) as Box<_>)];
        let account = stage.case.upload_all(to).unwrap().remove(0);
        assert_eq!(account.rejected, 0, "{why}: {account:?}");
        assert_eq!(stage.case.dead_letters(), "", "{why}");
        let given_up = always.is_none() || account.requests <= 4;
        assert!(given_up, "who is not there is not asked about every piece: {account:?}");
        let again = stage.case.upload(Toy::new(&server.url)).unwrap();
        assert!(again.is_complete(), "{why}: {again:?}");
        assert_eq!(server.set(), stage.clean, "{why}");
        no_doubles(&server);
    }
}
