//! Working memory: aligned, reused by the thread that gave it back, counted.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// Bytes that a thread keeps for later; what is above goes back to the system.
const KEPT: usize = 48 << 20;

/// Lines by which a buffer may always be larger than what is asked for.
const SMALL: usize = 4 << 10;

/// Buffers that a thread keeps.
const MANY: usize = 6;

thread_local! {
    static POOL: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The most bytes of working memory, over all threads, that were in use (not counting what threads keep for later) at one time since the last [`reset_peak`].
pub fn peak() -> usize {
    PEAK.load(Ordering::Relaxed)
}

/// Begins counting anew.
pub fn reset_peak() {
    PEAK.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Tells the allocator to keep freed memory for the next tensor, instead of giving it back to the system and asking for it again, page by
/// page, at every operation. For a program to call once, when it starts; what it has once needed it then has until it ends.
///
/// With GNU's C library this halves the time of an image gradient of VGG19; elsewhere it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt changes two settings of the allocator and touches nothing else. Values that it does not know, it refuses.
    unsafe {
        // The largest that it takes: larger blocks are mapped, and returned, one by one.
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// `len` numbers of working memory, on a cache line's boundary, with any contents; dropped, they go back to the thread.
///
/// A value and not a function that takes a closure, since closures are compiled without the vector instructions of the function that
/// makes them.
pub(crate) struct Scratch {
    buffer: Vec<Line>,
    len: usize,
}

impl Scratch {
    pub(crate) fn new(len: usize) -> Self {
        let lines = len.div_ceil(LINE);
        let mut buffer = POOL.with_borrow_mut(|pool| {
            // The smallest that is large enough, and not so large that it will be missed; else one makes room for a new one.
            let fits = |len: usize| (lines..=2 * lines + SMALL).contains(&len);
            let fit = (0..pool.len()).filter(|&i| fits(pool[i].len())).min_by_key(|&i| pool[i].len());
            let least = || (0..pool.len()).min_by_key(|&i| pool[i].len()).filter(|_| pool.len() == MANY);
            fit.or_else(least).map(|i| pool.swap_remove(i)).unwrap_or_default()
        });
        if buffer.len() < lines {
            buffer = vec![Line([0.0; LINE]); lines];
        }
        let bytes = buffer.len() * size_of::<Line>();
        PEAK.fetch_max(HELD.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
        Self { buffer, len }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let bytes = self.buffer.len() * size_of::<Line>();
        HELD.fetch_sub(bytes, Ordering::Relaxed);
        let buffer = std::mem::take(&mut self.buffer);
        POOL.with_borrow_mut(|pool| {
            pool.push(buffer);
            // Large ones are dear to make.
            pool.sort_unstable_by_key(|b| std::cmp::Reverse(b.len()));
            let mut kept = 0;
            pool.retain(|b| {
                kept += b.len() * size_of::<Line>();
                kept <= KEPT
            });
            pool.truncate(MANY);
        });
    }
}

impl Deref for Scratch {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is `LINE` numbers without padding, and `len` numbers are inside the buffer.
        unsafe { std::slice::from_raw_parts(self.buffer.as_ptr().cast::<f32>(), self.len) }
    }
}

impl DerefMut for Scratch {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.buffer.as_mut_ptr().cast::<f32>(), self.len) }
    }
}
