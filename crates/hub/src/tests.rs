//! The hub from outside, in virtual time.

pub(crate) mod support;

mod configuring;
mod publishing;
mod reading;
mod stress;
