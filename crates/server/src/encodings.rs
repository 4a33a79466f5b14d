//! What readers of a stream share: each packet's bodies, made once by whoever needs them first.

use std::sync::OnceLock;

use bytes::Bytes;
use flumen_media::flv::{self, Dialect, TagType, Writer};
use flumen_media::{Frame, FrameKind, Timestamp};
use flumen_rtmp::proto::{Media, MessageStreamId};

use crate::tag_type::media_type;

/// The hub of this server.
pub type Hub = flumen_hub::Hub<Encodings>;

/// The encodings of one packet.
#[derive(Debug, Default)]
pub struct Encodings {
    /// The body that every player reads.
    plain: OnceLock<Bytes>,
    /// The body that tells the track and the nanoseconds, where it differs from `plain`.
    full: OnceLock<Bytes>,
    /// The FLV tag of the body that every player reads.
    tag: OnceLock<Option<Bytes>>,
}

impl Encodings {
    /// The encodings of a frame that came alone in `body`, if players may get that body as it is.
    pub fn published(tag: TagType, body: Bytes) -> Self {
        let encodings = Self::default();
        if flv::is_plain(tag, &body) {
            // A fresh cell takes any value.
            let _ = encodings.plain.set(body);
        }
        encodings
    }

    /// The FLV body of `frame` for a reader that understands `dialect`, or `None` if the frame is of a track that such a
    /// reader knows nothing of.
    pub fn body(&self, frame: &Frame, dialect: Dialect) -> Option<Bytes> {
        if !dialect.multitrack && frame.track.index != 0 {
            return None;
        }
        let encode = |dialect| flv::encode_body(frame, dialect).1;
        let (all, told) = (extras(frame, Dialect::FULL), extras(frame, dialect));
        Some(match told {
            Dialect::PLAIN => self.plain.get_or_init(|| encode(Dialect::PLAIN)).clone(),
            _ if told == all => self.full.get_or_init(|| encode(Dialect::FULL)).clone(),
            // A frame with both extras for a player of one: too rare to be kept.
            _ => encode(told),
        })
    }

    /// The FLV tag of `frame` for a reader that understands `dialect`, or `None` if it knows nothing of the frame's track,
    /// or a tag has no room for the frame.
    pub fn tag(&self, frame: &Frame, dialect: Dialect) -> Option<Bytes> {
        let body = self.body(frame, dialect)?;
        if extras(frame, dialect) == Dialect::PLAIN {
            self.tag.get_or_init(|| flv_tag(frame, body)).clone()
        } else {
            flv_tag(frame, body)
        }
    }
}

/// The RTMP message that carries `frame` as `body`.
pub fn media(frame: &Frame, body: Bytes, stream: MessageStreamId) -> Media {
    let kind = media_type(TagType::of(frame.codec));
    Media { stream, kind, timestamp: time(frame).to_wire(), payload: body }
}

/// The FLV tag that carries `frame` as `body`, in one piece; `None` if a tag has no room for it.
pub fn flv_tag(frame: &Frame, body: Bytes) -> Option<Bytes> {
    flv_pieces(frame, body).map(|pieces| pieces.concat().into())
}

/// The same, where `body` stays where it is.
pub fn flv_pieces(frame: &Frame, body: Bytes) -> Option<[Bytes; 3]> {
    let writer = Writer::new(Timestamp::ZERO, Dialect::PLAIN);
    writer.body_tag(TagType::of(frame.codec), time(frame), body).ok()
}

/// When players are told that `frame` is.
fn time(frame: &Frame) -> Timestamp {
    // FFmpeg takes metadata of any other time than 0 for a text track of its own.
    let is_metadata = TagType::of(frame.codec) == TagType::Script && frame.kind == FrameKind::Config;
    if is_metadata { Timestamp::ZERO } else { frame.dts }
}

/// What of `dialect` it takes to tell all of `frame` that the plain body cannot.
fn extras(frame: &Frame, dialect: Dialect) -> Dialect {
    Dialect {
        multitrack: dialect.multitrack && frame.track.index != 0,
        nanos: dialect.nanos && frame.dts.as_nanos() % 1_000_000 != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_media::{Codec, TimeDelta, Timestamp, TrackId, VideoCodec};

    fn frame(index: u8, dts: Timestamp) -> Frame {
        Frame {
            track: TrackId { index, ..TrackId::VIDEO },
            codec: Codec::Video(VideoCodec::H264),
            kind: FrameKind::Key,
            dts,
            cts: TimeDelta::ZERO,
            payload: Bytes::from_static(b"payload"),
        }
    }

    #[test]
    fn the_published_body_is_what_players_get() {
        let body = Bytes::from_static(&[0x17, 1, 0, 0, 0, 1, 2, 3]);
        let encodings = Encodings::published(TagType::Video, body.clone());
        let given = encodings.body(&frame(0, Timestamp::ZERO), Dialect::FULL).expect("the default track");
        assert_eq!(given.as_ptr(), body.as_ptr());
    }

    #[test]
    fn a_tag_is_made_once() {
        let encodings = Encodings::default();
        let frame = frame(0, Timestamp::from_millis(40));
        let first = encodings.tag(&frame, Dialect::PLAIN).expect("the default track");
        assert_eq!(encodings.tag(&frame, Dialect::FILE).expect("the same").as_ptr(), first.as_ptr());
        let mut bytes = bytes::BytesMut::from(&flv::Header { audio: true, video: true }.to_bytes()[..]);
        bytes.extend_from_slice(&first);
        let tag = flv::Reader::new().next_tag(&mut bytes).expect("FLV").expect("a tag");
        assert_eq!((tag.tag_type, tag.timestamp), (TagType::Video, 40));
        assert_eq!(Some(tag.body), encodings.body(&frame, Dialect::PLAIN));
    }

    #[test]
    fn a_player_without_multitrack_gets_the_default_track_only() {
        let encodings = Encodings::default();
        assert!(encodings.body(&frame(1, Timestamp::ZERO), Dialect::PLAIN).is_none());
        assert!(encodings.body(&frame(1, Timestamp::ZERO), Dialect::FULL).is_some());
    }

    #[test]
    fn who_asks_for_tracks_alone_gets_no_nanoseconds() {
        let encodings = Encodings::default();
        let frame = frame(1, Timestamp::from_nanos(1));
        let of = |multitrack, nanos| {
            let body = encodings.body(&frame, Dialect { multitrack, nanos }).expect("a multitrack player");
            flv::parse_body(TagType::Video, Timestamp::ZERO, body).expect("a body")
        };
        assert_eq!(of(true, true)[0].dts, frame.dts);
        let without = of(true, false);
        assert_eq!((without[0].track, without[0].dts), (frame.track, Timestamp::ZERO));
    }

    #[test]
    fn metadata_always_has_time_zero_and_events_have_their_own() {
        let at = |kind| {
            let dts = Timestamp::from_millis(40);
            let frame = Frame { track: TrackId::DATA, codec: Codec::Amf0, kind, ..frame(0, dts) };
            media(&frame, frame.payload.clone(), MessageStreamId(1)).timestamp
        };
        assert_eq!((at(FrameKind::Config), at(FrameKind::Key)), (0, 40));
    }

    #[test]
    fn nanoseconds_go_only_to_who_asks_for_them() {
        let encodings = Encodings::default();
        let frame = frame(0, Timestamp::from_nanos(1));
        let plain = encodings.body(&frame, Dialect::PLAIN).expect("the default track").len();
        let full = encodings.body(&frame, Dialect::FULL).expect("the default track").len();
        assert!(full > plain);
    }
}
