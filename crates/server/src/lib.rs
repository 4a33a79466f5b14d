//! The Flumen server as a library, so that tests can start it in-process.
