//! Records a live stream as FLV, until the server closes or Ctrl-C is pressed. The file is playable at every moment.
//!
//! Run `cargo run --example record_stream -- rtmp://127.0.0.1/live/test FILE.flv`.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::fs::File;
use std::io::Write;

use flumen_media::flv::{Dialect, Header, TagType, Writer};
use flumen_media::{Timestamp, Unwrapper};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Player, PlayerEvent};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, path] = &arguments[..] else { return Err("usage: record_stream URL FILE.flv".into()) };

    let mut player = Player::connect(url, ClientOptions::default()).await?;
    println!("recording {}", player.url());

    let mut file = File::create(path)?;
    file.write_all(&Header { audio: true, video: true }.to_bytes())?;
    let (writer, mut clock) = (Writer::new(Timestamp::ZERO, Dialect::FILE), Unwrapper::new());
    while let Some(event) = player.next().await? {
        let media = match event {
            PlayerEvent::Media(media) => media,
            PlayerEvent::ReconnectRequested => {
                player.reconnect().await?;
                continue;
            }
            PlayerEvent::Published | PlayerEvent::Unpublished => continue,
        };
        let tag_type = match media.kind {
            MediaType::Audio => TagType::Audio,
            MediaType::Video => TagType::Video,
            MediaType::Data => TagType::Script,
        };
        let tag = writer.body_tag(tag_type, clock.unwrap(media.timestamp), media.payload)?;
        file.write_all(&tag.concat())?;
    }
    Ok(())
}
