//! Opening: plain, compressed, too large, gone, shortened.

mod lean;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use codex_rollout::{
    ErrorKind, LineStream, Piped, RolloutPath, RolloutReader, SkimReader, Source, Strings,
    map_large_files,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// Above this many bytes a rollout is mapped.
const MAPPED_FROM: usize = 16 << 20;

const NAME: &str = "rollout-2026-11-21T05-39-08-01a1fc9d-4b1e-7a52-9e27-3f6f3a2e0c11.jsonl";

fn line(n: usize) -> String {
    format!("{{\"type\":\"x\",\"payload\":[{n},\"{}\"]}}\n", "filler ".repeat(20))
}

/// A rollout of at least `len` bytes; returns the number of its lines, too.
fn rollout(len: usize) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut n_lines = 0;
    while text.len() < len {
        text.extend(line(n_lines).bytes());
        n_lines += 1;
    }
    (text, n_lines)
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// The text by way of a [`Source`] and by way of a [`LineStream`].
#[track_caller]
fn assert_reads_as(path: &Path, text: &[u8]) {
    let source = Source::open_file(path).unwrap();
    assert!(source.bytes() == text, "the source differs");
    assert!(!source.was_shortened());
    let mut stream = LineStream::open(&RolloutPath::from_file(path)).unwrap();
    let mut streamed = Vec::new();
    while let Some((line, _, complete)) = stream.next_line().unwrap() {
        streamed.extend(line);
        streamed.extend(complete.then_some(b'\n'));
    }
    assert!(streamed == text, "the stream differs");
}

#[test]
fn every_encoding_reads_as_the_same_text() {
    let (text, _) = rollout(100_000);
    for (suffix, bytes) in [("", text.clone()), (".zst", zstd(&text)), (".gz", gzip(&text))] {
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &bytes);
        assert_reads_as(&path, &text);
    }
}

#[test]
fn several_frames_read_as_one_text() {
    let (text, _) = rollout(100_000);
    let (head, tail) = text.split_at(33_333);
    for (suffix, encode) in [(".zst", zstd as fn(&[u8]) -> Vec<u8>), (".gz", gzip)] {
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &[encode(head), encode(tail)].concat());
        assert_reads_as(&path, &text);
    }
}

#[test]
fn large_rollouts_are_read_whole_in_every_encoding() {
    let (text, n_lines) = rollout(MAPPED_FROM + 1);
    for (suffix, bytes) in [("", text.clone()), (".zst", zstd(&text)), (".gz", gzip(&text))] {
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &bytes);
        assert_reads_as(&path, &text);
        let source = Source::open_file(&path).unwrap();
        assert_eq!(source.lines().flatten().count(), n_lines);
    }
}

#[test]
fn empty_files_are_empty() {
    for (suffix, bytes) in [("", Vec::new()), (".zst", zstd(b"")), (".gz", gzip(b""))] {
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &bytes);
        assert_reads_as(&path, b"");
    }
}

/// A small file that becomes a large one.
#[test]
fn decompression_stops_at_the_limit() {
    let zeros = vec![b' '; 64 << 20];
    for (suffix, bytes) in [(".zst", zstd(&zeros)), (".gz", gzip(&zeros))] {
        assert!(bytes.len() < 1 << 20, "a bomb is small");
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &bytes);
        let rollout = RolloutPath::from_file(&path);
        // Within memory, within the temporary file, and one byte below the size.
        for limit in [1000, 20 << 20, (64 << 20) - 1] {
            let source = Source::open_limited(&rollout, limit).unwrap();
            assert_eq!(source.bytes().len() as u64, limit);
            let err = source.lines().last().unwrap().unwrap_err();
            let len = bytes.len();
            let message = format!(
                "decompresses from {len} bytes to more than the limit of {limit}; \
                 decompress it yourself to have all of it read"
            );
            assert_eq!(err.to_string(), message);
        }
        let source = Source::open_limited(&rollout, 64 << 20).unwrap();
        assert_eq!(source.bytes().len(), 64 << 20);
    }
}

/// What a [`Source`] or a [`LineStream`] makes of a rollout: where its records
/// start, and what is wrong, and where.
type Records = Vec<Result<u64, String>>;

fn records_of(reader: RolloutReader<'_>) -> Records {
    reader.map(|it| it.map(|line| line.position.byte()).map_err(|err| placed(&err))).collect()
}

