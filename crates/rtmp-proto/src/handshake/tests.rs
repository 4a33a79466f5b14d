use bytes::BytesMut;

use super::digest::{CLIENT_KEY, SERVER_KEY};
use super::*;
use crate::output::Output;

const KINDS: [HandshakeKind; 3] = [
    HandshakeKind::Simple,
    HandshakeKind::Digest(Scheme::KeyFirst),
    HandshakeKind::Digest(Scheme::DigestFirst),
];

fn noise(seed: u8) -> [u8; HANDSHAKE_RANDOM_LEN] {
    std::array::from_fn(|i| (i as u8).wrapping_mul(31) ^ seed)
}

/// Moves bytes between both sides in pieces of `step` until neither has more to say.
fn run(client: &mut ClientHandshake, server: &mut ServerHandshake, step: usize) -> (bool, bool) {
    let (mut to_server, mut to_client) = (Output::new(), Output::new());
    let (mut at_server, mut at_client) = (BytesMut::new(), BytesMut::new());
    loop {
        let client_done = client.advance(&mut at_client, &mut to_server).unwrap();
        let server_done = server.advance(&mut at_server, &mut to_client).unwrap();
        if to_server.is_empty() && to_client.is_empty() {
            return (client_done, server_done);
        }
        deliver(&mut to_server, &mut at_server, step);
        deliver(&mut to_client, &mut at_client, step);
    }
}

fn deliver(from: &mut Output, to: &mut BytesMut, step: usize) {
    let mut bytes = from.take();
    to.extend_from_slice(&bytes.split_to(step.min(bytes.len())));
    from.put_slice(&bytes);
}

#[test]
fn both_sides_agree_on_every_kind_however_bytes_are_split() {
    for kind in KINDS {
        for step in [1, 700, 1536, 1537, 4000] {
            let mut client = ClientHandshake::new(kind, noise(1), 7);
            let mut server = ServerHandshake::new(noise(2), 9);
            assert_eq!(run(&mut client, &mut server, step), (true, true));
            assert_eq!((client.kind(), server.kind()), (Some(kind), Some(kind)));
            assert_eq!(client.answered(), Some(true));
        }
    }
}

/// What a server says to C0 and C1, and the kind it took them for.
fn server_says(c1: &Packet) -> (HandshakeKind, Packet, Packet) {
    let (mut server, mut output) = (ServerHandshake::new(noise(2), 0x0102_0304), Output::new());
    let mut input = BytesMut::from(&[&[VERSION], &c1[..]].concat()[..]);
    assert_eq!(server.advance(&mut input, &mut output), Ok(false));
    let mut wire = output.take();
    assert_eq!(wire.split_to(1)[..], [VERSION]);
    (server.kind().unwrap(), take_packet(&mut wire).unwrap(), take_packet(&mut wire).unwrap())
}

/// A client that has been told `s1` and `s2`, and its C2.
fn client_told(kind: HandshakeKind, s1: &Packet, s2: &Packet) -> (ClientHandshake, Packet) {
    let (mut client, mut output) = (ClientHandshake::new(kind, noise(1), 7), Output::new());
    let mut input = BytesMut::from(&[&[VERSION], &s1[..], s2].concat()[..]);
    assert_eq!(client.advance(&mut input, &mut output), Ok(true));
    let mut wire = output.take().split_off(1 + PACKET_LEN);
    (client, take_packet(&mut wire).unwrap())
}

#[test]
fn a_simple_handshake_echoes_to_the_last_byte() {
    let c1 = hello(7, [0; 4], &noise(1));
    let (kind, s1, s2) = server_says(&c1);
    assert_eq!((kind, s2), (HandshakeKind::Simple, c1));
    assert_eq!(s1, hello(0x0102_0304, [0; 4], &noise(2)));
    let (client, c2) = client_told(HandshakeKind::Simple, &s1, &s2);
    assert_eq!((client.answered(), c2), (Some(true), s1));
}

#[test]
fn a_version_without_a_digest_gets_a_simple_handshake() {
    let c1 = hello(7, [9, 0, 124, 2], &noise(1));
    let (kind, s1, s2) = server_says(&c1);
    assert_eq!((kind, s2), (HandshakeKind::Simple, c1));
    assert_eq!(s1[4..8], [0; 4], "or FFmpeg would look for a digest in S1");
}

#[test]
fn a_digest_in_a_packet_of_version_zero_is_not_looked_for() {
    let mut c1 = hello(7, [0; 4], &noise(1));
    CLIENT_KEY.sign(&mut c1, Scheme::DigestFirst);
    assert_eq!(server_says(&c1).0, HandshakeKind::Simple);
}

#[test]
fn a_client_puts_up_with_a_server_that_knows_no_digests_or_answers_nonsense() {
    let s1 = hello(9, [1, 2, 3, 4], &noise(2));
    for kind in KINDS {
        let (client, c2) = client_told(kind, &s1, &[0xEE; PACKET_LEN]);
        assert_eq!((client.kind(), client.answered()), (Some(HandshakeKind::Simple), Some(false)));
        assert_eq!(c2, s1);
    }
}

