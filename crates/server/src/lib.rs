//! The Flumen server as a library, so that tests can start it in-process.

#![deny(unsafe_code)]

pub mod app;
pub mod auth;
pub mod bench;
pub mod cli;
mod clients;
pub mod config;
pub mod demo;
pub mod encodings;
pub mod events;
mod fanout;
pub mod file_watch;
mod gate;
mod hls;
pub mod http;
mod http_flv;
mod http_mp4;
mod http_viewer;
mod kept;
pub mod log;
#[cfg(target_os = "linux")]
mod memory_file;
mod metrics;
mod pages;
pub mod probe;
mod proc;
mod rates;
pub mod record;
mod relay;
mod replay;
mod room;
pub mod rtmp;
mod seldom;
pub mod serve;
pub mod shutdown;
mod storage;
pub mod store;
mod tag_type;
pub mod tls;
pub mod traces;

/// Compiles and runs the programs of the page for users of the libraries.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/libraries.md")]
struct LibrariesPage;
