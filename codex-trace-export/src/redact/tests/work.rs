//! Work grows with the text: nothing is looked at again from every place at
//! which a secret could begin.
//!
//! Each text repeats what could make a rule look far, without ever being what
//! it looks for. Were it looked at to its end from each place, one of these
//! texts would take minutes.

use std::sync::LazyLock;

use super::*;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::default);

const LEN: usize = 1 << 17;

fn redact(unit: &str) {
    let text = unit.repeat(LEN / unit.len());
    drop(REDACTOR.json_text(text.as_bytes()));
}

#[test]
fn of_triggers() {
    for trigger in RULES.iter().flat_map(|rule| rule.triggers) {
        redact(trigger);
    }
}

#[test]
fn of_what_could_go_on() {
    #[rustfmt::skip]
    let units = [
        "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nabc ", "-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\" + \"", "abcdefghijklmnopqrstuvwxyz\n-----END PRIVATE KEY-----\n", "PRIVATE KEY",
        "token=", "token=$", "token= (", "token=String.", "token=https://a", "token=a.b", "--token ", "--token (", "token is ", "token ",
        "password='", "password=\"[", "password=\"", "password='[", "password=`$", "password==\"$", "<password>", "<password>x",
        "\"secret\":{", "'secret':{", "\"secret\":[[", "'token':[", "'token':[1,", "\"token\":{\"a\":", "\"secret\":{\"type\"", "secret: |\n",
        "\"--token\",", "name: DB_TOKEN\nvalue: $", "\"API_KEY\",\"$", "API_KEY,value=", "secret=\\", "\\", "\\\"", "\\\\n", "\\u0041",
        "AKIAIOSFODNN7EXAMPLE ", "curl ", "curl -u ", "curl -u a:", "Cookie: a=", "Cookie: a", "sig=0123456789", "://", "://a:", "://a:b", "bearer ", "bearer a",
        "Authorization: ", "Authorization: Basic ", "sshpass -p ", "sshpass ", "eyJaaaaaaaa.", "eyJ", "sk-", "sk-a", "LS0tLS1CRUdJTiBSU0EgUF",
        "hooks.slack.com/services/", "login a password $", "login password ",
    ];
    for unit in units {
        redact(unit);
    }
}

/// Quotes at ever greater depth: each could be looked through to the end.
#[test]
fn of_quotes_at_any_depth() {
    for (open, quote) in [("secret=", '"'), ("secret=", '\''), ("secret: ", '`')] {
        let mut text = String::new();
        for depth in 0.. {
            text.push_str(open);
            text.extend(std::iter::repeat_n('\\', depth));
            text.push(quote);
            text.push('[');
            if text.len() > LEN {
                break;
            }
        }
        drop(REDACTOR.text(&text));
        drop(REDACTOR.json_text(text.as_bytes()));
    }
}