fn placed(err: &codex_rollout::Error) -> String {
    format!("{}: {err}", err.position())
}

fn streamed_records(mut stream: LineStream) -> Records {
    let mut records = Records::new();
    loop {
        match stream.next_records() {
            Ok(Some(reader)) => records.extend(records_of(reader)),
            Ok(None) => return records,
            Err(err) => {
                records.push(Err(placed(&err)));
                return records;
            }
        }
    }
}

/// Inside of a line, at its end, before and after its newline.
#[test]
fn streams_and_sources_stop_at_the_same_byte() {
    let (text, _) = rollout(1 << 20);
    let line_end = text[..700_000].iter().rposition(|byte| *byte == b'\n').unwrap() as u64;
    for (suffix, bytes) in [(".zst", zstd(&text)), (".gz", gzip(&text))] {
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &bytes);
        let rollout = RolloutPath::from_file(&path);
        for limit in [0, 1, 1000, line_end - 9, line_end, line_end + 1, line_end + 2] {
            let streamed = streamed_records(LineStream::open_limited(&rollout, limit).unwrap());
            match Source::open_limited(&rollout, limit) {
                Ok(source) => assert_eq!(streamed, records_of(source.lines()), "{limit}"),
                Err(err) => assert_eq!(streamed, [Err(placed(&err))], "{limit}"),
            }
        }
    }
}

/// Without being asked to: 64 MiB, if 256 times its size is less.
#[test]
fn small_file_does_not_become_gigabytes() {
    const LIMIT: usize = 64 << 20;
    let line = [b"{\"type\":\"x\",\"payload\":[\"", &b" ".repeat(1 << 20)[..], b"\"]}\n"].concat();
    let text = line.repeat(65);
    let (_dir, path) = file(&format!("{NAME}.zst"), &zstd(&text));
    let rollout = RolloutPath::from_file(&path);
    let source = Source::open(&rollout).unwrap();
    assert_eq!(source.bytes().len(), LIMIT);
    let records = records_of(source.lines());
    assert_eq!(records.iter().flatten().count(), LIMIT / line.len());
    assert_eq!(records, streamed_records(LineStream::open(&rollout).unwrap()));
    let err = records.last().unwrap().as_ref().unwrap_err();
    assert!(err.contains("to more than the limit of 67108864;"), "{err}");
    let cut = LIMIT / line.len();
    let place = format!("line {}, byte {}: ", cut + 1, cut * line.len());
    assert!(err.starts_with(&place), "{err}");

    // The same lines are read whole where they are not compressed.
    let (_dir, path) = file(NAME, &text);
    assert_reads_as(&path, &text);
}

#[test]
fn damaged_compression_is_an_error_with_a_cause() {
    for (suffix, magic) in [(".zst", &b"\x28\xB5\x2F\xFD"[..]), (".gz", b"\x1F\x8B")] {
        let bytes = [magic, b"no such format"].concat();
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &bytes);
        let err = Source::open_file(&path).unwrap_err();
        assert!(matches!(err.kind(), ErrorKind::Io(_)), "{suffix}: {err}");
        assert!(std::error::Error::source(&err).is_some());
    }
}

/// A file that is still being copied: what can be read is, by the stream and
/// from memory alike, and then comes why there is no more.
#[test]
fn cut_compression_is_read_as_far_as_it_goes() {
    let (text, n_lines) = rollout(3 << 20);
    for (suffix, bytes) in [(".zst", zstd(&text)), (".gz", gzip(&text))] {
        let (_dir, path) = file(&format!("{NAME}{suffix}"), &bytes[..bytes.len() / 2]);
        let source = Source::open_file(&path).unwrap();
        assert!(text.starts_with(source.bytes()));
        let whole = source.lines().flatten().count();
        assert!(0 < whole && whole < n_lines, "{suffix}: {whole} of {n_lines}");
        let err = source.lines().last().unwrap().unwrap_err();
        assert!(matches!(err.kind(), ErrorKind::Io(_)), "{suffix}: {err}");

        let strings = Strings::new();
        let rollout = RolloutPath::from_file(&path);
        let skimmed: Vec<_> = SkimReader::open(&rollout, &strings).unwrap().collect();
        assert_eq!(skimmed.iter().flatten().count(), whole, "{suffix}");
        let err = skimmed.into_iter().last().unwrap().unwrap_err();
        assert!(matches!(err.kind(), ErrorKind::Io(_)), "{suffix}: {err}");
    }
}

