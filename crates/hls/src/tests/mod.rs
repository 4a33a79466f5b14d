//! The packager as a whole: publishers made of numbers, and what comes out.

mod golden;
mod source;
