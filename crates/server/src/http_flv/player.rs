//! FLV over HTTP/1 without TLS: once the answer has begun the connection is the player's alone, and while the player is up
//! to date it has a seat in the [fan-out](crate::fanout), as players over RTMP have.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use flumen_rtmp::proto::Output;
use tokio::time::sleep_until;
use tracing::debug;

use super::File;
use crate::app::App;
use crate::fanout::{Form, Left, Seat};
use crate::http::{Framing, Handover, Wire};
use crate::http_viewer::EndlessFile;

/// How often others learn how much was sent to a player that has a seat.
const NOTED_EVERY: Duration = Duration::from_secs(5);

/// A player with a connection of its own.
pub(super) struct Player {
    app: Arc<App>,
    file: File,
    framing: Framing,
    output: Output,
    /// While others write to the player.
    seat: Option<Seat>,
}

impl Player {
    /// The answer that becomes this player.
    pub(super) fn answer(app: &Arc<App>, file: File, handover: &Handover, framing: Framing) -> Response {
        let player = Self { app: app.clone(), file, framing, output: Output::new(), seat: None };
        let answer = handover.answer(Box::new(|wire| Box::pin(player.stay(wire))));
        (File::headers(), [(header::CONNECTION, "close")], answer).into_response()
    }

    /// Plays until one of the two ends it.
    async fn stay(mut self, wire: Wire) {
        let outcome = tokio::select! {
            () = wire.gone() => None,
            outcome = self.play(&wire) => Some(outcome),
        };
        self.stand_up(&wire);
        match outcome {
            Some(Ok(())) => wire.complete(),
            Some(Err(error)) => debug!(%error, "the connection is broken"),
            None => {}
        }
    }

    async fn play(&mut self, wire: &Wire) -> io::Result<()> {
        while let Some(pieces) = self.file.next().await {
            self.framing.write(pieces, &mut self.output);
            wire.send(&mut self.output).await?;
            while self.sit_down(wire) {
                self.sit(wire).await;
                wire.send(&mut self.output).await?;
            }
        }
        self.framing.end(&mut self.output);
        wire.send(&mut self.output).await
    }

    /// Lets others write to the player, if it is up to date.
    fn sit_down(&mut self, wire: &Wire) -> bool {
        self.seat = self.file.join(&self.app.fanout, Form::Flv(self.framing), wire.writer());
        if self.seat.is_some() {
            // The burst at the beginning was larger than anything that follows.
            self.output.shrink();
        }
        self.seat.is_some()
    }

    /// Waits until the seat is given back, or has to be.
    async fn sit(&mut self, wire: &Wire) {
        let mut kicked = pin!(self.file.viewer.kicked());
        while let Some(seat) = &self.seat {
            tokio::select! {
                () = seat.released() => self.stand_up(wire),
                () = &mut kicked => self.stand_up(wire),
                () = sleep_until(self.app.tick_after(NOTED_EVERY)) => {
                    let written = seat.take_written();
                    self.note(written, wire);
                }
            }
        }
    }

    /// Takes the sending side back.
    fn stand_up(&mut self, wire: &Wire) {
        let Some(seat) = self.seat.take() else { return };
        let Left { place, written, rest } = seat.leave();
        self.file.viewer.go_on_at(place);
        self.note(written, wire);
        self.file.viewer.carried(rest.len() as u64);
        self.output.put(rest);
    }

    /// So many bytes were written by others.
    fn note(&mut self, written: u64, wire: &Wire) {
        wire.sent(written);
        self.file.viewer.carried(written);
    }
}
