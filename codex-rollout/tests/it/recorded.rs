//! Paths as other systems write them.

use codex_rollout::RecordedPath;

#[test]
fn one_directory_however_it_is_written() {
    let cases: [(&str, &[&str]); 6] = [
        (
            r"C:\Users\u\Study\ELM",
            &[
                r"c:\Users\u\Study\ELM",
                r"\\?\C:\Users\u\Study\ELM",
                "C:/Users/u/Study/ELM/",
                r"C:\Users\u\other\..\Study\.\ELM",
                "/mnt/c/users/u/study/elm",
            ],
        ),
        ("/mnt/m/2026/TesT", &["/mnt/m/2026/test", r"M:\2026\TEST"]),
        ("/home/u/app", &["/home/u/app/", "/home/u/x/../app", r"\\wsl$\Ubuntu\home\u\app"]),
        (r"\\server\share\x", &[r"\\SERVER\share\X", r"\\?\UNC\server\share\x"]),
        ("C:\\", &["c:", "/mnt/c", r"\\?\C:\"]),
        ("/", &["//", "/.."]),
    ];
    for (path, same) in cases {
        for other in same {
            assert_eq!(RecordedPath::new(path), RecordedPath::new(other), "{path} {other}");
        }
    }
}

#[test]
fn different_directories_stay_apart() {
    let cases = [
        ("/home/u/app", "/home/u/App"),
        ("/home/u/app", "/home/u/app2"),
        ("/mnt/data/x", "/mnt/data/X"),
        (r"C:\x", r"D:\x"),
        ("app", "/app"),
        ("", "/"),
    ];
    for (one, other) in cases {
        assert_ne!(RecordedPath::new(one), RecordedPath::new(other), "{one} {other}");
    }
}

#[test]
fn below_is_by_whole_names() {
    let within = |path: &str, dir: &str| RecordedPath::new(path).is_within(&RecordedPath::new(dir));
    assert!(within(r"c:\Users\u\x", r"C:\users\U"));
    assert!(within("/home/u", "/"));
    assert!(!within("/home/uu", "/home/u"));
    assert!(!within("/home", "/home/u"));
    assert!(!within("", "/home/u"));
}
