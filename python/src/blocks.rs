//! Memory that goes back to the system once it is free.
//!
//! The C library keeps what was freed for the thread that asked for it, up to
//! twice the largest block there ever was: with a session of 10 MB, tens of
//! megabytes for each thread that ever read one. Here large blocks are mappings of
//! their own, and unmapped at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr::null_mut;

use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

/// From this size on a block is mapped, in bytes. Small ones are many, and a
/// mapping costs more than they do.
const LARGE: usize = 256 << 10;

/// No page of any system is smaller; mapped blocks begin at a page.
const PAGE: usize = 4 << 10;

/// Allocates for everything in Rust; not for Python, nor for libraries in C.
pub(crate) struct Blocks;

fn is_mapped(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= PAGE
}

fn map(len: usize) -> *mut u8 {
    let read_write = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the system chooses the place, so that nothing is replaced.
    let mapped = unsafe { mmap_anonymous(null_mut(), len, read_write, MapFlags::PRIVATE) };
    mapped.map_or(null_mut(), <*mut c_void>::cast)
}

// SAFETY: which of the two allocators a block is of follows from its layout
// alone, and that is the same in all calls about it. A mapping is as long as was
// asked for, filled with zeros, begins at a page, and stays until it is unmapped.
unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout) {
            return map(layout.size());
        }
        // SAFETY: as promised to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout) {
            return map(layout.size());
        }
        // SAFETY: as promised to us.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_mapped(layout) {
            // SAFETY: `map` made it, of this length, and nobody has it any more.
            // It fails only where there are too many mappings: then it is lost.
            unsafe { munmap(block.cast::<c_void>(), layout.size()) }.ok();
            return;
        }
        // SAFETY: as promised to us.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the alignment is one already, and the caller has checked the size.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (is_mapped(layout), is_mapped(new)) {
            // SAFETY: as promised to us.
            (false, false) => unsafe { System.realloc(block, layout, new_size) },
            (true, true) => {
                let start = block.cast::<c_void>();
                // SAFETY: `map` made it, of this length; the caller forgets its old place.
                let moved = unsafe { mremap(start, layout.size(), new_size, MremapFlags::MAYMOVE) };
                moved.map_or(null_mut(), <*mut c_void>::cast)
            }
            _ => {
                // SAFETY: as promised to us: the size is not zero.
                let other = unsafe { self.alloc(new) };
                if !other.is_null() {
                    let len = layout.size().min(new_size);
                    // SAFETY: both are at least so long, and they are two blocks.
                    unsafe { block.copy_to_nonoverlapping(other, len) };
                    // SAFETY: it is of this layout, and the caller forgets it.
                    unsafe { self.dealloc(block, layout) };
                }
                other
            }
        }
    }
}
