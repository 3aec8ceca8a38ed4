//! Which convolution: sizes of everything that takes part.

/// The sizes of a convolution y = w ⋆ x, as the field defines it:
/// `y[n,o,i,j] = Σ_{c,u,v} w[o,c,u,v] · x[n,c, i·stride₀+u−padding₀, j·stride₁+v−padding₁]`, with zeros outside x.
///
/// Shapes: x (batch, inputs, image₀, image₁), w (outputs, inputs, kernel₀, kernel₁), y (batch, outputs, output₀, output₁).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Number of pictures n.
    pub batch: usize,
    /// Channels of x.
    pub inputs: usize,
    /// Channels of y.
    pub outputs: usize,
    /// Height and width of x.
    pub image: [usize; 2],
    /// Height and width of a filter, in pixels.
    pub kernel: [usize; 2],
    /// Pixels of x between neighbouring pixels of y, along each axis.
    pub stride: [usize; 2],
    /// Rows and columns of zeros on every side of x, along each axis.
    pub padding: [usize; 2],
}

impl Geometry {
    /// Height and width of y: ⌊(image + 2·padding − kernel)/stride⌋ + 1, or 0 where the kernel is larger than the padded image.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|a| {
            let room = self.image[a] + 2 * self.padding[a];
            if room < self.kernel[a] { 0 } else { (room - self.kernel[a]) / self.stride[a] + 1 }
        })
    }

    /// Numbers in x.
    pub fn x_len(&self) -> usize {
        self.batch * self.inputs * self.image[0] * self.image[1]
    }

    /// Numbers in w.
    pub fn w_len(&self) -> usize {
        self.outputs * self.inputs * self.taps()
    }

    /// Numbers in y.
    pub fn y_len(&self) -> usize {
        let [h, w] = self.output();
        self.batch * self.outputs * h * w
    }

    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Refuses what cannot be computed with.
    ///
    /// # Panics
    /// When a side of the kernel or a stride is zero, or the numbers of x, w or y (or of steps of a stride) are more than memory can hold.
    pub(crate) fn check(&self) {
        assert!(self.stride.iter().chain(&self.kernel).all(|&s| s > 0), "kernels and strides are positive: {self:?}");
        let holds = |factors: &[usize]| {
            let product = factors.iter().try_fold(1usize, |product, &factor| product.checked_mul(factor));
            product.is_some_and(|product| product <= isize::MAX as usize / size_of::<f32>())
        };
        let ([h, w], [u, v]) = (self.image, self.kernel);
        let padded = [0, 1].map(|a| self.padding[a].checked_mul(2).and_then(|p| p.checked_add(self.image[a])));
        let sides = padded.iter().all(|side| side.is_some_and(|side| holds(&[side])));
        let fits = sides
            && holds(&[self.stride[0], self.stride[1]])
            && holds(&[self.batch, self.inputs, h, w])
            && holds(&[self.outputs, self.inputs, u, v])
            && holds(&[self.batch, self.outputs, self.output()[0], self.output()[1]]);
        assert!(fits, "more numbers than memory can hold: {self:?}");
    }
}

/// Places of many images: `batch` images of `channels` planes, in which every pixel is a run of `inner` numbers.
///
/// Ordinary images (n, c, h, w) have `inner` 1. Transposed to (c, h, w, n) they are one image with `inner` n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planes {
    pub batch: usize,
    pub channels: usize,
    pub size: [usize; 2],
    pub inner: usize,
}

impl Planes {
    /// Numbers in a plane.
    pub(crate) fn plane(&self) -> usize {
        self.size[0] * self.size[1] * self.inner
    }

    /// Where a plane begins.
    pub(crate) fn start(&self, image: usize, channel: usize) -> usize {
        (image * self.channels + channel) * self.plane()
    }
}

