//! Publishing to a server.

use bytes::Bytes;
use flumen_rtmp_proto::{
    ClientEvent, ClientSession, Media, MediaType, MessageStreamId, PublishKind, RtmpUrl,
};
use tokio::time::timeout;

use super::connect::{Connected, connect};
use super::{ClientOptions, END_WITHIN, ServerInfo, close, parse, retry};
use crate::Error;
use crate::driver::{Driver, Progress};

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
    server: ServerInfo,
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
        Self::open(parse(url)?, options).await
    }

    async fn open(url: RtmpUrl, options: ClientOptions) -> Result<Self, Error> {
        let Connected { driver, server, url } = connect(&url, true, &options).await?;
        let stream = MessageStreamId::CONNECTION;
        let mut publisher = Self { driver, stream, server, url, options, next_url: None };
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

    /// What the server said about itself.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// The address it publishes to, after redirects; shows no secrets.
    pub fn url(&self) -> &RtmpUrl {
        &self.url
    }

    /// Sends one FLV body with its timestamp in milliseconds (modulo 2³²). Waits while the network is behind: dropping
    /// the future ends the waiting, and does not take the body back.
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
        self.make_room().await
    }

    /// Answers the server while there is nothing to send: its pings, for one. Ends when the server asks for a new
    /// connection. Cancel safe.
    ///
    /// # Errors
    /// When the connection is lost or the server ends the stream; [`reconnect`](Self::reconnect) may help.
    pub async fn idle(&mut self) -> Result<(), Error> {
        while !self.reconnect_requested() {
            let event = self.driver.next_event().await?.ok_or(Error::Closed("publishing"))?;
            self.on_event(event)?;
        }
        Ok(())
    }

    /// Whether the server asked for a new connection: call [`reconnect`](Self::reconnect) before the next key frame.
    pub fn reconnect_requested(&self) -> bool {
        self.next_url.is_some()
    }

    /// Publishes over a new connection, trying again with growing pauses. Send the metadata, the codec configurations
    /// and a key frame next.
    ///
    /// If the server asked for it, the old connection is closed once the new one stands, or when the new one does not
    /// come about: the server may want the old one gone first.
    ///
    /// # Errors
    /// The last one, when the attempts of [`ClientOptions::backoff`] are used up or the server says no for good.
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        let options = self.options.clone();
        let requested = self.next_url.take();
        let url = requested.clone().unwrap_or_else(|| self.url.clone());
        if requested.is_some()
            && let Ok(fresh) = Self::open(url.clone(), options.clone()).await
        {
            let old = std::mem::replace(self, fresh);
            tokio::spawn(old.finish());
            return Ok(());
        }
        self.end().await;
        *self = retry(&options.backoff, || Self::open(url.clone(), options.clone())).await?;
        Ok(())
    }

    /// Ends the stream and waits until the server has everything.
    ///
    /// # Errors
    /// When the connection was lost before.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.unpublish();
        close(&mut self.driver).await
    }

    /// Like [`finish`](Self::finish), for a connection that was lost or must be gone before the next one: what is not
    /// written at once is given up, because the server may be stuck.
    async fn end(&mut self) {
        self.unpublish();
        let _ = timeout(END_WITHIN, self.driver.shutdown()).await;
    }

    fn unpublish(&mut self) {
        let Driver { session, output, .. } = &mut self.driver;
        session.unpublish(self.stream, output);
    }

    /// Reads what the server says and writes what waits, until at most [`SEND_BUFFER`] bytes wait.
    async fn make_room(&mut self) -> Result<(), Error> {
        loop {
            match self.driver.make_room(SEND_BUFFER).await? {
                Progress::Event(event) => self.on_event(event)?,
                Progress::Drained => return Ok(()),
                Progress::Closed => return Err(Error::Closed("publishing")),
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