#[test]
fn file_compressed_after_it_was_found_is_opened_by_its_new_name() {
    let (text, _) = rollout(10_000);
    let compressed = format!("{NAME}.zst");
    let (dir, path) = file(&compressed, &zstd(&text));
    let gone = RolloutPath::from_file(&dir.path().join(NAME));
    assert!(Source::open(&gone).unwrap().bytes() == text);
    let mut stream = LineStream::open(&gone).unwrap();
    assert_eq!(stream.next_line().unwrap().unwrap().0, line(0).trim_end().as_bytes());

    // And the other way round, when Codex resumes the thread.
    let gone = RolloutPath::from_file(&path);
    fs::remove_file(&path).unwrap();
    fs::write(dir.path().join(NAME), &text).unwrap();
    assert!(Source::open(&gone).unwrap().bytes() == text);
}

#[test]
fn file_that_is_gone_for_good_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    for name in [NAME.to_owned(), format!("{NAME}.zst"), format!("{NAME}.gz")] {
        let err = Source::open_file(&dir.path().join(name)).unwrap_err();
        let ErrorKind::Io(cause) = err.kind() else { panic!("{err}") };
        assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
    }
}

#[test]
fn document_is_read_as_one() {
    let name = "rollout-2025-04-20-8c0f6f0e-95a7-4b3e-a1a1-0123456789ab.json";
    let text = br#"{"session":{"id":"s","timestamp":"t"},"items":[{"type":"message"}]}"#;
    let (_dir, path) = file(name, text);
    let source = Source::open_file(&path).unwrap();
    assert_eq!(source.lines().flatten().count(), 2);
}

/// Another process cuts the file while it is mapped: what is lost reads as
/// NUL bytes, nothing faults, and the source knows.
#[cfg(unix)]
#[test]
fn mapped_file_that_is_shortened_reads_as_nul_bytes() {
    map_large_files();
    let (text, _) = rollout(MAPPED_FROM + 1);
    let (_dir, path) = file(NAME, &text);
    let source = Source::open_file(&path).unwrap();
    let kept = 1 << 20;
    shorten(&path, kept);

    let mut n_good = 0;
    let mut errors = Vec::new();
    for result in source.lines() {
        match result {
            Ok(line) => {
                assert_eq!(line.bytes, line_at(&text, line.position.byte()));
                n_good += 1;
            }
            Err(err) => errors.push(err),
        }
    }
    assert!(source.was_shortened());
    assert!(n_good > 0);
    let [err] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(matches!(err.kind(), ErrorKind::NulBytes), "{err}");
    assert!(err.position().byte() <= kept as u64);
    assert_eq!(source.bytes().len(), text.len());
}

/// A second mapping of the same length is not taken for the shortened one.
#[cfg(unix)]
#[test]
fn shortened_file_concerns_no_other_source() {
    map_large_files();
    let (text, n_lines) = rollout(MAPPED_FROM + 1);
    let (_dir, path) = file(NAME, &text);
    let (_other_dir, other) = file(NAME, &text);
    let shortened = Source::open_file(&path).unwrap();
    let whole = Source::open_file(&other).unwrap();
    shorten(&path, 0);
    assert_eq!(shortened.lines().flatten().count(), 0);
    assert_eq!(whole.lines().flatten().count(), n_lines);
    assert!(shortened.was_shortened() && !whole.was_shortened());
    drop(shortened);
    // The guard's slot is free again and starts anew.
    let again = Source::open_file(&other).unwrap();
    assert_eq!(again.lines().count(), n_lines);
    assert!(!again.was_shortened());
}

#[cfg(unix)]
fn shorten(path: &Path, len: usize) {
    let file: File = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len as u64).unwrap();
}

#[cfg(unix)]
fn line_at(text: &[u8], byte: u64) -> &[u8] {
    let rest = &text[usize::try_from(byte).unwrap()..];
    rest.split(|byte| *byte == b'\n').next().unwrap()
}

