use bytes::BytesMut;

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
