//! The stream that bench publishers send: the shape of a camera at 720p30 with AAC, without anything that needs decoding.
//!
//! Every picture carries its number and the time it was sent in an SEI NALU, so that a player can tell gaps and latency.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use flumen_rtmp::proto::MediaType;

/// Pictures a second.
const FRAME_RATE: u64 = 30;
/// Pictures from one key frame to the next: 2 s.
const GOP: u64 = 60;
/// How many times larger a key frame is than another picture.
const KEY_FRAME_FACTOR: u64 = 8;
/// Samples a second, and in one AAC frame.
const SAMPLE_RATE: u64 = 44_100;
const SAMPLES_PER_FRAME: u64 = 1024;
/// Audio bits a second.
const AUDIO_BITS: u64 = 128_000;

/// Marks our SEI: user data needs a UUID (H.264 §D.1.6).
const UUID: [u8; 16] = *b"flumen-bench-sei";
/// NALU type 6, payload type 5 (user data unregistered), 32 bytes of payload.
const SEI_HEADER: [u8; 3] = [0x06, 5, 32];

/// A decoder configuration for 1280 × 720, High profile, level 3.1, as x264 writes it.
const AVC_CONFIG: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05,
    0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
    0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];
/// AAC-LC, 44.1 kHz, stereo.
const AAC_CONFIG: &[u8] = &[0x12, 0x10];

/// One message of the stream.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: MediaType,
    /// When it is due, since the beginning of the stream.
    pub(super) due: Duration,
    pub(super) payload: Bytes,
}

impl Message {
    /// The RTMP timestamp, milliseconds.
    pub(super) fn timestamp(&self) -> u32 {
        self.due.as_millis() as u32
    }
}

/// Makes the messages in the order they are due.
pub(super) struct Source {
    picture_bytes: u64,
    pictures: u64,
    audio_frames: u64,
    /// What all payloads are cut from: random enough that nothing can compress it.
    noise: Bytes,
}

impl Source {
    /// A stream of about `bits_per_second`.
    pub(super) fn new(bits_per_second: u64) -> Self {
        let video_bytes_per_gop = bits_per_second.saturating_sub(AUDIO_BITS) / 8 * GOP / FRAME_RATE;
        let picture_bytes = (video_bytes_per_gop / (GOP - 1 + KEY_FRAME_FACTOR)).max(64);
        let mut noise = BytesMut::with_capacity((picture_bytes * KEY_FRAME_FACTOR) as usize);
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        while noise.len() < noise.capacity().min((picture_bytes * KEY_FRAME_FACTOR) as usize) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.put_u8(state as u8);
        }
        Self { picture_bytes, pictures: 0, audio_frames: 0, noise: noise.freeze() }
    }

    /// What a publisher sends first.
    pub(super) fn headers() -> [(MediaType, Bytes); 2] {
        let body = |header: &[u8], config: &[u8]| Bytes::from([header, config].concat());
        [
            (MediaType::Video, body(&[0x17, 0, 0, 0, 0], AVC_CONFIG)),
            (MediaType::Audio, body(&[0xAF, 0], AAC_CONFIG)),
        ]
    }

    /// When the next message is due.
    pub(super) fn next_due(&self) -> Duration {
        self.picture_due().min(self.audio_due())
    }

    /// The next message. A picture is stamped with the present time, so ask for it when it is due.
    pub(super) fn next_message(&mut self) -> Message {
        if self.picture_due() <= self.audio_due() { self.picture() } else { self.audio() }
    }

    /// When the next picture is due.
    pub(super) fn picture_due(&self) -> Duration {
        Duration::from_micros(self.pictures * 1_000_000 / FRAME_RATE)
    }

    fn audio_due(&self) -> Duration {
        Duration::from_micros(self.audio_frames * SAMPLES_PER_FRAME * 1_000_000 / SAMPLE_RATE)
    }

    fn picture(&mut self) -> Message {
        let due = self.picture_due();
        let is_key = self.pictures.is_multiple_of(GOP);
        let factor = if is_key { KEY_FRAME_FACTOR } else { 1 };
        let slice = self.noise.slice(..(self.picture_bytes * factor) as usize);
        let mut payload = BytesMut::with_capacity(slice.len() + 64);
        payload.put_slice(if is_key { &[0x17, 1, 0, 0, 0] } else { &[0x27, 1, 0, 0, 0] });
        let mark = Mark { number: self.pictures, sent: wall_clock() };
        mark.put(&mut payload);
        payload.put_u32(slice.len() as u32 + 1);
        payload.put_u8(if is_key { 0x65 } else { 0x41 });
        payload.put_slice(&slice);
        self.pictures += 1;
        Message { kind: MediaType::Video, due, payload: payload.freeze() }
    }

    fn audio(&mut self) -> Message {
        let due = self.audio_due();
        let length = AUDIO_BITS / 8 * SAMPLES_PER_FRAME / SAMPLE_RATE;
        let mut payload = BytesMut::with_capacity(length as usize + 2);
        payload.put_slice(&[0xAF, 1]);
        payload.put_slice(&self.noise[..(length as usize).min(self.noise.len())]);
        self.audio_frames += 1;
        Message { kind: MediaType::Audio, due, payload: payload.freeze() }
    }
}

