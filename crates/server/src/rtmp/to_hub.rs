//! From an RTMP publisher into the hub.

use flumen_hub::{CloseReason, Publisher};
use flumen_media::Unwrapper;
use flumen_media::flv::{self, TagType};
use flumen_rtmp::proto::{Media, MediaType};
use tracing::debug;

use crate::encodings::Encodings;

/// A publishing message stream.
pub(super) struct Ingest {
    publisher: Publisher<Encodings>,
    /// One clock for all kinds: audio and video of one encoder wrap together.
    clock: Unwrapper,
    /// Bodies that could not be understood and were passed over.
    unreadable: u64,
}

impl Ingest {
    pub(super) fn new(publisher: Publisher<Encodings>) -> Self {
        Self { publisher, clock: Unwrapper::new(), unreadable: 0 }
    }

    pub(super) fn publisher(&self) -> &Publisher<Encodings> {
        &self.publisher
    }

    /// Appends the frames of one message. What cannot be understood is passed over: a stranger's odd message must not
    /// end a stream.
    pub(super) fn push(&mut self, media: Media) -> Result<(), CloseReason> {
        let tag = match media.kind {
            MediaType::Audio => TagType::Audio,
            MediaType::Video => TagType::Video,
            MediaType::Data => TagType::Script,
        };
        let dts = self.clock.unwrap(media.timestamp);
        let frames = match flv::parse_body(tag, dts, media.payload.clone()) {
            Ok(frames) => frames,
            Err(error) => {
                self.unreadable += 1;
                // Once in a while, not for every frame of an encoder that sends nothing else.
                if self.unreadable.is_power_of_two() {
                    debug!(%error, count = self.unreadable, "passed over a message");
                }
                return Ok(());
            }
        };
        for frame in frames {
            self.publisher.push(frame, Encodings::published(tag, media.payload.clone()))?;
        }
        Ok(())
    }

    /// Ends the stream, as the publisher asked.
    pub(super) fn finish(self) {
        self.publisher.finish();
    }
}
