//! From an RTMP publisher into the hub.

use bytes::Bytes;
use flumen_hub::{CloseReason, Publisher};
use flumen_media::flv;
use flumen_media::{Frame, FrameKind, TrackId, Unwrapper};
use flumen_rtmp::proto::Media;
use tracing::{Span, debug};

use crate::encodings::Encodings;
use crate::tag_type::tag_type;

/// Messages up to this many bytes may keep alive more than the log knows of: a copy would cost more than they do.
const COPY_ABOVE: usize = 4096;

/// A publishing message stream.
pub(crate) struct Ingest {
    publisher: Publisher<Encodings>,
    /// One clock for all kinds: audio and video of one encoder wrap together.
    clock: Unwrapper,
    /// The metadata in force. GStreamer repeats it several times a second; players need it when it changes.
    metadata: Option<Bytes>,
    /// Bodies that could not be understood and were passed over.
    unreadable: u64,
    /// Where the publisher was accepted, for what is logged about its messages.
    span: Span,
}

impl Ingest {
    pub(crate) fn new(publisher: Publisher<Encodings>) -> Self {
        Self { publisher, clock: Unwrapper::new(), metadata: None, unreadable: 0, span: Span::current() }
    }

    pub(crate) fn publisher(&self) -> &Publisher<Encodings> {
        &self.publisher
    }

    /// Appends the frames of one message. What cannot be understood is passed over: a stranger's odd message must not
    /// end a stream.
    pub(crate) fn push(&mut self, media: Media) -> Result<(), CloseReason> {
        let tag = tag_type(media.kind);
        let dts = self.clock.unwrap(media.timestamp);
        let frames = match flv::parse_body(tag, dts, media.payload.clone()) {
            Ok(frames) => frames,
            Err(error) => {
                self.unreadable += 1;
                // Once in a while, not for every frame of an encoder that sends nothing else.
                if self.unreadable.is_power_of_two() {
                    debug!(parent: &self.span, %error, count = self.unreadable, "passed over a message");
                }
                return Ok(());
            }
        };
        for mut frame in frames {
            if self.repeats_metadata(&frame) {
                continue;
            }
            detach(&mut frame.payload, media.payload.len());
            self.publisher.push(frame, Encodings::published(tag, media.payload.clone()))?;
        }
        Ok(())
    }

    fn repeats_metadata(&mut self, frame: &Frame) -> bool {
        if frame.track != TrackId::DATA || frame.kind != FrameKind::Config {
            return false;
        }
        let repeats = self.metadata.as_ref() == Some(&frame.payload);
        self.metadata = Some(frame.payload.clone());
        repeats
    }

    /// Ends the stream, as the publisher asked.
    pub(crate) fn finish(self) {
        self.publisher.finish();
    }
}

/// Copies `payload` if it is the lesser part of a message of `message_len` bytes. It is a slice of that message and keeps
/// all of it in memory, but the log counts only the slice: a stranger could fill the memory with padding.
fn detach(payload: &mut Bytes, message_len: usize) {
    if message_len > COPY_ABOVE && payload.len() < message_len / 2 {
        *payload = Bytes::copy_from_slice(payload);
    }
}

#[cfg(test)]
mod tests;
