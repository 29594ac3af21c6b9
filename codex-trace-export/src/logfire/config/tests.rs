use super::*;

#[test]
fn paths_are_completed_as_the_exporter_completes_them() {
    for (given, whole) in [
        ("http://h", "http://h/v1/traces"),
        ("http://h/", "http://h/v1/traces"),
        ("http://h/v1", "http://h/v1/traces"),
        ("http://h/otlp/", "http://h/otlp/v1/traces"),
        ("http://h/x/v1/traces/", "http://h/x/v1/traces"),
        ("no address", "no address"),
    ] {
        assert_eq!(traces_url(given), whole);
    }
}
