//! The memory allocator of binaries that generate load: mimalloc, asked directly.
//! In: what Rust wants allocated. Out: the same from `mi_malloc` and its kin.
//!
//! The usual wrapper asks for the alignment every time, and mimalloc then makes room for it beside the block whenever
//! the size is no power of two, although all its blocks are aligned to 16 bytes anyway; and such a block takes a slower
//! way back. A request makes seven allocations.

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};

/// What every block of at least its own size is aligned to, bytes: mimalloc's `MI_MAX_ALIGN_SIZE`.
const ALWAYS: usize = 16;

/// For `#[global_allocator]`.
#[derive(Debug)]
pub struct Allocator;

/// Whether a block of this size is aligned so without being asked.
const fn is_given(size: usize, align: usize) -> bool {
    align <= ALWAYS && align <= size
}

// SAFETY: mimalloc's functions keep the contract of `malloc`, `calloc`, `realloc` and `free`: they answer null or memory
// of at least the size asked for, which no other live block overlaps, and none of them unwinds. A block made by either
// kind of function may be resized and freed by the others.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: the caller's size is not zero and its alignment a power of two, as mimalloc wants them.
        let block = unsafe { if is_given(size, align) { mi_malloc(size) } else { mi_malloc_aligned(size, align) } };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as in `alloc`.
        let block = unsafe { if is_given(size, align) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) } };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller says that `block` is one of this allocator's and not freed yet.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller says that `block` is live and one of this allocator's, and that `size` is not zero.
        let moved = unsafe {
            if is_given(size, align) {
                mi_realloc(block.cast(), size)
            } else {
                mi_realloc_aligned(block.cast(), size, align)
            }
        };
        moved.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_keep_what_is_in_them_and_come_zeroed() {
        let mut live = Vec::new();
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..200).chain([255, 264, 1000, 8192, 8200, 70_000, 3 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the size is not zero; what is read and written lies within the block; each is freed once, with
                // the layout of what it has become.
                unsafe {
                    let block = Allocator.alloc(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                    block.write_bytes(7, size);
                    let grown = Allocator.realloc(block, layout, size * 2 + 1);
                    let now = Layout::from_size_align(size * 2 + 1, align).unwrap();
                    assert!(!grown.is_null() && grown.addr().is_multiple_of(align), "{layout:?}");
                    assert!(std::slice::from_raw_parts(grown, size).iter().all(|b| *b == 7), "{layout:?}");
                    let blank = Allocator.alloc_zeroed(layout);
                    assert!(!blank.is_null() && blank.addr().is_multiple_of(align), "{layout:?}");
                    assert!(std::slice::from_raw_parts(blank, size).iter().all(|b| *b == 0), "{layout:?}");
                    blank.write_bytes(9, size);
                    // What is freed comes back: it must come zeroed then too.
                    Allocator.dealloc(blank, layout);
                    live.push((grown, now));
                }
            }
        }
        let mut places: Vec<_> = live.iter().map(|(block, layout)| (block.addr(), layout.size())).collect();
        places.sort_unstable();
        assert!(places.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "blocks overlap");
        for (block, layout) in live {
            // SAFETY: allocated above with this layout, and freed here only.
            unsafe { Allocator.dealloc(block, layout) };
        }
    }
}
