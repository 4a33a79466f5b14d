//! The story of one RTMP connection: established, connected, publishing or playing, gone.

mod arrival;
mod replay;

use std::future::{pending, poll_fn};
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use flumen_hub::{CloseReason, InvalidKey, PublishError, StreamKey, SubscribeEnd, SubscribeError};
use flumen_media::flv::Dialect;
use flumen_rtmp::proto::{
    ConnectRequest, Media, MediaType, MessageStreamId, PlayRequest, PublishRequest as Publishing,
    ServerEvent, Status,
};
use flumen_rtmp::{Connection, Error, Heard, Incoming, Progress};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{Instrument, Span, debug, info};

use super::Server;
use super::account::count_end;
use super::admission::{Target, resolve};
use super::from_hub::Egress;
use super::to_hub::Ingest;
use crate::auth::{Action, Decision, Denied, Protocol, PublishRefusal, Request as AuthRequest, Shown};
use crate::clients::{Role, Ticket};
use crate::config::Linger;
use crate::events::Happening;
use crate::fanout::{Left, Seat};
use crate::gate::Pass;
use crate::log::excerpt;
use crate::replay::is_replay;
use crate::room::Newcomer;
use crate::seldom::Seldom;

/// How often a connection is looked after: silence, chunk size, pings.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The same for players that others write to: their sockets have taken everything so far.
const SEATED_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a client may take to close when it was told that all is over.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why a connection ended, where that is no failure.
#[derive(Debug)]
pub(super) enum Ending {
    /// The client closed it.
    Closed,
    /// The client was told no.
    Refused,
    /// The server goes away.
    Shutdown,
    /// The publisher was closed from the other side.
    Unpublished(CloseReason),
    /// Somebody ended it through the API.
    Kicked,
    /// The player fell behind too often, or its stream cannot be read any more.
    Unplayed(SubscribeEnd),
}

/// Serves one connection to its end and says what became of it.
///
/// What it logs belongs to `span`. The future as a whole is not in the span: to enter it for every message costs as much
/// as many a message.
pub(super) async fn serve(server: Arc<Server>, incoming: Incoming, pass: Pass, ticket: Ticket, span: Span) {
    span.in_scope(|| info!("connected"));
    let (app, protocol) = (server.app.clone(), ticket.protocol());
    let outcome = run(server, incoming, pass, ticket, &span).await;
    count_end(&app.metrics, protocol, &outcome);
    let _entered = span.enter();
    match outcome {
        Ok(Ending::Closed | Ending::Refused) => info!("closed"),
        Ok(Ending::Shutdown) => info!("closed: the server is shutting down"),
        Ok(Ending::Kicked) => info!(reason = "kicked", "closed"),
        Ok(Ending::Unpublished(reason)) => info!(%reason, "closed"),
        Ok(Ending::Unplayed(reason)) => info!(%reason, "closed"),
        // How most players leave.
        Err(Error::Io(error))
            if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
        {
            info!("closed");
        }
        Err(error) => info!(reason = %error, "closed"),
    }
}

async fn run(
    server: Arc<Server>,
    incoming: Incoming,
    pass: Pass,
    ticket: Ticket,
    span: &Span,
) -> Result<Ending, Error> {
    // In boxes of their own, because a player keeps the room of everything that this task may ever await, and a handshake
    // takes several times what a player does.
    let mut client =
        match Box::pin(arrival::arrive(server, incoming, &pass, ticket)).instrument(span.clone()).await? {
            Ok(client) => client,
            Err(ending) => return Ok(ending),
        };
    match client.live(span).await? {
        Ending::Closed => Ok(Ending::Closed),
        ending => Box::pin(client.end(ending)).instrument(span.clone()).await,
    }
}

/// A connected client.
struct Client {
    server: Arc<Server>,
    connection: Connection,
    request: ConnectRequest,
    user: Option<String>,
    ticket: Ticket,
    publishing: Vec<PublishingStream>,
    playing: Vec<Egress>,
    /// While others write to the client: the only thing it does is play, and it is up to date.
    seat: Option<Seat>,
    tap: Option<super::trace::TraceTap>,
}

/// What happens once or every few seconds.
enum Rarity {
    Unpublished(CloseReason),
    Kicked,
    AskedToStop,
    CheckIsDue,
}

