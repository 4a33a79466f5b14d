//! One write to many sockets.
//!
//! Players that have read all there is want the same bytes at the same moment. Waking a task for each of them costs more
//! than the write itself, so they lend their sockets: a [`Shard`] reads the log once and writes the batch to all of its
//! players, one after the other. Whoever is not up to date stays with, or falls back to, its own task: a player that joins
//! late, one whose socket is full, one that has to be told something.
//!
//! ```text
//!             join: up to date, nothing waits
//!   own task ─────────────────────────────────▶ seat in a shard ──┐ batch written
//!       ▲                                         │     ▲         │
//!       └─────────────────────────────────────────┘     └─────────┘
//!        socket full · anything but media in the log · the owner leaves
//! ```
//!
//! A seat's lock is held for one write and never across an await. Lock order: the table of shards, a shard, a seat.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flumen_hub::{Event, Packet, Place, StreamKey, SubscribeEnd, Subscriber};
use flumen_media::flv::Dialect;
use flumen_rtmp::SharedWriter;
use flumen_rtmp::proto::{Output, SharedForm, write_shared};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::encodings::{Encodings, flv_pieces, media};
use crate::http::Framing;
use crate::metrics::Delivery;

/// How many players one shard writes to. A turn of that many takes about a millisecond: little enough to let others run
/// in between, and a large audience is spread over all cores.
const SHARD_SIZE: usize = 256;

/// How many payload bytes are taken from the log at once.
const BATCH_BYTES: usize = 256 * 1024;

/// Up to how many players it is cheaper that each write gathers the batch from its pieces.
const GATHERING_PLAYERS: usize = 3;

/// The most pieces that are written without being copied together.
const MAX_SLICES: usize = 16;

/// What players must have in common to get the same bytes at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Audience {
    /// The stream they play.
    pub(crate) key: StreamKey,
    /// How they get its packets.
    pub(crate) form: Form,
    /// What their clients understand.
    pub(crate) dialect: Dialect,
    /// How long packets are gathered.
    pub(crate) linger: Duration,
}

/// What packets become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// Chunks of RTMP.
    Rtmp(SharedForm),
    /// Tags of FLV, in the body of an answer.
    Flv(Framing),
}

impl Audience {
    /// Appends what becomes of `packet`, unless the audience knows nothing of its track.
    fn write(&self, packet: &Packet<Encodings>, output: &mut Output) {
        let Some(body) = packet.encodings.body(&packet.frame, self.dialect) else { return };
        // What telling its track has made too long for a message, or a tag, is passed over.
        match self.form {
            Form::Rtmp(form) => {
                let message = media(&packet.frame, body, form.stream).into_message();
                let _ = write_shared(&message, form.chunk_size, output);
            }
            Form::Flv(framing) => {
                if let Some(pieces) = flv_pieces(&packet.frame, body) {
                    framing.write(pieces, output);
                }
            }
        }
    }
}

/// All shards of the server.
#[derive(Default)]
pub(crate) struct Fanout {
    shards: Mutex<HashMap<Audience, Vec<Arc<Shard>>>>,
}

/// A player's place among those who are written to together. Its owner reads from the socket meanwhile, and takes the
/// sending side back by [`leave`](Self::leave).
pub(crate) struct Seat {
    shard: Arc<Shard>,
    player: Arc<Player>,
}

/// Where a player stands that left its seat.
#[derive(Debug)]
pub(crate) struct Left {
    /// Where its reader goes on.
    pub(crate) place: Place,
    /// How many bytes were written, less what was [told before](Seat::take_written).
    pub(crate) written: u64,
    /// What of the last batch the socket did not take.
    pub(crate) rest: Bytes,
}

/// A player as its shard knows it.
struct Member {
    socket: SharedWriter,
    player: Arc<Player>,
}

struct Player {
    state: Mutex<PlayerState>,
    released: Notify,
}

/// Small: each write to each player looks into it, and finds it in no cache.
struct PlayerState {
    /// Whether the shard may write.
    seated: bool,
    place: Place,
    written: u64,
    rest: Option<Box<Bytes>>,
}

/// Up to [`SHARD_SIZE`] players of one audience.
struct Shard {
    audience: Audience,
    delivery: Delivery,
    state: Mutex<ShardState>,
    /// Wakes the shard's task when a player has left, whose socket it would else keep until the next turn.
    somebody_left: Notify,
}

struct ShardState {
    /// The position that is read next: who stands before it has missed something.
    next: u64,
    /// Players that are not yet part of the turn.
    joined: Vec<Member>,
    seats: usize,
    /// A reader beside that of the shard's task, to tell streams of the same name apart.
    stream: Subscriber<Encodings>,
}

