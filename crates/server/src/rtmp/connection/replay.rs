//! A connection that plays a recording.

use std::io::{self, ErrorKind};
use std::pin::pin;

use flumen_media::Timestamp;
use flumen_media::flv::Dialect;
use flumen_rtmp::proto::{PlayRequest, ServerEvent, Status, UserControl};
use flumen_rtmp::{Error, Progress};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info};

use super::super::admission::Target;
use super::super::leave_within;
use super::{Client, Ending, resolve};
use crate::auth::{Action, Denied};
use crate::clients::Role;
use crate::log::excerpt;
use crate::replay::{self, Due, Part, Player};

/// What the client was told when it asked for a recording that it cannot have.
type Refusal = (Status, String);

/// How playing a recording ended.
enum Over {
    /// With the connection.
    Connection(Ending),
    /// With what the client did instead; `None` if that was nothing.
    Playing(Option<ServerEvent>),
}

impl Client {
    /// Plays a recording until the client does something else.
    pub(super) async fn replay(
        &mut self,
        request: PlayRequest,
        target: Target,
    ) -> Result<Option<Ending>, Error> {
        let mut player = match self.open(&request, target).await {
            Ok(player) => player,
            Err(refusal) => return self.refuse(request.stream, refusal),
        };
        info!(client = excerpt(&self.request.flash_ver), "playing a recording");
        let key = player.key().clone();
        self.ticket.begin(Role::Player, &key);
        let over = self.play_on(&mut player, Part::asked(&request)).await;
        self.note_traffic();
        self.ticket.end(Role::Player, &key);
        match over? {
            Over::Connection(ending) => Ok(Some(ending)),
            Over::Playing(None) => Ok(None),
            Over::Playing(Some(event)) => Box::pin(self.on_event(event)).await,
        }
    }

    /// Answers how long a recording is, to who may play it.
    pub(super) async fn tell_length(&mut self, transaction: f64, name: &str) {
        let seconds = self.length_of(name).await.unwrap_or(0.0);
        let (session, output) = self.connection.session();
        session.answer_stream_length(transaction, seconds, output);
    }

    async fn length_of(&mut self, name: &str) -> Option<f64> {
        let target = resolve(&self.request, self.user.as_deref(), name).ok()?;
        // A service that is asked about every play need not be asked about this.
        if !replay::is_replay(&target.key) || self.server.app.auth.hides_keys(Action::Play) {
            return None;
        }
        let app = self.server.app.clone();
        let key = replay::canonical(&app, &target.key).await;
        let decision = self.decide(Action::Play, &key, &target.shown).await.ok()?;
        decision.give_back().await;
        let (_, index) = replay::open(&app, &decision.key).await.ok()?;
        Some(index.duration().as_secs_f64())
    }

    async fn open(&mut self, request: &PlayRequest, target: Target) -> Result<Player, Refusal> {
        if !self.publishing.is_empty() || !self.playing.is_empty() {
            let reason = "a recording is played on a connection that does nothing else";
            return Err((Status::PLAY_FAILED, reason.to_owned()));
        }
        let app = self.server.app.clone();
        let key = replay::canonical(&app, &target.key).await;
        let denied = |denied: Denied| (Status::PLAY_FAILED, denied.to_string());
        let decision = self.decide(Action::Play, &key, &target.shown).await.map_err(denied)?;
        let opened = match replay::open(&app, &decision.key).await {
            Ok(opened) if !opened.1.points.is_empty() => opened,
            other => {
                decision.give_back().await;
                return Err(refusal(other.err()));
            }
        };
        let capabilities = &self.request.capabilities;
        let dialect = Dialect {
            multitrack: capabilities.multitrack() || target.all_tracks,
            nanos: capabilities.timestamp_nano_offset(),
        };
        Ok(Player::new(app, decision.key, opened, (request.stream, dialect), self.ticket.protocol()))
    }

    async fn play_on(&mut self, player: &mut Player, part: Part) -> Result<Over, Error> {
        if let Some(over) = self.begin(player, part).await? {
            return Ok(over);
        }
        let shutdown = self.server.shutdown.clone();
        let mut asked_to_stop = pin!(shutdown.requested());
        let mut kicked = pin!(self.ticket.kicked());
        let mut next_check = pin!(sleep_until(self.next_check()));
        let mut leaving = false;
        loop {
            let drained = self.connection.pending() == 0;
            tokio::select! {
                biased;
                progress = self.connection.progress() => match progress? {
                    Progress::Event(event) => {
                        if let Some(over) = self.on_wish(player, event).await? {
                            return Ok(over);
                        }
                    }
                    Progress::Drained => {}
                    Progress::Closed => return Ok(Over::Connection(Ending::Closed)),
                },
                due = player.due(), if drained => {
                    let (session, output) = self.connection.session();
                    match due {
                        Due::Frames => player.send(session, output)?,
                        Due::End => player.complete(session, output)?,
                        Due::Failed => player.fail(session, output),
                    }
                }
                () = &mut kicked => return Ok(Over::Connection(self.stop(player, Ending::Kicked))),
                () = &mut next_check => {
                    if leaving {
                        return Ok(Over::Connection(self.stop(player, Ending::Shutdown)));
                    }
                    self.check()?;
                    next_check.as_mut().reset(self.next_check());
                }
                () = &mut asked_to_stop, if !leaving => {
                    if !self.ask_to_reconnect() {
                        return Ok(Over::Connection(self.stop(player, Ending::Shutdown)));
                    }
                    leaving = true;
                    let within = leave_within(&self.server.settings());
                    next_check.as_mut().reset(Instant::now() + within);
                }
            }
        }
    }

