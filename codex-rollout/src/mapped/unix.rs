//! Maps files and guards the mappings.
//!
//! A mapping of a file that another process shortens makes the next access to
//! a lost page a `SIGBUS`, which ends the process. Codex only appends, but
//! "rescue" tools and editors do not. So a handler puts a page of zeros where
//! the lost page was, provided that the address lies in one of our mappings,
//! and otherwise hands the signal to whoever had it before. The reader then
//! meets NUL bytes, which it reports like any other damage.
//!
//! A handler is the business of the whole process, so there is none until the
//! program asks for it: [`map_large_files`]. Until then files are read.

#![expect(unsafe_code, reason = "mapping files and guarding the mappings; argued at each block")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memmap2::{Advice, Mmap, UncheckedAdvice};

/// How many mappings can be guarded at once. One more is read into memory.
const SLOTS: usize = 256;

/// A guarded range of addresses; `start` 0 means free.
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    hit: AtomicBool,
}

static GUARDED: [Slot; SLOTS] = [const {
    Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(0), hit: AtomicBool::new(false) }
}; SLOTS];

/// The action that was installed before ours, for faults that are not ours.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
static INSTALLED: OnceLock<bool> = OnceLock::new();

type Informed = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
type Plain = extern "C" fn(libc::c_int);

/// Has large rollouts mapped from now on, rather than read into memory, and
/// returns whether they will be.
///
/// A mapping needs a guard against files that another process shortens: a
/// handler of `SIGBUS` for the whole process, which is installed here. Faults
/// that are not of a rollout are handed to the handler that was there before,
/// if there was one. Call it in a program of your own; a library, or what runs
/// inside an interpreter or a virtual machine, should leave it to its host.
/// Should somebody take the signal over later, files are read again.
///
/// Elsewhere than on Unix nothing is mapped.
pub fn map_large_files() -> bool {
    *INSTALLED.get_or_init(install) && is_installed()
}

/// Whether the signal is ours at this moment.
fn is_installed() -> bool {
    // SAFETY: plain data, for which zeros are valid, lives through the call.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == on_fault as *const () as usize
    }
}

/// The bytes of a file, mapped if that can be guarded, read otherwise.
#[derive(Debug)]
pub(crate) struct MappedFile {
    map: Option<Mmap>,
    read: Vec<u8>,
    slot: usize,
}

impl MappedFile {
    /// A file that others can change: mapped only where that is guarded.
    pub(crate) fn new(file: &File) -> io::Result<MappedFile> {
        if INSTALLED.get() == Some(&true) && is_installed() {
            // SAFETY: the map is private to this value and only ever read as
            // bytes, which any content is; a shortened file is guarded below.
            let map = unsafe { Mmap::map(file)? };
            if let Some(slot) = claim(&map) {
                return Ok(MappedFile { map: Some(map), read: Vec::new(), slot });
            }
        }
        let mut read = Vec::new();
        io::Read::read_to_end(&mut &*file, &mut read)?;
        Ok(MappedFile { map: None, read, slot: SLOTS })
    }

    /// A nameless file that nobody else can change, which needs no guard.
    pub(crate) fn of_our_own(file: &File) -> io::Result<MappedFile> {
        // SAFETY: as in `new`, but that nobody else has the file.
        let map = unsafe { Mmap::map(file)? };
        Ok(MappedFile { map: Some(map), read: Vec::new(), slot: SLOTS })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&self.read)
    }

    /// Lets go of the memory of some of the bytes; they are fetched again when
    /// somebody looks at them.
    pub(crate) fn let_go(&self, bytes: Range<usize>) {
        let Some(map) = &self.map else { return };
        if bytes.start < bytes.end && bytes.end <= map.len() {
            // SAFETY: the mapping is one of a file, shared and never written
            // to, so that its pages come back with what the file holds, or
            // through the guard; whoever borrows its bytes allows for changes.
            let told = unsafe {
                map.unchecked_advise_range(UncheckedAdvice::DontNeed, bytes.start, bytes.len())
            };
            told.ok(); // Advice: without it there is more in memory, and no harm.
        }
    }

    /// Expects that bytes are looked at here and there from now on.
    pub(crate) fn expect_leaps(&self) {
        if let Some(map) = &self.map {
            map.advise(Advice::Random).ok();
        }
    }

    pub(crate) fn was_shortened(&self) -> bool {
        GUARDED.get(self.slot).is_some_and(|slot| slot.hit.load(Ordering::Acquire))
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // The addresses are still mapped here; nobody can have them anew yet.
        if let Some(slot) = GUARDED.get(self.slot) {
            slot.end.store(0, Ordering::Release);
            slot.start.store(0, Ordering::Release);
        }
    }
}

fn claim(map: &Mmap) -> Option<usize> {
    let start = map.as_ptr() as usize;
    GUARDED.iter().position(|slot| {
        let free = slot.start.compare_exchange(0, start, Ordering::AcqRel, Ordering::Relaxed);
        if free.is_ok() {
            slot.hit.store(false, Ordering::Release);
            slot.end.store(start + map.len(), Ordering::Release);
        }
        free.is_ok()
    })
}

fn install() -> bool {
    // SAFETY: both structures are plain data, for which zeros are valid, and
    // live through the calls; the handler has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut previous: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut previous) != 0 {
            return false;
        }
        if PREVIOUS.set(previous).is_err() {
            return false;
        }
        let mut ours: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = on_fault as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut()) == 0
    }
}

/// Runs inside the signal: touches atomics and makes one system call, nothing else.
extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands a valid `siginfo_t` to an SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    let ours = GUARDED.iter().find(|slot| {
        let start = slot.start.load(Ordering::Acquire);
        start != 0 && (start..slot.end.load(Ordering::Acquire)).contains(&address)
    });
    let Some(slot) = ours else { return pass_on(signal, info, context) };
    slot.hit.store(true, Ordering::Release);
    // Pages of this size cover every platform's; the mapping is page-aligned.
    // SAFETY: `sysconf` is async-signal-safe.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let start = address & !(page - 1);
    // SAFETY: the page lies in a mapping that we own and only read; replacing
    // it by zeros is seen as bytes that changed, which readers of it allow for.
    let zeros = unsafe {
        libc::mmap(
            start as *mut libc::c_void,
            page,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    if zeros == libc::MAP_FAILED {
        pass_on(signal, info, context);
    }
}

/// Hands a fault that is not ours to whoever had the signal before; ours stays
/// in place for the next one.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(previous) = PREVIOUS.get() else { return };
    let handler = previous.sa_sigaction;
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // The fault repeats and ends the process, as it would have without us.
        // SAFETY: `previous` is what `sigaction` itself wrote.
        unsafe { libc::sigaction(libc::SIGBUS, previous, std::ptr::null_mut()) };
    } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: an action with SA_SIGINFO has a handler of this signature.
        let handler = unsafe { std::mem::transmute::<usize, Informed>(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: one without it has a handler of this signature.
        let handler = unsafe { std::mem::transmute::<usize, Plain>(handler) };
        handler(signal);
    }
}
