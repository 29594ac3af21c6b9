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
    let mut waiting = Waiting::due(entry, now());
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
    assert!(!take_stock(&mut waiting, "t", &accounts));
    let names: Vec<_> = waiting.acknowledged.iter().map(String::as_str).collect();
    assert_eq!((names, waiting.tries), (vec!["a", "e"], 1));
    assert!(take_stock(&mut waiting, "t", &[account("b", &[Fate::Sent, Fate::Open])]));
    assert!(waiting.acknowledged.contains("b") && waiting.tries == 0);
}

#[test]
fn settings_are_those_of_the_home() {
    let settings = of_home(&Settings::unresolved(), Path::new("/h"));
    assert_eq!(settings.own_codex_home.as_deref(), Some(Path::new("/h")));
    assert_eq!(settings.codex_homes, [Path::new("/h")]);
}
