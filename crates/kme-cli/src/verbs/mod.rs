//! One file for each verb: its flags, and what it does.

pub(crate) mod data;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod matching;
pub(crate) mod merge;
pub(crate) mod models;
pub(crate) mod rank;
pub(crate) mod reduce;
pub(crate) mod sample;
pub(crate) mod test;
pub(crate) mod train;
