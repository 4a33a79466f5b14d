//! Parameter sets that are damaged, odd or missing cost what they say, and nothing else.

use bytes::Bytes;
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Player, PlayerEvent, Publisher};
use futures_util::future::join_all;
use serde_json::json;

use crate::http_flv::File;
use crate::server::Server;
use crate::stream::{meanwhile, next, next_media};
use crate::web::Web;

/// Milliseconds from one picture to the next, pictures from one key frame to the next, and pictures in all: segments enough.
const PICTURE: u32 = 40;
const GOP: u32 = 25;
const PICTURES: u32 = 3 * GOP;

/// The codecs whose parameter sets are read.
#[derive(Clone, Copy, Debug)]
enum Codec {
    H264,
    Hevc,
}

impl Codec {
    fn header(self, config: &[u8]) -> Bytes {
        match self {
            Self::H264 => [&[0x17, 0, 0, 0, 0], config].concat().into(),
            Self::Hevc => [b"\x90hvc1", config].concat().into(),
        }
    }

    /// A picture with its number, in a NAL unit of a slice.
    fn picture(self, number: u32) -> Bytes {
        let is_key = number.is_multiple_of(GOP);
        let (header, unit): (&[u8], &[u8]) = match (self, is_key) {
            (Self::H264, true) => (&[0x17, 1, 0, 0, 0], &[0x65]),
            (Self::H264, false) => (&[0x27, 1, 0, 0, 0], &[0x41]),
            // Coded frames without a composition time; IDR_W_RADL and TRAIL_R.
            (Self::Hevc, true) => (b"\x93hvc1", &[0x26, 0x01]),
            (Self::Hevc, false) => (b"\xA3hvc1", &[0x02, 0x01]),
        };
        let unit = [unit, &number.to_be_bytes(), &[0x55; 60]].concat();
        [header, &(unit.len() as u32).to_be_bytes(), &unit].concat().into()
    }
}

/// An `avcC` record of these sets.
fn avcc(sps: &[u8], pps: &[u8]) -> Vec<u8> {
    let size = |set: &[u8]| (set.len() as u16).to_be_bytes();
    [&[1, 0x64, 0, 0x1F, 0xFF, 0xE1], &size(sps)[..], sps, &[1], &size(pps), pps].concat()
}

/// An `hvcC` record of these sets, each with its type.
fn hvcc(sets: &[(u8, &[u8])]) -> Vec<u8> {
    let head = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5D\xF0\0\xFC\xFD\xF8\xF8\0\0\x0F";
    let mut record = [&head[..], &[sets.len() as u8]].concat();
    for (kind, set) in sets {
        record.extend([0x80 | kind, 0, 1, 0, set.len() as u8]);
        record.extend(*set);
    }
    record
}

/// Bits as they are written here, filled up to whole bytes.
fn bits(text: &str) -> Vec<u8> {
    let bits: Vec<u8> = text.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
    let byte = |bits: &[u8]| bits.iter().zip((0..8).rev()).fold(0, |byte, (bit, place)| byte | bit << place);
    bits.chunks(8).map(byte).collect()
}

/// An SPS of High profile for 1280 × 720 with scaling lists of all kinds (AVC §7.3.2.1.1.1): the default, flat, absent, one
/// that goes up by 128, one of full length.
fn scaling_lists() -> Vec<u8> {
    let se_minus_8 = "000010001";
    let se_minus_128 = "00000000100000001";
    let lists = [
        format!("1 {se_minus_8}"),
        format!("1 {}", "1".repeat(16)),
        "0".into(),
        format!("1 {se_minus_128} {}", "1".repeat(15)),
        "0".into(),
        "0".into(),
        format!("1 {}", "1".repeat(64)),
        format!("1 {se_minus_8}"),
    ];
    // Set 0 of 4:2:0 with 8 bits; the lists; counters; 80 × 45 macroblocks, no cropping, no VUI.
    let text = format!("1 010 1 1 0 1 {} 1 011 010 0 0000001010000 00000101101 1 1 0 0 1", lists.join(" "));
    // Zeros in a row would be a start code, but the lists have none that long.
    [vec![0x67, 0x64, 0, 0x1F], bits(&text)].concat()
}

/// A sound SPS of 1280 × 720, and a PPS.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1F, 0xAC, 0xD9, 0x40, 0x50, 0x05, 0xBB, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xC0, 0xF1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0];
const SIZE: Option<&str> = Some("1280x720");

/// A stream of this name with a configuration, and the size that is known all the same.
struct Case {
    name: &'static str,
    codec: Codec,
    config: Vec<u8>,
    size: Option<&'static str>,
}

