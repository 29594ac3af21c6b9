//! Formats that need all sessions before they write, and that make several files.

use std::fs;
use std::io;
use std::path::Path;

use clap::Parser as _;
use codex_trace_export::{EncodeError, FileEncoder, FileFormat, Layout, OutputFiles, Sink};
use codex_trace_model::Trace;
use converter_cli::args::{Args, Command};
use converter_cli::commands::convert;
use converter_cli::config::{Environment, Settings};
use converter_cli::exit::ExitStatus;
use converter_cli::ui::Ui;

use crate::testenv::testdata;

/// A list of the sessions, and how many there are.
struct Toy;

impl FileEncoder for Toy {
    fn encode(
        &self,
        trace: &Trace<'_>,
        out: &mut Vec<u8>,
        _: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), EncodeError> {
        out.extend_from_slice(trace.session_id().as_bytes());
        Ok(())
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Sessions::default())
    }
}

#[derive(Default)]
struct Sessions(Vec<String>);

impl Sink for Sessions {
    fn unit(&mut self, bytes: &[u8], _: &mut dyn OutputFiles) -> io::Result<()> {
        self.0.push(String::from_utf8_lossy(bytes).into_owned());
        Ok(())
    }

    fn finish(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        writeln!(files.file("sessions.txt")?, "{}", self.0.join("\n"))?;
        files.file("count.bin")?.write_all(&[0, u8::try_from(self.0.len()).unwrap_or(u8::MAX)])
    }
}

const fn toy(layout: Layout) -> FileFormat {
    FileFormat {
        name: "toy",
        summary: "",
        endings: &["toy"],
        is_text: false,
        layout,
        options: &[],
        open: |_| Ok(Box::new(Toy)),
    }
}

static ONE: FileFormat = toy(Layout::OneFile);
static SEVERAL: FileFormat = toy(Layout::Directory(&["sessions.txt", "count.bin"]));

fn run(format: &'static FileFormat, output: &Path) -> Result<ExitStatus, String> {
    let input = testdata("homes/i169");
    let args = ["codex-trace", "-q", "convert"].iter().map(std::ffi::OsStr::new);
    let args = args.chain([input.as_os_str(), "-o".as_ref(), output.as_os_str()]);
    let args = Args::parse_from(args);
    let settings = Settings::resolve(&args.global, &Environment::read()).expect("settings");
    let Command::Convert(mut convert) = args.command else { panic!("it is convert") };
    convert.to = format;
    convert::run(&convert, &Ui::new(settings)).map_err(|err| format!("{err:#}"))
}

const IDS: &str = "01a1fc85-2057-7233-a15a-ac593e47bf3d\n01a1fc85-4c02-7d63-9a88-7dd23f18c9e7\n01a1fc85-6395-7301-b5df-ef92eadb556b\n";

#[test]
fn a_sink_sees_all_sessions_before_it_writes() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("all.toy");
    assert!(matches!(run(&ONE, &file), Ok(ExitStatus::Complete)));
    let expected = [IDS.as_bytes(), &[0, 3]].concat();
    assert_eq!(fs::read(&file).expect("the file"), expected);
    // A file for each session would be another format.
    let refused = run(&ONE, dir.path()).expect_err("a directory");
    assert_eq!(refused, "`toy` makes one file");
}

#[test]
fn a_format_may_make_several_private_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("out");
    assert!(matches!(run(&SEVERAL, &out), Ok(ExitStatus::Complete)));
    assert_eq!(fs::read_to_string(out.join("sessions.txt")).expect("one"), IDS);
    assert_eq!(fs::read(out.join("count.bin")).expect("another"), [0, 3]);
    assert_eq!(fs::read_dir(&out).expect("a directory").count(), 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!(mode(&out) & 0o777, 0o700);
        assert_eq!(mode(&out.join("count.bin")) & 0o777, 0o600);
    }
}

/// A file that cannot take its place leaves none of the others half done.
#[test]
fn files_appear_only_at_the_end() {
    struct Broken;
    impl FileEncoder for Broken {
        fn encode(
            &self,
            _: &Trace<'_>,
            out: &mut Vec<u8>,
            _: &mut dyn FnMut(&mut Vec<u8>) -> bool,
        ) -> Result<(), EncodeError> {
            out.push(b'x');
            Ok(())
        }

        fn sink(&self) -> Box<dyn Sink> {
            struct Fails;
            impl Sink for Fails {
                fn begin(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
                    files.file("sessions.txt")?.write_all(b"begun")
                }
                fn unit(&mut self, _: &[u8], _: &mut dyn OutputFiles) -> io::Result<()> {
                    Err(io::Error::other("no more"))
                }
            }
            Box::new(Fails)
        }
    }
    static BROKEN: FileFormat =
        FileFormat { open: |_| Ok(Box::new(Broken)), ..toy(Layout::Directory(&["sessions.txt"])) };
    let dir = tempfile::tempdir().expect("a directory");
    let err = run(&BROKEN, dir.path()).expect_err("the sink fails");
    assert!(err.ends_with("no more"), "{err}");
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
}
