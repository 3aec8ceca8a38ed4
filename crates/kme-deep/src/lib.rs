//! What moves towards an embedding, and what is judged: losses on tensors, training, steering and scores of pictures.

pub mod evaluate;
pub mod judge;
pub mod loss;
mod range;
pub mod sample;
pub mod steer;
pub mod train;
