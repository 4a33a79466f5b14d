//! Audio between the chunks of large video messages.

use std::collections::VecDeque;

use super::encoder::{ChunkEncoder, Outgoing, check_len};
use crate::error::Error;
use crate::message::{Message, MessageType};
use crate::output::Output;

/// A queue of messages that leave chunk by chunk, so that audio need not wait behind a key frame.
///
/// Audio overtakes video, also video that is half written; everything else keeps its place: a command never passes what
/// was pushed before it, and audio never passes a command. While messages wait here, nothing else may be written on
/// their chunk streams.
#[derive(Debug, Default)]
pub struct Interleaver {
    queue: VecDeque<Outgoing>,
}

impl Interleaver {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues `message`.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`], with nothing queued, if the payload is longer than [`Message::MAX_LEN`].
    pub fn push(&mut self, message: Message) -> Result<(), Error> {
        check_len(&message)?;
        let overtaken =
            self.queue.iter().rev().take_while(|waiting| overtakes(&message, &waiting.message)).count();
        self.queue.insert(self.queue.len() - overtaken, Outgoing::new(message));
        Ok(())
    }

    /// Appends the next chunk to `output`; `false` if nothing waits.
    pub fn write_chunk(&mut self, encoder: &mut ChunkEncoder, output: &mut Output) -> bool {
        let Some(next) = self.queue.front_mut() else { return false };
        if encoder.write_chunk(next, output) {
            self.queue.pop_front();
        }
        true
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes of payload that wait.
    pub fn queued(&self) -> usize {
        self.queue.iter().map(Outgoing::remaining).sum()
    }
}

fn overtakes(message: &Message, waiting: &Message) -> bool {
    message.kind == MessageType::AUDIO
        && waiting.kind == MessageType::VIDEO
        && message.chunk_stream != waiting.chunk_stream
}