struct PublishingStream {
    id: MessageStreamId,
    key: StreamKey,
    ingest: Ingest,
    /// Resolves when the publisher is closed from the other side.
    closed: Pin<Box<dyn Future<Output = CloseReason> + Send>>,
}

impl Client {
    /// Until the connection is to end.
    async fn live(&mut self, span: &Span) -> Result<Ending, Error> {
        let shutdown = self.server.shutdown.clone();
        // All are made once: a timer and a waiter for every turn of the loop would cost more than the turn.
        let mut asked_to_stop = pin!(shutdown.requested());
        let mut kicked = pin!(self.ticket.kicked());
        let mut next_check = pin!(sleep_until(self.next_check()));
        let (mut seldom, mut leaving) = (Seldom::new(), false);
        loop {
            self.change_seat();
            let drained = self.connection.pending() == 0 && self.seat.is_none();
            let publishing = &mut self.publishing;
            let rarity = poll_fn(|cx| {
                seldom.poll(cx, |cx| {
                    if let Poll::Ready(reason) = poll_closed(publishing, cx) {
                        return Poll::Ready(Rarity::Unpublished(reason));
                    }
                    if kicked.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Rarity::Kicked);
                    }
                    if next_check.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Rarity::CheckIsDue);
                    }
                    if leaving {
                        Poll::Pending
                    } else {
                        asked_to_stop.as_mut().poll(cx).map(|()| Rarity::AskedToStop)
                    }
                })
            });
            tokio::select! {
                biased;
                progress = progress(&mut self.connection, self.seat.as_ref()) => match progress? {
                    Progress::Event(event) => {
                        self.stand_up();
                        let ending = match event {
                            ServerEvent::Media(media) => self.on_media(media),
                            event => {
                                seldom.rouse();
                                Box::pin(self.on_event(event)).instrument(span.clone()).await?
                            }
                        };
                        if let Some(ending) = ending {
                            return Ok(ending);
                        }
                    }
                    Progress::Drained => self.stand_up(),
                    Progress::Closed => return Ok(Ending::Closed),
                },
                ready = ready(&mut self.playing), if drained => match ready {
                    Ok(index) => self.send(index)?,
                    Err(end) => return Ok(Ending::Unplayed(end)),
                },
                rarity = rarity => match rarity {
                    Rarity::Unpublished(reason) => return Ok(Ending::Unpublished(reason)),
                    Rarity::Kicked => return Ok(Ending::Kicked),
                    Rarity::CheckIsDue if leaving => return Ok(Ending::Shutdown),
                    Rarity::CheckIsDue => {
                        self.check()?;
                        next_check.as_mut().reset(self.next_check());
                    }
                    Rarity::AskedToStop => {
                        if !self.ask_to_reconnect() {
                            return Ok(Ending::Shutdown);
                        }
                        leaving = true;
                        next_check.as_mut().reset(Instant::now() + super::leave_within(&self.server.settings()));
                    }
                }
            }
        }
    }

    fn on_media(&mut self, media: Media) -> Option<Ending> {
        let stream = self.publishing.iter_mut().find(|known| known.id == media.stream)?;
        stream.ingest.push(media).err().map(Ending::Unpublished)
    }

    /// Lets others write to the client as soon as they can, and not while there is something else to say.
    fn change_seat(&mut self) {
        if self.connection.pending() > 0 {
            self.stand_up();
        } else if self.seat.is_none()
            && self.publishing.is_empty()
            && let [player] = self.playing.as_mut_slice()
            && let Some(writer) = self.connection.writer()
        {
            self.seat = player.join(&self.server.app.fanout, self.connection.session().0, writer);
        }
    }

    /// Takes the sending side back.
    fn stand_up(&mut self) {
        let Some(seat) = self.seat.take() else { return };
        let Left { place, written, rest } = seat.leave();
        self.connection.take_back(written, rest);
        for player in &mut self.playing {
            player.go_on_at(place);
        }
    }

    async fn on_event(&mut self, event: ServerEvent) -> Result<Option<Ending>, Error> {
        match event {
            ServerEvent::Publish(request) => return self.publish(request).await,
            ServerEvent::Play(request) => return self.play(request).await,
            ServerEvent::Media(media) => return Ok(self.on_media(media)),
            ServerEvent::Unpublish(id) => {
                if let Some(index) = self.publishing.iter().position(|known| known.id == id) {
                    info!("unpublished");
                    let stream = self.publishing.swap_remove(index);
                    self.ticket.end(Role::Publisher, &stream.key);
                    stream.ingest.finish();
                }
            }
            ServerEvent::StopPlay(id) => {
                if let Some(index) = self.playing.iter().position(|known| known.stream() == id) {
                    info!("stopped playing");
                    self.note_traffic();
                    self.ticket.end(Role::Player, self.playing.swap_remove(index).key());
                }
            }
            ServerEvent::Pause { stream, paused, .. } => {
                if let Some(player) = self.player(stream) {
                    return Ok(player.pause(paused).err().map(Ending::Unplayed));
                }
            }
            ServerEvent::Receive { stream, kind: MediaType::Video, receive } => {
                if let Some(player) = self.player(stream) {
                    player.receive_video(receive);
                }
            }
            ServerEvent::Seek { stream, .. } => {
                let (session, output) = self.connection.session();
                session.send_status(stream, Status::SEEK_FAILED, "a live stream cannot be sought", output);
            }
            ServerEvent::StreamLength { transaction, name } => self.tell_length(transaction, &name).await,
            ServerEvent::UnknownCommand(name) => debug!(name = excerpt(&name), "unknown command"),
            ServerEvent::HandshakeDone(_)
            | ServerEvent::Connect(_)
            | ServerEvent::Receive { .. }
            | ServerEvent::BufferLength { .. }
            | ServerEvent::Pong { .. } => {}
        }
        Ok(None)
    }

    async fn publish(&mut self, request: Publishing) -> Result<Option<Ending>, Error> {
        let Target { key, shown, .. } = match resolve(&self.request, self.user.as_deref(), &request.name) {
            Ok(resolved) => resolved,
            Err(error) => return self.refuse(request.stream, name_refusal(error, Status::PUBLISH_BAD_NAME)),
        };
        let decision = match self.decide(Action::Publish, &key, &shown).await {
            Ok(decision) => decision,
            Err(denied) => {
                let refusal = (Status::PUBLISH_DENIED, denied.to_string());
                return self.refuse_publisher(&key, request.stream, refusal);
            }
        };
        let peer = self.connection.remote_addr().to_string().into();
        let key = decision.key.clone();
        let publisher = match decision.publish(&self.server.hub, Protocol::Rtmp.label(), peer).await {
            Ok(publisher) => publisher,
            Err(error) => return self.refuse_publisher(&key, request.stream, publish_refusal(error)),
        };
        let ingest = Ingest::new(publisher);
        let closed = Box::pin(ingest.publisher().closed());
        self.ticket.begin(Role::Publisher, &key);
        self.publishing.push(PublishingStream { id: request.stream, key, ingest, closed });
        let (session, output) = self.connection.session();
        session.accept_publish(request.stream, output)?;
        // Audio leaves with the next picture then, whenever it comes.
        self.connection.expect_media(self.server.settings().play.linger == Linger::Auto);
        info!(client = excerpt(&self.request.flash_ver), "publishing");
        Ok(None)
    }

    async fn play(&mut self, request: PlayRequest) -> Result<Option<Ending>, Error> {
        let target = match resolve(&self.request, self.user.as_deref(), &request.name) {
            Ok(resolved) if is_replay(&resolved.key) => return self.replay(request, resolved).await,
            Ok(resolved) => resolved,
            Err(error) => return self.refuse(request.stream, name_refusal(error, Status::PLAY_FAILED)),
        };
        let Target { key, shown, all_tracks } = target;
        let decision = match self.decide(Action::Play, &key, &shown).await {
            Ok(decision) => decision,
            Err(denied) => return self.refuse(request.stream, (Status::PLAY_FAILED, denied.to_string())),
        };
        let settings = self.server.settings();
        let capabilities = &self.request.capabilities;
        let dialect = Dialect {
            multitrack: capabilities.multitrack() || all_tracks,
            nanos: capabilities.timestamp_nano_offset(),
        };
        let delivery = self.server.app.metrics.delivery(self.ticket.protocol());
        let newcomer =
            Newcomer { key: &decision.key, protocol: Protocol::Rtmp, remote: self.connection.remote_addr() };
        let subscribe = |options| newcomer.subscribe(&self.server.app, options);
        let player = Egress::new(&decision.key, request.stream, dialect, &settings.play, delivery, subscribe);
        let mut player = match player {
            Ok(player) => player,
            Err(error) => {
                decision.give_back().await;
                return self.refuse(request.stream, play_refusal(error));
            }
        };
        let (session, output) = self.connection.session();
        session.accept_play(request.stream, output)?;
        if let Err(end) = player.prime() {
            return Ok(Some(Ending::Unplayed(end)));
        }
        player.send(session, output)?;
        self.ticket.begin(Role::Player, &decision.key);
        // Hardly anybody plays two streams, and room for four is what a vector begins with.
        self.playing.reserve_exact(1);
        self.playing.push(player);
        info!(client = excerpt(&self.request.flash_ver), "playing");
        Ok(None)
    }

    /// Asks whether the client may do `action` with `key`. Meanwhile nothing more is read from it: what it sends already is
    /// part of the stream if the answer is yes, and forgotten if it is no.
    async fn decide(&mut self, action: Action, key: &StreamKey, shown: &Shown) -> Result<Decision, Denied> {
        let auth = &self.server.app.auth;
        let is_hidden = auth.hides_keys(action);
        if !is_hidden {
            Span::current().record("stream_key", key.as_str());
        }
        let remote = self.connection.remote_addr().ip();
        let decision =
            auth.decide(AuthRequest { action, key, shown, remote, protocol: Protocol::Rtmp }).await?;
        if is_hidden {
            Span::current().record("stream_key", decision.key.as_str());
        }
        self.decide_trace(decision.key.as_str());
        Ok(decision)
    }

    fn player(&mut self, stream: MessageStreamId) -> Option<&mut Egress> {
        self.playing.iter_mut().find(|known| known.stream() == stream)
    }

    fn send(&mut self, index: usize) -> Result<(), Error> {
        let (session, output) = self.connection.session();
        Ok(self.playing[index].send(session, output)?)
    }

    /// Tells a client no, and that is the end: what it sends meanwhile must not be taken for a stream.
    fn refuse(
        &mut self,
        stream: MessageStreamId,
        (status, reason): (Status, String),
    ) -> Result<Option<Ending>, Error> {
        info!(code = status.code, reason, "refused");
        let (session, output) = self.connection.session();
        session.reject(stream, status, &reason, output)?;
        Ok(Some(Ending::Refused))
    }

    /// Tells a publisher no, and others that it was told so.
    fn refuse_publisher(
        &mut self,
        key: &StreamKey,
        stream: MessageStreamId,
        refusal: (Status, String),
    ) -> Result<Option<Ending>, Error> {
        let app = &self.server.app;
        app.events.tell(Happening::PublishFailed {
            stream_key: (!app.auth.hides_keys(Action::Publish)).then(|| key.to_string()),
            protocol: Protocol::Rtmp.label(),
            remote: self.connection.remote_addr().to_string(),
            reason: refusal.1.clone(),
        });
        self.refuse(stream, refusal)
    }

    fn decide_trace(&self, key: &str) {
        if let Some(tap) = &self.tap {
            tap.decide(&self.server.settings().log, key);
        }
    }

    /// When to look after the connection next.
    fn next_check(&self) -> Instant {
        let interval = if self.seat.is_some() { SEATED_CHECK_INTERVAL } else { CHECK_INTERVAL };
        self.server.app.tick_after(interval)
    }

    /// Looks after the connection.
    fn check(&mut self) -> Result<(), Error> {
        let limit = self.server.settings().limits.idle_timeout;
        if self.connection.blocked_for() >= limit {
            return Err(Error::Timeout("waiting for the client to take data"));
        }
        let idle = self.publishing.is_empty() && self.playing.is_empty();
        if idle && self.connection.silent_for() >= limit {
            return Err(Error::Timeout("waiting for the client to do something"));
        }
        self.connection.adapt_chunk_size();
        self.note_traffic();
        if self.connection.silent_for() >= limit / 2 {
            let timestamp = self.connection.uptime().as_millis() as u32;
            let (session, output) = self.connection.session();
            session.ping(timestamp, output);
        }
        Ok(())
    }

    /// Lets others know how much the connection has carried.
    fn note_traffic(&self) {
        if let Some(traffic) = self.connection.traffic() {
            self.ticket.carried(traffic.received, traffic.sent);
        }
    }

    /// Whether the client can be asked to connect again, and was.
    fn ask_to_reconnect(&mut self) -> bool {
        let able = self.request.capabilities.reconnect();
        if able {
            let (session, output) = self.connection.session();
            session.request_reconnect(None, "the server is shutting down", output);
        }
        able
    }

    /// Says goodbye in the way the client understands, and closes.
    async fn end(&mut self, ending: Ending) -> Result<Ending, Error> {
        self.stand_up();
        let (session, output) = self.connection.session();
        let players = self.playing.iter().map(Egress::stream);
        match &ending {
            Ending::Closed | Ending::Refused => {}
            Ending::Shutdown => {
                for stream in players {
                    session.send_status(
                        stream,
                        Status::PLAY_UNPUBLISH_NOTIFY,
                        "the server is shutting down",
                        output,
                    );
                }
                session.close("the server is shutting down", output);
            }
            Ending::Kicked => {
                for stream in players {
                    session.send_status(stream, Status::PLAY_STOP, "kicked", output);
                }
            }
            Ending::Unpublished(reason) => {
                for stream in &self.publishing {
                    session.send_status(stream.id, Status::UNPUBLISH_SUCCESS, &reason.to_string(), output);
                }
            }
            Ending::Unplayed(reason) => {
                let status = match reason {
                    SubscribeEnd::TooSlow => Status::PLAY_INSUFFICIENT_BW,
                    _ => Status::PLAY_STOP,
                };
                for stream in players {
                    session.send_status(stream, status, &reason.to_string(), output);
                }
            }
        }
        if matches!(ending, Ending::Shutdown) {
            // The encoder was told and will not come back to this server: its stream ends now.
            for stream in self.publishing.drain(..) {
                stream.ingest.finish();
            }
        }
        say_goodbye(&self.server, &mut self.connection).await?;
        Ok(ending)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.note_traffic();
    }
}

