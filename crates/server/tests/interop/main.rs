//! Real clients against a real server: FFmpeg old and new, GStreamer, rtmpdump, VLC, OBS Studio, Chromium, nginx-rtmp.
//!
//! Each test starts a server of its own on a free port and compares what came out with what went in, packet by packet.
//! `make interop` installs the programs and runs this; a test whose program is missing fails and says so.

mod captions;
mod dash;
mod demo;
mod ffmpeg;
mod gstreamer;
mod harness;
mod he_aac;
mod hls;
mod hls_rules;
mod http_flv;
mod http_mp4;
mod late_join;
mod metrics;
mod multitrack;
mod obs;
mod openapi;
mod pages;
mod players;
mod probe;
mod recording;
mod recording_mp4;
mod relay;
mod replay;
mod storage;
mod timestamps;
mod tokens;
mod ts;
