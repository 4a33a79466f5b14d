use super::*;
use crate::message::MessageStreamId;

/// Wire bytes, written the way one reads a capture.
#[derive(Clone, Default)]
struct Wire(Vec<u8>);

impl Wire {
    /// A type 0 header on `csid`.
    fn full(self, csid: u8, time: u32, length: u32, kind: MessageType) -> Self {
        let wire =
            self.bytes(&[csid]).uint24(time.min(0xFF_FFFF)).uint24(length).bytes(&[kind.0, 1, 0, 0, 0]);
        wire.extended(time)
    }

    /// A type 1 header on `csid`.
    fn same_stream(self, csid: u8, delta: u32, length: u32, kind: MessageType) -> Self {
        let wire = self.bytes(&[0x40 | csid]).uint24(delta.min(0xFF_FFFF)).uint24(length).bytes(&[kind.0]);
        wire.extended(delta)
    }

    /// A type 2 header on `csid`.
    fn same_length(self, csid: u8, delta: u32) -> Self {
        self.bytes(&[0x80 | csid]).uint24(delta.min(0xFF_FFFF)).extended(delta)
    }

    /// A type 3 header on `csid`.
    fn type3(self, csid: u8) -> Self {
        self.bytes(&[0xC0 | csid])
    }

    /// `count` bytes of payload.
    fn payload(self, count: usize) -> Self {
        self.bytes(&vec![0xAB; count])
    }

    fn set_chunk_size(self, size: u32) -> Self {
        self.bytes(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]).bytes(&size.to_be_bytes())
    }

    fn extended(self, time: u32) -> Self {
        if time < 0xFF_FFFF { self } else { self.bytes(&time.to_be_bytes()) }
    }

    fn uint24(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes()[1..])
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Decodes all at once and byte by byte, which must agree.
    fn decode(&self) -> (ChunkDecoder, Result<Vec<Message>, Error>) {
        let whole = decode(ChunkLimits::default(), &self.0, self.0.len());
        let (_, pieces) = decode(ChunkLimits::default(), &self.0, 1);
        assert_eq!(whole.1, pieces);
        whole
    }

    /// The messages as timestamp and length, and what the decoder saw.
    fn times(&self) -> (Vec<(u32, usize)>, DecoderStats) {
        let (decoder, messages) = self.decode();
        let times = messages.unwrap().iter().map(|m| (m.timestamp, m.payload.len())).collect();
        assert_eq!(decoder.buffered(), 0);
        (times, decoder.stats())
    }

    fn error(&self) -> Error {
        self.decode().1.unwrap_err()
    }
}

fn decode(limits: ChunkLimits, wire: &[u8], step: usize) -> (ChunkDecoder, Result<Vec<Message>, Error>) {
    let mut decoder = ChunkDecoder::new(limits);
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in wire.chunks(step.max(1)) {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (decoder, Err(error)),
            }
        }
    }
    (decoder, Ok(messages))
}

fn wire() -> Wire {
    Wire::default()
}

const A: MessageType = MessageType::AUDIO;
const V: MessageType = MessageType::VIDEO;

#[test]
fn a_message_in_several_chunks_arrives_whole() {
    let wire = wire().full(6, 1000, 300, V).payload(128).type3(6).payload(128).type3(6).payload(44);
    let message = wire.decode().1.unwrap().remove(0);
    let expected = Message {
        chunk_stream: ChunkStreamId::new(6).unwrap(),
        timestamp: 1000,
        kind: V,
        stream: MessageStreamId(1),
        payload: vec![0xAB; 300].into(),
    };
    assert_eq!(message, expected);
}

#[test]
fn chunk_streams_interleave() {
    let wire = wire().full(6, 40, 200, V).payload(128).full(4, 41, 9, A).payload(9).type3(6).payload(72);
    assert_eq!(wire.times().0, [(41, 9), (40, 200)]);
}

#[test]
fn deltas_add_up_and_a_type_3_header_repeats_the_delta() {
    let wire = wire().full(6, 1000, 1, V).payload(1).same_stream(6, 40, 2, V).payload(2);
    let wire = wire.type3(6).payload(2).same_length(6, 20).payload(2).type3(6).payload(2);
    assert_eq!(wire.times().0, [(1000, 1), (1040, 2), (1080, 2), (1100, 2), (1120, 2)]);
}

