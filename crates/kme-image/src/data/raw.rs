//! Pictures that a file holds as plain 8-bit samples, without compression of their own.

use kme::Result;

use crate::image::Images;

/// n pictures of 8-bit samples, shape (n, c, h, w) in this order, with the labels that come with them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawPictures {
    pub(super) n: usize,
    pub(super) c: usize,
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) labels: Option<Vec<u32>>,
}

impl RawPictures {
    fn stride(&self) -> usize {
        self.c * self.h * self.w
    }

    /// The pictures at `indices` (all below n), pixels in [0, 1].
    pub(super) fn images(&self, indices: impl ExactSizeIterator<Item = usize>) -> Result<Images> {
        let stride = self.stride();
        let n = indices.len();
        let mut data = Vec::with_capacity(n * stride);
        for i in indices {
            data.extend(self.bytes[i * stride..(i + 1) * stride].iter().map(|b| f32::from(*b) / 255.0));
        }
        Images::new(n, self.c, self.h, self.w, data)
    }

    /// `other`'s pictures after these. Both must have one shape; labels are kept when both have them.
    pub(super) fn append(&mut self, other: Self) {
        debug_assert_eq!((self.c, self.h, self.w), (other.c, other.h, other.w));
        self.n += other.n;
        self.bytes.extend(other.bytes);
        self.labels = self.labels.take().zip(other.labels).map(|(a, b)| [a, b].concat());
    }
}