/// Waits for what the client does, or until all that waited is written; while others write, until they stop or have to.
async fn progress(connection: &mut Connection, seat: Option<&Seat>) -> Result<Progress<ServerEvent>, Error> {
    let Some(seat) = seat else { return connection.progress().await };
    tokio::select! {
        heard = connection.hear() => Ok(match heard? {
            Heard::Event(event) => Progress::Event(event),
            Heard::Answer => Progress::Drained,
            Heard::Closed => Progress::Closed,
        }),
        () = seat.released() => Ok(Progress::Drained),
    }
}

/// Writes what the client is to know, and gives it the time to hear that and to close.
async fn say_goodbye(server: &Server, connection: &mut Connection) -> Result<(), Error> {
    let limit = server.settings().limits.handshake_timeout;
    timeout(limit, connection.shutdown()).await.map_err(|_| Error::Timeout("saying goodbye"))??;
    // Who goes on sending, or just stays, is cut off.
    let _ = timeout(CLOSE_WITHIN, connection.drain()).await;
    Ok(())
}

/// Waits until one of the players has something to send, and tells which.
async fn ready(players: &mut [Egress]) -> Result<usize, SubscribeEnd> {
    match players {
        [] => pending().await,
        [one] => one.ready().await.map(|()| 0),
        [first, rest @ ..] => tokio::select! {
            ready = first.ready() => ready.map(|()| 0),
            index = Box::pin(ready(rest)) => index.map(|index| index + 1),
        },
    }
}

/// Ready when one of the publishers is closed from the other side, and tells why.
fn poll_closed(publishing: &mut [PublishingStream], cx: &mut Context<'_>) -> Poll<CloseReason> {
    let mut closed = publishing.iter_mut().map(|stream| stream.closed.as_mut().poll(cx));
    closed.find(Poll::is_ready).unwrap_or(Poll::Pending)
}

/// What a client is told about a name that cannot be a stream key.
fn name_refusal(error: InvalidKey, status: Status) -> (Status, String) {
    (status, error.to_string())
}

fn publish_refusal(refusal: PublishRefusal) -> (Status, String) {
    let status = match refusal {
        PublishRefusal::Reserved
        | PublishRefusal::Hub(PublishError::AlreadyPublished | PublishError::Banned { .. }) => {
            Status::PUBLISH_BAD_NAME
        }
        PublishRefusal::Hub(_) | PublishRefusal::Denied(_) => Status::PUBLISH_DENIED,
    };
    (status, refusal.to_string())
}

fn play_refusal(error: SubscribeError) -> (Status, String) {
    let status = match error {
        SubscribeError::NotFound => Status::PLAY_STREAM_NOT_FOUND,
        _ => Status::PLAY_FAILED,
    };
    (status, error.to_string())
}
