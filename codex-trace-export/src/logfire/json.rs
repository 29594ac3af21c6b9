//! JSON as the live exporter writes it: compact, keys sorted, everything beyond
//! ASCII escaped.

use std::io::Write as _;

use serde_json::{Number, Value};

/// Appends a string with its quotes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            ' '..='~' => out.push(c as u8),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    put(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push(b'"');
}

/// Appends a value that is JSON already; what cannot be read as such, because
/// it is nested too deeply, as a string that holds it.
pub(super) fn value(out: &mut Vec<u8>, raw: &[u8]) {
    match serde_json::from_slice(raw) {
        Ok(it) => sorted(out, &it),
        Err(_) => text(out, &String::from_utf8_lossy(raw)),
    }
}

fn sorted(out: &mut Vec<u8>, it: &Value) {
    match it {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(it) => put(out, format_args!("{it}")),
        Value::Number(it) => number(out, it),
        Value::String(it) => text(out, it),
        Value::Array(items) => {
            out.push(b'[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                sorted(out, item);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            // The map may keep the order of the text, as other crates ask it to.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (nth, (key, field)) in fields.into_iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                text(out, key);
                out.push(b':');
                sorted(out, field);
            }
            out.push(b'}');
        }
    }
}

/// Appends a number as Python spells it: exponents have a sign and two digits.
fn number(out: &mut Vec<u8>, it: &Number) {
    let spelled = it.to_string();
    let Some((digits, exponent)) = spelled.split_once('e') else {
        out.extend_from_slice(spelled.as_bytes());
        return;
    };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent.trim_start_matches('+')),
    };
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    put(out, format_args!("{digits}e{sign}{exponent:0>2}"));
}

fn put(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("memory takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right side is what `json.dumps(…, sort_keys=True,
    /// separators=(",", ":"))` of Python 3 makes of the left one.
    #[test]
    fn values_are_spelled_as_python_spells_them() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"b":1,"a":[true,null]}"#,     r#"{"a":[true,null],"b":1}"#),
            (r#""\u00e9\ud83d\ude00\/ é""#,    r#""\u00e9\ud83d\ude00/ \u00e9""#),
            (r#""\b\f\n\r\t\u0001\u007f\"\\""#, r#""\b\f\n\r\t\u0001\u007f\"\\""#),
            ("1.0",                            "1.0"),
            ("1e22",                           "1e+22"),
            ("1.5e-7",                         "1.5e-07"),
            ("-12",                            "-12"),
            (r#"{"é":1,"z":2,"Z":3}"#,         r#"{"Z":3,"z":2,"\u00e9":1}"#),
        ];
        for (given, expected) in cases {
            let mut out = Vec::new();
            value(&mut out, given.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_stays_a_text() {
        let mut out = Vec::new();
        value(&mut out, "[".repeat(100_000).as_bytes());
        assert!(out.starts_with(b"\"[[[") && out.ends_with(b"[[[\""));
    }
}
