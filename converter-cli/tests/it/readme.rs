//! What README says a command prints, it prints.

use std::fs;

use crate::testenv::{TestEnv, testdata};

const RUN: &str = "$ cargo run --release -- ";

/// The commands of README's console blocks that are run on the sample, with
/// what they are said to print.
fn samples(readme: &str) -> Vec<(String, Vec<String>)> {
    let blocks = readme.split("```console\n").skip(1);
    let lines = blocks.filter_map(|block| block.split("```").next()).flat_map(str::lines);
    let mut samples: Vec<(String, Vec<String>)> = Vec::new();
    let mut ours = false;
    for line in lines {
        if line.starts_with("$ ") {
            let command = line.strip_prefix(RUN);
            ours = command.is_some();
            samples.extend(command.map(|command| (command.to_owned(), Vec::new())));
        } else if ours && let Some((_, output)) = samples.last_mut() {
            output.push(line.to_owned());
        }
    }
    samples
}

/// Whether `printed` is as it is said to be, where a line `…` stands for some
/// that are left out.
fn matches(said: &[String], printed: &[&str]) -> bool {
    let parts: Vec<&[String]> = said.split(|line| line == "…").collect();
    let mut rest = printed;
    for (nth, part) in parts.iter().enumerate() {
        let fits = |at: &usize| rest[*at..].iter().zip(*part).all(|(is, said)| is == said);
        let mut places = 0..(rest.len() + 1).saturating_sub(part.len());
        let place = if nth == 0 {
            Some(0).filter(|_| !places.is_empty())
        } else {
            places.find(|at| fits(at))
        };
        let Some(place) = place.filter(fits) else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.is_empty() || said.last().is_some_and(|line| line == "…")
}

#[test]
fn readme_says_what_commands_print() {
    let readme = fs::read_to_string(testdata("../README.md")).expect("a README");
    let samples = samples(&readme);
    assert_eq!(samples.len(), 6, "{samples:?}");
    let tree = testdata("tree").display().to_string();
    let env = TestEnv::new();
    for (command, said) in samples {
        let args: Vec<_> =
            command.split(' ').map(|word| word.replace("testdata/tree", &tree)).collect();
        // As on a terminal of the usual width.
        let run = env.finish(env.command(&args).env("COLUMNS", "80"));
        // The sample has a turn without an end. An upload holds it back, which is
        // "not all done" unless its file is as new as in a clone just made.
        let expected = if command.starts_with("upload ") { 0..=1 } else { 0..=0 };
        let is_expected = run.code.is_some_and(|code| expected.contains(&code));
        assert!(is_expected, "{command}: {:?} {}", run.code, run.stderr);
        let printed: Vec<&str> = run.stdout.lines().collect();
        assert!(matches(&said, &printed), "{command}\n{}", run.stdout);
    }
    assert!(env.dir().join("traces.jsonl").metadata().expect("it was written").len() > 0);
}

#[test]
fn lines_left_out_are_all_that_may_differ() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (said, printed, fits) in [
        ("a\nb", "a\nb", true),
        ("a\n…", "a\nb\nc", true),
        ("a\n…\nc", "a\nb\nb\nc", true),
        ("a\n…\nc", "a\nb\nc\nd", false),
        ("a", "a\nb", false),
        ("b", "a\nb", false),
        ("a\nb", "a", false),
        ("", "", true),
    ] {
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(matches(&lines(said), &printed), fits, "{said} {printed:?}");
    }
}