#[test]
fn an_echo_may_name_its_time_of_arrival() {
    let mut s2 = hello(7, [0; 4], &noise(1));
    s2[4..8].copy_from_slice(&[1, 2, 3, 4]);
    let (client, _) = client_told(HandshakeKind::Simple, &hello(9, [0; 4], &noise(2)), &s2);
    assert_eq!(client.answered(), Some(true));
}

#[test]
fn digests_lie_within_the_packet_whatever_chooses_their_place() {
    for fill in [0, 1, 0x7F, 0xB6, 0xFF] {
        for scheme in [Scheme::KeyFirst, Scheme::DigestFirst] {
            let mut packet = [fill; PACKET_LEN];
            let digest = SERVER_KEY.sign(&mut packet, scheme);
            assert_eq!(SERVER_KEY.find(&packet), Some((scheme, digest)));
            assert_eq!(CLIENT_KEY.find(&packet), None);
        }
    }
}

#[test]
fn what_follows_c2_stays_in_the_input() {
    let (mut server, mut output) = (ServerHandshake::new(noise(2), 9), Output::new());
    let hello = hello(7, [0; 4], &noise(1));
    let mut input = BytesMut::from(&[&[VERSION], &hello[..], &hello, b"connect"].concat()[..]);
    assert_eq!(server.advance(&mut input, &mut output), Ok(true));
    assert_eq!(input[..], b"connect"[..]);
    assert_eq!(output.len(), 1 + 2 * PACKET_LEN);
    assert_eq!(server.advance(&mut input, &mut output), Ok(true));
    assert_eq!((input.len(), output.len()), (7, 1 + 2 * PACKET_LEN));
}

#[test]
fn the_first_byte_alone_tells_other_protocols() {
    for (first, error) in [
        (b'G', Error::PeerMisbehaved(Misbehaviour::NotRtmp(b'G'))),
        (b'P', Error::PeerMisbehaved(Misbehaviour::NotRtmp(b'P'))),
        (0x16, Error::PeerMisbehaved(Misbehaviour::NotRtmp(0x16))),
        (0, Error::PeerMisbehaved(Misbehaviour::NotRtmp(0))),
        // An SRS proxy, which goes on with the address of its client: nobody here has said that it can be trusted.
        (0xF3, Error::PeerMisbehaved(Misbehaviour::NotRtmp(0xF3))),
        (6, Error::Unsupported("RTMPE, the encrypted handshake")),
        (8, Error::Unsupported("RTMPE, the encrypted handshake")),
    ] {
        let mut output = Output::new();
        let mut input = BytesMut::from(&[first][..]);
        assert_eq!(ServerHandshake::new(noise(2), 9).advance(&mut input, &mut output), Err(error.clone()));
        assert!(output.is_empty());
        let mut client = ClientHandshake::new(HandshakeKind::Simple, noise(1), 7);
        assert_eq!(client.advance(&mut input, &mut output), Err(error));
    }
}

/// C1, C2, S1 and S2 of a capture.
fn captured(c2s: &[u8], s2c: &[u8]) -> [Packet; 4] {
    let packet = |wire: &[u8], at: usize| wire[at..at + PACKET_LEN].try_into().unwrap();
    [packet(c2s, 1), packet(c2s, 1 + PACKET_LEN), packet(s2c, 1), packet(s2c, 1 + PACKET_LEN)]
}

macro_rules! capture {
    ($name:literal) => {
        captured(
            include_bytes!(concat!("../../testdata/captures/", $name, ".c2s.bin")),
            include_bytes!(concat!("../../testdata/captures/", $name, ".s2c.bin")),
        )
    };
}

#[test]
fn foreign_players_and_servers_sign_and_answer_as_we_do() {
    let captures = [capture!("ffmpeg-5.1-play"), capture!("ffmpeg-9.0-play"), capture!("vlc-3.0-play")];
    for [c1, c2, s1, s2] in captures {
        let (scheme, challenge) = CLIENT_KEY.find(&c1).unwrap();
        let (_, other_challenge) = SERVER_KEY.find(&s1).unwrap();
        assert!(SERVER_KEY.is_answer(&s2, &challenge));
        assert!(CLIENT_KEY.is_answer(&c2, &other_challenge));
        assert_eq!(server_says(&c1).0, HandshakeKind::Digest(scheme));
        let (client, _) = client_told(HandshakeKind::Digest(scheme), &s1, &s2);
        assert_eq!(client.kind(), Some(HandshakeKind::Digest(scheme)));
        assert_eq!(client.answered(), Some(false), "S2 answers the C1 of the capture");
    }
}

#[test]
fn ffmpeg_signs_but_echoes_when_it_publishes() {
    let [c1, c2, s1, _] = capture!("ffmpeg-5.1-publish");
    assert_eq!(server_says(&c1).0, HandshakeKind::Digest(Scheme::DigestFirst));
    assert_eq!(c2, s1);
}

#[test]
fn obs_rtmpdump_and_gstreamer_want_the_simple_kind() {
    let captures =
        [capture!("obs-29.0-publish"), capture!("rtmpdump-2.4-play"), capture!("gstreamer-1.22-publish")];
    for [c1, ..] in captures {
        assert_eq!(server_says(&c1).0, HandshakeKind::Simple);
    }
}