#[test]
fn deltas_wrap_and_step_back_modulo_32_bits() {
    let wire = wire().full(6, 20_000_000, 0, V).same_stream(6, 20_000_000u32.wrapping_neg(), 0, V);
    assert_eq!(wire.times().0, [(20_000_000, 0), (0, 0)]);
}

#[test]
fn a_fresh_chunk_stream_counts_as_zero() {
    let ping = wire().bytes(&[0x42]).uint24(5).uint24(6).bytes(&[4, 0, 6, 0, 0, 0, 1]);
    let message = ping.decode().1.unwrap().remove(0);
    assert_eq!((message.timestamp, message.stream), (5, MessageStreamId::CONNECTION));
}

#[test]
fn a_fresh_chunk_stream_must_tell_a_length() {
    let error = Error::PeerMisbehaved(Misbehaviour::ChunkWithoutHeader { chunk_stream: 4 });
    assert_eq!(wire().type3(4).error(), error);
    assert_eq!(wire().same_length(4, 0).error(), error);
}

#[test]
fn type_3_after_type_0_adds_the_absolute_time_again() {
    let wire = wire().full(6, 40, 3, V).payload(3).type3(6).payload(3).type3(6).payload(3);
    assert_eq!(wire.times().0, [(40, 3), (80, 3), (120, 3)]);
}

#[test]
fn type_3_after_type_0_keeps_the_time_where_tracks_would_part() {
    let start = wire().full(4, 60_000, 2, A).payload(2).full(6, 60_010, 3, V).payload(3);
    let wire =
        start.type3(6).payload(3).type3(4).payload(2).type3(6).payload(3).same_length(6, 40).payload(3);
    let (times, stats) = wire.times();
    let expected = [(60_000, 2), (60_010, 3), (60_010, 3), (60_000, 2), (60_010, 3), (60_050, 3)];
    assert_eq!(times, expected);
    assert!(stats.keeps_time);
}

#[test]
fn keeping_the_time_mends_what_adding_it_spoilt() {
    let mut wire = wire().full(4, 300, 2, A).payload(2).full(6, 300, 3, V).payload(3);
    for _ in 0..4 {
        wire = wire.type3(6).payload(3);
    }
    let times = wire.times().0;
    assert_eq!(times.last(), Some(&(300, 3)));
    assert!(times.iter().all(|&(time, _)| time <= 300 + TRACK_DISTANCE_MS));
}

#[test]
fn a_full_or_delta_header_in_a_message_drops_what_had_come() {
    for restart in [
        wire().full(6, 40, 10, V),
        wire().same_stream(6, 20, 10, V),
        wire().full(6, 0, 0, V).same_stream(6, 40, 10, V),
    ] {
        let start = wire().full(6, 20, 300, V).payload(128);
        let (times, stats) = start.bytes(&restart.0).payload(10).times();
        assert_eq!(times.last(), Some(&(40, 10)));
        assert_eq!(stats.dropped_messages, 1);
    }
    let wire = wire().full(6, 20, 200, V).payload(128).same_length(6, 20).payload(128).type3(6).payload(72);
    assert_eq!(wire.times().0, [(40, 200)]);
}

/// Continuations of one message of 300 bytes, with or without the extended timestamp.
fn three_chunks(start: Wire, extended: Option<u32>) -> Wire {
    let repeated = |wire: Wire| extended.map_or(wire.clone(), |time| wire.bytes(&time.to_be_bytes()));
    let wire = repeated(start.payload(128).type3(6)).payload(128);
    repeated(wire.type3(6)).payload(44)
}

#[test]
fn extended_timestamps_in_continuations_come_in_two_dialects() {
    for time in [0xFF_FFFF, 16_777_216, 4_294_960_000, u32::MAX] {
        let repeated = three_chunks(wire().full(6, time, 300, V), Some(time));
        let repeated = three_chunks(repeated.full(6, time, 300, V), Some(time)).times();
        assert_eq!(repeated.0, [(time, 300), (time, 300)]);
        assert_eq!(repeated.1.extended_timestamps, ExtendedTimestamps::Repeated);

        let omitted = three_chunks(wire().full(6, time, 300, V), None);
        let omitted = three_chunks(omitted.full(6, time, 300, V), None).times();
        assert_eq!(omitted.0, [(time, 300), (time, 300)]);
        assert_eq!(omitted.1.extended_timestamps, ExtendedTimestamps::Omitted);
    }
}