#[test]
fn streams_of_compressed_rollouts_say_that_they_are_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let (text, n_lines) = rollout(1 << 20);
    let len = text.len() as u64;
    for (extension, bytes) in [(".zst", zstd(&text)), (".gz", gzip(&text)), ("", text.clone())] {
        let path = dir.path().join(format!("{NAME}{extension}"));
        fs::write(&path, bytes).unwrap();
        let rollout = RolloutPath::from_file(&path);
        let count = |limit: u64| {
            let mut stream = LineStream::open_limited(&rollout, limit)?;
            let mut n = 0;
            while stream.next_line()?.is_some() {
                n += 1;
            }
            codex_rollout::Result::Ok(n)
        };
        assert_eq!(count(len).unwrap(), n_lines);
        match count(len - 1) {
            Ok(n) => assert_eq!((extension, n), ("", n_lines)),
            Err(err) => {
                let ErrorKind::TooLarge { limit, .. } = err.kind() else { panic!("{err}") };
                assert_eq!(*limit, len - 1);
                assert!(!err.is_about_a_line());
            }
        }
    }
}

/// After a long line the next ones are still read in chunks that fit a cache.
#[test]
fn streams_read_no_more_than_a_chunk_at_a_time() {
    struct Watched(std::io::Cursor<Vec<u8>>, std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl std::io::Read for Watched {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1.fetch_max(buffer.len(), std::sync::atomic::Ordering::Relaxed);
            self.0.read(buffer)
        }
    }
    let text = [&b"x".repeat(5 << 20)[..], b"\n", &rollout(2 << 20).0].concat();
    let longest = std::sync::Arc::default();
    let input = Watched(std::io::Cursor::new(text), std::sync::Arc::clone(&longest));
    let mut stream = LineStream::new(Box::new(input));
    stream.next_line().unwrap();
    assert_eq!(longest.load(std::sync::atomic::Ordering::Relaxed), 1 << 18);
    while stream.next_line().unwrap().is_some() {}
    assert_eq!(longest.load(std::sync::atomic::Ordering::Relaxed), 1 << 18);
}

#[test]
fn a_file_that_is_stored_otherwise_says_how() {
    let cases: [(&[u8], &str); 4] = [
        (b"\xFD7zXZ\0rest", "is compressed with xz, which is not read; decompress it first"),
        (b"BZh91AY", "is compressed with bzip2, which is not read; decompress it first"),
        (b"PK\x03\x04rest", "is an archive; unpack it and name the directory"),
        (b"\xFF\xFE{\0", "is text in UTF-16, not in UTF-8"),
    ];
    for (bytes, message) in cases {
        let (_dir, path) = file(NAME, bytes);
        let err = Source::open_file(&path).unwrap_err();
        assert!(matches!(err.kind(), ErrorKind::Encoding(_)));
        assert_eq!(err.to_string(), message);
        assert!(LineStream::open(&RolloutPath::from_file(&path)).is_err());
    }
}

/// In memory, and beyond a size in a file without a name.
#[test]
fn what_came_out_of_a_pipe_is_read_as_often_as_wanted() {
    for len in [100_000, MAPPED_FROM + 1] {
        let (text, n_lines) = rollout(len);
        for bytes in [text.clone(), zstd(&text)] {
            let piped = Some(Piped::read(&bytes[..]).unwrap());
            let rollout = RolloutPath { piped, ..RolloutPath::from_file(Path::new("/dev/stdin")) };
            for _ in 0..2 {
                let source = Source::open(&rollout).unwrap();
                assert!(source.bytes() == text);
                assert_eq!(source.lines().flatten().count(), n_lines);
                let strings = Strings::new();
                let skimmed = SkimReader::open(&rollout, &strings).unwrap();
                assert_eq!(skimmed.flatten().count(), n_lines);
            }
        }
    }
}

/// As from a path, whatever the name says of the encoding.
#[test]
fn bytes_read_as_the_file_that_they_are_of() {
    let (text, n_lines) = rollout(100_000);
    let meta = r#"{"timestamp":"2026-01-01T00:00:00Z","type":"session_meta","payload":{"id":"01a1fc9d-4b1e-7a52-9e27-3f6f3a2e0c11","cwd":"/w"}}"#;
    let text = [meta.as_bytes(), b"\n", &text].concat();
    for bytes in [text.clone(), zstd(&text), gzip(&text)] {
        let rollout = RolloutPath::from_bytes(Path::new("row 7"), &bytes).unwrap();
        let head = codex_rollout::RolloutHead::read(&rollout).unwrap();
        assert_eq!(head.thread_id, "01a1fc9d-4b1e-7a52-9e27-3f6f3a2e0c11");
        assert_eq!(head.cwd.as_deref(), Some("/w"));
        let source = Source::open(&head.rollout).unwrap();
        assert!(source.bytes() == text);
        assert_eq!(source.lines().flatten().count(), n_lines + 1);
    }
}
