//! What a host process keeps: its handler of `SIGBUS`, before and after it has
//! asked for large files to be mapped. A test binary of its own, because a
//! handler is the process's.

#![cfg(unix)]
#![expect(unsafe_code, reason = "signals and mappings of the host's own")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may stop, and makes files"
)]

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_rollout::{Source, map_large_files};
use memmap2::Mmap;

/// Above this many bytes a rollout is mapped.
const MAPPED_FROM: usize = 16 << 20;

const NAME: &str = "rollout-2026-11-21T05-39-08-01a1fc9d-4b1e-7a52-9e27-3f6f3a2e0c11.jsonl";

/// How many faults the host has met.
static MET: AtomicUsize = AtomicUsize::new(0);

/// The host's handler: counts, and puts a page of zeros where one is lost.
extern "C" fn met(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    MET.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the kernel hands a valid `siginfo_t`; the page is one of a mapping
    // of this test, which only reads it.
    unsafe {
        let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap();
        let start = (*info).si_addr() as usize & !(page - 1);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        libc::mmap(start as *mut libc::c_void, page, libc::PROT_READ, flags, -1, 0);
    }
}

/// The handler of `SIGBUS` at this moment.
fn handler() -> usize {
    // SAFETY: plain data, for which zeros are valid, lives through the call.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut now), 0);
        now.sa_sigaction
    }
}

fn install(handler: usize) {
    // SAFETY: plain data; the handler has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()), 0);
    }
}

fn shorten(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
}

/// Opens a large rollout, takes its bytes away, and returns whether that is seen.
fn loses_bytes(dir: &Path) -> bool {
    let path = dir.join(NAME);
    fs::write(&path, "{}\n".repeat(MAPPED_FROM / 3 + 10)).unwrap();
    let source = Source::open_file(&path).unwrap();
    shorten(&path);
    // Only who looks at bytes finds out that they are gone.
    let has_zeros = source.bytes().contains(&0);
    assert_eq!(source.was_shortened(), has_zeros);
    source.was_shortened()
}

/// Looks at a mapping of the host's whose file is gone; returns how many faults
/// the host has met by then.
fn fault_of_the_host(dir: &Path) -> usize {
    let path = dir.join("other");
    fs::write(&path, "x".repeat(100)).unwrap();
    // SAFETY: only read, and guarded by the host's own handler.
    let map = unsafe { Mmap::map(&fs::File::open(&path).unwrap()).unwrap() };
    shorten(&path);
    assert_eq!(std::hint::black_box(&map)[0], 0);
    MET.load(Ordering::SeqCst)
}

#[test]
fn a_host_keeps_its_signal() {
    let dir = tempfile::tempdir().unwrap();
    let ours = met as *const () as usize;
    install(ours);
    // Nobody has asked: the file is read, and nothing is installed.
    assert!(!loses_bytes(dir.path()));
    assert_eq!(handler(), ours);
    // Asked for: our faults are ours, the host's go on to it, again and again.
    assert!(map_large_files());
    assert!(loses_bytes(dir.path()));
    assert_eq!(fault_of_the_host(dir.path()), 1);
    assert!(loses_bytes(dir.path()));
    assert_eq!(fault_of_the_host(dir.path()), 2);
    assert!(loses_bytes(dir.path()), "the guard is still there");
    // Taken over by the host: files are read again.
    install(ours);
    assert!(!loses_bytes(dir.path()));
    assert!(!map_large_files());
    assert_eq!(handler(), ours);
    // A nameless file of our own is mapped without a guard.
    let path = dir.path().join(format!("{NAME}.zst"));
    let text = "{}\n".repeat(MAPPED_FROM / 3 + 10);
    fs::write(&path, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    assert_eq!(Source::open_file(&path).unwrap().bytes().len(), text.len());
}
