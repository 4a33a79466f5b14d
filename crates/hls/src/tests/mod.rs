//! The packager as a whole: publishers made of numbers, and what comes out.

mod checker;
mod cues;
mod eras;
mod golden;
mod limits;
mod listing;
mod source;
mod timing;

pub(crate) use checker::Checker;
pub(crate) use golden::{compare, noon, push_all, rendition};
pub(crate) use source::{TrackPlan, aac_44k, load, publish};
