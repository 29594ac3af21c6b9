//! What the first lines of a file say about it.

use std::fs;

use codex_rollout::{Content, Encoding, Layout, RolloutHead, RolloutPath};

const OWN: &str = "01a1fc9d-4b1e-7a52-9e27-3f6f3a2e0c11";
const PARENT: &str = "01a1fc9d-0000-7000-8000-000000000001";

fn meta(id: &str) -> String {
    let (time, kind) = ("2026-11-21T05:39:08.000Z", "session_meta");
    format!(
        r#"{{"timestamp":"{time}","type":"{kind}","payload":{{"id":"{id}","timestamp":"{time}","cwd":"/{id}"}}}}"#
    ) + "\n"
}

fn message(n: usize) -> String {
    format!(
        r#"{{"timestamp":"2026-11-21T05:39:09.000Z","type":"event_msg","payload":{{"type":"user_message","message":"{n}"}}}}"#
    ) + "\n"
}

fn head_of(name: &str, bytes: impl AsRef<[u8]>) -> RolloutHead {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    RolloutHead::read(&RolloutPath::from_file(&path)).unwrap()
}

fn named() -> String {
    format!("rollout-2026-11-21T05-39-08-{OWN}.jsonl")
}

/// The thread's own is the one with the id of the file's name, however many
/// lines of its ancestor come before.
#[test]
fn own_meta_is_found_wherever_it_stands() {
    for n_before in [0, 1, 2, 3, 4, 50, 3_000] {
        let copied: String = (0..n_before).map(message).collect();
        for copied in [copied.clone(), copied + &meta(PARENT)] {
            let head = head_of(&named(), meta(PARENT) + &copied + &meta(OWN) + &message(1));
            let ids = (head.thread_id.as_str(), head.rollout_id.as_str());
            assert_eq!(ids, (OWN, OWN), "{n_before}");
            assert_eq!(head.copied_from_id.as_deref(), Some(PARENT), "{n_before}");
            assert_eq!(head.cwd.as_deref(), Some(&*format!("/{OWN}")));
        }
    }
    // The one of another thread right after it is an ancestor's.
    let head = head_of(&named(), meta(OWN) + &meta(PARENT));
    assert_eq!((head.thread_id.as_str(), head.copied_from_id.as_deref()), (OWN, Some(PARENT)));
    // Where none has the name's id, the first one tells; the name alone if there is none.
    let head = head_of(&named(), message(1) + &"\n".repeat(9) + &message(2) + &meta(PARENT));
    assert_eq!((head.thread_id.as_str(), head.rollout_id.as_str()), (PARENT, PARENT));
    assert_eq!(head_of(&named(), message(1)).thread_id, OWN);
    // A copy's name has the id as well.
    let copy = named().replace(".jsonl", " 2.jsonl");
    assert_eq!(head_of(&copy, meta(PARENT) + &meta(OWN)).thread_id, OWN);
}

#[test]
fn what_is_no_rollout_says_so() {
    let stream = r#"{"type":"thread.started","thread_id":"01a1fc9d-4b1e-7a52-9e27-3f6f3a2e0c11"}
{"type":"turn.started"}
"#;
    let older = r#"{"id":"0","msg":{"type":"task_started"}}
"#;
    let of = |thread_id: Option<&str>| Content::ExecStream { thread_id: thread_id.map(Into::into) };
    let cases = [
        ("a rollout", meta(OWN), Content::Rollout),
        ("without a meta", message(1), Content::Rollout),
        ("noise first", "\0\0\n".repeat(99) + &message(1), Content::Rollout),
        ("exec --json", stream.to_owned(), of(Some(OWN))),
        ("exec --json before 0.44", older.to_owned(), of(None)),
        ("empty", String::new(), Content::Empty),
        ("blank", "\n\n".to_owned(), Content::Empty),
        ("noise", "# Notes\n{\"a\":1}\n".to_owned(), Content::Unknown),
        ("torn", meta(OWN)[..80].to_owned(), Content::Unknown),
    ];
    for (what, text, content) in cases {
        assert_eq!(head_of(&named(), text).content, content, "{what}");
    }
}

/// A wrong suffix does not matter.
#[test]
fn encoding_and_layout_are_told_by_content() {
    let text = meta(OWN) + &message(1);
    let packed = zstd::encode_all(text.as_bytes(), 0).unwrap();
    let document = format!(
        r#"{{
  "session": {{"timestamp":"2025-06-02T23:59:12.345Z","id":"{OWN}","instructions":""}},
  "items": [{{"type":"message","role":"user","content":[]}}]
}}"#
    );
    let cases: [(&str, &[u8], Encoding, Layout); 5] = [
        (".jsonl", &packed, Encoding::Zstd, Layout::Lines),
        (".jsonl.gz", &packed, Encoding::Zstd, Layout::Lines),
        (".jsonl.zst", text.as_bytes(), Encoding::Plain, Layout::Lines),
        (".json", text.as_bytes(), Encoding::Plain, Layout::Lines),
        (".jsonl", document.as_bytes(), Encoding::Plain, Layout::Document),
    ];
    for (suffix, bytes, encoding, layout) in cases {
        let head = head_of(&named().replace(".jsonl", suffix), bytes);
        let found = (head.rollout.encoding, head.rollout.layout, head.thread_id.as_str());
        assert_eq!(found, (encoding, layout, OWN), "{suffix}");
    }
}
