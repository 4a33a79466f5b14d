//! Playing from a server.

use flumen_rtmp_proto::{ClientEvent, ClientSession, Media, MediaType, MessageStreamId, RtmpUrl};
use tokio::time::timeout;

use super::connect::{Connected, connect};
use super::{ClientOptions, END_WITHIN, ServerInfo, close, parse, retry};
use crate::Error;
use crate::driver::Driver;

/// `start` of the play command: live, and failing that recorded.
const START_LIVE: f64 = -2.0;

/// What a player sees.
#[derive(Clone, Debug, PartialEq)]
pub enum PlayerEvent {
    /// A media message.
    Media(Media),
    /// A publisher has begun; fresh codec configurations follow.
    Published,
    /// The publisher has ended. The player stays and waits for the next one.
    Unpublished,
    /// The server wants the player to connect again: call [`Player::reconnect`].
    ReconnectRequested,
}

/// A client that plays one stream.
///
/// ```no_run
/// # async fn example() -> Result<(), flumen_rtmp::Error> {
/// use flumen_rtmp::{ClientOptions, Player, PlayerEvent};
///
/// let mut player = Player::connect("rtmp://127.0.0.1/live/demo", ClientOptions::default()).await?;
/// while let Some(event) = player.next().await? {
///     if let PlayerEvent::Media(media) = event {
///         println!("{:?} at {} ms: {} bytes", media.kind, media.timestamp, media.payload.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Player {
    driver: Driver<ClientSession>,
    stream: MessageStreamId,
    server: ServerInfo,
    url: RtmpUrl,
    options: ClientOptions,
    next_url: Option<RtmpUrl>,
    /// A media message that came before the server said that playing starts.
    early: Option<Media>,
}

impl Player {
    /// Connects to `url` (`rtmp[s]://host[:port]/app/name[?query]`) and begins to play.
    ///
    /// # Errors
    /// When the address is wrong, the server cannot be reached, or it refuses.
    pub async fn connect(url: &str, options: ClientOptions) -> Result<Self, Error> {
        Self::open(parse(url)?, options).await
    }

    async fn open(url: RtmpUrl, options: ClientOptions) -> Result<Self, Error> {
        let Connected { driver, server, url } = connect(&url, false, &options).await?;
        let stream = MessageStreamId::CONNECTION;
        let mut player = Self { driver, stream, server, url, options, next_url: None, early: None };
        let limit = player.options.connect_timeout;
        timeout(limit, player.start()).await.map_err(|_| Error::Timeout("asking to play"))??;
        Ok(player)
    }

    async fn start(&mut self) -> Result<(), Error> {
        let Driver { session, output, .. } = &mut self.driver;
        session.play(&self.url.name_with_query, START_LIVE, output)?;
        loop {
            match self.driver.next_event().await?.ok_or(Error::Closed("asking to play"))? {
                ClientEvent::PlayStarted { stream, .. } => {
                    self.stream = stream;
                    return Ok(());
                }
                // Some servers send media and never say that playing starts.
                ClientEvent::Media(media) => {
                    self.stream = media.stream;
                    self.early = Some(media);
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

    /// The address it plays from, after redirects; shows no secrets.
    pub fn url(&self) -> &RtmpUrl {
        &self.url
    }

    /// What comes next, or `None` when the server has closed. Cancel safe.
    ///
    /// # Errors
    /// When the connection is lost or the server stops playing.
    pub async fn next(&mut self) -> Result<Option<PlayerEvent>, Error> {
        if let Some(media) = self.early.take() {
            return Ok(Some(PlayerEvent::Media(media)));
        }
        loop {
            let Some(event) = self.driver.next_event().await? else { return Ok(None) };
            if let Some(event) = self.translate(event)? {
                return Ok(Some(event));
            }
        }
    }

    fn translate(&mut self, event: ClientEvent) -> Result<Option<PlayerEvent>, Error> {
        Ok(match event {
            ClientEvent::Media(media) => Some(PlayerEvent::Media(media)),
            ClientEvent::Refused { refusal, .. } => return Err(Error::Refused(refusal)),
            ClientEvent::Status { code, .. } => match code.as_str() {
                "NetStream.Play.PublishNotify" => Some(PlayerEvent::Published),
                "NetStream.Play.UnpublishNotify" => Some(PlayerEvent::Unpublished),
                _ => None,
            },
            ClientEvent::ReconnectRequest(request) => {
                self.next_url = Some(self.url.moved_to(&request.target(&self.url.tc_url))?);
                Some(PlayerEvent::ReconnectRequested)
            }
            _ => None,
        })
    }

    /// Plays over a new connection, trying again with growing pauses.
    ///
    /// # Errors
    /// The last one, when the attempts of [`ClientOptions::backoff`] are used up.
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        let url = self.next_url.take().unwrap_or_else(|| self.url.clone());
        let options = self.options.clone();
        let fresh = retry(&options.backoff, || Self::open(url.clone(), options.clone())).await?;
        let mut old = std::mem::replace(self, fresh);
        // If the old server is gone already, all the better.
        let _ = timeout(END_WITHIN, old.driver.shutdown()).await;
        Ok(())
    }

    /// Pauses, or goes on. `position` is where the player stands, milliseconds.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn pause(&mut self, paused: bool, position: u32) -> Result<(), Error> {
        let Driver { session, output, .. } = &mut self.driver;
        session.pause(self.stream, paused, position, output);
        self.driver.flush().await
    }

    /// Switches audio or video on or off.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn receive(&mut self, kind: MediaType, on: bool) -> Result<(), Error> {
        let Driver { session, output, .. } = &mut self.driver;
        session.receive(self.stream, kind, on, output);
        self.driver.flush().await
    }

    /// Stops playing and closes the connection.
    ///
    /// # Errors
    /// When the connection was lost before.
    pub async fn stop(mut self) -> Result<(), Error> {
        let Driver { session, output, .. } = &mut self.driver;
        session.stop(self.stream, output);
        close(&mut self.driver).await
    }
}