/// A batch as it is written.
struct Batch {
    pieces: Vec<Bytes>,
    len: usize,
    /// After how many bytes each packet begins, by its position in the log.
    starts: Vec<(u64, usize)>,
}

impl fmt::Debug for Fanout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fanout").finish_non_exhaustive()
    }
}

impl Fanout {
    /// Takes a player into the audience: one that `reader` reads for and that has nothing more to write. `None` if it is
    /// not up to date; it has to read on, without waiting, and may ask again.
    pub(crate) fn join(
        self: &Arc<Self>,
        audience: &Audience,
        reader: &Subscriber<Encodings>,
        socket: SharedWriter,
        delivery: &Delivery,
    ) -> Option<Seat> {
        let place = reader.place().filter(|_| reader.is_caught_up())?;
        let state = PlayerState { seated: true, place, written: 0, rest: None };
        let player = Arc::new(Player { state: Mutex::new(state), released: Notify::new() });
        let member = Member { socket, player: player.clone() };
        let mut shards = self.shards.lock();
        let known = shards.entry(audience.clone()).or_default();
        for shard in known.iter() {
            let mut state = shard.state.lock();
            if state.seats == SHARD_SIZE || !state.stream.is_beside(reader) {
                continue;
            }
            if place.next < state.next {
                return None;
            }
            state.seats += 1;
            state.joined.push(member);
            return Some(Seat { shard: shard.clone(), player });
        }
        let state = ShardState { next: place.next, joined: vec![member], seats: 1, stream: reader.proxy() };
        let shard = Arc::new(Shard {
            audience: audience.clone(),
            delivery: delivery.clone(),
            state: Mutex::new(state),
            somebody_left: Notify::new(),
        });
        known.push(shard.clone());
        tokio::spawn(self.clone().run(shard.clone(), reader.proxy()));
        Some(Seat { shard, player })
    }

    /// Writes to a shard's players until the last one has left.
    async fn run(self: Arc<Self>, shard: Arc<Shard>, mut reader: Subscriber<Encodings>) {
        let (mut members, mut events) = (Vec::new(), Vec::new());
        loop {
            let read = tokio::select! {
                read = shard.read(&mut reader, &mut events) => read,
                () = shard.somebody_left.notified() => Ok(()),
            };
            shard.begin_turn(reader.place(), &mut members);
            if events.is_empty() && read.is_ok() {
                members.retain(Member::is_seated);
            } else {
                let players = members.len();
                let batch = read.ok().and_then(|()| Batch::of(&events, &shard.audience, players));
                match (batch, reader.place()) {
                    (Some(batch), Some(place)) => {
                        shard.write(&batch, place, &mut members);
                        shard.delivery.sent_to(players, &events);
                    }
                    // The players' own tasks read it again and know what to say.
                    _ => members.drain(..).for_each(|member| shard.release(&member.player)),
                }
                events.clear();
            }
            if self.close(&shard) {
                return;
            }
        }
    }

    /// Forgets a shard, unless somebody has joined.
    fn close(&self, shard: &Arc<Shard>) -> bool {
        if shard.is_taken() {
            return false;
        }
        let mut shards = self.shards.lock();
        if shard.is_taken() {
            return false;
        }
        if let Some(known) = shards.get_mut(&shard.audience) {
            known.retain(|other| !Arc::ptr_eq(other, shard));
            if known.is_empty() {
                shards.remove(&shard.audience);
            }
        }
        true
    }
}

impl Shard {
    /// Waits for packets, and gathers them as long as the audience lingers. Cancel safe.
    async fn read(
        &self,
        reader: &mut Subscriber<Encodings>,
        events: &mut Vec<Event<Encodings>>,
    ) -> Result<(), SubscribeEnd> {
        reader.next_batch(BATCH_BYTES, events).await?;
        if !self.audience.linger.is_zero() {
            sleep(self.audience.linger).await;
            reader.try_next_batch(BATCH_BYTES, events)?;
        }
        Ok(())
    }

    /// Lets those in who have joined; who comes from now on must have read up to `place`.
    fn begin_turn(&self, place: Option<Place>, members: &mut Vec<Member>) {
        let mut state = self.state.lock();
        state.next = place.map_or(state.next, |place| place.next);
        members.append(&mut state.joined);
    }

