//! Secrets in all the ways that tools and people write them.

use super::*;

/// Texts, and what of them nobody may see.
#[rustfmt::skip]
const TEXTS: &[(&str, &[&str])] = &[
    ("api_key: abcdefghijkl", &["abcdefghijkl"]),
    ("apikey = abcdefghijkl", &["abcdefghijkl"]),
    ("token: abcdefghijkl", &["abcdefghijkl"]),
    ("access_key: mysecretaccesskey", &["mysecretaccesskey"]),
    ("X-Api-Key: my-secret-key", &["my-secret-key"]),
    ("--api-key abcdefghijkl -v", &["abcdefghijkl"]),
    ("The password: hunter22..", &["hunter22"]),
    ("password: summer.of.69", &["summer.of.69"]),
    ("password=mypassword", &["mypassword"]),
    ("SECRET=TOPSECRET", &["TOPSECRET"]),
    ("TOKEN=MYTOKEN", &["MYTOKEN"]),
    ("PATH=/bin\nexport DB_PASSWORD=hunter2Xyz9\nHOME=/x", &["hunter2Xyz9"]),
    ("export DB_PASSWORD=\"hunter2Xyz9\"", &["hunter2Xyz9"]),
    ("DB_PASSWORD='hunter2Xyz9'", &["hunter2Xyz9"]),
    ("DB_PASSWORD=hunter2Xyz9\r\nX=1", &["hunter2Xyz9"]),
    ("\u{1b}[32mDB_PASSWORD\u{1b}[0m=\u{1b}[31mhunter2Xyz9\u{1b}[0m", &["hunter2Xyz9"]),
    ("\u{1b}[34;1m\"token\"\u{1b}[0m\u{1b}[1;39m: \u{1b}[0m\u{1b}[0;32m\"hunter2Xyz9\"\u{1b}[0m", &["hunter2Xyz9"]),
    ("\u{1b}[32mghp_0123456789abcdefghijABCDEFGHIJ012345\u{1b}[0m", &["0123456789abcdefghij"]),
    ("\u{1b}[32m+\u{1b}[m\u{1b}[32mAPI_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\u{1b}[m", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("cat <<EOF > .env\nAPI_KEY=hunter2Xyz9\nEOF", &["hunter2Xyz9"]),
    ("db:\n  password: hunter2Xyz9\n  user: x", &["hunter2Xyz9"]),
    ("password: \"hunter2Xyz9\"", &["hunter2Xyz9"]),
    ("password: |\n  hunter2Xyz9\nuser: x", &["hunter2Xyz9"]),
    ("password: >-\n    hunter2Xyz9\n", &["hunter2Xyz9"]),
    ("env:\n- name: DB_PASSWORD\n  value: hunter2Xyz9\n", &["hunter2Xyz9"]),
    ("- name: DB_PASSWORD\n  value: \"hunter2Xyz9\"\n", &["hunter2Xyz9"]),
    ("{\"name\": \"DB_PASSWORD\", \"value\": \"hunter2Xyz9\"}", &["hunter2Xyz9"]),
    ("\"Env\": [\n  \"DB_PASSWORD=hunter2Xyz9\",\n  \"PATH=/usr/bin\"\n]", &["hunter2Xyz9"]),
    ("AWS Access Key ID [None]: AKIAIOSFODNN7EXAMPLE\nAWS Secret Access Key [None]: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\n", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", "IOSFODNN7EXAMPLE"]),
    ("aws configure set aws_secret_access_key wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\n", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("{\"AccessKeyId\": \"ASIAIOSFODNN7EXAMPLE\", \"SecretAccessKey\": \"wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\", \"SessionToken\": \"FwoGZXIvYXdzEBYaDPr+abc/def==\"}", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", "FwoGZXIvYXdz"]),
    ("curl -H \"Authorization: Bearer wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\" https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl -H \"X-Api-Key: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\" https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl --header \"PRIVATE-TOKEN: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\" https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl -sS -u \"admin:hunter2Xyz9\" https://x", &["hunter2Xyz9"]),
    ("curl -H 'Authorization: Bearer wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab' https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl -H 'X-Api-Key: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab' https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl --header 'PRIVATE-TOKEN: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab' https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl -sS -u 'admin:hunter2Xyz9' https://x", &["hunter2Xyz9"]),
    ("curl -H $'Authorization: Bearer wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab' https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl -H $'X-Api-Key: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab' https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl --header $'PRIVATE-TOKEN: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab' https://x", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("curl -sS -u $'admin:hunter2Xyz9' https://x", &["hunter2Xyz9"]),
    ("Authorization: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("headers: { Authorization: `Bearer wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab` }", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("Cookie: session=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab; theme=dark", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("< Set-Cookie: sid=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab; Path=/; HttpOnly", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("*** Begin Patch\n*** Add File: k.pem\n+-----BEGIN RSA PRIVATE KEY-----\n+MIIEowIBAAKCAQEAz0123456789abcdefghijABCDEFGHIJ0123456789abcdefgh\n+Q2VydGlmaWNhdGUgb2YgdGhpcyBrZXkgaXMgbm90IGhlcmUsIGJ1dCBpdCBpcyE\n+abcDEF0123456789+/==\n+-----END RSA PRIVATE KEY-----\n*** End Patch", &["MIIEowIBAAKCAQEAz0123456789abcdefghijABCDEFGHIJ0123456789abcdefgh", "Q2VydGlmaWNhdGUgb2YgdGhpcyBrZXkgaXMgbm90IGhlcmUsIGJ1dCBpdCBpcyE", "abcDEF0123456789+/=="]),
    ("*** Begin Patch\n*** Update File: .env\n@@\n-API_KEY=oldhunter2Xyz9\n+API_KEY=hunter2Xyz9\n*** End Patch", &["hunter2Xyz9"]),
    ("    12\tAPI_KEY=hunter2Xyz9", &["hunter2Xyz9"]),
    (".env:12:API_KEY=hunter2Xyz9", &["hunter2Xyz9"]),
    ("[\"mysql\",\"--password\",\"hunter2Xyz9\"]", &["hunter2Xyz9"]),
    ("[\"mysql\",\"--password=hunter2Xyz9\"]", &["hunter2Xyz9"]),
    ("https://oauth2:hunter2Xyz9@gitlab.com/a/b.git", &["hunter2Xyz9"]),
    ("https://x/y?token=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab&user=bob", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("https://x/y?a=1&api_key=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab&user=bob", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("https://x/y?sv=1&sig=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab%3D&se=2", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("https://x/y?X-Amz-Security-Token=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab&X-Amz-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]),
    ("Server=x;User Id=sa;Password=hunter2Xyz9;Database=y", &["hunter2Xyz9"]),
    ("Server=x;Uid=sa;Pwd=hunter2Xyz9;Database=y", &["hunter2Xyz9"]),
    ("DefaultEndpointsProtocol=https;AccountName=x;AccountKey=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab==;EndpointSuffix=core.windows.net", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab=", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("machine github.com login me password hunter2Xyz9", &["hunter2Xyz9"]),
    ("machine github.com\n  login me\n  password hunter2Xyz9\n", &["hunter2Xyz9"]),
    ("the admin password is hunter2Xyz9, use it", &["hunter2Xyz9"]),
    ("password: `hunter2Xyz9`", &["hunter2Xyz9"]),
    ("The token is `wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab`.", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("Password: hunter2Xyz9", &["hunter2Xyz9"]),
    ("SECRET_KEY = b\"hunter2Xyz9\"", &["hunter2Xyz9"]),
    ("token = f\"wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\"", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("SECRET_KEY = 'django-insecure-wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab'", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("if password == \"hunter2Xyz9\":", &["hunter2Xyz9"]),
    ("<password>hunter2Xyz9</password>", &["hunter2Xyz9"]),
    ("<add key=\"DbPassword\" value=\"hunter2Xyz9\" />", &["hunter2Xyz9"]),
    ("<input type=\"password\" value=\"hunter2Xyz9\">", &["hunter2Xyz9"]),
    ("spring.datasource.password=hunter2Xyz9", &["hunter2Xyz9"]),
    ("password = \"hunter2Xyz9\"", &["hunter2Xyz9"]),
    ("$env:API_KEY = \"hunter2Xyz9\"", &["hunter2Xyz9"]),
    ("setx API_KEY wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("ENV API_KEY wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("API_KEY_2=hunter2Xyz9", &["hunter2Xyz9"]),
    ("DB_PASSWORD_PROD=hunter2Xyz9", &["hunter2Xyz9"]),
    ("SECRET_KEY_BASE=hunter2Xyz9", &["hunter2Xyz9"]),
    ("{\"SecretString\": \"{\\\"username\\\":\\\"a\\\",\\\"password\\\":\\\"hunter2Xyz9\\\"}\"}", &["hunter2Xyz9"]),
    ("ENCRYPTION_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("DB_PASSWORD=ab,cd;ef|hunter2Xyz9", &["hunter2Xyz9"]),
    ("DB_PASSWORD=ab\\$hunter2Xyz9", &["hunter2Xyz9"]),
    ("postgres://user:p@sshunter2Xyz9@db/x", &["hunter2Xyz9"]),
    ("//registry.npmjs.org/:_authToken=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("session=eyJ1c2VyIjoxfQ.ZkX1Yg.abcdefghijklmnopqrstuvwxyz0", &["abcdefghijklmnopqrstuvwxyz0"]),
    ("level=info token=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab user=bob", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("{'token': 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab', 'user': 'bob'}", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    (":password => 'hunter2Xyz9'", &["hunter2Xyz9"]),
    ("os.Setenv(\"API_KEY\", \"wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\")", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("client.login(\"bob\", password=\"hunter2Xyz9\")", &["hunter2Xyz9"]),
    ("{user: bob, password: hunter2Xyz9}", &["hunter2Xyz9"]),
    ("machine x login me password hunter2Xyz9", &["hunter2Xyz9"]),
    ("AWS Secret Access Key [None]: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\nDefault region name [None]: eu-west-1", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("Your API key is: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("- **API Key:** wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("Api key = `hunter2Xyz9`", &["hunter2Xyz9"]),
    ("| Service | API key |\n|---|---|\n| **Secret key** | `hunter2Xyz9` |", &["hunter2Xyz9"]),
    ("GET / HTTP/1.1\r\nCookie: theme=dark; lang=en; connect.sid=s%3Ahunter2Xyz9\r\n", &["hunter2Xyz9"]),
    ("{\"headers\": {\"cookie\": \"a=b; sid=hunter2Xyz9; c=d\"}}", &["hunter2Xyz9"]),
    ("curl -b 'a=b; sid=hunter2Xyz9' https://x", &["hunter2Xyz9"]),
    ("DBPASS=hunter2Xyz9", &["hunter2Xyz9"]),
    ("export PGPASS='hunter2Xyz9'", &["hunter2Xyz9"]),
    ("MYSQL_PWD=hunter2Xyz9 mysql -u root", &["hunter2Xyz9"]),
    ("redis://x REDISCLI_AUTH=hunter2Xyz9 redis-cli", &["hunter2Xyz9"]),
    ("tool --pass 'hunter2Xyz9' --user x", &["hunter2Xyz9"]),
    ("tool --pass=hunter2Xyz9", &["hunter2Xyz9"]),
    ("https://x/login?user=a&pass=hunter2Xyz9", &["hunter2Xyz9"]),
    ("<server>\n  <password>\n    hunter2Xyz9\n  </password>\n</server>", &["hunter2Xyz9"]),
    ("<string name=\"api_token\">hunter2Xyz9</string>", &["hunter2Xyz9"]),
    ("<dict>\n\t<key>ApiToken</key>\n\t<string>hunter2Xyz9</string>\n</dict>", &["hunter2Xyz9"]),
    ("<property><name>fs.s3a.secret-key</name><value>wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab</value></property>", &["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"]),
    ("--parameters ParameterKey=DbPassword,ParameterValue=hunter2Xyz9", &["hunter2Xyz9"]),
    ("db.example.org:5432:app:me:hunter2Xyz9", &["hunter2Xyz9"]),
    ("git clone https://hunter2Xyz9hunter2Xyz9@github.com/a/b", &["hunter2Xyz9"]),
    ("postgresql://app:aB/hunter2Xyz9/c@db:5432/x", &["hunter2Xyz9"]),
    ("token%3Dghp_0123456789abcdefghijABCDEFGHIJ012345", &["0123456789abcdefghij"]),
    ("echo '{\"a\": \"{\\\"b\\\": \\\"password=hunter2Xyz9\\\"}\"}'", &["hunter2Xyz9"]),
];

const BEGIN: &str = "-----BEGIN RSA PRIVATE KEY-----";
const END: &str = "-----END RSA PRIVATE KEY-----";

/// Lines of a key.
const LINES: [&str; 3] = [
    "MIIEowIBAAKCAQEAz0123456789abcdefghijABCDEFGHIJ0123456789abcdefgh",
    "Q2VydGlmaWNhdGUgb2YgdGhpcyBrZXkgaXMgbm90IGhlcmUsIGJ1dCBpdCBpcyE",
    "abcDEF0123456789+/==",
];

/// Decoded, and as JSON in JSON, four times.
fn assert_hidden(text: &str, secrets: &[&str]) {
    let redactor = Redactor::default();
    let out = redactor.text(text);
    for secret in secrets {
        assert!(!out.contains(secret), "{text:?}: {out:?}");
    }
    let mut json = quoted(text);
    for depth in 1..=4 {
        let mut out = String::from_utf8(redactor.json(json.as_bytes()).into_owned()).unwrap();
        for _ in 1..depth {
            let outer: serde_json::Value = serde_json::from_str(&out).expect("still JSON");
            out = outer["a"].as_str().expect("a text").to_owned();
        }
        let out = unquoted(out.as_bytes());
        for secret in secrets {
            assert!(!out.contains(secret), "{depth}: {text:?}: {out:?}");
        }
        json = serde_json::json!({"a": json, "z": [1, "q"]}).to_string();
    }
}

#[test]
fn values_of_names() {
    for (text, secrets) in TEXTS {
        assert_hidden(text, secrets);
    }
}

/// A key, each line between the texts that `around` makes of its number.
fn key(around: impl Fn(usize) -> (String, &'static str)) -> String {
    let mut key = String::new();
    for (nth, line) in [BEGIN].into_iter().chain(LINES).chain([END]).enumerate() {
        let (before, after) = around(nth + 1);
        key.extend([&before, line, after]);
    }
    key
}

#[test]
fn private_keys_whatever_stands_around_their_lines() {
    let plain = |before: &'static str, after: &'static str| key(|_| (before.to_owned(), after));
    let keys = [
        plain("", "\n"),
        plain("", "\r\n"),
        plain("    ", "\n"),
        plain("\t", "\n"),
        plain("+", "\n"),
        plain("-", "\n"),
        plain("> ", "\n"),
        plain("# ", "\n"),
        plain("\u{1b}[32m+\u{1b}[m\u{1b}[32m", "\u{1b}[m\n"),
        plain("", "\\n"),
        plain("\"", "\\n\" +\n"),
        plain("\"", "\\n\"\n    "),
        plain("'", "',\n"),
        key(|nth| (format!("{nth:6}\t"), "\n")),
        key(|nth| (format!("{nth}:"), "\n")),
        key(|nth| (format!("key.pem:{nth}:"), "\n")),
        key(|nth| (format!("{nth:5}→"), "\n")),
        key(|nth| (format!("{nth:4} │ "), "\n")),
    ];
    for key in keys {
        assert_hidden(&key, &LINES);
        assert_hidden(&format!("KEY=\"{key}\""), &LINES);
        assert_hidden(&format!("*** Begin Patch\n{key}*** End Patch"), &LINES);
    }
    assert_hidden(
        &serde_json::json!({"type": "service_account", "private_key": key(|_| (String::new(), "\n"))}).to_string(),
        &LINES,
    );
}

/// What a tool's output has been cut to.
#[test]
fn private_keys_that_are_cut() {
    let [first, second, last] = LINES;
    let (head, tail) = second.split_at(30);
    for sign in ["", "+", "  "] {
        let begin = format!("{sign}{BEGIN}\n{sign}{first}\n{sign}{head}");
        assert_hidden(&begin, &[first, head]);
        assert_hidden(&format!("{begin}…512 chars truncated…"), &[first, head]);
        let end = format!("{tail}\n{sign}{first}\n{sign}{last}\n{sign}{END}\nrest");
        assert_hidden(&end, &[tail, first, last]);
        assert_hidden(&format!("…512 chars truncated…{end}"), &[tail, first, last]);
        assert_hidden(&format!("{begin}…512 chars truncated…{end}"), &[first, head, tail, last]);
    }
    let numbered = format!("    27\t{first}\n    28\t{last}\n    29\t{END}");
    assert_hidden(&numbered, &[first, last]);
    // What comes after a cut key is no part of it.
    let text = format!("{BEGIN}\n{first}\nand then more text");
    assert_eq!(Redactor::default().text(&text), "[SECRET_DETECTED]\nand then more text");
}

#[test]
fn private_keys_in_base64() {
    use base64::Engine as _;
    let key = key(|_| (String::new(), "\n"));
    let encoded = base64::engine::general_purpose::STANDARD.encode(key);
    assert_hidden(&format!("client-key-data: {encoded}"), &[&encoded[40..100]]);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|it| std::str::from_utf8(it).unwrap()).collect();
    assert_hidden(&lines.join("\n"), &lines[..lines.len() - 1]);
}

/// Ordinary code and text.
#[rustfmt::skip]
const CLEAN: &[&str] = &[
    "this.authToken = freshToken;", "authToken: request.authToken,", "const secret = this.cachedSecret;", "password: e.target.value,",
    "let password = request.password;", "let mut secret = vec![0u8; 32];", "AuthError::InvalidToken => CoreErrorCode::AuthFailed,",
    "Client(api_key=config.api_key, token=token)", "def f(password: str, token=None):", "token = os.environ[\"TOKEN\"]", "password=getpass.getpass()",
    "authToken: effectiveToken,", "auth_token: `demo_token_${user}`,", "jsonwebtoken = \"9.0\"", "\"jsonwebtoken\": \"^9.0.2\"", "focusToken: _focusToken,",
    "aria-label={show ? \"Hide password\" : \"Show password\"}", "\"password\": \"Password\"", "placeholder=\"Enter your password\"", "\"password\": \"Enter your password\"",
    "- setup-api-key: Guides users", "- .vsce-token: extension/.vsce-token", "/// - client_secret: OAuth2 client secret", "jwt_secret: \"<YOUR_SECRET>\"",
    "OPENAI_API_KEY=your-api-key-here", "api_key: \"YOUR_API_KEY\"", "\"nextToken\": \"AAAAbbbbCCCC0123456789==\"", "eos_token = \"</s>\"", "start_token = 'cite01234'",
    "client-key: /home/me/.minikube/profiles/minikube/client.key", "token: CancellationToken,", "password: SecretStr,", "let token: &'static str = next();",
    "\"password\": {\"type\": \"string\"}", "if token == \"if\" {", "in the Authorization: Bearer header", "password: !vault |", "Value: !Ref DbPasswordSecret",
    "\"integrity\": \"sha512-WUjGcAqP1gQacoQe+OBJsFA7Ld4DyXuUIjZ5cc75cLHvJ7dtNsTugphxIADwspS+AraAUePCKrSVtPLFj/F88w==\"",
    "checksum = \"9f3ab3d4ec3c2e3a6f7b1d0c8f8e1f0a2b3c4d5e6f708192a3b4c5d6e7f80910\"", "commit 2e6857f0a1b2c3d4e5f60718293a4b5c6d7e8f90",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==", "550e8400-e29b-41d4-a716-446655440000",
    "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbImEuanMiXX0=", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0123456789abcdefghijABCDEFGHIJ01234567 me@x",
    "-----BEGIN CERTIFICATE-----\nMIIBeTCCAR+gAwIBAgIBADAKBggqhkjOPQQDAjAkMSIwIAYDVQQDDBlr\n-----END CERTIFICATE-----", "for (const [key, value] of map) { tokens.push(key); }",
    "password = input(\"Password: \")", "token = getpass.getpass(\"API token: \")", "read -s -p \"Password: \" PW", "printf 'Password: '; read -r PW", "println!(\"Secret: \");",
    "let key = prompt(\"API key: \", { hidden: true });", "error: expected token: identifier", "SyntaxError: unexpected token: punctuator", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/database-a1B2c3",
    "| Name | Token | Description |\n|---|---|---|\n| token | string | the token |", "<label>Password</label><input name=\"password\" type=\"password\">", "<th>API key</th><td>required</td>",
    "the primary key: user_id2", "foreign key: table2_id", "Press any key: continue2", "API key: see https://example.com/keys2", "http://localhost:8080/a/b@c", "https://contoso-engineering-team@dev.azure.com/x",
    "OLDPWD=/home/me/x1", "INIT_PWD=/home/me/x1", "BYPASS=enabled1", "--pass-through value1", "Cookie: theme=dark; lang=en", "ports:\n  - 127.0.0.1:5432:5432",
    "git push -u origin main", "docker run -u 1000:1000 x", "the token bucket algorithm", "a password is required", "the secret is out",
];

#[test]
fn text_without_secrets_stays_as_it_is() {
    let redactor = Redactor::default();
    for text in CLEAN {
        assert_eq!(redactor.text(text), *text);
        let mut json = quoted(text);
        for _ in 0..3 {
            assert_eq!(String::from_utf8_lossy(&redactor.json(json.as_bytes())), json, "{text}");
            json = quoted(&format!(r#"{{"a":{json}}}"#));
        }
    }
}
