use serde::Deserialize;

use crate::testenv::{TestEnv, testdata};

/// The contract of `bench --json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    files: u64,
    sessions: u64,
    bytes: u64,
    repeat: u64,
    stages: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    stage: String,
    threads: u64,
    seconds: f64,
    cpu_seconds: Option<f64>,
    gb_per_s: f64,
    ratio: f64,
    peak_memory_bytes: Option<u64>,
    result: u64,
}

/// Whatever it took: each stage did its whole job, on any number of threads.
#[test]
fn every_stage_is_measured_and_did_its_job() {
    let env = TestEnv::new();
    let home = testdata("homes/r169");
    let home = home.to_str().expect("UTF-8");
    let run = env.run(&["bench", "--json", "--repeat", "2", "--threads", "1,2", home]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let report: Report = serde_json::from_str(&run.stdout).expect("the report is as documented");
    let files: Vec<Vec<u8>> = walk(std::path::Path::new(home));
    let lines = files.iter().flatten().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!((report.files, report.sessions, report.repeat), (2, 2, 2));
    assert_eq!(report.bytes, files.iter().map(|file| file.len() as u64).sum::<u64>());
    // truth.json: 410 400 tokens in, 450 out.
    let tokens = 410_850;
    let names = ["newlines", "utf8", "skim", "records", "usage", "resolve", "convert"];
    let expected = [Some(lines), Some(report.bytes), Some(lines), Some(lines), Some(tokens), None];
    for threads in [1, 2] {
        let stages: Vec<&Entry> = report.stages.iter().filter(|it| it.threads == threads).collect();
        assert_eq!(stages.iter().map(|it| it.stage.as_str()).collect::<Vec<_>>(), names);
        for (stage, expected) in stages.iter().zip(expected) {
            assert!(stage.seconds > 0.0 && stage.gb_per_s > 0.0 && stage.ratio > 0.0);
            assert!(stage.cpu_seconds.is_none_or(|seconds| seconds >= 0.0));
            assert!(stage.peak_memory_bytes.is_none_or(|bytes| bytes > 1 << 20));
            assert_eq!(stage.result, expected.unwrap_or(stage.result), "{}", stage.stage);
        }
        let written = env.run(&["convert", "-q", home]).bytes.len() as u64;
        assert_eq!(stages[6].result, written);
        assert!(stages[5].result > 10, "spans");
    }
}

fn walk(dir: &std::path::Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(std::fs::read(path).expect("a file"));
        }
    }
    files
}

#[test]
fn people_get_a_table() {
    let env = TestEnv::new();
    let home = testdata("homes/r169");
    let run = env.run(&["bench", "--repeat", "1", "--threads", "1", home.to_str().expect("UTF-8")]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("2 files in 2 sessions, "), "{}", lines[0]);
    assert!(lines[1].starts_with("STAGE     THREADS  SECONDS  "), "{}", lines[1]);
    assert_eq!(lines.len(), 9);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let env = TestEnv::new();
    let cases = [
        (["bench", "--repeat", "0"], "error: `--repeat` needs at least one run\n"),
        (["bench", "--threads", "2,0"], "error: `--threads` needs at least one thread\n"),
    ];
    for (args, stderr) in cases {
        env.run(&args).is(2, "", stderr);
    }
}
