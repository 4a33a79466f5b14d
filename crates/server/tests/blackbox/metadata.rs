//! What a publisher tells about its stream (`onMetaData`) arrives as it was told.

use std::fs;

use bytes::{Bytes, BytesMut};
use flumen_amf0::Object;
use flumen_media::flv::{Metadata, Reader, Tag, TagType, set_data_frame};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Player, PlayerEvent, Publisher};

use crate::http_flv::File;
use crate::server::Server;
use crate::stream::{audio, audio_header, key, meanwhile, next, video_header};
use crate::web::Web;

/// What the message begins with.
const NAME: &[u8] = b"\x02\0\x0aonMetaData";

/// A name and an encoded value, as an object of AMF0 has them.
fn property(name: &str, value: &[&[u8]]) -> Vec<u8> {
    [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), &value.concat()].concat()
}

/// `onMetaData` of everything that AMF0 has and some server might write otherwise, with a text of this length: an array that
/// is not as long as it says, names in no order, a long string where a short one would do.
fn odd_metadata(text: usize) -> Bytes {
    let number = |value: f64| [&[0][..], &value.to_be_bytes()].concat();
    let long = [&(text as u32).to_be_bytes()[..], &vec![b'x'; text]].concat();
    let properties = [
        property("zebra", &[&number(-0.0)]),
        property("language", &["\x02\0\x09日本語".as_bytes()]),
        // A date with a time zone, which nobody uses.
        property("creationdate", &[&[11], &1.795e12_f64.to_be_bytes(), &(-60_i16).to_be_bytes()]),
        // A number, a text, null and an object.
        property("cuts", &[&[10, 0, 0, 0, 4], &number(2.5), b"\x02\0\x03two", &[5], &[3, 0, 0, 9]]),
        property("x-venue", &[&[3], &property("\u{e9}tage", &[&[1, 1]]), &[0, 0, 9]]),
        property("nothing", &[&[6]]),
        property("note", &[&[12], &long]),
        property("width", &[&number(1280.0)]),
        property("duration", &[&number(0.0)]),
        property("another", &[&[8, 0, 0, 0, 1], &property("0", &[&number(1.0)]), &[0, 0, 9]]),
    ];
    [NAME, &[8, 0, 0, 0, 99], &properties.concat(), &[0, 0, 9]].concat().into()
}

async fn publish(server: &Server, metadata: &Bytes) -> Publisher {
    let publisher = Publisher::connect(&server.url("live/show"), ClientOptions::default()).await;
    let mut publisher = publisher.expect("it may publish");
    let begin = [
        (MediaType::Data, set_data_frame(metadata)),
        (MediaType::Video, video_header()),
        (MediaType::Audio, audio_header()),
        (MediaType::Video, key(0)),
        (MediaType::Audio, audio(0)),
    ];
    for (kind, body) in begin {
        publisher.send(kind, 0, body).await.expect("it publishes");
    }
    publisher
}

async fn player(server: &Server) -> Player {
    Player::connect(&server.url("live/show"), ClientOptions::default()).await.expect("it may play")
}

/// The next metadata that a player gets; what the server says for itself is passed over.
async fn next_metadata(player: &mut Player) -> Bytes {
    loop {
        if let PlayerEvent::Media(media) = next(player).await
            && media.payload.starts_with(NAME)
        {
            return media.payload;
        }
    }
}

/// The next data in a file that comes over HTTP.
async fn next_script(file: &mut File) -> Bytes {
    loop {
        let tag = file.next().await.expect("the stream goes on");
        if tag.tag_type == TagType::Script {
            return tag.body;
        }
    }
}

/// Whoever waited gets it, whoever comes late, and everybody again when it changes; over RTMP and over HTTP.
#[tokio::test]
async fn players_get_it_byte_for_byte() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let (first, second) = (odd_metadata(70_000), odd_metadata(3));
    let mut early = player(&server).await;
    let mut publisher = publish(&server, &first).await;
    let begun = async {
        assert!(next_metadata(&mut early).await == first, "to who waited");
        let mut late = player(&server).await;
        assert!(next_metadata(&mut late).await == first, "to who came late");
        let mut file = File::open(&web, "/live/show.flv").await;
        assert!(next_script(&mut file).await == first, "over HTTP");
        (late, file)
    };
    let (mut late, mut file) = meanwhile(&mut publisher, begun).await;
    publisher.send(MediaType::Data, 40, set_data_frame(&second)).await.expect("it publishes");
    let changed = async {
        assert_eq!(next_metadata(&mut early).await, second);
        assert_eq!(next_metadata(&mut late).await, second);
        assert_eq!(next_script(&mut file).await, second);
    };
    meanwhile(&mut publisher, changed).await;
}

/// The tags of the only recording of a server that has stopped.
async fn recorded(server: Server) -> Vec<Tag> {
    server.logged(&[r#""msg":"recorded""#]).await;
    let mut files = fs::read_dir(server.folder().join("recordings")).expect("a folder");
    let path = files.next().expect("a recording").expect("an entry").path();
    let mut input = BytesMut::from(&fs::read(path).expect("a file")[..]);
    let mut reader = Reader::new();
    let tags = std::iter::from_fn(|| reader.next_tag(&mut input).expect("FLV")).collect();
    server.stop().await;
    tags
}

/// The names and the values of properties, in their order.
fn listed(properties: &Object) -> Vec<String> {
    properties.iter().map(|(name, value)| format!("{name}: {value:?}")).collect()
}

/// A finished recording says first what its publisher said, and then what is known of it as a file.
#[tokio::test]
async fn a_recording_begins_with_it() {
    let server = Server::start("--record-all").await;
    let told = odd_metadata(3);
    publish(&server, &told).await.finish().await.expect("an unbroken publication");
    let tags = recorded(server).await;
    let metadata = Metadata::parse(&tags[0].body).expect("metadata");
    let mut expected = Metadata::parse(&told).expect("metadata");
    expected.remove_file_properties();
    let (found, expected) = (listed(metadata.properties()), listed(expected.properties()));
    assert_eq!(expected.len(), 9, "all but the duration");
    assert_eq!(found[..9], expected);
    assert!(metadata.properties().get("keyframes").is_some());
    assert!(tags[1..].iter().all(|tag| tag.tag_type != TagType::Script), "it is there once");
}

/// What is longer than the room at the beginning of a file stands where it came.
#[tokio::test]
async fn a_recording_keeps_what_is_longer_than_its_beginning() {
    let server = Server::start("--record-all").await;
    let told = odd_metadata(70_000);
    publish(&server, &told).await.finish().await.expect("an unbroken publication");
    let tags = recorded(server).await;
    assert!(tags[1..].iter().any(|tag| tag.tag_type == TagType::Script && tag.body == told));
}