fn cases() -> Vec<Case> {
    let cut = |mut record: Vec<u8>, left: usize| {
        record.truncate(left);
        record
    };
    let noise = |header: &[u8]| [header, &[0xFF; 20]].concat();
    let (vps, sps, pps) = (noise(&[0x40, 1]), noise(&[0x42, 1]), noise(&[0x44, 1]));
    let zeros = [&[0x42, 1][..], &[0; 20]].concat();
    use Codec::{H264, Hevc};
    let cases = [
        ("sound", H264, avcc(SPS, PPS), SIZE),
        ("lists", H264, avcc(&scaling_lists(), PPS), SIZE),
        ("pps-noise", H264, avcc(SPS, &noise(&[0x68])), SIZE),
        ("sps-noise", H264, avcc(&noise(&[0x67, 0x64, 0, 0x1F]), PPS), None),
        ("sps-zeros", H264, avcc(&[&[0x67][..], &[0; 20]].concat(), PPS), None),
        ("sps-short", H264, avcc(&SPS[..4], PPS), None),
        ("sps-empty", H264, avcc(&[], PPS), None),
        ("cut", H264, cut(avcc(SPS, PPS), 12), None),
        ("no-sets", H264, vec![1, 0x64, 0, 0x1F, 0xFF, 0xE0, 0], None),
        ("no-record", H264, vec![0xFF; 40], None),
        ("one-byte", H264, vec![1], None),
        ("hevc-noise", Hevc, hvcc(&[(32, &vps), (33, &sps), (34, &pps)]), None),
        ("hevc-zeros", Hevc, hvcc(&[(32, &vps), (33, &zeros), (34, &pps)]), None),
        ("hevc-empty", Hevc, hvcc(&[(32, &[]), (33, &[]), (34, &[])]), None),
        ("hevc-cut", Hevc, cut(hvcc(&[(32, &vps), (33, &sps)]), 40), None),
        ("hevc-no-sets", Hevc, hvcc(&[]), None),
        ("hevc-no-record", Hevc, vec![0xFF; 40], None),
        ("hevc-one-byte", Hevc, vec![1], None),
    ];
    cases.into_iter().map(|(name, codec, config, size)| Case { name, codec, config, size }).collect()
}

impl Case {
    /// Publishes with it, and compares what RTMP, HTTP-FLV, the API and HLS make of that.
    async fn check(&self, server: &Server, web: &Web) {
        let Self { name, codec, .. } = self;
        let url = server.url(&format!("live/{name}"));
        let mut player = Player::connect(&url, ClientOptions::default()).await.expect("it may play");
        let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("it may publish");
        let header = codec.header(&self.config);
        publisher.send(MediaType::Video, 0, header.clone()).await.expect("sent");
        publisher.send(MediaType::Video, 0, codec.picture(0)).await.expect("sent");
        let opened = async {
            while next(&mut player).await != PlayerEvent::Published {}
            File::open(web, &format!("/live/{name}.flv")).await
        };
        let mut file = meanwhile(&mut publisher, opened).await;
        for number in 1..PICTURES {
            publisher.send(MediaType::Video, number * PICTURE, codec.picture(number)).await.expect("sent");
        }
        let played = async {
            let pictures = (0..PICTURES).map(|number| (number * PICTURE, codec.picture(number)));
            for expected in [(0, header)].into_iter().chain(pictures) {
                let media = next_media(&mut player).await;
                assert_eq!((media.timestamp, media.payload), expected, "{name}");
                let tag = file.next().await.expect("a tag");
                assert_eq!((tag.timestamp, tag.body), expected, "{name}");
            }
        };
        meanwhile(&mut publisher, played).await;
        let stream = web.get(&format!("/api/v1/streams/live/{name}")).await.ok();
        assert_eq!(stream["resolution"], json!(self.size), "{name}");
        self.check_hls(web).await;
        publisher.finish().await.expect("an unbroken publication");
    }

    /// It plays, for decoders that make something of it; what cannot be written is said.
    async fn check_hls(&self, web: &Web) {
        let list = web.get(&format!("/live/{}/index.m3u8", self.name)).await;
        if self.name == "no-record" {
            assert!(list.problem(404).contains("H.264 cannot be written to MP4"), "{list:?}");
            return;
        }
        assert_eq!(list.status, 200, "{list:?}");
        let told = list.text.split(['\n', ',']).find_map(|attribute| attribute.strip_prefix("RESOLUTION="));
        assert_eq!(told, self.size, "{}: {list:?}", self.name);
    }
}

#[tokio::test]
async fn whatever_they_are_every_picture_arrives() {
    let server = Server::start("--hls-segment-duration 1s").await;
    let web = Web::of(&server).await;
    let cases = cases();
    join_all(cases.iter().map(|case| case.check(&server, &web))).await;
    server.stop().await;
}