#[test]
fn an_extended_delta_is_a_delta_and_repeated_as_delta_or_time() {
    let start = || wire().full(6, 1000, 0, V).same_stream(6, 20_000_000, 300, V);
    for repeated in [None, Some(20_000_000), Some(20_001_000)] {
        let times = three_chunks(start(), repeated).times().0;
        assert_eq!(times, [(1000, 0), (20_001_000, 300)]);
    }
}

#[test]
fn an_omitted_extended_timestamp_is_told_from_a_tail_of_one_byte() {
    let wire = wire().full(6, 20_000_000, 129, V).payload(128).type3(6).payload(1);
    assert_eq!(wire.times().0, [(20_000_000, 129)]);
}

#[test]
fn a_type_3_header_that_begins_a_message_brings_a_new_extended_delta() {
    let start = wire().full(6, 0, 0, V).same_stream(6, 17_000_000, 3, V).payload(3);
    let wire = start.type3(6).bytes(&18_000_000u32.to_be_bytes()).payload(3);
    assert_eq!(wire.times().0, [(0, 0), (17_000_000, 3), (35_000_000, 3)]);
}

#[test]
fn a_writer_that_omits_extended_timestamps_omits_them_from_new_messages_too() {
    let start = three_chunks(wire().full(4, 20_000_000, 1, A).payload(1).full(6, 20_000_000, 300, V), None);
    let times = three_chunks(start.type3(6), None).times().0;
    assert_eq!(times, [(20_000_000, 1), (20_000_000, 300), (20_000_000, 300)]);
}

#[test]
fn a_small_value_may_come_extended() {
    let wire = wire().bytes(&[6, 0xFF, 0xFF, 0xFF, 0, 0, 1, 9, 1, 0, 0, 0, 0, 0, 0, 7]).payload(1);
    assert_eq!(wire.times().0, [(7, 1)]);
}

#[test]
fn chunk_size_takes_effect_between_the_chunks_of_a_message() {
    let wire = wire().full(6, 0, 300, V).payload(128).set_chunk_size(172).type3(6).payload(172);
    assert_eq!(wire.times().0, [(0, 4), (0, 300)]);
}

#[test]
fn chunk_size_has_bounds() {
    assert_eq!(wire().set_chunk_size(0x7FFF_FFFF).decode().0.chunk_size(), 0xFF_FFFF);
    assert_eq!(wire().set_chunk_size(1).decode().0.chunk_size(), 1);
    for wrong in [0, 0x8000_0000] {
        let error = wire().set_chunk_size(wrong).error();
        assert!(matches!(error, Error::PeerMisbehaved(Misbehaviour::MalformedControl(_))), "{error}");
    }
}

#[test]
fn chunk_size_is_heard_on_any_chunk_stream() {
    let wire = wire().full(40, 0, 4, MessageType::SET_CHUNK_SIZE).bytes(&[0, 0, 1, 0]).full(6, 0, 256, V);
    assert_eq!(wire.payload(256).times().0, [(0, 4), (0, 256)]);
}

#[test]
fn abort_drops_the_message_of_that_chunk_stream_alone() {
    let start = wire().full(6, 0, 200, V).payload(128).full(4, 0, 200, A).payload(128);
    let abort = |wire: Wire, csid| wire.full(2, 0, 4, MessageType::ABORT).bytes(&[0, 0, 0, csid]);
    let wire = abort(abort(start, 6), 63).type3(4).payload(72).full(6, 40, 1, V).payload(1);
    let (times, stats) = wire.times();
    assert_eq!(times, [(0, 4), (0, 4), (0, 200), (40, 1)]);
    assert_eq!((stats.aborted_messages, stats.dropped_messages), (1, 0));
}

