//! What is remembered of one history: a private file, written whole and put in
//! its place in one step, so that several processes may do so at once. A file
//! that is damaged, or of another version of this program, counts as none.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use codex_trace_deliver::private;
use codex_trace_history::whole;

use codex_trace_usage::stored::codec::{Garbled, Read, Reader, put, put_bytes};

use super::inventory::{Key, feed};

/// The largest pack, in bytes: that of a history of some hundred gigabytes.
pub(super) const MAX_LEN: usize = 32 << 20;

/// How many packs there are at most, and how large they are together.
const MAX_PACKS: usize = 16;
const MAX_ALL: u64 = 128 << 20;

/// What was left half written is gone after this time.
const LEFT_OVER: Duration = Duration::from_secs(60 * 60);

const MAGIC: &[u8] = b"codex-trace look 1\n";
const ENDING: &str = "look";

/// Results of one history.
#[derive(Debug, Default)]
pub(super) struct Pack {
    /// The inventory that these are all results of, if they are all.
    pub(super) whole: Option<Key>,
    /// How much of an id tells sessions apart.
    pub(super) id_len: usize,
    bytes: Vec<u8>,
    /// Where each session's facts are.
    places: HashMap<Key, std::ops::Range<usize>>,
}

impl Pack {
    /// Reads a pack; one without anything, if there is none that can be used.
    pub(super) fn open(path: &Path) -> Pack {
        let Ok(Some(bytes)) = private::small_bytes_here(path, MAX_LEN as u64) else {
            return Pack::default();
        };
        Pack::read(bytes).unwrap_or_default()
    }

    fn read(bytes: Vec<u8>) -> Read<Pack> {
        let mut from = Reader::new(&bytes);
        if from.take(MAGIC.len())? != MAGIC {
            return Err(Garbled);
        }
        let sum = from.take(32)?;
        if blake3::hash(&bytes[MAGIC.len() + 32..]).as_bytes() != sum {
            return Err(Garbled);
        }
        if from.bytes()? != build().as_bytes() {
            return Err(Garbled);
        }
        let key = |from: &mut Reader<'_>| from.take(32)?.try_into().map_err(|_| Garbled);
        let whole: Option<Key> = from.maybe(key)?;
        let id_len = from.size()?;
        let mut places = HashMap::new();
        while !from.is_at_end() {
            let key = key(&mut from)?;
            let facts = from.bytes()?;
            let start = facts.as_ptr() as usize - bytes.as_ptr() as usize;
            places.insert(key, start..start + facts.len());
        }
        Ok(Pack { whole, id_len, bytes, places })
    }

    /// Returns what is known of a session.
    pub(super) fn get(&self, key: &Key) -> Option<&[u8]> {
        self.bytes.get(self.places.get(key)?.clone())
    }

    /// Returns all of it.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &[u8])> {
        self.places.iter().map(|(key, place)| (key, &self.bytes[place.clone()]))
    }
}

/// What a pack is to hold.
#[derive(Debug, Default)]
pub(super) struct NewPack {
    pub(super) whole: Option<Key>,
    pub(super) id_len: usize,
    /// Entries, as [`put_entry`] writes them.
    pub(super) entries: Vec<u8>,
}

impl NewPack {
    /// Puts it in the place of what was there. What cannot be written is left
    /// out: the next look is a first one then.
    pub(super) fn store(&self, path: &Path) {
        let mut body = Vec::with_capacity(self.entries.len() + 128);
        put_bytes(&mut body, build().as_bytes());
        body.push(u8::from(self.whole.is_some()));
        body.extend_from_slice(self.whole.as_ref().map_or(&[][..], |key| &key[..]));
        put(&mut body, self.id_len as u64);
        body.extend_from_slice(&self.entries);
        if MAGIC.len() + 32 + body.len() > MAX_LEN {
            return;
        }
        let Some(dir) = path.parent() else { return };
        if private::make_dir(dir).is_err() {
            return;
        }
        let sum = blake3::hash(&body);
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(dir)?;
            file.write_all(&[MAGIC, sum.as_bytes(), &body].concat())?;
            whole::take_place(file, path)?;
            Ok(())
        };
        if write().is_ok() {
            tidy(dir);
        }
    }
}

