use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::redact::secret::Secret;
use crate::redact::{armor, assignment, escape};

/// How much of a text a pattern sees: what is found there and goes on is taken
/// to its end, so that no place costs more than this, or is taken.
const WINDOW: usize = 16 * 1024;

/// As much of a text shows whether it is one that nobody would write.
const SAMPLE: usize = 64;

/// No word is as long, in letters.
const LONGER_THAN_WORDS: usize = 16;

/// The least length of the secret of AWS that stands near its id.
const AWS_SECRET: usize = 40;

/// How far from its id.
const AWS_NEAR: usize = 160;

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
    /// As a word, and one that nobody would write: with a digit, with small and
    /// capital letters, or with many in a row.
    Random(&'static str),
    /// Such a one, that may follow upon anything.
    RandomAnywhere(&'static str),
    /// A word that begins so many bytes before the trigger.
    Later(usize, &'static str),
    /// As a word, with the secret that belongs to it near by.
    Aws(&'static str),
    /// A private key: see [`armor`].
    Armor,
    /// A name with a value: see [`assignment`].
    Assignment,
}

use Shape::{Anywhere, Armor, Assignment, Aws, Later, Random, RandomAnywhere, Word};

/// The union of what the plugins of LangSmith and Logfire look for.
///
/// What follows a trigger may be written in JSON escapes: `\\*["']` is a quote
/// at any depth of nesting. No pattern takes a backslash that it does not know.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "OpenAI and Anthropic keys", triggers: &["sk-"],
        shape: Random(r"sk-(?:ant|proj|svcacct|admin)-[A-Za-z0-9_-]{16,}|sk-[A-Za-z0-9_-]{20,}"),
        secret: &["use «sk-ant-api03-AbCdEf0123456789xyz_-A» now", "«sk-proj-0123456789abcdefABCDEF»", "a\n«sk-abcdefghijklmnopqrstuvwxyz012345»", "«sk-or-v1-0123456789abcdef0123456789abcdef»", "«sk-lf-01234567-89ab-cdef-0123-456789abcdef»", "«sk-proj-abcdefghijklmnop»", "«sk-aaaaaaaaaaaaaaaaaaaaaaaa»"],
        clean: &["sk-", "task-runner-of-the-whole-company", "disk-0123456789abcdefghijklmnop", "sk-learn", "<div class=\"sk-toggleable__label-arrow sk-fading-circle-container\">"],
    },
    Rule {
        name: "Stripe keys", triggers: &["k_live_", "k_test_"],
        shape: Later(1, r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}"),
        secret: &["«sk_live_4eC39HqLyjWDarjtT1zdp7dc»", "(«rk_test_0123456789»)"],
        clean: &["sk_live_", "risk_test_0123456789", "ok_test_0123456789", "k_test_0123456789"],
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
        name: "GitLab tokens", triggers: &["glpat-", "gldt-", "glrt-", "glptt-"],
        shape: Word(r"gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_.-]{16,}"),
        secret: &["«glpat-0123456789abcdefXYZ_»", "«glrt-0123456789abcdefXYZ_»"],
        clean: &["glpat-x"],
    },
    Rule {
        name: "Grafana Cloud tokens", triggers: &["glc_", "glsa_"],
        shape: Word(r"glc_[A-Za-z0-9_=+/-]{20,}|glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
        secret: &["«glc_eyJvIjoiMTIzNDU2Nzg5MCIsIm4iOiJ4In0=»", "«glsa_0123456789abcdefghijABCDEFGHIJ01_0123abcd»"],
        clean: &["glc_x"],
    },
    Rule {
        name: "AWS key ids", triggers: &["AKIA", "ASIA", "ABIA", "ACCA", "A3T"],
        shape: Aws(r"(?:A[KSB]IA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}\b"),
        secret: &["id «AKIAIOSFODNN7EXAMPLE»", "«ASIAIOSFODNN7EXAMPLE»", "«ABIAIOSFODNN7EXAMPLE»", "«A3TXIOSFODNN7EXAMPLE»"],
        clean: &["ASIAN cuisine", "AKIAIOSFODNN7EXAMPLEandmore", "ACCA"],
    },
    Rule {
        name: "Google API keys", triggers: &["AIza"],
        shape: Word(r"AIza[A-Za-z0-9_-]{35}"),
        secret: &["«AIzaSyA0123456789abcdefghijklmnopqrstuv»"],
        clean: &["AIzaSy"],
    },
    Rule {
        name: "Google OAuth tokens", triggers: &["ya29.", "GOCSPX-"],
        shape: Word(r"ya29\.[A-Za-z0-9_.-]{16,}|GOCSPX-[A-Za-z0-9_-]{20,}"),
        secret: &["«ya29.a0AfH6SMBx0123456789_-abc»", "«GOCSPX-0123456789abcdefghijklmnop_-»"],
        clean: &["ya29.x", "GOCSPX-"],
    },
    Rule {
        name: "Slack tokens", triggers: &["xox", "xapp-"],
        shape: Word(r"(?:xox[a-z](?:\.xox[a-z])?|xapp)-[A-Za-z0-9%-]{10,}"),
        secret: &["«xoxb-123456789012-123456789012-abcdef»", "«xapp-1-A0123456789-0123456789-abc»", "«xoxe.xoxp-1-Mi0yLTAtMTIz»", "«xoxd-abc%2Bdef0123456789»"],
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
        shape: Word(r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{0,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]+){0,2}|eyJrIjoi[A-Za-z0-9+/]{50,}={0,2}"),
        secret: &["«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P»", "«eyJhbGciOiJkaXIifQ..iv0123456789.ciphertext0123.tag0123»", "session=«eyJ1c2VyIjoxfQ.ZkX1Yg.abcdefghijklmnopqrstuvwxyz0»"],
        clean: &["eyJhbGciOiJIUzI1NiJ9 alone"],
    },
    Rule {
        name: "private keys", triggers: &["PRIVATE KEY"],
        shape: Armor,
        secret: &[
            "«-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/=\nabc\n-----END RSA PRIVATE KEY-----»\nrest",
            "«-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA»",
            "«-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\nlQHYBFabcdef0123456789\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----»",
            "+«-----BEGIN EC PRIVATE KEY-----\n+MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqG\n+SM49AwEHoUQDQgAE\n+-----END EC PRIVATE KEY-----»\n+rest",
        ],
        clean: &[
            "-----BEGIN CERTIFICATE-----\nMIIEow\n-----END CERTIFICATE-----", "a PRIVATE KEY is kept", "-----BEGIN PUBLIC KEY-----\nMIIEow\n-----END PUBLIC KEY-----",
            "if key.startswith(\"-----BEGIN PRIVATE KEY-----\") and key.endswith(\"-----END PRIVATE KEY-----\"):",
            "`-----BEGIN PRIVATE KEY-----` and `-----END PRIVATE KEY-----`", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        ],
    },
    Rule {
        name: "bearer tokens", triggers: &["bearer ", "Bearer ", "BEARER "],
        shape: Word(r"(?i:bearer) +(?<s>[A-Za-z0-9._~+/=-]*[0-9][A-Za-z0-9._~+/=-]{7,}|[A-Za-z0-9._~+/=-]{7,}[0-9][A-Za-z0-9._~+/=-]*|[A-Za-z0-9._~+/=-]{24,})"),
        secret: &["Authorization: Bearer «abcdef0123456789»", "bearer «0123456789abcdef.x»"],
        clean: &["Bearer authentication is used", "the bearer of this letter"],
    },
    Rule {
        name: "authorization headers", triggers: &["uthorization", "UTHORIZATION"],
        shape: RandomAnywhere(r#"(?i:uthorization)(?:\\*["'])?(?:\s|\\+[nrt])*[:=,](?:\s|\\+[nrt])*(?:\\*["'])?(?:(?i:basic|token|apikey|api-key|digest|bearer|bot|key|ssws|splunk|negotiate|ntlm) +(?<s>[A-Za-z0-9._~+/=:-]{6,})|(?<r>[A-Za-z0-9._~+/=:-]{16,}))"#),
        secret: &["Authorization: Basic «dXNlcjpwYXNzd29yZA==»", r#"{"authorization": "token «abcdefgh1»"}"#],
        clean: &["authorization: required", "Authorization of users", "in the Authorization: Bearer header", "Authorization: Bearer ${TOKEN}"],
    },
    Rule {
        name: "passwords of sshpass", triggers: &["sshpass"],
        shape: Word(r#"sshpass(?:\\*["'])?(?:\s|\\+[nrt]|,)*(?:\\*["'])?-p(?:\\*["'])?(?:\s|,)*(?:\\*["'])?(?<s>[^\s"'\\,:}\]-][^\s"'\\,]*)"#),
        secret: &["sshpass -p «hunter2» ssh a@b", "sshpass -p'«hunter2»' ssh", r#"["sshpass", "-p", "«hunter2»", "ssh"]"#],
        clean: &["sshpass -e ssh a@b", "install sshpass", "mkdir -p hunter2", r#"["mkdir", "-p", "hunter2"]"#, r#"["ssh", "-p", "2222"]"#],
    },
    Rule {
        name: "passwords in addresses", triggers: &["://", r":\/\/"],
        shape: Anywhere(r#":(?:\\*/){2}(?:[^\s/:@"'\\<>]*:(?<s>[^\s/"'\\<>$\{%][^\s/"'\\<>]*|%[0-9A-F]{2}[^\s/"'\\<>]*)|(?<r>[A-Za-z0-9_-]{40,}))@"#),
        secret: &["postgres://user:«hunter2»@db:5432/x", "redis://:«p%40ss»@cache", "amqp://u:«p@ss»@h/", "https://«abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnop»@dev.azure.com/x"],
        clean: &["https://example.com:8080/a@b", "http://user@host/x:y", "https://x/a:b@c", "postgres://user:${PASSWORD}@host", "postgres://{user}:{password}@{host}", "mysql://%s:%s@%s"],
    },
    Rule {
        name: "tokens of model providers", triggers: &["gsk_", "hf_", "xai-", "nvapi-"],
        shape: Random(r"gsk_[A-Za-z0-9]{32,}|hf_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{40,}|nvapi-[A-Za-z0-9_-]{40,}"),
        secret: &[
            "«gsk_0123456789abcdefghijABCDEFGHIJ0123456789»", "«hf_abcdefghijABCDEFGHIJabcdefghijABCD»",
            "«xai-0123456789abcdefghijABCDEFGHIJ0123456789abcd»", "«nvapi-0123456789abcdefghijABCDEFGHIJ0123456789-_abcd»",
        ],
        clean: &["hf_hub_download(repo)", "xai-grok", "gsk_test", "hf_inference_endpoint_of_the_whole_team"],
    },
    Rule {
        name: "Logfire tokens", triggers: &["pylf_"],
        shape: Word(r"pylf_(?:v[0-9]+_[a-z]+_)?[A-Za-z0-9]{24,}"),
        secret: &["«pylf_v1_eu_0123456789abcdefghijABCDEFGHIJ0123456789abc»"],
        clean: &["pylf_v1"],
    },
    Rule {
        name: "tokens of hosts", triggers: &["dapi", "dop_v1_", "hvs.", "dckr_"],
        shape: Word(r"dapi[a-f0-9]{32}(?:-[0-9])?|dop_v1_[a-f0-9]{64}|hvs\.[A-Za-z0-9_-]{24,}|dckr_[po]at_[A-Za-z0-9_-]{20,}"),
        secret: &[
            "«dapi0123456789abcdef0123456789abcdef-2»", "«dop_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef»",
            "«hvs.CAESI0123456789abcdefghij_-ABCDEFGHIJ»", "«dckr_pat_0123456789abcdefghij_-AB»",
        ],
        clean: &["dapi", "mdapi0123456789abcdef0123456789abcdef", "hvs.example"],
    },
    Rule {
        name: "tokens of services", triggers: &["figd_", "shpat_", "sntry", "ATATT3", "PMAK-"],
        shape: Word(r"figd_[A-Za-z0-9_-]{32,}|shpat_[a-fA-F0-9]{32}|sntry[su]_[A-Za-z0-9+/=_-]{40,}|ATATT3[A-Za-z0-9+/=_-]{60,}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
        secret: &[
            "«figd_0123456789abcdefghij-_ABCDEFGHIJ0123456789»", "«shpat_0123456789abcdef0123456789abcdef»",
            "«sntrys_eyJpYXQiOjE2ODczMzY1NDMuNjk4NTksInVybCI6bnVsbH0=_abc»", "«PMAK-0123456789abcdef01234567-0123456789abcdef0123456789abcdef01»",
            "«ATATT3xFfGF0123456789abcdefghijABCDEFGHIJ0123456789abcdefghijABCDEFGHIJ=ABCD1234»",
        ],
        clean: &["figd_", "shpat_", "sntry", "ATATT3"],
    },
    Rule {
        name: "tokens of bots", triggers: &[".org/bot"],
        shape: Anywhere(r"\.org(?:\\*/)bot(?<s>[0-9]{6,}:[A-Za-z0-9_-]{30,})"),
        secret: &["https://api.telegram.org/bot«123456789:AAabcdefghijABCDEFGHIJ0123456789-_a»/getMe"],
        clean: &["https://api.telegram.org/bot<token>/getMe", "https://x.org/bots"],
    },
    Rule {
        name: "addresses of webhooks", triggers: &["/api/webhooks/"],
        shape: Anywhere(r"/api/webhooks/[0-9]{15,}/(?<s>[A-Za-z0-9_-]{40,})"),
        secret: &[
            "https://discord.com/api/webhooks/123456789012345678/«0123456789abcdefghijABCDEFGHIJ0123456789-_abcdefghij»",
        ],
        clean: &["POST /api/webhooks/", "POST /api/webhooks/github"],
    },
    Rule {
        name: "secrets of Azure and Terraform", triggers: &["8Q~", ".atlasv1."],
        shape: Anywhere(r"8Q~[A-Za-z0-9_.~-]{31,34}|\.atlasv1\.[A-Za-z0-9_=-]{60,}"),
        secret: &["abc«8Q~0123456789abcdefghijABCDEFGHIJ.~-x»"],
        clean: &["8Q~"],
    },
    Rule {
        name: "age keys", triggers: &["AGE-SECR"],
        shape: Word(r"AGE-SECRET-KEY-1[A-Z0-9]{30,}"),
        secret: &["«AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQS»"],
        clean: &["AGE-SECRET-KEY-1..."],
    },
    Rule {
        name: "private keys in base64", triggers: &["LS0tLS1CRUdJTi"],
        shape: Word(r"LS0tLS1CRUdJTi(?:BSU0EgUF|BQUklWQV|BFQyBQUk|BPUEVOU1|BFTkNSWV|BEU0EgUF|BQR1AgUFJ)[A-Za-z0-9+/=]{16,}(?:(?:(?:\\+r|\r)?(?:\\+n|\n)[ \t]*)[A-Za-z0-9+/=]{16,})*"),
        secret: &[
            "client-key-data: «LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB»",
            "«LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2UUlCQURB»",
            "«LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZLS0tLS0KYjNCbGJuTnph»",
        ],
        clean: &["LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJlVENDQVIrZ0F3SUJBZ0lCQURBS0Jn"],
    },
    Rule {
        name: "signatures of addresses", triggers: &["sig=", "Signature="],
        shape: Anywhere(r"(?:sig|Signature)=(?<s>[A-Za-z0-9%+/_-]{20,}={0,2})"),
        secret: &[
            "https://x.blob.core.windows.net/c?sv=2022-11-02&sig=«0123456789abcdefghijABCDEFGHIJ%2B0123456%3D»&se=x",
            "https://b.s3.amazonaws.com/k?X-Amz-Expires=3600&X-Amz-Signature=«0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef»",
        ],
        clean: &["sig=inspect.signature(f)", "Signature=None"],
    },
    Rule {
        name: "cookies", triggers: &["Cookie", "cookie"],
        shape: Anywhere(r#"[Cc]ookie(?:\\*["'])?(?:\s|\\+[nrt])*[:=,\s](?:\s)*(?:\\*["'])?(?<s>[A-Za-z0-9_.$!*-]+=[^\s"'\\;]{16,}(?:; ?[^"'\\\r\n]*)?)"#),
        secret: &[
            "Cookie: «session=0123456789abcdefghij; theme=dark»\r\nHost: x",
            "-H 'Cookie: «sid=0123456789abcdef0123»' http://x",
            "curl --cookie \"«sid=0123456789abcdef0123»\"",
            "{\"set-cookie\": \"«sid=0123456789abcdef0123; Path=/»\"}",
        ],
        clean: &["Set-Cookie: a=b", "cookie: string", "the cookie jar", "Set-Cookie: <name>=<value>"],
    },
    Rule {
        name: "passwords of curl", triggers: &["curl"],
        shape: Anywhere(r#"curl[^\n]{0,300}?[\s"'](?:-u|--user|--proxy-user)(?:\\*["'])?(?:[\s,=]|\\+[nt])*\$?(?:\\*["'])?[A-Za-z0-9._@%+-]+:(?<s>[^\s"'\\$<{\[][^\s"'\\]*)"#),
        secret: &["curl -s -u admin:«hunter2» https://x", "curl --user 'me@x.org:«hunter2»' https://x", "[\"curl\",\"-u\",\"admin:«hunter2»\",\"https://x\"]"],
        clean: &["curl -u \"$USER:$PASS\" https://x", "curl -u admin https://x:80", "curl https://x:80/y"],
    },
    Rule {
        name: "passwords of connections", triggers: &[";Pwd=", ";PWD=", ";pwd="],
        shape: Anywhere(r#";(?i:pwd)=(?:\\*["'])?(?<s>[^\s;"'\\$<{\[][^\s;"'\\]*)"#),
        secret: &["Server=x;Uid=sa;Pwd=«hunter2»;Database=y"],
        clean: &[";PWD=$PWD", "PWD=/home/me"],
    },
    Rule {
        name: "named secrets",
        triggers: &[
            "secret", "Secret", "SECRET", "token", "Token", "TOKEN", "passw", "Passw", "PASSW",
            "PASSPHRASE", "_PASS", "nKey", "gKey",
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
        Word(pattern)
        | Anywhere(pattern)
        | Random(pattern)
        | RandomAnywhere(pattern)
        | Aws(pattern)
        | Later(_, pattern) => {
            // Unicode off: what is searched may be cut anywhere, and bytes are faster.
            Some(Regex::new(&format!("(?-u)\\A(?:{pattern})")).expect("a tested pattern"))
        }
        Armor | Assignment => None,
    };
    RULES.iter().map(compile).collect()
});

/// Appends where secrets are, if the text at a trigger has some.
pub(super) fn find(nth: usize, text: &[u8], at: usize, json: bool, found: &mut Vec<Secret>) {
    let rule = &RULES[nth];
    let at = match rule.shape {
        Later(n, _) if n > at => return,
        Later(n, _) => at - n,
        _ => at,
    };
    if json && text[at].is_ascii_alphanumeric() && escape::is_escaped(text, at) {
        return;
    }
    if matches!(rule.shape, Word(_) | Random(_) | Aws(_) | Later(..))
        && !escape::begins_word(text, at)
    {
        return;
    }
    let Some(regex) = &COMPILED[nth] else {
        return match rule.shape {
            Armor => armor::find(text, at, found),
            _ => found.extend(assignment::find(text, at, json)),
        };
    };
    let window = if matches!(rule.shape, Random(_)) { SAMPLE } else { WINDOW };
    let seen = &text[at..(at + window).min(text.len())];
    if window == SAMPLE && !is_random(seen) {
        return;
    }
    let Some(place) = matched(regex, text, at, seen.len()) else { return };
    if matches!(rule.shape, Random(_) | RandomAnywhere(_)) && !is_random(&text[place.clone()]) {
        return;
    }
    let end = place.end;
    found.push(Secret::part(place));
    if matches!(rule.shape, Aws(_)) {
        found.extend(aws_secret(text, end).map(Secret::part));
    }
}

/// Returns where the secret is that a pattern finds at `at`.
fn matched(regex: &Regex, text: &[u8], at: usize, window: usize) -> Option<Range<usize>> {
    let seen = &text[at..at + window];
    // Most triggers are no secrets: say so without looking for groups.
    if !regex.is_match(seen) {
        return None;
    }
    let secret = if regex.captures_len() == 1 {
        regex.find(seen)?
    } else {
        let captures = regex.captures(seen)?;
        captures.name("s").or_else(|| captures.name("r"))?
    };
    let end = at + secret.end();
    let is_part = |it: &&u8| it.is_ascii_alphanumeric() || b"_-.+/=~%".contains(it);
    let more = if secret.end() == window { &text[end..] } else { &[] };
    Some(at + secret.start()..end + more.iter().take_while(is_part).count())
}

fn is_random(secret: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| secret.iter().any(is);
    has(u8::is_ascii_digit)
        || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
        || secret.split(|it| !it.is_ascii_alphabetic()).any(|it| it.len() >= LONGER_THAN_WORDS)
}

/// Returns where the secret is that belongs to the id of AWS that ends at `at`:
/// forty characters, as no name and no digest is written.
fn aws_secret(text: &[u8], at: usize) -> Option<Range<usize>> {
    let near = &text[at..(at + AWS_NEAR).min(text.len())];
    let is_part = |it: &u8| it.is_ascii_alphanumeric() || b"+/".contains(it);
    let mut start = at;
    for run in near.split(|it| !is_part(it)) {
        // The letter of an escape.
        let escaped = !run.is_empty() && escape::is_escaped(text, start);
        let run = &run[usize::from(escaped)..];
        let from = start + usize::from(escaped);
        let has = |is: fn(&u8) -> bool| run.iter().any(is);
        let ends = text.get(from + run.len()).is_none_or(|it| !is_part(it));
        if run.len() == AWS_SECRET
            && ends
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
            && is_random(run)
        {
            return Some(from..from + run.len());
        }
        start = from + run.len() + 1;
    }
    None
}