/// A correlation over a grid: what forward passes and input gradients have in common.
///
/// `target[n, m, out_step·i + out_first] = Σ_{c,u} a[m, (c,u)] · source[n, c, step·i + first + u]` for i in the grid and u in
/// the block of taps (both two-dimensional).
///
/// The forward pass is one of these. The input gradient is one for each residue of the pixel's place modulo the stride:
/// pixels of one residue meet the same taps, and what they meet of the cotangent are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Correlation {
    pub source: Planes,
    pub target: Planes,
    pub grid: [usize; 2],
    pub taps: [usize; 2],
    pub step: [usize; 2],
    pub first: [isize; 2],
    pub out_step: [usize; 2],
    pub out_first: [usize; 2],
}

impl Correlation {
    /// The forward pass.
    pub(crate) fn forward(g: &Geometry) -> Self {
        let grid = g.output();
        Self {
            source: Planes { batch: g.batch, channels: g.inputs, size: g.image, inner: 1 },
            target: Planes { batch: g.batch, channels: g.outputs, size: grid, inner: 1 },
            grid,
            taps: g.kernel,
            step: g.stride,
            first: g.padding.map(|p| -(p as isize)),
            out_step: [1; 2],
            out_first: [0; 2],
        }
    }

    /// The part of the input gradient for pixels y·stride + `residue`; with the first tap of the kernel that they meet.
    ///
    /// Pixel s·q + a meets tap u where u ≡ a + padding (mod s), that is u = r + s·t, at output q + (a + padding − r)/s − t.
    pub(crate) fn input_gradient(g: &Geometry, residue: [usize; 2]) -> (Self, [usize; 2]) {
        let r: [usize; 2] = std::array::from_fn(|a| (residue[a] + g.padding[a]) % g.stride[a]);
        let taps: [usize; 2] = std::array::from_fn(|a| g.kernel[a].saturating_sub(r[a]).div_ceil(g.stride[a]));
        let part = Self {
            source: Planes { batch: g.batch, channels: g.outputs, size: g.output(), inner: 1 },
            target: Planes { batch: g.batch, channels: g.inputs, size: g.image, inner: 1 },
            grid: std::array::from_fn(|a| g.image[a].saturating_sub(residue[a]).div_ceil(g.stride[a])),
            taps,
            step: [1; 2],
            first: std::array::from_fn(|a| {
                ((residue[a] + g.padding[a] - r[a]) / g.stride[a]) as isize - taps[a] as isize + 1
            }),
            out_step: g.stride,
            out_first: residue,
        };
        (part, r)
    }

    /// Terms of a sum: channels of the source times taps.
    pub(crate) fn terms(&self) -> usize {
        self.source.channels * self.taps[0] * self.taps[1]
    }

    /// Numbers of the grid in an image.
    pub(crate) fn pixels(&self) -> usize {
        self.grid[0] * self.grid[1] * self.target.inner
    }

    /// Which part of the taps meets the image, on average over the grid.
    pub(crate) fn met(&self) -> f64 {
        let along = |a: usize| {
            let (taps, size) = (self.taps[a] as isize, self.source.size[a] as isize);
            let met = (0..self.grid[a]).map(|i| {
                let first = (i * self.step[a]) as isize + self.first[a];
                (taps.min(size - first) - (-first).max(0)).clamp(0, taps)
            });
            met.sum::<isize>() as f64 / (self.grid[a] as f64 * taps as f64).max(1.0)
        };
        along(0) * along(1)
    }

    /// Whether the grid fills the target's planes in their order.
    pub(crate) fn is_dense(&self) -> bool {
        self.out_step == [1; 2] && self.out_first == [0; 2] && self.grid == self.target.size
    }

    /// The same on images that were transposed to (c, h, w, n).
    pub(crate) fn batch_innermost(mut self) -> Self {
        for planes in [&mut self.source, &mut self.target] {
            (planes.inner, planes.batch) = (planes.batch, 1);
        }
        self
    }
}
