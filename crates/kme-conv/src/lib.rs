//! Convolutions (to be documented).

mod columns;
mod correlate;
mod geometry;
mod isa;
pub mod scratch;
mod shared;
mod slices;
mod tile;
mod transpose;
mod weight_gradient;

pub use geometry::Geometry;
pub use isa::{Isa, VARIABLE};
pub use slices::Conv;
