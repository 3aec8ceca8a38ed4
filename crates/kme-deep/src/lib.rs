//! Pictures and neural networks around kernel mean embeddings: image input and output, networks with exact
//! pullbacks, training, steering and evaluation.

pub mod data;
pub mod image;
