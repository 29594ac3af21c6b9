use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// The scans that this processor can do.
static SCANNERS: LazyLock<Vec<Scanner>> = LazyLock::new(|| {
    let mut scanners = vec![Scanner::Packed(Box::new(Packed::new(&triggers())))];
    #[cfg(target_arch = "x86_64")]
    scanners.extend(
        Level::all().map(|level| Scanner::Blocks(Box::new(Blocks::new(level, &triggers())))),
    );
    scanners
});

fn all_hits(scanner: &Scanner, text: &[u8]) -> Vec<(usize, Hit)> {
    let mut hits = scanner.hits(text);
    let mut at = 0;
    std::iter::from_fn(|| hits.next(at).inspect(|(start, _)| at = start + 1)).collect()
}

/// Every place and every trigger, one by one.
fn expected(text: &[u8]) -> Vec<(usize, Hit)> {
    let triggers = triggers();
    let hit = |at: usize| {
        let found = triggers.iter().find(|it| text[at..].starts_with(it.text.as_bytes()));
        found.map(|it| (at, it.hit))
    };
    (0..text.len()).filter_map(hit).collect()
}

#[test]
fn triggers_are_long_enough_and_ascii() {
    for trigger in triggers() {
        assert!(trigger.text.len() >= SHORTEST && trigger.text.is_ascii(), "{trigger:?}");
    }
}

/// One place is one hit.
#[test]
fn no_trigger_begins_as_another() {
    let triggers = triggers();
    for (nth, trigger) in triggers.iter().enumerate() {
        let twin = triggers[nth + 1..]
            .iter()
            .find(|it| it.text.starts_with(trigger.text) || trigger.text.starts_with(it.text));
        assert!(twin.is_none(), "{trigger:?}, {twin:?}");
    }
}

#[test]
fn the_scan_uses_what_the_processor_has() {
    let is_packed = matches!(Scanner::new(), Scanner::Packed(_));
    #[cfg(target_arch = "x86_64")]
    assert_eq!(is_packed, Level::all().count() == 0);
    #[cfg(not(target_arch = "x86_64"))]
    assert!(is_packed);
}

/// At every place of a block, at every end of a text.
#[test]
fn every_trigger_at_every_place() {
    for scanner in &*SCANNERS {
        for trigger in triggers() {
            for before in 0..140 {
                for after in ["", "x", "é", "0123456789"] {
                    let text = format!("{}{}{after}", ".".repeat(before), trigger.text);
                    let found = all_hits(scanner, text.as_bytes());
                    // Another may stand within it: `PRIVATE KEY`.
                    assert_eq!(found.first(), Some(&(before, trigger.hit)), "{text}");
                }
            }
        }
    }
}

/// What looks like the beginning of a trigger at the end of a text is none.
#[test]
fn no_trigger_that_is_cut_off() {
    for scanner in &*SCANNERS {
        for trigger in triggers() {
            for before in [0, 20, 61, 62, 63, 64, 65, 66, 127, 128] {
                let cut = &trigger.text[..trigger.text.len() - 1];
                let text = format!("{}{cut}", ".".repeat(before));
                assert_eq!(all_hits(scanner, text.as_bytes()), [], "{text}");
            }
        }
    }
}

/// Ordinary text is passed by: few of its places are looked at closer.
#[cfg(target_arch = "x86_64")]
#[expect(clippy::disallowed_methods, reason = "a test reads what it tests with")]
#[test]
fn few_places_of_ordinary_text_are_looked_at() {
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/tree/sessions/2026/11/21");
    let files = std::fs::read_dir(home).unwrap();
    let text: Vec<u8> = files.flat_map(|it| std::fs::read(it.unwrap().path()).unwrap()).collect();
    for level in Level::all() {
        let looked_at = Blocks::new(level, &triggers()).hits(&text).count_places();
        let n_blocks = text.len() / 64;
        assert!(looked_at * 4 < n_blocks, "{looked_at} places, {n_blocks} blocks");
    }
}

/// Our own scan is kept for its speed alone: at least 1.3 times that of the one
/// for any processor, at each level. With optimization only, without which
/// neither is what it is: `cargo test --release -p codex-trace-export scan`.
#[cfg(all(target_arch = "x86_64", not(debug_assertions)))]
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement, with a clock")]
fn our_own_scan_pays() {
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/tree/sessions/2026/11/21");
    let files = std::fs::read_dir(home).unwrap();
    let text: Vec<u8> = files.flat_map(|it| std::fs::read(it.unwrap().path()).unwrap()).collect();
    let text = text.repeat((1 << 24) / text.len());
    let least = |scanner: &Scanner| {
        let times = (0..9).map(|_| {
            let start = std::time::Instant::now();
            let lines = text.split(|it| *it == b'\n');
            std::hint::black_box(lines.map(|line| all_hits(scanner, line).len()).sum::<usize>());
            start.elapsed()
        });
        times.min().unwrap()
    };
    let [packed, ours @ ..] = &SCANNERS[..] else { unreachable!() };
    let packed = least(packed);
    for ours in ours {
        let Scanner::Blocks(blocks) = ours else { unreachable!() };
        let ratio = packed.as_secs_f64() / least(ours).as_secs_f64();
        println!("{:?}: {ratio:.2} times as fast as packed", blocks.level());
        assert!(ratio >= 1.3, "{:?}: {ratio:.2}", blocks.level());
    }
}

proptest! {
    #[test]
    fn scans_agree(parts in prop::collection::vec((0..triggers().len(), "(?s).{0,90}"), 0..6)) {
        let triggers = triggers();
        let text: String = parts.iter().flat_map(|(nth, text)| [triggers[*nth].text, text]).collect();
        for scanner in &*SCANNERS {
            prop_assert_eq!(all_hits(scanner, text.as_bytes()), expected(text.as_bytes()));
        }
    }

    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..300), skip in 0..40_usize) {
        for scanner in &*SCANNERS {
            let mut hits = scanner.hits(&text);
            let from = skip.min(text.len());
            let first = expected(&text).into_iter().find(|(at, _)| *at >= from);
            prop_assert_eq!(hits.next(from), first);
        }
    }
}
