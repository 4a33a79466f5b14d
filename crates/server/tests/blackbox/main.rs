//! The `flumen` command from outside: what it prints, how it exits, what it answers.
//!
//! One test binary for all of it, because every binary links the whole server.

mod access;
mod api;
mod auth;
mod bench;
mod command_line;
mod demo;
mod gauges;
mod hls;
mod hls_http2;
mod hostile;
mod http;
mod http_flv;
mod http_mp4;
mod limits;
mod logins;
mod metadata;
mod metrics;
mod openapi;
mod otel;
mod parameter_sets;
mod peer;
mod play;
mod playing;
mod probe;
mod program;
mod publish;
mod publishing;
mod record;
mod relay;
mod relay_settings;
mod relay_targets;
mod reload;
mod replay;
mod replay_hls;
mod server;
mod settings;
mod signals;
mod storage;
mod stream;
mod tls;
mod trace;
mod web;
mod wire;