/// What a picture says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its number, from 0.
    pub(super) number: u64,
    /// When it was handed to the publisher's socket, by [`wall_clock`].
    pub(super) sent: Duration,
}

impl Mark {
    fn put(self, payload: &mut BytesMut) {
        payload.put_u32((SEI_HEADER.len() + 32) as u32);
        payload.put_slice(&SEI_HEADER);
        payload.put_slice(&UUID);
        payload.put_u64(self.number);
        payload.put_u64(self.sent.as_micros() as u64);
    }

    /// All marks in a piece of media, in whatever container.
    pub(super) fn all(media: &[u8]) -> impl Iterator<Item = Self> {
        let places = media.windows(UUID.len()).enumerate().filter(|(_, window)| *window == UUID);
        places.filter_map(|(at, _)| Self::read_numbers(media.get(at + UUID.len()..)?))
    }

    fn read_numbers(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let (sent, _) = rest.split_first_chunk()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            sent: Duration::from_micros(u64::from_be_bytes(*sent)),
        })
    }

    /// Reads the mark of an FLV video body; `None` for other streams than ours.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        // The FLV header, the NALU's length, the SEI header and the UUID.
        Self::read_numbers(body.get(5 + 4..)?.strip_prefix(&SEI_HEADER)?.strip_prefix(&UUID)?)
    }
}

/// The time that all processes of a machine agree on.
pub(super) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use flumen_media::{ParameterSets, VideoCodec};

    use super::*;

    #[test]
    fn the_stream_has_its_bit_rate_and_its_marks() {
        let mut source = Source::new(2_500_000);
        let (mut bytes, mut pictures) = (0, 0);
        while source.next_due() < Duration::from_secs(10) {
            let message = source.next_message();
            bytes += message.payload.len();
            if message.kind == MediaType::Video {
                let mark = Mark::read(&message.payload).expect("a mark");
                assert_eq!(mark.number, pictures);
                assert_eq!(message.payload[0] == 0x17, pictures.is_multiple_of(GOP));
                pictures += 1;
            }
        }
        assert_eq!(pictures, 300);
        let bits_per_second = bytes * 8 / 10;
        assert!((2_400_000..2_650_000).contains(&bits_per_second), "{bits_per_second}");
    }

    #[test]
    fn strict_servers_can_read_the_configuration() {
        let config = Bytes::from_static(AVC_CONFIG);
        let sets = ParameterSets::of_config(VideoCodec::H264, &config);
        assert_eq!(sets.to_record(VideoCodec::H264), Some(config));
    }

    #[test]
    fn messages_come_in_the_order_they_are_due() {
        let mut source = Source::new(2_500_000);
        let dues: Vec<_> = (0..500).map(|_| source.next_message().due).collect();
        assert!(dues.is_sorted());
    }

    #[test]
    fn foreign_bodies_have_no_mark() {
        assert_eq!(Mark::read(&[]), None);
        assert_eq!(Mark::read(&[0x17; 100]), None);
    }
}
