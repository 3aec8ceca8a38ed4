//! x
pub mod data;
pub mod image;
pub mod net;
