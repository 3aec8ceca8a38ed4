//! Convolutions (to be documented).

mod columns;
mod correlate;
mod geometry;
mod isa;
pub mod scratch;
mod shared;
mod slices;
pub mod tensor;
mod tile;
mod transpose;
mod weight_gradient;
mod winograd;

pub use geometry::Geometry;
pub use isa::{Isa, VARIABLE};
pub use slices::Conv;
pub use tensor::{conv_transpose2d, conv2d, conv2d_weight};
