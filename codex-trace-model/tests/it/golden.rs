//! What the live plugins uploaded for the same rollouts: the same turns, model
//! calls, tools and subagents, but for their known defects.

use codex_trace_model::{SpanKind, Trace};

use crate::support::{for_each_trace, testdata};

/// What one plugin uploaded, or what the trace has.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Facts {
    turns: usize,
    model_calls: usize,
    tools: Vec<String>,
    subagents: Vec<String>,
    tokens: u64,
}

/// Where the trace says something else than a plugin, and why it is right.
struct Difference {
    /// A part of the fixture's path.
    fixture: &'static str,
    plugins: &'static [&'static str],
    why: &'static str,
    /// Makes the plugin's facts those of the trace.
    mend: fn(&mut Facts),
}

fn nested(facts: &mut Facts, names: &[&str]) {
    facts.tools.extend(names.iter().map(ToString::to_string));
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        fixture: "/e2e/exec/",
        plugins: &["langsmith", "braintrust"],
        why: "the two commands that code mode ran are spans of their own",
        mend: |it| nested(it, &["exec_command", "exec_command"]),
    },
    Difference {
        fixture: "/e2e/multiturn/",
        plugins: &["langsmith", "braintrust"],
        why: "the two commands that code mode ran are spans of their own",
        mend: |it| nested(it, &["exec_command", "exec_command"]),
    },
    Difference {
        fixture: "/e2e/patch/",
        plugins: &["langsmith", "braintrust"],
        why: "patches that code mode applied are spans of their own",
        mend: |it| nested(it, &["apply_patch"]),
    },
    Difference {
        fixture: "/a169/",
        plugins: &["langsmith", "braintrust"],
        why: "what code mode ran is a span of its own: two commands in the second file, a patch in the third",
        mend: |it| match it.tokens {
            2600 => nested(it, &["exec_command", "exec_command"]),
            3000 => nested(it, &["apply_patch"]),
            _ => {}
        },
    },
    Difference {
        fixture: "05-15-11-01a1fc87",
        plugins: &["braintrust"],
        why: "an llm span without tokens for the compaction, whose context estimate it counts",
        mend: |it| {
            it.model_calls -= 1;
            it.tokens = 404_200;
        },
    },
    Difference {
        fixture: "05-11-22-01a1fc84",
        plugins: &["langsmith"],
        why: "the compaction call is left out: 5 200 tokens of one usage record",
        mend: |it| {
            it.model_calls += 1;
            it.tokens += 5_200;
        },
    },
    Difference {
        fixture: "05-11-22-01a1fc84",
        plugins: &["braintrust"],
        why: "it counts the context estimate (14 902) for the compaction call (5 200)",
        mend: |it| it.tokens = it.tokens - 14_902 + 5_200,
    },
    Difference {
        fixture: "05-12-36-01a1fc85",
        plugins: &["braintrust"],
        why: "the killed turn's usage is in its usage record, not in a token_count",
        mend: |it| it.tokens = 1_350,
    },
];

fn facts(trace: &Trace<'_>) -> Facts {
    let mut it = Facts { turns: 0, model_calls: 0, tools: vec![], subagents: vec![], tokens: 0 };
    for (ix, span) in trace.iter() {
        match span.kind {
            SpanKind::Thread if ix.0 > 0 => {
                it.subagents.push(trace.thread_of(span).id.clone());
            }
            SpanKind::Turn(_) if span.thread.0 == 0 => it.turns += 1,
            SpanKind::ModelCall(_) => it.model_calls += 1,
            SpanKind::ToolCall(_) => it.tools.push(span.name.to_string()),
            _ => {}
        }
    }
    it.tokens = trace.usage().total_tokens;
    it
}

fn list(field: &str) -> Vec<String> {
    field.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn traces_agree_with_what_the_plugins_uploaded() {
    let table = std::fs::read_to_string(testdata("golden/facts.tsv")).unwrap();
    let (mut compared, mut wrong) = (0, Vec::new());
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (fixture, plugin) = (fields[0], fields[1]);
        let mut theirs = Facts {
            turns: fields[2].parse().unwrap(),
            model_calls: fields[3].parse().unwrap(),
            tools: list(fields[4]),
            subagents: list(fields[5]),
            tokens: fields[6].parse().unwrap(),
        };
        // Files without turn ids and turns without end upload nothing; a
        // subagent's file alone has no root turn; the MLflow plugin reads only
        // the last turn, no custom tools and no call without text.
        if theirs.turns == 0 || plugin == "mlflow" {
            continue;
        }
        compared += 1;
        let ours = session_of(fixture);
        for difference in DIFFERENCES {
            let path = format!("/{fixture}");
            if path.contains(difference.fixture) && difference.plugins.contains(&plugin) {
                assert!(!difference.why.is_empty());
                (difference.mend)(&mut theirs);
            }
        }
        let mut sorted = ours.clone();
        sorted.tools.sort();
        theirs.tools.sort();
        if sorted != theirs {
            wrong.push(format!("{plugin}: {fixture}\n  trace:  {sorted:?}\n  plugin: {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(compared, 36, "rows of facts.tsv that are not left out");
}

/// Resolves the session that a fixture is the root of, or the file alone.
fn session_of(fixture: &str) -> Facts {
    let path = testdata("golden").join(fixture);
    let name = path.file_name().unwrap();
    let mut found = None;
    for_each_trace(path.parent().unwrap(), |trace| {
        let root = &trace.root().rollouts[0].path;
        if root.ends_with(name.to_str().unwrap()) {
            found = Some(facts(trace));
        }
    });
    if found.is_none() {
        for_each_trace(&path, |trace| found = Some(facts(trace)));
    }
    found.expect("the fixture is there")
}
