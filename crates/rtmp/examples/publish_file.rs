//! Publishes an FLV file in real time.
//!
//! Run `cargo run --example publish_file -- FILE.flv rtmp://127.0.0.1/live/test`, then
//! `ffplay rtmp://127.0.0.1/live/test`.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::time::Duration;

use bytes::BytesMut;
use flumen_media::flv::{Reader, TagType, set_data_frame};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Publisher};
use tokio::time::{Instant, sleep_until};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, url] = &arguments[..] else { return Err("usage: publish_file FILE.flv URL".into()) };

    let mut input = BytesMut::from(&std::fs::read(file)?[..]);
    let mut publisher = Publisher::connect(url, ClientOptions::default()).await?;
    println!("publishing to {}", publisher.url());

    let (mut reader, begin) = (Reader::new(), Instant::now());
    while let Some(tag) = reader.next_tag(&mut input)? {
        // Counted from the beginning each time, so that late wake-ups do not add up.
        sleep_until(begin + Duration::from_millis(tag.timestamp.into())).await;
        let (kind, body) = match tag.tag_type {
            TagType::Audio => (MediaType::Audio, tag.body),
            TagType::Video => (MediaType::Video, tag.body),
            TagType::Script => (MediaType::Data, set_data_frame(&tag.body)),
        };
        publisher.send(kind, tag.timestamp, body).await?;
    }
    publisher.finish().await?;
    Ok(())
}
