//! Pictures and neural networks around kernel mean embeddings: image input and output, networks with exact
//! pullbacks, training, steering and evaluation.

pub mod cache;
pub mod data;
pub mod evaluate;
pub mod feature;
pub mod image;
pub mod loss;
pub mod model;
pub mod models;
pub mod net;
pub mod networks;
pub mod steer;
pub mod train;
pub mod walk;
pub mod weights;
