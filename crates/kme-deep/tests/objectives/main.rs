//! One suite that every objective inherits.
//!
//! [`cases`] is the table: to add an objective, add its cases there and its definition to [`naive`]. Each case is then
//! held against plain loops over the definitions ([`values`]) and against central differences of itself
//! ([`gradients`]). What the papers say about signs is in [`signs`], the scale of the Scaled MMD in [`scale`], the
//! smallest game of all in [`dirac`], and [`mixture`] trains everything on points in the plane.

mod cases;
mod dirac;
mod gradients;
mod mixture;
mod naive;
mod scale;
mod setup;
mod signs;
mod values;
#[path = "../watching/mod.rs"]
mod watching;
