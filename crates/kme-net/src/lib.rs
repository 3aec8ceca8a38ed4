//! Neural networks as values: layers with exact pullbacks, networks that the field knows by name, feature maps and generators.

pub mod cache;
pub mod feature;
pub mod model;
pub mod models;
pub mod net;
pub mod networks;
pub mod walk;
pub mod weights;