/// Names a version of this program: also two builds of one version differ.
fn build() -> String {
    let exe = std::env::current_exe().and_then(fs::metadata);
    let built = exe.ok().and_then(|it| Some((it.len(), it.modified().ok()?)));
    format!("{} {built:?}", env!("CARGO_PKG_VERSION"))
}

/// Returns the file for what is looked at, in the state directory.
pub(super) fn path(state: &Path, parts: &[&[u8]]) -> PathBuf {
    let mut hash = blake3::Hasher::new();
    for part in parts {
        feed(&mut hash, part);
    }
    let name = &hash.finalize().to_hex()[..32];
    state.join("looks").join(format!("{name}.{ENDING}"))
}

/// Removes the packs that were not written to for longest, where there are too
/// many, and what others left half written.
#[expect(clippy::disallowed_methods, reason = "compared with the times of files alone")]
fn tidy(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let now = SystemTime::now();
    let mut packs: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let (path, metadata) = (entry.path(), entry.metadata());
        let Ok((modified, len)) = metadata.and_then(|it| Ok((it.modified()?, it.len()))) else {
            continue;
        };
        match path.extension().and_then(|it| it.to_str()) {
            Some(ENDING) => packs.push((modified, len, path)),
            Some("tmp") if now.duration_since(modified).is_ok_and(|age| age > LEFT_OVER) => {
                fs::remove_file(path).ok();
            }
            _ => {}
        }
    }
    packs.sort_by(|one, other| other.cmp(one));
    let mut all = 0;
    for (nth, (_, len, path)) in packs.into_iter().enumerate() {
        all += len;
        if nth >= MAX_PACKS || all > MAX_ALL {
            fs::remove_file(path).ok();
        }
    }
}

/// Appends facts with their key, as a pack holds them.
pub(super) fn put_entry(out: &mut Vec<u8>, key: &[u8; 32], facts: &[u8]) {
    out.extend_from_slice(key);
    put_bytes(out, facts);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(dir: &Path) -> PathBuf {
        let path = path(dir, &[b"a history"]);
        let mut pack = NewPack { whole: Some([7; 32]), id_len: 9, ..NewPack::default() };
        put_entry(&mut pack.entries, &[1; 32], b"facts");
        put_entry(&mut pack.entries, &[2; 32], b"");
        pack.store(&path);
        path
    }

    #[test]
    fn a_pack_is_read_as_it_was_written_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = stored(dir.path());
        let pack = Pack::open(&path);
        assert_eq!((pack.whole, pack.id_len), (Some([7; 32]), 9));
        assert_eq!(pack.get(&[1; 32]), Some(&b"facts"[..]));
        assert_eq!((pack.get(&[2; 32]), pack.get(&[3; 32])), (Some(&b""[..]), None));
        assert_eq!(pack.all().count(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        }
    }

    #[test]
    fn a_damaged_pack_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = stored(dir.path());
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Pack::read(damaged).is_err(), "byte {at}");
            assert!(Pack::read(bytes[..at].to_vec()).is_err(), "cut at {at}");
        }
        // A sum that fits says nothing of who wrote it.
        for body in [&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"", b"\x7f"] {
            let mut made = MAGIC.to_vec();
            made.extend_from_slice(blake3::hash(body).as_bytes());
            made.extend_from_slice(body);
            assert!(Pack::read(made).is_err(), "{body:?}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(Pack::open(&path).whole.is_none());
    }

    #[test]
    fn there_are_only_so_many_packs() {
        let dir = tempfile::tempdir().unwrap();
        for nth in 0..MAX_PACKS + 5 {
            NewPack::default().store(&path(dir.path(), &[&nth.to_le_bytes()]));
        }
        assert_eq!(fs::read_dir(dir.path().join("looks")).unwrap().count(), MAX_PACKS);
    }
}
