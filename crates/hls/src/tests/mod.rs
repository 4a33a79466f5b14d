//! The packager as a whole: publishers made of numbers, and what comes out.

mod golden;
mod source;

pub(crate) use golden::{compare, noon, push_all, rendition};
pub(crate) use source::{TrackPlan, aac_44k, load, publish};