#[test]
fn empty_messages_are_messages() {
    let wire = wire().full(4, 10, 0, A).same_stream(4, 5, 0, A).type3(4).type3(4);
    assert_eq!(wire.times().0, [(10, 0), (15, 0), (20, 0), (25, 0)]);
}

#[test]
fn payloads_have_exactly_their_size() {
    let mut input = BytesMut::with_capacity(1 << 20);
    input.extend_from_slice(&three_chunks(wire().full(6, 0, 300, V), None).full(4, 0, 9, A).payload(9).0);
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    while let Some(message) = decoder.decode(&mut input).unwrap() {
        let len = message.payload.len();
        let buffer = message.payload.try_into_mut().unwrap();
        assert_eq!(buffer.capacity(), len);
    }
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn memory_grows_with_what_comes_not_with_what_is_declared() {
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    let mut received = 0;
    let mut input = BytesMut::from(&wire().set_chunk_size(0xFF_FFFF).full(6, 0, 0xFF_FFFF, V).0[..]);
    decoder.decode(&mut input).unwrap();
    for _ in 0..1000 {
        input.extend_from_slice(&[0; 1000]);
        received += 1000;
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert!(input.is_empty());
        assert!(decoder.buffered() <= FIRST_ALLOCATION.max(2 * received));
    }
}

#[test]
fn all_chunk_streams_share_one_memory_budget() {
    let limits = ChunkLimits { reassembly: 300, ..ChunkLimits::default() };
    let two = wire().full(6, 0, 200, V).payload(128).full(4, 0, 200, A).payload(128);
    assert_eq!(decode(limits, &two.0, 64).1, Ok(vec![]));
    let three = two.full(5, 0, 200, A).payload(128);
    assert_eq!(decode(limits, &three.0, 64).1, Err(Error::LimitExceeded(Limit::ReassemblyMemory)));
}

#[test]
fn message_size_and_chunk_streams_have_limits() {
    let limits = ChunkLimits { message_size: 100, chunk_streams: 2, ..ChunkLimits::default() };
    let fits = wire().full(6, 0, 100, V).payload(100).full(4, 0, 0, A);
    assert_eq!(decode(limits, &fits.0, 64).1.map(|messages| messages.len()), Ok(2));
    let long = wire().full(6, 0, 101, V);
    assert_eq!(decode(limits, &long.0, 64).1, Err(Error::LimitExceeded(Limit::MessageSize)));
    let many = fits.full(5, 0, 0, A);
    assert_eq!(decode(limits, &many.0, 64).1, Err(Error::LimitExceeded(Limit::ChunkStreams)));
}

/// Feeds `chunk` until a decoder with a small allowance refuses, at most a thousand times; how often it did not.
fn endure(chunk: &Wire, chunk_size: u32) -> usize {
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    let mut input = BytesMut::from(&wire().set_chunk_size(chunk_size).0[..]);
    decoder.decode(&mut input).unwrap();
    decoder.allowance = 20_000;
    for time in 0..1000 {
        input.extend_from_slice(&chunk.0);
        match decoder.decode(&mut input) {
            Ok(message) => assert!(message.is_some()),
            Err(error) => {
                assert_eq!(error, Error::LimitExceeded(Limit::TinyChunks));
                return time;
            }
        }
    }
    1000
}

/// A message of `length` bytes in chunks of `size`.
fn message(length: usize, size: usize) -> Wire {
    let start = wire().full(6, 0, length as u32, V).payload(size.min(length));
    (1..length.div_ceil(size)).fold(start, |wire, i| wire.type3(6).payload(size.min(length - i * size)))
}

#[test]
fn tiny_chunks_are_bounded_and_sensible_ones_are_not() {
    assert_eq!(endure(&message(101, 1), 1), 14);
    assert_eq!(endure(&message(101, 16), 16), 1000);
    assert_eq!(endure(&message(0, 128), 128), 1000);
    assert_eq!(endure(&wire().same_stream(4, 23, 1, A).payload(1), 128), 1000);
}

#[test]
fn a_session_in_chunks_of_one_byte_is_heard() {
    let connect_and_publish = message(2000, 1);
    let wire = wire().set_chunk_size(1).bytes(&connect_and_publish.0);
    assert_eq!(wire.times().0, [(0, 4), (0, 2000)]);
}
