//! A slice of which several threads write different places.

use std::marker::PhantomData;

/// A mutable slice that is shared between tasks that write disjoint places.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a slice of plain numbers, and whoever takes a part of it promises that no other task touches that part.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// `len` numbers from `at` on.
    ///
    /// # Panics
    /// When they are not inside the slice.
    ///
    /// # Safety
    /// No other task may use any of them while the result lives.
    #[inline(always)]
    pub(crate) unsafe fn part(&self, at: usize, len: usize) -> &'a mut [f32] {
        assert!(at <= self.len && len <= self.len - at, "{len} numbers at {at} of {}", self.len);
        // SAFETY: inside the slice, and disjoint by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }

    /// The place `at`, from which the caller reaches others.
    #[inline(always)]
    pub(crate) fn place(&self, at: usize) -> *mut f32 {
        assert!(at <= self.len);
        // SAFETY: inside the slice or one past its end.
        unsafe { self.start.add(at) }
    }
}
