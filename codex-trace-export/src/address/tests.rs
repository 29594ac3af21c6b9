use super::*;

#[test]
fn only_addresses_of_the_web() {
    for good in
        ["http://h", " https://h:1/p?q ", "HTTP://[::1]:80/", "http://[::1]", "http://u:p@h:1"]
    {
        assert_eq!(Address::parse(good).unwrap().expose(), good.trim());
    }
    for bad in [
        "",
        "h:1",
        "ftp://h",
        "http://",
        "http:///p",
        "http://h:x",
        "http://h:70000",
        "http://a b",
        "http://h/x@y",
    ] {
        assert!(Address::parse(bad).is_err(), "{bad}");
    }
}

/// A password is where it is because somebody mistyped the address.
#[test]
fn no_password_is_shown_however_wrong_the_address() {
    #[rustfmt::skip]
    let cases = [
        ("http://user:hun/ter2pass@h:4318/v1/traces", "http://[set]@h:4318/v1/traces"),
        ("http://user:hun#ter2pass@h:4318",           "http://[set]@h:4318"),
        ("http://user:hun?ter2pass@h:4318",           "http://[set]@h:4318"),
        ("http://user:123?ter2pass@h:4318",           "http://[set]@h:4318"),
        ("http://user:hunter2@pass@h:x",              "http://[set]@h:x"),
        ("user:hunter2pass@h:4318",                   "[set]@h:4318"),
        ("https//user:hunter2pass@h",                 "[set]@h"),
        ("http:/user:hunter2pass@h",                  "[set]@h"),
        ("http://a b:hunter2pass@h",                  "http://[set]@h"),
        ("hunter 2://pass@h",                         "[set]@h"),
        ("ftp://u:hunter2pass@h?key=ter2",            "ftp://[set]@h?key=[set]"),
        ("http://h:99999/?ter2=hunter2&a=&hunter2",   "http://h:99999/?ter2=[set]&a=&[set]"),
        ("http://h:99999/hook/Hunter2/v1/traces",     "http://h:99999/hook/[set]/v1/traces"),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(text), expected, "{text}");
        let err = Address::parse(text).unwrap_err();
        assert!(err.message.starts_with(&format!("`{expected}` ")), "{}", err.message);
    }
    let right = Address::parse("https://u:hunter2@h/p?key=hunter2").unwrap();
    assert_eq!(format!("{right} {right:?}").matches("hunter2").count(), 0);
}

#[test]
fn the_ledger_tells_queries_apart_and_knows_no_key() {
    let place = |text| Address::parse(text).unwrap().place();
    assert_eq!(place("http://u:p@h/x"), "http://h/x");
    assert_eq!(place("http://h/x"), "http://h/x", "as before queries were looked at");
    // The first four bytes of the SHA-256 of `abc`, of FIPS 180-2.
    assert_eq!(place("http://h/x?k=abc&flag="), "http://h/x?k=~ba7816bf&flag=");
    assert_ne!(place("http://h/?t=a"), place("http://h/?t=b"));
    // The names in a ledger of before.
    let name = "otlp http://h/v1/traces?k=abc#project tenant";
    let safe = "otlp http://h/v1/traces?k=~ba7816bf#project tenant";
    assert_eq!((&*place_name(name), &*place_name(safe)), (safe, safe));
    assert_eq!(place_name("langsmith https://h p?x=y"), "langsmith https://h p?x=y");
    assert_eq!(place("http://h/hook/ABC/x"), "http://h/hook/~b5d4045c/x");
    assert_eq!(place_name("otlp http://h/ABC#A/B"), "otlp http://h/~b5d4045c#A/B");
    assert_ne!(place("http://h/ABC"), place("http://h/ABD"));
}

