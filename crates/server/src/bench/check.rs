//! Whether what a player receives is right.

use std::time::Duration;

use flumen_rtmp::proto::{Media, MediaType};

use super::source::Mark;

/// Follows one player's messages: a key frame first, time that never goes back, no picture missing.
#[derive(Debug)]
pub(super) struct Check {
    video: u32,
    audio: Option<u32>,
    /// The next picture's number, in a stream of ours.
    next: Option<u64>,
}

impl Check {
    /// Begins with a player's first picture.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(first: &Media) -> Result<Self, String> {
        if !is_key_frame(&first.payload) {
            return Err("the first picture is no key frame".to_owned());
        }
        let next = Mark::read(&first.payload).map(|mark| mark.number + 1);
        Ok(Self { video: first.timestamp, audio: None, next })
    }

    /// Looks at the next message. Gives when its picture was sent, in a stream of ours.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn next(&mut self, media: &Media) -> Result<Option<Duration>, String> {
        match media.kind {
            MediaType::Audio => {
                let last = self.audio.replace(media.timestamp);
                let back = last.is_some_and(|last| is_before(media.timestamp, last));
                if back { Err(went_back("audio", media.timestamp)) } else { Ok(None) }
            }
            MediaType::Video => self.picture(media),
            MediaType::Data => Ok(None),
        }
    }

    fn picture(&mut self, media: &Media) -> Result<Option<Duration>, String> {
        if is_before(media.timestamp, self.video) {
            return Err(went_back("video", media.timestamp));
        }
        self.video = media.timestamp;
        let (Some(expected), Some(mark)) = (self.next, Mark::read(&media.payload)) else { return Ok(None) };
        // A player that was skipped goes on at a key frame; everything else is a loss.
        if mark.number != expected && !is_key_frame(&media.payload) {
            return Err(format!("picture {} came where {expected} was due", mark.number));
        }
        self.next = Some(mark.number + 1);
        Ok(Some(mark.sent))
    }
}

fn is_key_frame(body: &[u8]) -> bool {
    body.first().is_some_and(|first| first >> 4 & 7 == 1)
}

/// Whether `a` is earlier than `b`, both modulo 2³².
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

fn went_back(what: &str, timestamp: u32) -> String {
    format!("the time of {what} went back to {timestamp} ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::source::Source;
    use flumen_rtmp::proto::MessageStreamId;

    fn stream() -> Vec<Media> {
        let mut source = Source::new(500_000);
        (0..200)
            .map(|_| source.next_message())
            .map(|message| Media {
                stream: MessageStreamId(1),
                kind: message.kind,
                timestamp: message.timestamp(),
                payload: message.payload,
            })
            .collect()
    }

    #[test]
    fn a_whole_stream_passes_and_a_hole_does_not() {
        let stream = stream();
        let mut check = Check::new(&stream[0]).expect("a key frame");
        assert!(stream[1..].iter().all(|media| check.next(media).is_ok()));

        let mut check = Check::new(&stream[0]).expect("a key frame");
        let pictures: Vec<_> = stream.iter().filter(|media| media.kind == MediaType::Video).collect();
        assert!(check.next(pictures[2]).is_err());
        assert!(check.next(pictures[60]).is_ok(), "a skip ends at a key frame");
        assert!(check.next(pictures[59]).is_err(), "time does not go back");
    }

    #[test]
    fn a_player_must_not_begin_between_key_frames() {
        let stream = stream();
        let picture = stream.iter().filter(|media| media.kind == MediaType::Video).nth(1).expect("a picture");
        assert!(Check::new(picture).is_err());
    }
}