    /// Writes `batch` to all players. Who cannot take it, or has left, is a player here no more.
    fn write(&self, batch: &Batch, place: Place, members: &mut Vec<Member>) {
        members.retain(|member| {
            let stays = member.write(batch, place);
            if !stays {
                self.release(&member.player);
            }
            stays
        });
    }

    fn is_taken(&self) -> bool {
        self.state.lock().seats > 0
    }

    /// Gives a player back to its task.
    fn release(&self, player: &Player) {
        if player.state.lock().stand_up() {
            player.released.notify_one();
            self.state.lock().seats -= 1;
        }
    }
}

impl Member {
    fn is_seated(&self) -> bool {
        self.player.state.lock().seated
    }

    /// Writes what the player has not got yet. Says whether it stays seated.
    fn write(&self, batch: &Batch, place: Place) -> bool {
        let mut state = self.player.state.lock();
        if !state.seated {
            return false;
        }
        if state.place.next >= place.next {
            return true;
        }
        let start = batch.start(state.place.next);
        state.place = place;
        if start == batch.len {
            return true;
        }
        // An error shows again when the owner writes the rest.
        let written = batch.write(start, &self.socket).unwrap_or(0);
        state.written += written as u64;
        if start + written < batch.len {
            state.rest = Some(Box::new(batch.rest(start + written)));
        }
        state.rest.is_none()
    }
}

impl PlayerState {
    /// Whether it was seated until now.
    fn stand_up(&mut self) -> bool {
        std::mem::replace(&mut self.seated, false)
    }
}

impl Seat {
    /// Waits until the shard gives the seat back. Cancel safe.
    pub(crate) async fn released(&self) {
        self.player.released.notified().await;
    }

    /// How many bytes were written since this was last asked.
    pub(crate) fn take_written(&self) -> u64 {
        std::mem::take(&mut self.player.state.lock().written)
    }

    /// Gives the seat up and says where to go on.
    pub(crate) fn leave(self) -> Left {
        self.stand_up()
    }

    fn stand_up(&self) -> Left {
        let mut state = self.player.state.lock();
        let was_seated = state.stand_up();
        let rest = state.rest.take().map_or_else(Bytes::new, |rest| *rest);
        let left = Left { place: state.place, written: state.written, rest };
        drop(state);
        if was_seated {
            self.shard.state.lock().seats -= 1;
            self.shard.somebody_left.notify_one();
        }
        left
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stand_up();
    }
}

impl Batch {
    /// The bytes of `events` for so many `players`, or `None` if not all of them are packets.
    ///
    /// For many they are copied together: once for all, where every write would have to gather them else.
    fn of(events: &[Event<Encodings>], audience: &Audience, players: usize) -> Option<Self> {
        let (mut output, mut starts) = (Output::new(), Vec::with_capacity(events.len()));
        for event in events {
            let Event::Packet(packet) = event else { return None };
            starts.push((packet.seq, output.len()));
            audience.write(packet, &mut output);
        }
        let (len, mut pieces) = (output.len(), output.take_pieces());
        if players > GATHERING_PLAYERS || pieces.len() > MAX_SLICES {
            pieces = vec![pieces.concat().into()];
        }
        Some(Self { pieces, len, starts })
    }

    /// Where the packets from position `seq` on begin.
    fn start(&self, seq: u64) -> usize {
        let index = self.starts.partition_point(|(other, _)| *other < seq);
        self.starts.get(index).map_or(self.len, |(_, start)| *start)
    }

    /// The pieces without the first `skipped` bytes.
    fn pieces(&self, mut skipped: usize) -> impl Iterator<Item = (&Bytes, usize)> {
        self.pieces.iter().filter_map(move |piece| {
            let from = skipped.min(piece.len());
            skipped -= from;
            (from < piece.len()).then_some((piece, from))
        })
    }

    /// Writes what stands from `start` on, as far as the socket takes it.
    fn write(&self, start: usize, socket: &SharedWriter) -> io::Result<usize> {
        if let ([piece], 0) = (self.pieces.as_slice(), start) {
            return socket.try_write(&[IoSlice::new(piece)]);
        }
        let slices = self.pieces(start).map(|(piece, from)| IoSlice::new(&piece[from..]));
        socket.try_write(&slices.collect::<SmallVec<[_; MAX_SLICES]>>())
    }

    /// What stands from `start` on.
    fn rest(&self, start: usize) -> Bytes {
        let mut pieces = self.pieces(start);
        match (pieces.next(), pieces.next()) {
            (Some((piece, from)), None) => piece.slice(from..),
            _ => self.pieces(start).flat_map(|(piece, from)| &piece[from..]).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
