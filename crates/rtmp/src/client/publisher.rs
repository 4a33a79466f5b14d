//! Publishing to a server.

use std::future::ready;

use bytes::Bytes;
use flumen_rtmp_proto::{
    Capabilities, ClientEvent, ClientSession, Media, MediaType, MessageStreamId, PublishKind, RtmpUrl,
};
use tokio::time::timeout;

use super::connect::{Connected, connect};
use super::{ClientOptions, parse, retry};
use crate::Error;
use crate::driver::Driver;

/// Bytes that may wait in the publisher before [`Publisher::send`] waits for the network: a key frame of a high bit
/// rate, so that a burst passes and a stalled server is felt.
const SEND_BUFFER: usize = 512 * 1024;

/// A client that publishes one stream.
///
/// ```no_run
/// # async fn example(video_body: bytes::Bytes) -> Result<(), flumen_rtmp::Error> {
/// use flumen_rtmp::{ClientOptions, Publisher, proto::MediaType};
///
/// let mut publisher = Publisher::connect("rtmp://127.0.0.1/live/demo", ClientOptions::default()).await?;
/// publisher.send(MediaType::Video, 0, video_body).await?;
/// publisher.finish().await
/// # }
/// ```
pub struct Publisher {
    driver: Driver<ClientSession>,
    stream: MessageStreamId,
    capabilities: Capabilities,
    url: RtmpUrl,
    options: ClientOptions,
    /// Where the server wants the next connection, once it has asked for one.
    next_url: Option<RtmpUrl>,
}

impl Publisher {
    /// Connects to `url` (`rtmp[s]://host[:port]/app/name[?query]`) and begins to publish.
    ///
    /// # Errors
    /// When the address is wrong, the server cannot be reached, or it refuses.
    pub async fn connect(url: &str, options: ClientOptions) -> Result<Self, Error> {
        Self::open(&parse(url)?, options).await
    }

    async fn open(url: &RtmpUrl, options: ClientOptions) -> Result<Self, Error> {
        let Connected { driver, capabilities, url } = connect(url, true, &options).await?;
        let mut publisher =
            Self { driver, stream: MessageStreamId::CONNECTION, capabilities, url, options, next_url: None };
        let limit = publisher.options.connect_timeout;
        timeout(limit, publisher.start()).await.map_err(|_| Error::Timeout("asking to publish"))??;
        Ok(publisher)
    }

    async fn start(&mut self) -> Result<(), Error> {
        let Driver { session, output, .. } = &mut self.driver;
        session.publish(&self.url.name_with_query, PublishKind::Live, output)?;
        loop {
            match self.driver.next_event().await?.ok_or(Error::Closed("asking to publish"))? {
                ClientEvent::PublishStarted { stream, .. } => {
                    self.stream = stream;
                    return Ok(());
                }
                ClientEvent::Refused { refusal, .. } => return Err(Error::Refused(refusal)),
                _ => {}
            }
        }
    }

    /// What Enhanced RTMP features the server supports.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The address it publishes to, after redirects; shows no secrets.
    pub fn url(&self) -> &RtmpUrl {
        &self.url
    }

    /// Sends one FLV body with its timestamp in milliseconds (modulo 2³²). Waits while the network is behind.
    ///
    /// # Errors
    /// When the connection is lost or the server ends the stream; [`reconnect`](Self::reconnect) may help.
    pub async fn send(&mut self, kind: MediaType, timestamp: u32, payload: Bytes) -> Result<(), Error> {
        if let Some(class) = self.driver.new_chunk_class() {
            let Driver { session, output, .. } = &mut self.driver;
            session.set_chunk_size(class.bytes(), output);
        }
        let media = Media { stream: self.stream, kind, timestamp, payload };
        self.driver.session.send_media(media)?;
        self.pump(SEND_BUFFER).await
    }

    /// Whether the server asked for a new connection: call [`reconnect`](Self::reconnect) before the next key frame.
    pub fn reconnect_requested(&self) -> bool {
        self.next_url.is_some()
    }

    /// Publishes over a new connection, trying again with growing pauses. The old connection is closed once the new
    /// one stands. Send the codec configurations and a key frame next.
    ///
    /// # Errors
    /// The last one, when the attempts of [`ClientOptions::backoff`] are used up.
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        let url = self.next_url.take().unwrap_or_else(|| self.url.clone());
        let options = self.options.clone();
        let fresh = retry(&options.backoff, async || Self::open(&url, options.clone()).await).await?;
        let mut old = std::mem::replace(self, fresh);
        // The old server learns that nothing more comes; if it is gone already, all the better.
        let _ = old.driver.shutdown().await;
        Ok(())
    }

    /// Ends the stream and waits until the server has everything.
    ///
    /// # Errors
    /// When the connection was lost before.
    pub async fn finish(mut self) -> Result<(), Error> {
        let Driver { session, output, .. } = &mut self.driver;
        session.unpublish(self.stream, output);
        self.driver.shutdown().await
    }

    /// Reads what the server says and writes what waits, until at most `allowed` bytes of media wait.
    async fn pump(&mut self, allowed: usize) -> Result<(), Error> {
        loop {
            let drained = self.driver.session.queued() <= allowed;
            tokio::select! {
                biased;
                event = self.driver.next_event() => {
                    let event = event?.ok_or(Error::Closed("publishing"))?;
                    self.on_event(event)?;
                }
                () = ready(()), if drained => return Ok(()),
            }
        }
    }

    fn on_event(&mut self, event: ClientEvent) -> Result<(), Error> {
        match event {
            ClientEvent::Refused { refusal, .. } => Err(Error::Refused(refusal)),
            ClientEvent::ReconnectRequest(request) => {
                self.next_url = Some(self.url.moved_to(&request.target(&self.url.tc_url))?);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
