use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::redact::secret::Secret;
use crate::redact::{assignment, escape};

/// A rule: where to look, and what a secret looks like there.
#[derive(Debug)]
pub(super) struct Rule {
    /// What the rule is called in tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "what a test calls the rule"))]
    pub(super) name: &'static str,
    /// The texts at which to look.
    pub(super) triggers: &'static [&'static str],
    /// What follows, the trigger included.
    shape: Shape,
    /// Texts with a secret in them, marked `«…»`.
    #[cfg_attr(not(test), expect(dead_code, reason = "what a test holds the rule to"))]
    pub(super) secret: &'static [&'static str],
    /// Texts without one.
    #[cfg_attr(not(test), expect(dead_code, reason = "what a test holds the rule to"))]
    pub(super) clean: &'static [&'static str],
}

#[derive(Debug)]
enum Shape {
    /// A word that begins with the trigger; a group `s`, if there is one, is
    /// the secret.
    Word(&'static str),
    /// As a word, but it may follow upon anything.
    Anywhere(&'static str),
    /// As anywhere, with five dashes before the trigger.
    Dashed(&'static str),
    /// A name with a value: see [`assignment`].
    Assignment,
}

use Shape::{Anywhere, Assignment, Dashed, Word};

/// The union of what the plugins of LangSmith and Logfire look for.
///
/// What follows a trigger may be written in JSON escapes: `\\*["']` is a quote
/// at any depth of nesting. No pattern takes a backslash that it does not know.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "OpenAI and Anthropic keys", triggers: &["sk-"],
        shape: Word(r"sk-(?:ant|proj|svcacct|admin)-[A-Za-z0-9_-]{16,}|sk-[A-Za-z0-9_-]{20,}"),
        secret: &["use «sk-ant-api03-AbCdEf0123456789xyz_-A» now", "«sk-proj-0123456789abcdefABCDEF»", "a\n«sk-abcdefghijklmnopqrstuvwxyz012345»"],
        clean: &["sk-", "task-runner-of-the-whole-company", "disk-0123456789abcdefghijklmnop", "sk-learn"],
    },
    Rule {
        name: "Stripe keys", triggers: &["sk_", "rk_"],
        shape: Word(r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}"),
        secret: &["«sk_live_4eC39HqLyjWDarjtT1zdp7dc»", "(«rk_test_0123456789»)"],
        clean: &["sk_live_", "risk_test_0123456789"],
    },
    Rule {
        name: "LangSmith keys", triggers: &["lsv2_", "ls__"],
        shape: Word(r"lsv2_(?:pt|sk)_[A-Za-z0-9_]{16,}|ls__[A-Za-z0-9]{16,}"),
        secret: &["«lsv2_pt_0123456789abcdef0123456789abcdef_0123456789»", "«ls__0123456789abcdef0123»"],
        clean: &["lsv2_xx_0123456789abcdef0123456789abcdef", "ls__"],
    },
    Rule {
        name: "GitHub tokens", triggers: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        shape: Word(r"gh[pousr]_[A-Za-z0-9]{30,}"),
        secret: &["«ghp_0123456789abcdefghijABCDEFGHIJ012345»", "x=«ghs_0123456789abcdefghijABCDEFGHIJ012345»;"],
        clean: &["ghp_short", "highp_0123456789abcdefghijABCDEFGHIJ012345"],
    },
    Rule {
        name: "GitHub fine-grained tokens", triggers: &["github_pat_"],
        shape: Word(r"github_pat_[A-Za-z0-9_]{40,}"),
        secret: &["«github_pat_11ABCDEFG0123456789abc_0123456789abcdefghijABCDEFGHIJ0123456789»"],
        clean: &["github_pat_"],
    },
    Rule {
        name: "GitLab tokens", triggers: &["glpat-"],
        shape: Word(r"glpat-[A-Za-z0-9_-]{16,}"),
        secret: &["«glpat-0123456789abcdefXYZ_»"],
        clean: &["glpat-x"],
    },
    Rule {
        name: "Grafana Cloud tokens", triggers: &["glc_"],
        shape: Word(r"glc_[A-Za-z0-9_=+/-]{20,}"),
        secret: &["«glc_eyJvIjoiMTIzNDU2Nzg5MCIsIm4iOiJ4In0=»"],
        clean: &["glc_x"],
    },
    Rule {
        name: "AWS key ids", triggers: &["AKIA", "ASIA"],
        shape: Word(r"A[KS]IA[A-Z0-9]{16}\b"),
        secret: &["id «AKIAIOSFODNN7EXAMPLE»", "«ASIAIOSFODNN7EXAMPLE»"],
        clean: &["ASIAN cuisine", "AKIAIOSFODNN7EXAMPLEandmore"],
    },
    Rule {
        name: "Google API keys", triggers: &["AIza"],
        shape: Word(r"AIza[A-Za-z0-9_-]{35}"),
        secret: &["«AIzaSyA0123456789abcdefghijklmnopqrstuv»"],
        clean: &["AIzaSy"],
    },
    Rule {
        name: "Google OAuth tokens", triggers: &["ya29."],
        shape: Word(r"ya29\.[A-Za-z0-9_.-]{16,}"),
        secret: &["«ya29.a0AfH6SMBx0123456789_-abc»"],
        clean: &["ya29.x"],
    },
    Rule {
        name: "Slack tokens", triggers: &["xox", "xapp-"],
        shape: Word(r"(?:xox[abprs]|xapp)-[A-Za-z0-9-]{10,}"),
        secret: &["«xoxb-123456789012-123456789012-abcdef»", "«xapp-1-A0123456789-0123456789-abc»"],
        clean: &["xoxb-", "foxapp-0123456789012"],
    },
    Rule {
        name: "Slack webhooks", triggers: &["hooks.slack.com"],
        shape: Anywhere(r"hooks\.slack\.com(?:\\*/)(?:services|workflows|triggers)(?:\\*/)(?<s>[A-Za-z0-9_\\/-]*[A-Za-z0-9_-])"),
        secret: &["https://hooks.slack.com/services/«T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX»"],
        clean: &["see hooks.slack.com for more"],
    },
    Rule {
        name: "npm tokens", triggers: &["npm_"],
        shape: Word(r"npm_[A-Za-z0-9]{30,}"),
        secret: &["«npm_0123456789abcdefghijABCDEFGHIJ012345»"],
        clean: &["npm_config_registry"],
    },
    Rule {
        name: "PyPI tokens", triggers: &["pypi-"],
        shape: Word(r"pypi-[A-Za-z0-9_-]{32,}"),
        secret: &["«pypi-AgEIcHlwaS5vcmcCJDAxMjM0NTY3ODkwMTIzNDU2Nzg5MA»"],
        clean: &["pypi-mirror"],
    },
    Rule {
        name: "SendGrid keys", triggers: &["SG."],
        shape: Word(r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
        secret: &["«SG.0123456789abcdefghijkl.0123456789abcdefghijklmnopqrstuvwxyzABCDEFG»"],
        clean: &["MSG.x", "SG.short"],
    },
    Rule {
        name: "JSON web tokens", triggers: &["eyJ"],
        shape: Word(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
        secret: &["«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P»"],
        clean: &["eyJhbGciOiJIUzI1NiJ9 alone"],
    },
    Rule {
        name: "private keys", triggers: &["BEGIN "],
        shape: Dashed(r"-----BEGIN [A-Z ]{0,24}PRIVATE KEY(?: BLOCK)?-----(?:(?:[A-Za-z0-9+/=:,.()\s-]|\\+[nrt/])*?-----END [A-Z ]{0,24}PRIVATE KEY(?: BLOCK)?-----|(?:[A-Za-z0-9+/=\s]|\\+[nrt/])*)"),
        secret: &["«-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/=\nabc\n-----END RSA PRIVATE KEY-----»\nrest", "«-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r»"],
        clean: &["-----BEGIN CERTIFICATE-----\nMIIEow\n-----END CERTIFICATE-----"],
    },
    Rule {
        name: "bearer tokens", triggers: &["bearer ", "Bearer ", "BEARER "],
        shape: Word(r"(?i:bearer) +(?<s>[A-Za-z0-9._~+/=-]*[0-9][A-Za-z0-9._~+/=-]{7,}|[A-Za-z0-9._~+/=-]{7,}[0-9][A-Za-z0-9._~+/=-]*|[A-Za-z0-9._~+/=-]{24,})"),
        secret: &["Authorization: Bearer «abcdef0123456789»", "bearer «0123456789abcdef.x»"],
        clean: &["Bearer authentication is used", "the bearer of this letter"],
    },
    Rule {
        name: "authorization headers", triggers: &["uthorization", "UTHORIZATION"],
        shape: Anywhere(r#"(?i:uthorization)(?:\\*["'])?(?:\s|\\+[nrt])*[:=](?:\s|\\+[nrt])*(?:\\*["'])?(?i:basic|token|apikey|digest|bearer) +(?<s>[A-Za-z0-9._~+/=:-]{6,})"#),
        secret: &["Authorization: Basic «dXNlcjpwYXNzd29yZA==»", r#"{"authorization": "token «abcdefgh»"}"#],
        clean: &["authorization: required", "Authorization of users"],
    },
    Rule {
        name: "passwords of sshpass", triggers: &["sshpass"],
        shape: Word(r#"sshpass(?:\\*["'])?(?:\s|\\+[nrt]|,)*(?:\\*["'])?-p(?:\\*["'])?(?:\s|,)*(?:\\*["'])?(?<s>[^\s"'\\,-][^\s"'\\,]*)"#),
        secret: &["sshpass -p «hunter2» ssh a@b", "sshpass -p'«hunter2»' ssh", r#"["sshpass", "-p", "«hunter2»", "ssh"]"#],
        clean: &["sshpass -e ssh a@b", "install sshpass", "mkdir -p hunter2", r#"["mkdir", "-p", "hunter2"]"#, r#"["ssh", "-p", "2222"]"#],
    },
    Rule {
        name: "passwords in addresses", triggers: &["://", r":\/\/"],
        shape: Anywhere(r#":(?:\\*/){2}[^\s/:@"'\\<>]*:(?<s>[^\s/@"'\\<>]+)@"#),
        secret: &["postgres://user:«hunter2»@db:5432/x", "redis://:«p%40ss»@cache"],
        clean: &["https://example.com:8080/a@b", "http://user@host/x:y", "https://x/a:b@c"],
    },
    Rule {
        name: "named secrets",
        triggers: &[
            "secret", "Secret", "SECRET", "token", "Token", "TOKEN", "passw", "Passw", "PASSW",
            "_key", "-key", "ikey", "iKey", "_KEY", "-KEY", "IKEY", "-Key", "sKey", "eKey", "tKey",
        ],
        shape: Assignment,
        secret: &[
            "export AWS_SECRET_ACCESS_KEY=«wJalrXUtnFEMI/K7MDENG»", "password: «hunter22»",
            r#"{"client_secret": "«a b c»", "x": 1}"#, "api-key = '«0123456789»'", "X-Api-Key: «abcdef0123»",
            "DB_PASSWORD=«s3cr3t!!»\nNEXT=1", "--token «abcdef0123456789» --x", "apiKey: \"«k-0123456789»\"",
            "--password '«correct horse»' -v", "--api-key \"«a b»\"",
            "private_key=«abcdefghij»", "passwd=«hunter22»", "x-auth-token: «abcdef0123»",
            r#"{\"password\":\"«correct horse\\n»\"}"#,
            r#"["--password", "«hunter2»"]"#, r#"["x","--api-key","«k y»","--verbose"]"#, "['--token', '«t-1»']",
            r#"{"password":"«ends in \\»","user":"me"}"#,
        ],
        clean: &[
            "max_output_tokens: 20000", r#"{"max_output_tokens":20000,"token":1234567890123}"#, "token = next_token(stream)",
            "the secret of success", "primary_key=abcdefgh", "PASSWORD=$PASSWORD_FROM_VAULT", "token: String", "tokenizer: abcdefgh",
            r#"["--no-password", "mydb"]"#, "psql --no-password mydatabase", r#"["--token", "--verbose"]"#, r#"["--token"]"#,
            r#"add("--token", "token", "-t")"#, r#"add("--secret", help="the secret")"#, r#"["token", "abcdefgh"]"#,
            r#"{"password":null,"secret":true,"passwd":{},"token":[]}"#, r#"{"password":{"type":"string"},"secret":17,"token":[1,2,3]}"#,
            "secret = [SECRET_DETECTED]", "password: ", r#"{"token":"","n":"abcdefgh"}"#, "total_token_usage: abcdef",
        ],
    },
];

static COMPILED: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    let compile = |rule: &Rule| match rule.shape {
        Word(pattern) | Anywhere(pattern) | Dashed(pattern) => {
            // Unicode off: what is searched may be cut anywhere, and bytes are faster.
            Some(Regex::new(&format!("(?-u)\\A(?:{pattern})")).expect("a tested pattern"))
        }
        Assignment => None,
    };
    RULES.iter().map(compile).collect()
});

/// Returns where the secret is, if the text at a trigger has one.
pub(super) fn find(nth: usize, text: &[u8], at: usize, json: bool) -> Option<Secret> {
    let rule = &RULES[nth];
    let at = match rule.shape {
        Dashed(_) => at - text[..at].strip_suffix(b"-----").map(|_| 5)?,
        _ => at,
    };
    if json && escape::is_escaped(text, at) {
        return None;
    }
    if matches!(rule.shape, Word(_)) && !escape::begins_word(text, at) {
        return None;
    }
    let Some(regex) = &COMPILED[nth] else { return assignment::find(text, at) };
    let rest = &text[at..];
    // Most triggers are no secrets: say so without looking for groups.
    if !regex.is_match(rest) {
        return None;
    }
    let captures = regex.captures(rest)?;
    let whole = captures.get(0)?;
    let secret = captures.name("s").unwrap_or(whole);
    Some(Secret::part(at + secret.start()..at + secret.end()))
}
