//! `convert --to perfetto`: what viewers of the format rely on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::testenv::{TestEnv, testdata};

fn events(env: &TestEnv, home: &str) -> Vec<Value> {
    let run = env.run(&["convert", home, "--to", "perfetto", "-q"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut file: Value = serde_json::from_str(&run.stdout).expect("one JSON object");
    let Value::Array(events) = file["traceEvents"].take() else { panic!("an array") };
    events
}

fn n(event: &Value, key: &str) -> i64 {
    event[key].as_i64().unwrap_or_else(|| panic!("{key}: {event}"))
}

#[test]
fn slices_of_a_track_lie_within_each_other_or_apart() {
    let env = TestEnv::new();
    let mut n_tracks = 0;
    for home in ["r169", "sp169", "d153.0", "r29", "i169", "s144", "old36"] {
        let home = testdata("homes").join(home);
        let mut tracks: BTreeMap<(i64, i64), Vec<(i64, i64)>> = BTreeMap::new();
        for event in events(&env, home.to_str().unwrap()).iter().filter(|it| it["ph"] == "X") {
            let (start, lasts) = (n(event, "ts"), n(event, "dur"));
            assert!(lasts > 0, "{event}");
            tracks
                .entry((n(event, "pid"), n(event, "tid")))
                .or_default()
                .push((start, start + lasts));
        }
        n_tracks += tracks.len();
        for (track, mut slices) in tracks {
            slices.sort_by_key(|(start, end)| (*start, -end));
            let mut open: Vec<i64> = Vec::new();
            for (start, end) in slices {
                while open.last().is_some_and(|outer| *outer <= start) {
                    open.pop();
                }
                assert!(open.last().is_none_or(|outer| *outer >= end), "{track:?} at {start}");
                open.push(end);
            }
        }
    }
    assert!(n_tracks > 20, "{n_tracks}");
}

#[test]
fn every_span_with_a_beginning_is_a_slice_and_every_token_is_counted() {
    let env = TestEnv::new();
    for home in ["sp169", "r144", "r98", "mini34"] {
        let path = testdata("homes").join(home);
        let path = path.to_str().unwrap();
        let spans = env.run(&["convert", path, "-q"]).json();
        let expected: Vec<&str> = spans
            .iter()
            .filter(|it| it["type"] == "span" && it.get("start").is_some() && it["key"].is_string())
            .filter(|it| it["kind"] != "thread" || it.get("parent_key").is_some())
            .map(|it| it["key"].as_str().unwrap())
            .collect();
        let events = events(&env, path);
        let slices = events.iter().filter(|it| it["ph"] == "X");
        let mut drawn: Vec<&str> = slices.map(|it| it["args"]["key"].as_str().unwrap()).collect();
        let mut expected = expected;
        drawn.sort_unstable();
        expected.sort_unstable();
        assert_eq!(drawn, expected, "{home}");

        let usage = &env.run(&["usage", path, "--json"]).json()[0]["total"];
        let counters = events.iter().filter(|it| it["ph"] == "C");
        let sum = |key: &str| counters.clone().map(|it| n(&it["args"], key)).sum::<i64>();
        assert_eq!(sum("output"), n(usage, "output_tokens"), "{home}");
        assert_eq!(sum("cached input"), n(usage, "cached_input_tokens"), "{home}");
        assert_eq!(sum("cached input") + sum("other input"), n(usage, "input_tokens"), "{home}");
    }
}

/// Two sessions of one file are two processes; arrows begin and end once.
#[test]
fn arrows_lead_from_a_call_to_the_subagent() {
    let env = TestEnv::new();
    let home = testdata("homes/sp169");
    let events = events(&env, home.to_str().unwrap());
    let threads: BTreeSet<(i64, i64)> = events
        .iter()
        .filter(|it| it["ph"] == "X" && it["cat"] == "thread")
        .map(|it| (n(it, "pid"), n(it, "tid")))
        .collect();
    let ends = |phase: &str| -> BTreeMap<String, &Value> {
        let of_phase = events.iter().filter(|it| it["ph"] == phase);
        of_phase.map(|it| (it["id"].as_str().unwrap().to_owned(), it)).collect()
    };
    let (starts, ends) = (ends("s"), ends("f"));
    assert!(!starts.is_empty() && starts.keys().eq(ends.keys()), "{starts:?} {ends:?}");
    for (id, end) in ends {
        assert!(threads.contains(&(n(end, "pid"), n(end, "tid"))), "{end}");
        assert!(n(starts[&id], "ts") <= n(end, "ts"), "{end}");
    }
    let processes: BTreeSet<i64> =
        events.iter().filter(|it| it["name"] == "process_name").map(|it| n(it, "pid")).collect();
    let listed = env.run(&["list", home.to_str().unwrap(), "--json"]).json();
    assert_eq!(processes.len(), listed.len());
}
