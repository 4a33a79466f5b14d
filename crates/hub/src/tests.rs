//! The hub from outside, in virtual time.

mod support;

mod publishing;
mod reading;