#[test]
fn what_in_a_path_could_be_a_key_is_not_shown() {
    let shown = |text: &str| Address::parse(text).unwrap().to_string();
    for plain in [
        "http://h/v1/traces",
        "http://h/api/2.0/otel/v1/traces",
        "http://h/api/public/otel/",
        "http://h/opentelemetry/team-a_1/otlp",
        "http://h/.well-known",
    ] {
        assert_eq!(shown(plain), plain);
    }
    #[rustfmt::skip]
    let keys = [
        "SECRET", "T0000/B0000", "a1b2c3d4e5", "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "abcdefghijklmnop", "sk-proj-xYz", "%41bc", "b5d4045c3f466fa91fe2cc6abe79232a",
    ];
    for key in keys {
        let all = format!("http://h/hook/{key}/v1/traces");
        let masked = key.split('/').map(|_| MASK).collect::<Vec<_>>().join("/");
        assert_eq!(shown(&all), format!("http://h/hook/{masked}/v1/traces"));
        assert!(!Address::unchecked(&all).place().contains(key));
    }
}

#[test]
fn all_that_is_not_shown_is_secret() {
    let address = Address::unchecked("https://user:pass@h:1/hook/KEY/v1?a=b&c#d");
    assert_eq!(address.secrets(), ["user", "pass", "KEY", "b", "c", "d"]);
    assert!(Address::unchecked("http://h/v1/traces").secrets().is_empty());
    // What we ask is none.
    let asked = Address::unchecked("http://h/KEY?k=v").join("/of/ID?name=codex");
    assert_eq!(asked.expose(), "http://h/KEY/of/ID?name=codex&k=v");
    assert_eq!(asked.secrets(), ["KEY", "v"]);
}

#[test]
fn this_machine_is_one_place_by_each_of_its_names() {
    let names = ["http://localhost:1/x", "http://127.0.0.1:1/x", "http://u:p@[::1]:1/x"];
    for name in names {
        assert_eq!(Address::parse(name).unwrap().place(), "http://127.0.0.1:1/x", "{name}");
    }
    assert_eq!(place_name("mlflow http://LOCALHOST#p"), "mlflow http://127.0.0.1#p");
    for other in ["http://localhost.example:1", "http://[::2]:1", "http://10.0.0.1"] {
        assert_eq!(place_name(other), other);
    }
}

#[test]
fn texts_for_people_have_no_secrets() {
    #[rustfmt::skip]
    let cases = [
        ("no answer from http://u:p/w@h:1/x?k=v: it hangs", "no answer from http://[set]@h:1/x?k=[set]: it hangs"),
        ("`https://u:pw@h` is bad", "`https://[set]@h` is bad"),
        ("(see http://h/?key=K&x).", "(see http://h/?key=[set]&[set])."),
        ("otlp http://h?k=~ba7816bf#p", "otlp http://h?k=~ba7816bf#p"),
        ("(http://h/hook/KEY).", "(http://h/hook/[set])."),
        ("http://h/?k=[set]: gone", "http://h/?k=[set]: gone"),
        ("[http://h/hook/[set]]", "[http://h/hook/[set]]"),
        ("nothing of that kind, a@b", "nothing of that kind, a@b"),
    ];
    for (text, expected) in cases {
        assert_eq!(without_secrets(text), expected);
    }
}

#[test]
fn paths_come_before_the_query() {
    let join = |text: &str, path: &str| Address::unchecked(text).join(path).expose().to_owned();
    assert_eq!(join("http://h/", "/v1"), "http://h/v1");
    assert_eq!(join("http://h/a?k=v", "/v1"), "http://h/a/v1?k=v");
    assert_eq!(join("http://h?k=v#f", "/v1?id=1"), "http://h/v1?id=1&k=v");
    assert!(Address::unchecked("http://h/v1/?k").ends_with("/v1"));
}

#[test]
fn one_place_has_several_spellings() {
    let same = |a: &str, b: &str| Address::unchecked(a).is_same(&Address::unchecked(b));
    assert!(same("http://h", "HTTP://H:80/"));
    assert!(same("https://h:443/p/", "https://h/p"));
    assert!(!same("http://h", "https://h") && !same("http://h/P", "http://h/p"));
    assert!(!same("http://h:1", "http://h:2") && !same("http://u@h", "http://h"));
}
