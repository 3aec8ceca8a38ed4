//! Convolutions on the processor at the speed of the machine.
//!
//! Two-dimensional convolution (cross-correlation, as the field calls it), its gradient in the input and its gradient in the weights:
//! on slices ([`Conv`]) and on burn tensors ([`conv2d`], [`conv_transpose2d`], [`conv2d_weight`]). The transposed convolution is the
//! input gradient. Any sizes and paddings, any kernels and strides of at least 1; groups ([`grouped_conv2d`]) and dilation are left to burn. What stands between
//! convolutions everywhere is here as well: leaky rectifiers ([`leaky_relu`], [`gate()`]), bounds ([`clamp`]) and pooling ([`pool`]);
//! and distances of rows that keep their digits wherever the rows lie ([`squared_distances`], [`weighted_differences`]).
//!
//! ```
//! use kme_conv::{Conv, Geometry};
//!
//! let geometry = Geometry {
//!     batch: 1,
//!     inputs: 1,
//!     outputs: 1,
//!     image: [3, 3],
//!     kernel: [2, 2],
//!     stride: [1, 1],
//!     padding: [0, 0],
//! };
//! let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
//! let w = [1.0, 0.0, 0.0, -1.0];
//! let mut y = [0.0; 4];
//! Conv::new(geometry).forward(&x, &w, None, &mut y);
//! assert_eq!(y, [-4.0; 4]);
//! ```
//!
//! # How
//!
//! **One form for two products.** A forward pass and an input gradient are correlations over a grid of pixels. The forward pass is one.
//! The input gradient with stride s is s₀·s₁ of them, one for each residue of a pixel's place modulo the stride: pixels of one residue
//! meet the same taps of the kernel, and what they meet of the cotangent are neighbours. Nothing is multiplied by zeros that were put
//! between pixels.
//!
//! **Packed columns.** A correlation is a product of weights (outputs × terms) and columns (terms × pixels), where a term is a tap of a
//! channel. The matrix of columns is never made: for a block of pixels, a panel of as many pixels as three vectors hold (two where a
//! processor has 16 registers) is packed, term by term, and multiplied while it is in cache. Weights are read where they are, one number broadcast to a vector. A tile of 8 outputs
//! × 48 pixels (AVX-512; 6 × 16 for AVX2, 6 × 8 for portable vectors) stays in registers over up to 384 terms.
//!
//! **Weight gradients** use the same panels the other way round: the cotangent is turned round to (pixel, output), and a number of the
//! panel is broadcast to a vector of outputs. Sums over pixels are cut into at most 8 parts, by the sizes alone.
//!
//! **Winograd.** 3×3 kernels with stride 1, 24 channels or more on both sides and 48 tiles of 4×4 pixels or more, which must not
//! cover more than one and a half times the pixels, are computed by minimal
//! filtering, F(4×4, 3×3), with 36 products instead of 144. The points are 0, ±5/8, ±3/2, ∞, whose error is a fifth of that of
//! the usual 0, ±1, ±2, ∞. Weight gradients are computed directly.
//!
//! **Narrow images of a large batch** are turned round to (channel, row, column, image), if packing them as they are would cost more:
//! then the pixels of a batch are neighbours in memory, whatever the stride. Where the batch is a multiple of a panel of 16 numbers or more
//! (32, 48, 64, ...) and no more than 85 % of the taps meet the image, panels lie within one pixel, and forward passes and input gradients
//! leave out the taps outside the image: in the last layers of a DCGAN that is half of the work.
//!
//! # Errors of rounding
//!
//! Sums are in single precision, with fused multiply-add where the processor has it. Relative to the largest number of the result, against
//! a sum in double precision, over the shapes of `tests/properties.rs` (up to 130 channels, 7×7 taps, 65 images of 70×70 pixels): below
//! 3·10⁻⁶ for all three products and all instruction sets; the test demands 10⁻⁵.
//!
//! An infinity or NaN in an input spreads to every result whose tile meets it, not only to those whose taps do.
//!
//! # Determinism
//!
//! The bits of a result depend on the sizes and the instruction set, never on the number of threads. [`Isa`] says which instruction
//! sets there are; the environment variable `KME_CONV_ISA` (`avx512`, `avx2`, `generic`) forces one, for tests.
//!
//! # Memory
//!
//! Work is done in buffers that threads keep and use again ([`scratch`]): in use at one time are less than 64 MB for every layer of VGG19 at
//! 512² on two threads; a thread keeps at most 48 MiB for later.
//!
//! # Devices
//!
//! On the processor in single precision these kernels run; in double precision, and on graphics cards (feature `gpu`), burn's own.

mod clamp;
mod columns;
mod correlate;
mod differences;
pub mod gate;
mod geometry;
mod grouped;
mod isa;
mod linear;
pub mod pool;
pub mod scratch;
mod shared;
mod slices;
pub mod tensor;
mod tile;
mod transpose;
mod weight_gradient;
mod winograd;

pub use clamp::{Bounds, clamp, within};
pub use differences::{squared_distances, weighted_differences};
pub use gate::{gate, leaky_relu};
pub use geometry::Geometry;
pub use grouped::{grouped_conv_transpose2d, grouped_conv2d};
pub use isa::{Isa, VARIABLE};
pub use pool::Window;
pub use slices::Conv;
pub use tensor::{conv_transpose2d, conv2d, conv2d_weight};
