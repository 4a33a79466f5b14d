//! What the interop tests share: a server under test, foreign programs, and the comparison of packets.

mod emulators;
mod nginx;
mod packets;
mod process;
mod programs;
mod proxy;
mod raw;
mod rules;
mod server;
mod transfer;

pub(crate) use emulators::Emulator;
pub(crate) use nginx::Nginx;
pub(crate) use packets::{
    Track, assert_same, assert_same_media, assert_same_tail, describe, describe_filtered, key_frames_of,
    parse, parse_any, tracks_in_mp4, tracks_of,
};
pub(crate) use process::{Process, run};
pub(crate) use programs::{
    clip, enhanced_ffmpeg, ffprobe, kept_clip, legacy_ffmpeg, node, program, python, script, tool,
    unprivileged_program,
};
pub(crate) use proxy::Proxy;
pub(crate) use raw::{RawClient, Tag, save_tags, tags_of};
pub(crate) use rules::{Rules, seconds};
pub(crate) use server::{Server, flumen};
pub(crate) use transfer::{LIMIT, over_http, player, publisher};