    /// Does what the client wishes about the recording. What it wants else ends that.
    async fn on_wish(&mut self, player: &mut Player, event: ServerEvent) -> Result<Option<Over>, Error> {
        let stream = player.stream();
        match event {
            ServerEvent::Pause { stream: which, paused, .. } if which == stream => player.pause(paused),
            ServerEvent::BufferLength { stream: which, millis } if which == stream => player.buffer(millis),
            ServerEvent::Seek { stream: which, position } if which == stream => {
                self.seek(player, position).await?;
            }
            ServerEvent::StreamLength { transaction, name } => self.tell_length(transaction, &name).await,
            ServerEvent::UnknownCommand(name) => debug!(name = excerpt(&name), "unknown command"),
            ServerEvent::Receive { .. }
            | ServerEvent::Pong { .. }
            | ServerEvent::BufferLength { .. }
            | ServerEvent::Pause { .. }
            | ServerEvent::Seek { .. } => {}
            ServerEvent::StopPlay(which) if which == stream => {
                info!("stopped playing");
                return Ok(Some(Over::Playing(None)));
            }
            event => return Ok(Some(Over::Playing(Some(event)))),
        }
        Ok(None)
    }

    /// Lets a player begin.
    async fn begin(&mut self, player: &mut Player, part: Part) -> Result<Option<Over>, Error> {
        let stream = player.stream();
        let sought = player.start(part).await;
        let (session, output) = self.connection.session();
        let point = match sought {
            Ok(point) => point,
            Err(error) => {
                let (status, reason) = refusal(Some(error));
                session.reject(stream, status, &reason, output)?;
                return Ok(Some(Over::Connection(Ending::Refused)));
            }
        };
        session.send_user_control(UserControl::StreamIsRecorded(stream), output);
        session.accept_play(stream, output)?;
        player.begin_at(point, session, output)?;
        Ok(None)
    }

    /// Lets a player go on at another place.
    async fn seek(&mut self, player: &mut Player, millis: f64) -> Result<(), Error> {
        let stream = player.stream();
        // A cast saturates, and NaN becomes 0.
        let to = Timestamp::from_nanos((millis.max(0.0) * 1e6) as i64);
        let sought = player.seek(Part { start: to, end: None }).await;
        let (session, output) = self.connection.session();
        let point = match sought {
            Ok(point) => point,
            Err(error) => {
                let (_, reason) = refusal(Some(error));
                session.send_status(stream, Status::SEEK_FAILED, &reason, output);
                return Ok(());
            }
        };
        let where_to = format!("Seeking to {} ms.", to.as_millis());
        session.send_status(stream, Status::SEEK_NOTIFY, &where_to, output);
        session.send_user_control(UserControl::StreamIsRecorded(stream), output);
        session.send_user_control(UserControl::StreamBegin(stream), output);
        session.send_status(stream, Status::PLAY_START, "Started playing.", output);
        Ok(player.begin_at(point, session, output)?)
    }

    /// Tells a player that it ends.
    fn stop(&mut self, player: &Player, ending: Ending) -> Ending {
        let stream = player.stream();
        let (session, output) = self.connection.session();
        let reason = if matches!(ending, Ending::Kicked) { "kicked" } else { "the server is shutting down" };
        session.send_status(stream, Status::PLAY_STOP, reason, output);
        ending
    }
}

/// What is said about a recording that has nothing to play, or the `error` with which it was opened.
fn refusal(error: Option<io::Error>) -> Refusal {
    let Some(error) = error else {
        return (Status::PLAY_FAILED, "there is nothing to play in this recording".to_owned());
    };
    debug!(%error, "no recording");
    match error.kind() {
        ErrorKind::NotFound => (Status::PLAY_STREAM_NOT_FOUND, "there is no such recording".to_owned()),
        ErrorKind::HostUnreachable => (Status::PLAY_FAILED, "storage cannot be reached now".to_owned()),
        _ => (Status::PLAY_FAILED, "the recording cannot be read".to_owned()),
    }
}
