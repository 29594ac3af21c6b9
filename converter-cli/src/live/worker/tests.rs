use codex_trace_deliver::delivery::{Account, Fate};

use super::round::take_stock;
use super::*;

#[test]
fn what_a_session_waits_for() {
    let entry = Entry {
        home: PathBuf::from("/h"),
        thread: Some("t".to_owned()),
        occasion: Occasion::Ended,
        at: 0,
        seen: None,
    };
    let mut waiting = Waiting::due(entry, 7, now());
    let account = |name: &str, fates: &[Fate]| {
        let mut account = Account { name: name.to_owned(), ..Account::default() };
        for (nth, fate) in fates.iter().enumerate() {
            let key = codex_trace_export::UnitKey {
                thread_id: "t".to_owned(),
                turn: Some(nth.to_string()),
            };
            account.tally.note("t", &key, *fate);
        }
        account
    };
    let down = Account { down: Some("no".to_owned()), ..account("c", &[]) };
    let faulty = Account { faults: vec!["session t: bad".to_owned()], ..account("d", &[]) };
    let accounts = [
        account("a", &[Fate::Sent, Fate::Kept]),
        account("b", &[Fate::Sent, Fate::Unsent]),
        down,
        faulty,
        account("e", &[]),
    ];
    let stamp = waiting.stamp();
    let asked = Asked { root: "t".to_owned(), thread: "t".to_owned(), nth: 7, stamp };
    take_stock(&mut waiting, &asked, &accounts);
    let lacking = ["a", "b", "c", "d", "e"].map(|name| waiting.lacks(name));
    assert_eq!(lacking, [false, true, true, true, false]);
    assert!(waiting.has_fault && !waiting.is_open());
    let open = [account("b", &[Fate::Sent, Fate::Open])];
    take_stock(&mut waiting, &asked, &open);
    assert!(!waiting.lacks("b") && waiting.is_open());
    // It was handed over before it grew.
    waiting.is_over = true;
    assert!(waiting.lacks("b"), "Codex was killed in that turn");
    let asked = Asked { stamp: waiting.stamp(), ..asked };
    take_stock(&mut waiting, &asked, &open);
    assert!(!waiting.lacks("b"));
    waiting.files = vec![state::Seen::of(Path::new("/r"))];
    assert!(waiting.lacks("b"), "it has grown");
}

#[test]
fn settings_are_those_of_the_home() {
    let settings = of_home(&Settings::unresolved(), Path::new("/h"));
    assert_eq!(settings.own_codex_home.as_deref(), Some(Path::new("/h")));
    assert_eq!(settings.codex_homes, [Path::new("/h")]);
}
