//! Frames of a recording for a task that must not block.

use std::collections::VecDeque;
use std::io;

use flumen_media::Frame;
use tokio::task::{JoinHandle, spawn_blocking};

use super::medium::Turn;
use super::source::Frames;

/// Payload bytes that are read at once: what a socket can swallow, little enough that a slow player holds on to little.
const BATCH_BYTES: usize = 256 * 1024;

/// Reads frames on threads that may block, a batch at a time, when the last one was taken.
#[derive(Debug)]
pub(super) struct Feed {
    source: Source,
    ready: VecDeque<Frame>,
}

#[derive(Debug)]
enum Source {
    Idle(Box<Frames>),
    Reading(JoinHandle<(Box<Frames>, io::Result<Vec<Frame>>)>),
    /// It failed, and said so.
    Broken,
}

impl Feed {
    /// Nothing is read yet.
    pub(super) fn new(frames: Frames) -> Self {
        Self { source: Source::Idle(Box::new(frames)), ready: VecDeque::new() }
    }

    /// The next frame, if it was read already.
    pub(super) fn peek(&self) -> Option<&Frame> {
        self.ready.front()
    }

    /// Takes the frame that [`peek`](Self::peek) shows.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Waits for more frames; `false` if there are none, or none yet. Cancel safe.
    ///
    /// # Errors
    /// When the recording cannot be read. There is nothing more then.
    pub(super) async fn fill(&mut self) -> io::Result<bool> {
        if let Source::Idle(frames) = &self.source {
            let turn = frames.turn().await?;
            self.read(turn);
        }
        let Source::Reading(reading) = &mut self.source else { return Ok(false) };
        let read = reading.await;
        self.source = Source::Broken;
        let (frames, batch) = read.map_err(io::Error::other)?;
        self.ready.extend(batch?);
        self.source = Source::Idle(frames);
        Ok(!self.ready.is_empty())
    }

    fn read(&mut self, turn: Turn) {
        if let Source::Idle(mut frames) = std::mem::replace(&mut self.source, Source::Broken) {
            self.source = Source::Reading(spawn_blocking(move || {
                let _turn = turn;
                let batch = frames.batch(BATCH_BYTES);
                (frames, batch)
            }));
        }
    }
}
