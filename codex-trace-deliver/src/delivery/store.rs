use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

use crate::scratch::Scratch;

/// The size of a block, in bytes.
const BLOCK: usize = 16 << 10;

/// What is smaller, in bytes, is not worth a block.
const BLOCK_FROM: usize = BLOCK / 4;

/// The largest buffer that is kept to be used again, in bytes: somewhat more than a part
/// of a unit.
const LARGEST_SPARE: usize = 8 << 20;

/// Where the bytes of units are kept until they are settled, in blocks of one
/// size that are used again.
///
/// Thousands of buffers of any size, made on some threads, let go on others and
/// much later, would leave a heap with as many holes as bytes.
///
/// A store may also keep them in a file: they are read when they are sent.
#[derive(Debug, Default)]
pub(super) struct Store {
    free: Mutex<Vec<Block>>,
    /// Buffers that units were written into: as many as there are workers.
    spare: Mutex<Vec<Vec<u8>>>,
    scratch: Option<Scratch>,
    /// Why something could not be kept.
    broken: Mutex<Option<io::Error>>,
}

/// A mapping of its own, apart from the heap, if the system has any left.
enum Block {
    Mapped(MmapMut),
    OnHeap(Box<[u8]>),
}

impl Block {
    fn new() -> Block {
        let mapped = MmapMut::map_anon(BLOCK).map(Block::Mapped);
        mapped.unwrap_or_else(|_| Block::OnHeap(vec![0; BLOCK].into()))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Block::Mapped(bytes) => bytes,
            Block::OnHeap(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Block::Mapped(bytes) => bytes,
            Block::OnHeap(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Block::Mapped(_)) { "mapped" } else { "on the heap" })
    }
}

impl Store {
    /// Makes a store in a file.
    pub(super) fn of(scratch: Scratch) -> Store {
        Store { scratch: Some(scratch), ..Store::default() }
    }

    /// Returns how much memory so many bytes take.
    pub(super) fn room_for(&self, bytes: usize) -> usize {
        if self.scratch.is_some() { 0 } else { bytes }
    }

    /// Takes out why something could not be kept, if that is so.
    pub(super) fn broken(&self) -> Option<io::Error> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Copies bytes into the store.
    pub(super) fn keep(self: &Arc<Store>, bytes: &[u8]) -> Stored {
        let (store, len) = (Arc::clone(self), bytes.len());
        let Some(scratch) = &self.scratch else {
            let (blocks, rest) = self.in_memory(bytes);
            return Stored { blocks, rest, away: None, len, store };
        };
        let at = scratch.add(bytes).unwrap_or_else(|err| {
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(err);
            0
        });
        Stored { blocks: Vec::new(), rest: Box::default(), away: Some(at), len, store }
    }

    /// Returns a buffer to write a unit into.
    pub(super) fn room(&self) -> Vec<u8> {
        self.spare().pop().unwrap_or_default()
    }

    /// Takes back the buffer of a unit that was kept, or is not needed.
    pub(super) fn reuse(&self, mut buffer: Vec<u8>) {
        if (1..=LARGEST_SPARE).contains(&buffer.capacity()) {
            buffer.clear();
            self.spare().push(buffer);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_memory(&self, bytes: &[u8]) -> (Vec<Block>, Box<[u8]>) {
        let short = bytes.len() % BLOCK;
        let rest = if short < BLOCK_FROM { short } else { 0 };
        let (full, rest) = bytes.split_at(bytes.len() - rest);
        let blocks = full.chunks(BLOCK).map(|bytes| {
            let mut block = self.free().pop().unwrap_or_else(Block::new);
            block.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
            block
        });
        (blocks.collect(), rest.into())
    }

    fn free(&self) -> MutexGuard<'_, Vec<Block>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes in a store, until they are dropped.
#[derive(Debug)]
pub(super) struct Stored {
    blocks: Vec<Block>,
    /// What is left, and too little for a block.
    rest: Box<[u8]>,
    /// Where they are in the file, if they are there.
    away: Option<u64>,
    len: usize,
    store: Arc<Store>,
}

impl Stored {
    /// Whether they are in a file.
    pub(super) fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Returns how much memory they take.
    pub(super) fn held(&self) -> usize {
        self.store.room_for(self.len)
    }

    /// Reads some of the bytes, if they are in a file.
    pub(super) fn fetch(&self, range: Range<usize>) -> io::Result<Option<Vec<u8>>> {
        let Some((at, scratch)) = self.away.zip(self.store.scratch.as_ref()) else {
            return Ok(None);
        };
        scratch.read(at + range.start as u64, range.len()).map(Some)
    }

    /// Returns some of the bytes, bit by bit; nothing of what is in a file.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let range = if self.away.is_some() { 0..0 } else { range };
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        blocks.map(move |nth| {
            let block = self.blocks.get(nth).map_or(&*self.rest, Block::bytes);
            let start = range.start.saturating_sub(nth * BLOCK);
            &block[start..(range.end - nth * BLOCK).min(block.len())]
        })
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.store.free().append(&mut self.blocks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_is_what_was_kept() {
        let store = Arc::new(Store::default());
        for len in [0, 1, BLOCK_FROM, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17] {
            let bytes: Vec<u8> = (0..len).map(|n| n.to_le_bytes()[n / 256 % 2]).collect();
            let stored = store.keep(&bytes);
            assert_eq!(stored.held(), len);
            let cuts = [0, 1, len / 3, BLOCK, BLOCK + 1, 2 * BLOCK, len];
            for start in cuts.map(|at| at.min(len)) {
                for end in cuts.map(|at| at.clamp(start, len)) {
                    let found: Vec<u8> = stored.range(start..end).flatten().copied().collect();
                    assert_eq!(found, bytes[start..end], "{start}..{end} of {len}");
                }
            }
        }
    }

    #[test]
    fn what_is_in_a_file_takes_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::of(Scratch::create(dir.path()).unwrap()));
        let one = store.keep(b"0123456789");
        let other = store.keep(b"abc");
        assert_eq!((one.held(), one.range(0..10).count()), (0, 0));
        assert_eq!(one.fetch(2..5).unwrap().unwrap(), b"234");
        assert_eq!(other.fetch(0..3).unwrap().unwrap(), b"abc");
        assert!(store.broken().is_none());
        let in_memory = Arc::new(Store::default()).keep(b"abc");
        assert!(in_memory.fetch(0..3).unwrap().is_none());
    }

    #[test]
    fn blocks_are_used_again() {
        let store = Arc::new(Store::default());
        for _ in 0..3 {
            let kept: Vec<Stored> = (0..4).map(|_| store.keep(&vec![7; 2 * BLOCK])).collect();
            assert_eq!(store.free().len(), 0);
            drop(kept);
            assert_eq!(store.free().len(), 8);
        }
    }

    #[test]
    fn buffers_are_used_again_unless_they_are_large() {
        let store = Store::default();
        store.reuse(Vec::new());
        store.reuse(Vec::with_capacity(LARGEST_SPARE + 1));
        assert_eq!(store.room().capacity(), 0);
        store.reuse(b"abc".to_vec());
        let room = store.room();
        assert!(room.is_empty() && room.capacity() >= 3);
        assert_eq!(store.room().capacity(), 0);
    }
}
