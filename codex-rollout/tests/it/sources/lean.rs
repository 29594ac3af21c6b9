//! Sources that let go of what was read.

use std::fs;
use std::path::Path;

use codex_rollout::{RolloutPath, Source, map_large_files};

use super::{NAME, file, gzip, records_of, rollout, shorten, zstd};

/// Returns how many bytes of a file this process holds in memory by mappings.
#[cfg(target_os = "linux")]
fn resident(path: &Path) -> usize {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let name = path.to_str().unwrap();
    let mut ours = false;
    let mut kilobytes = 0;
    for line in maps.lines() {
        if let Some(size) = line.strip_prefix("Rss:").filter(|_| ours) {
            kilobytes += size.trim().trim_end_matches(" kB").parse::<usize>().unwrap();
        } else if line.contains(" r--s ") || line.contains(" r-xp ") || line.contains(" rw-p ") {
            ours = line.ends_with(name);
        }
    }
    kilobytes << 10
}

#[test]
fn what_a_lean_source_passed_is_still_there() {
    const STEP: usize = 1 << 20;
    map_large_files();
    let (text, _) = rollout(4 * STEP);
    let (_dir, path) = file(NAME, &text);
    let source = Source::open_lean(&RolloutPath::from_file(&path)).unwrap();
    assert!(source.bytes() == text);
    #[cfg(target_os = "linux")]
    assert!(resident(&path) > 3 * STEP);

    // As long as it is not much, nothing happens.
    assert_eq!(source.passed(0, 1_000), 0);
    assert_eq!(source.passed(0, 3 * STEP + 1), 3 * STEP + 1);
    #[cfg(target_os = "linux")]
    assert!(resident(&path) < 2 * STEP);
    assert!(source.bytes() == text);

    source.passed_all();
    #[cfg(target_os = "linux")]
    assert_eq!(resident(&path), 0);
    assert!(source.bytes() == text);
    assert!(!source.was_shortened());
}

/// A line that is too long to be a record takes no memory once it is passed.
#[test]
fn of_a_line_that_is_too_long_nothing_stays() {
    const MIB: usize = 1 << 20;
    map_large_files();
    let short = b"{\"type\":\"x\",\"payload\":{}}\n";
    let long =
        [&b"{\"type\":\"x\",\"payload\":[\""[..], &b" ".repeat(40 * MIB), b"\"]}\n"].concat();
    let text = [&short[..], &long, short].concat();
    let (_dir, path) = file(NAME, &text);
    let source = Source::open_file(&path).unwrap();
    let records = records_of(source.lines().max_line_len(MIB));
    #[cfg(target_os = "linux")]
    assert!(resident(&path) < MIB);
    let n = short.len() as u64;
    let too_long = format!(
        "line 2, byte {n}: line longer than the limit of {MIB} bytes at line 2, byte {n}, column 1"
    );
    assert_eq!(records, [Ok(0), Err(too_long), Ok(n + long.len() as u64)]);
    assert_eq!(records_of(source.lines()).iter().flatten().count(), 3);
}

#[cfg(unix)]
#[test]
fn a_lean_source_that_is_shortened_says_so() {
    map_large_files();
    let (text, _) = rollout(4 << 20);
    let (_dir, path) = file(NAME, &text);
    let source = Source::open_lean(&RolloutPath::from_file(&path)).unwrap();
    assert!(source.bytes() == text);
    source.passed_all();
    shorten(&path, 1 << 20);
    assert!(source.bytes()[..1 << 20] == text[..1 << 20]);
    assert!(source.bytes()[2 << 20..].iter().all(|byte| *byte == 0));
    assert!(source.was_shortened());
}

/// Small ones are read, compressed ones decompressed: they stay.
#[test]
fn a_lean_source_of_another_kind_reads_as_any() {
    let (text, _) = rollout(100_000);
    for (suffix, bytes) in [("", text.clone()), (".zst", zstd(&text)), (".gz", gzip(&text))] {
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &bytes);
        let source = Source::open_lean(&RolloutPath::from_file(&path)).unwrap();
        assert_eq!(source.passed(0, text.len()), 0);
        source.passed_all();
        assert!(source.bytes() == text);
    }
}
