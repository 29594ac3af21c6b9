mod corpus;
mod forms;
mod json;
mod work;

use proptest::prelude::*;

use super::table::RULES;
use super::*;

/// Takes the marks out of an example, and puts the placeholder between them.
fn marked(example: &str) -> (String, String, String) {
    let (before, rest) = example.split_once('«').expect("a mark");
    let (secret, after) = rest.split_once('»').expect("two marks");
    let plain = format!("{before}{secret}{after}");
    (plain, format!("{before}{PLACEHOLDER}{after}"), secret.to_owned())
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn unquoted(json: &[u8]) -> String {
    serde_json::from_slice(json).expect("redacted JSON is JSON")
}

#[test]
fn every_example_of_every_rule() {
    let redactor = Redactor::default();
    for rule in RULES {
        for example in rule.secret {
            let (plain, expected, secret) = marked(example);
            assert_eq!(redactor.text(&plain), expected, "{}: decoded", rule.name);
            let json = quoted(&plain);
            assert_eq!(unquoted(&redactor.json(json.as_bytes())), expected, "{}: JSON", rule.name);
            let nested = quoted(&format!(r#"{{"a":{json}}}"#));
            let out = unquoted(&redactor.json(nested.as_bytes()));
            assert!(!out.contains(&secret), "{}: nested: {out}", rule.name);
            serde_json::from_str::<serde_json::Value>(&out).expect("still JSON within JSON");
        }
        for clean in rule.clean {
            assert!(
                matches!(redactor.text(clean), Cow::Borrowed(text) if text == *clean),
                "{}: {}",
                rule.name,
                redactor.text(clean)
            );
            let json = quoted(clean);
            assert!(matches!(redactor.json(json.as_bytes()), Cow::Borrowed(_)), "{}", rule.name);
        }
    }
}

/// A secret is one however its characters are escaped.
#[test]
fn escaped_characters_do_not_hide_a_secret() {
    let redactor = Redactor::default();
    for rule in RULES {
        for example in rule.secret {
            let (plain, expected, _) = marked(example);
            let plain_char = |c: &char| c.is_ascii_graphic() && *c != '"' && *c != '\\';
            for (at, c) in plain.char_indices().filter(|(_, c)| plain_char(c)) {
                let (before, after) = (quoted(&plain[..at]), quoted(&plain[at + 1..]));
                let before = &before[..before.len() - 1];
                let json = format!("{before}\\u{:04x}{}", u32::from(c), &after[1..]);
                let out = redactor.json(json.as_bytes());
                assert_eq!(unquoted(&out), expected, "{}: {json}", rule.name);
            }
        }
    }
}

#[test]
fn an_escape_is_not_the_beginning_of_a_word() {
    let redactor = Redactor::default();
    // A line break and `pm_…`: no token of npm.
    let text = br"\npm_0123456789abcdefghijABCDEFGHIJ012345";
    assert!(matches!(redactor.json(text), Cow::Borrowed(_)));
    // A line break and a token.
    let text = br"\nnpm_0123456789abcdefghijABCDEFGHIJ012345";
    assert_eq!(*redactor.json(text), *br"\n[SECRET_DETECTED]");
}

/// What is not a text becomes one: JSON stays JSON, at any depth.
#[test]
fn values_that_are_no_texts() {
    let redactor = Redactor::default();
    #[rustfmt::skip]
    let cases = [
        (r#"{"password":12345678,"n":1}"#,                   r#"{"password":"[SECRET_DETECTED]","n":1}"#),
        (r#"{"pin":1234,"secret": -1.5e30}"#,                r#"{"pin":1234,"secret": "[SECRET_DETECTED]"}"#),
        (r#"{"secret":{"a":"}","b":["\"",{}]},"n":"x"}"#,    r#"{"secret":"[SECRET_DETECTED]","n":"x"}"#),
        (r#"[{"client_secret":["a b","c"]},7]"#,             r#"[{"client_secret":"[SECRET_DETECTED]"},7]"#),
        (r#"{"token":{"value":"abc"},"password":"a\\","b":"c"}"#, r#"{"token":"[SECRET_DETECTED]","password":"[SECRET_DETECTED]","b":"c"}"#),
        (r#"{"secret\\":["a"],"n":1}"#,                      r#"{"secret\\":"[SECRET_DETECTED]","n":1}"#),
        (r#"{"auth":{"api_key":{"k":"v\\"}}}"#,              r#"{"auth":{"api_key":"[SECRET_DETECTED]"}}"#),
    ];
    for (plain, expected) in cases {
        let (mut plain, mut expected) = (plain.to_owned(), expected.to_owned());
        for depth in 0..4 {
            assert_eq!(redactor.json(plain.as_bytes()), expected.as_bytes(), "{depth}: {plain}");
            (plain, expected) = (quoted(&plain), quoted(&expected));
        }
    }
    // What is cut off within a string ends where the string does.
    let out = redactor.json(br#"{"a":"{\"secret\":{\"b\":\"c","d":1}"#).into_owned();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"a":"{\"secret\":\"[SECRET_DETECTED]\"","d":1}"#
    );
}

#[test]
fn rules_of_users() {
    let mut redactor = Redactor::default();
    redactor.add("ACME-[0-9]+").unwrap();
    redactor.add(r#"(?i)joe\w*=>"J.""#).unwrap();
    redactor.add_file("[[rule]]\npattern = 'x+y'\nreplace = 'z'\n").unwrap();
    assert_eq!(redactor.text("ACME-17 of Joey, xxy"), r#"[redacted] of \"J.\", z"#);
    assert_eq!(unquoted(&redactor.json(br#""a\nJoe""#)), "a\n\"J.\"");
    // Taking a quote along must not break the JSON.
    redactor.add("end.*").unwrap();
    let out = redactor.json(br#"{"a":"the end","b":"\u0041"}"#).into_owned();
    assert_eq!(out, br#"{"a":"the [redacted]","b":"\u0041"}"#);
    assert!(redactor.add("(").is_err());
    assert!(redactor.add("x*").is_err());
    assert!(redactor.add_file("[[rule]]\npatern = 'x'").is_err());
}

/// A sentence about a key has no full stop after its first word.
#[test]
fn a_value_that_ends_a_sentence_is_found() {
    let redactor = Redactor::default();
    let text = "It is X-Api-Key: abcdef0123. as above";
    assert_eq!(redactor.text(text), "It is X-Api-Key: [SECRET_DETECTED] as above");
    let about = "client_secret: OAuth2 client secret";
    assert_eq!(redactor.text(about), about);
}

proptest! {
    #[test]
    fn whatever_the_text_json_stays_json(text in any::<String>(), nth in 0..RULES.len()) {
        let (secret, _, _) = marked(RULES[nth].secret[0]);
        let mut redactor = Redactor::default();
        redactor.add("[a-z]\\W+").unwrap();
        let json = quoted(&format!("{text}{secret}{text}"));
        drop(unquoted(&redactor.json(json.as_bytes())));
        let nested = format!(r#"{{"k":{json},"{nth}":[{}]}}"#, quoted(&json));
        drop(serde_json::from_slice::<serde_json::Value>(&redactor.json(nested.as_bytes())).unwrap());
    }

    /// Whatever stands around a secret, as long as it is no part of it.
    #[test]
    fn secrets_are_found_anywhere(before in "(?s).{0,40}[ \n(]", after in "([ \n).]{1,2}( .{0,40})?)?", nth in 0..RULES.len()) {
        let redactor = Redactor::default();
        for example in RULES[nth].secret {
            let (plain, _, secret) = marked(example);
            let text = format!("{before}{plain}{after}");
            let out = redactor.text(&text);
            prop_assert!(!out.contains(&secret), "{}", out);
            let out = unquoted(&redactor.json(quoted(&text).as_bytes()));
            prop_assert!(!out.contains(&secret), "{}", out);
        }
    }

    #[test]
    fn words_without_a_sign_of_a_secret_stay(text in "([a-z]{1,3}[ .,\n\"]){0,40}") {
        let is_borrowed = matches!(Redactor::default().json(quoted(&text).as_bytes()), Cow::Borrowed(_));
        prop_assert!(is_borrowed);
    }
}
