//! JSON stays JSON, whatever is found in it.

use std::sync::LazyLock;

use super::*;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::default);

/// Parts of texts that make rules look beyond where a text ends.
const PARTS: [&str; 30] = [
    "TOKEN=",
    "password: ",
    "--password ",
    "--token",
    "sshpass -p ",
    "secret",
    "'secret':",
    "'token':[",
    "\"",
    "\\",
    "'",
    "`",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=",
    " is ",
    "\n",
    "a b",
    "hunter22",
    "value",
    "Bearer ",
    "curl -u a:",
    "Cookie: a=",
    "PRIVATE KEY-----",
    "-----BEGIN ",
    "é",
];

/// What users' rules are made of.
const PATTERNS: [&str; 14] = [
    "[0-9]+", "\"", "\\\\", "a", ".", "\\s", "[^a]", "[,:]", "\\{", "true", "(?:x|\")", "é|n",
    "u00", "[\\[\\]]",
];

/// A value of texts, numbers, lists and objects, written with more escapes than
/// need be.
fn value() -> impl Strategy<Value = String> {
    let text = prop::collection::vec(prop::sample::select(&PARTS[..]), 0..6)
        .prop_map(|parts| quoted(&parts.concat()));
    let escaped = text.clone().prop_map(|it| it.replace('a', "\\u0061").replace('=', "\\u003d"));
    let number = any::<i64>().prop_map(|it| it.to_string());
    let leaf =
        prop_oneof![4 => text.clone(), 1 => escaped, 1 => number, 1 => Just("true".to_owned())];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let member = (text.clone(), inner.clone()).prop_map(|(name, it)| format!("{name}:{it}"));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|it| format!("[{}]", it.join(","))),
            prop::collection::vec(member, 0..4).prop_map(|it| format!("{{{}}}", it.join(", "))),
            inner.prop_map(|it| quoted(&it)),
        ]
    })
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(text).is_ok()
}

proptest! {
    #[test]
    fn after_the_rules(values in prop::collection::vec(value(), 1..3)) {
        let redactor = &REDACTOR;
        for value in &values {
            let out = redactor.json(value.as_bytes());
            prop_assert!(is_json(&out), "{value}\n{}", String::from_utf8_lossy(&out));
        }
        let lines = values.join("\n");
        for line in redactor.json(lines.as_bytes()).split(|byte| *byte == b'\n') {
            prop_assert!(is_json(line), "{lines}");
        }
    }

    #[test]
    fn after_users_rules(value in value(), parts in prop::collection::vec(prop::sample::select(&PATTERNS[..]), 1..4), quote in any::<bool>()) {
        let mut redactor = REDACTOR.clone();
        let replacement = if quote { "=>\"{$0}\\" } else { "" };
        redactor.add(&format!("{}{replacement}", parts.concat())).unwrap();
        let out = redactor.json(value.as_bytes());
        prop_assert!(is_json(&out), "{}\n{value}\n{}", parts.concat(), String::from_utf8_lossy(&out));
        let inner = &quoted(&value);
        let out = redactor.json_text(&inner.as_bytes()[1..inner.len() - 1]).into_owned();
        prop_assert!(is_json(&[b"\"", &out[..], b"\""].concat()));
    }
}

/// A text that ends where a value could begin has none.
#[test]
fn what_ends_a_text_begins_no_value() {
    let redactor = Redactor::default();
    #[rustfmt::skip]
    let texts = [
        r#"["the secret=","x","y"]"#, r#"{"cmd":"export TOKEN=","x":"abcdefg"}"#, r#"{"a":"password: ","b":"cde fghij"}"#,
        r#"{"a":"--password ","b":"cde fghij"}"#, r#"{"a":"{\"cmd\":\"export TOKEN=\",\"x\":\"y y\"}","b":1}"#, r#"["my secret is ","hunter22 x"]"#,
    ];
    for text in texts {
        assert_eq!(String::from_utf8_lossy(&redactor.json(text.as_bytes())), text);
    }
    // A list in a text of single quotes ends with the text around it.
    let out = redactor.json(br#"{"a":"'secret':[1,2","b":"]"}"#).into_owned();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":"'secret':'[SECRET_DETECTED]'","b":"]"}"#);
}
