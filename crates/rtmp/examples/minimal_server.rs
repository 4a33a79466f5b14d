//! Accepts publishers and prints what they send.
//!
//! Run `cargo run --example minimal_server`, then
//! `ffmpeg -re -f lavfi -i testsrc -c:v libx264 -f flv rtmp://127.0.0.1:1935/live/test`.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use flumen_rtmp::proto::{ServerConfig, ServerEvent};
use flumen_rtmp::{Connection, Error, Listener};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let listener = Listener::bind(([127, 0, 0, 1], 1935).into()).await?;
    println!("listening on rtmp://{}", listener.local_addr()?);
    loop {
        let incoming = listener.accept().await?;
        let remote = incoming.remote_addr();
        tokio::spawn(async move {
            let outcome = match incoming.establish(ServerConfig::default(), None).await {
                Ok(connection) => serve(connection).await,
                Err(error) => Err(error),
            };
            println!("{remote} has gone: {outcome:?}");
        });
    }
}

async fn serve(mut connection: Connection) -> Result<(), Error> {
    while let Some(event) = connection.next_event().await? {
        let remote = connection.remote_addr();
        let (session, output) = connection.session();
        match event {
            ServerEvent::Connect(request) => {
                println!("{remote} connects to {}", request.tc_url);
                session.accept_connect(output)?;
            }
            ServerEvent::Publish(request) => {
                println!("{remote} publishes {}", request.name);
                session.accept_publish(request.stream, output)?;
            }
            ServerEvent::Media(media) => {
                println!("{:?} at {} ms: {} bytes", media.kind, media.timestamp, media.payload.len());
            }
            _ => {}
        }
    }
    Ok(())
}
