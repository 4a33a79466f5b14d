use proptest::prelude::*;

use super::*;
use crate::{AudioCodec, FourCc, VideoCodec, fuzz};

/// A box.
fn b(kind: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let size = (8 + content.len()) as u32;
    [&size.to_be_bytes()[..], kind, &content].concat()
}

/// Version 0, no flags, and 32-bit numbers.
fn table(kind: &[u8; 4], numbers: &[u32]) -> Vec<u8> {
    full(kind, 0, numbers)
}

/// Version 0 with flags, and 32-bit numbers.
fn full(kind: &[u8; 4], flags: u32, numbers: &[u32]) -> Vec<u8> {
    let bytes: Vec<u8> = [flags].iter().chain(numbers).flat_map(|number| number.to_be_bytes()).collect();
    b(kind, &[&bytes])
}

fn trak(number: u32, timescale: u32, edits: &[u32], stsd: &[u8], tables: &[Vec<u8>]) -> Vec<u8> {
    let stbl = b(b"stbl", &[&b(b"stsd", &[&[0; 4], &[0, 0, 0, 1], stsd]), &tables.concat()]);
    let mdia = b(b"mdia", &[&table(b"mdhd", &[0, 0, timescale, 0, 0]), &b(b"minf", &[&stbl])]);
    let edts = b(b"edts", &[&table(b"elst", edits)]);
    b(b"trak", &[&table(b"tkhd", &[0, 0, number, 0]), &edts, &mdia])
}

fn avc1() -> Vec<u8> {
    b(b"avc1", &[&[0; 78], &b(b"pasp", &[&[0; 8]]), &b(b"avcC", &[b"avcC of the test"])])
}

fn mp4a() -> Vec<u8> {
    let info = [5, 0x80, 0x80, 2, 0x11, 0x90];
    let config = [&[4, 19, 0x40][..], &[0; 12], &info].concat();
    let stream = [&[3, 24, 0, 1, 0][..], &config].concat();
    b(b"mp4a", &[&[0; 28], &b(b"esds", &[&[0; 4], &stream])])
}

/// Five pictures in two chunks at 25 fps with B-frames, and three sound frames at 48 kHz with priming.
fn movie() -> Bytes {
    let video = [
        table(b"stts", &[1, 5, 512]),
        table(b"ctts", &[3, 1, 1024, 1, 2560, 3, 0]),
        table(b"stsc", &[2, 1, 3, 1, 2, 2, 1]),
        table(b"stsz", &[0, 5, 100, 10, 11, 12, 90]),
        table(b"stco", &[2, 1000, 5000]),
        table(b"stss", &[2, 1, 5]),
    ];
    let audio = [
        table(b"stts", &[1, 3, 1024]),
        table(b"stsc", &[1, 1, 3, 1]),
        table(b"stsz", &[7, 3]),
        full(b"co64", 0, &[1, 1, 0]),
    ];
    let video = trak(1, 12800, &[2, 40, u32::MAX, 1 << 16, 200, 1024, 1 << 16], &avc1(), &video);
    let audio = trak(2, 48000, &[1, 64, 1024, 1 << 16], &mp4a(), &audio);
    let text = trak(3, 1000, &[0], &b(b"tx3g", &[&[0; 30]]), &[]);
    [table(b"mvhd", &[0, 0, 1000, 0]), text, video, audio].concat().into()
}

#[test]
fn tracks_have_the_configuration_of_flv() {
    let movie = Movie::parse(movie()).expect("a movie");
    let [video, audio] = movie.tracks() else { panic!("two tracks: {movie:?}") };
    assert_eq!((video.id(), video.codec()), (TrackId::VIDEO, Codec::Video(VideoCodec::H264)));
    assert_eq!(&video.config()[..], b"avcC of the test");
    assert_eq!((audio.id(), audio.codec()), (TrackId::AUDIO, Codec::Audio(AudioCodec::Aac)));
    assert_eq!(&audio.config()[..], b"\x11\x90");
    assert_eq!(movie.duration(), TimeDelta::from_millis(200));
    assert!(!movie.is_fragmented());
}

#[test]
fn samples_come_in_decoding_order_with_the_edit_list_applied() {
    let movie = Movie::parse(movie()).expect("a movie");
    let sample = |sample: Sample| {
        let (dts, cts) = (sample.dts.as_nanos() / 1000, sample.cts.as_nanos() / 1000);
        (sample.track.kind == MediaKind::Video, sample.offset, sample.size, dts, cts, sample.is_key)
    };
    let samples: Vec<_> = movie.samples().map(sample).collect();
    let expected = [
        // 40 ms of delay, and the first picture is shown 80 ms after it was decoded.
        (true, 1000, 100, -40_000, 80_000, true),
        (false, 1 << 32, 7, -21_333, 0, true),
        (true, 1100, 10, 0, 200_000, false),
        (false, (1 << 32) + 7, 7, 0, 0, true),
        (false, (1 << 32) + 14, 7, 21_333, 0, true),
        (true, 1110, 11, 40_000, 0, false),
        (true, 5000, 12, 80_000, 0, false),
        (true, 5012, 90, 120_000, 0, true),
    ];
    assert_eq!(samples, expected);
}

#[test]
fn frames_know_their_kind() {
    let movie = Movie::parse(movie()).expect("a movie");
    let video = movie.track(TrackId::VIDEO).expect("there");
    let frames = movie.samples().filter(|sample| sample.track == TrackId::VIDEO);
    let kinds: Vec<_> = frames.map(|sample| video.frame(&sample, Bytes::new()).kind).collect();
    use FrameKind::{Delta, Key};
    assert_eq!(kinds, [Key, Delta, Delta, Delta, Key]);
    assert_eq!(video.config_frame(Timestamp::ZERO).map(|frame| frame.kind), Some(FrameKind::Config));
}

#[test]
fn fragments_go_on_where_the_last_one_ended() {
    let track = trak(1, 1000, &[0], &avc1(), &[]);
    let trex = table(b"trex", &[1, 1, 40, 0, 1 << 16]);
    let moov = [table(b"mvhd", &[0, 0, 1000, 0]), track, b(b"mvex", &[&trex])].concat();
    let mut movie = Movie::parse(moov.into()).expect("a movie");
    assert!(movie.is_fragmented());
    assert_eq!(movie.samples().count(), 0);

    let run = full(b"trun", 0x01 | 0x04 | 0x200 | 0x800, &[2, 500, 0, 100, 80, 10, 0]);
    let timed = b(b"traf", &[&full(b"tfhd", 0x2_0000, &[1]), &table(b"tfdt", &[2000]), &run]);
    let untimed = b(b"traf", &[&full(b"tfhd", 0x2_0000, &[1]), &full(b"trun", 0x200, &[1, 30])]);
    let unknown = b(b"traf", &[&full(b"tfhd", 0, &[9]), &full(b"trun", 0x200, &[1, 30])]);
    let mut read = |traf: Vec<u8>, at| {
        let samples = movie.fragment(traf.into(), at).expect("a fragment");
        let fields = |s: &Sample| (s.offset, s.size, s.dts.as_millis(), s.cts.as_millis(), s.is_key);
        samples.iter().map(fields).collect::<Vec<_>>()
    };
    assert_eq!(read(timed, 7000), [(7500, 100, 2000, 80, true), (7600, 10, 2040, 0, false)]);
    assert_eq!(read(untimed, 9000), [(9000, 30, 2080, 0, false)]);
    assert_eq!(read(unknown, 9000), []);
}

#[test]
fn data_follows_that_of_the_track_before_where_nothing_says_otherwise() {
    let tracks = [trak(1, 1000, &[0], &avc1(), &[]), trak(2, 1000, &[0], &mp4a(), &[])].concat();
    let trexes = [table(b"trex", &[1, 1, 40, 0, 0]), table(b"trex", &[2, 1, 40, 0, 0])].concat();
    let moov = [table(b"mvhd", &[0, 0, 1000, 0]), tracks, b(b"mvex", &[&trexes])].concat();
    let mut movie = Movie::parse(moov.into()).expect("a movie");
    let run = |offset| full(b"trun", 0x01 | 0x200, &[2, offset, 30, 20]);
    let traf = |flags, track, offset| b(b"traf", &[&full(b"tfhd", flags, &[track]), &run(offset)]);
    let mut offsets = |flags| {
        let moof = [traf(flags, 1, 500), traf(flags, 2, 0)].concat();
        let samples = movie.fragment(moof.into(), 1000).expect("a fragment");
        samples.iter().map(|sample| sample.offset).collect::<Vec<_>>()
    };
    // In the order of their times: both first ones, then both second ones.
    assert_eq!(offsets(0), [1500, 1550, 1530, 1580]);
    assert_eq!(offsets(0x2_0000), [1500, 1000, 1530, 1030]);
}

#[test]
fn configurations_of_other_codecs_become_those_of_flv() {
    let entry = |entry: Vec<u8>| {
        let stsd = [&[0; 8][..], &entry].concat();
        let parsed = sample_entry::parse(stsd.into()).expect("well formed");
        parsed.map(|entry| (entry.codec, entry.config.to_vec()))
    };
    let audio = |kind, inner: &[u8]| b(kind, &[&[0; 28], inner]);
    let dops = b(b"dOps", &[&[0, 2, 1, 0x38, 0, 0, 0xBB, 0x80, 0, 0, 0]]);
    let dfla = b(b"dfLa", &[&[0; 4], b"\x80\0\0\x22STREAMINFO"]);
    let opus = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0".to_vec();
    let table = [
        (audio(b"Opus", &dops), AudioCodec::Opus, opus),
        (audio(b"fLaC", &dfla), AudioCodec::Flac, b"fLaC\x80\0\0\x22STREAMINFO".to_vec()),
        (audio(b"ec-3", &b(b"dec3", &[&[0; 5]])), AudioCodec::Eac3, Vec::new()),
        (audio(b".mp3", &[]), AudioCodec::Mp3, Vec::new()),
    ];
    for (bytes, codec, config) in table {
        assert_eq!(entry(bytes), Some((Codec::Audio(codec), config)));
    }
    assert_eq!(entry(audio(b"alac", &[])), None);
    assert_eq!(entry(b(b"encv", &[&[0; 78]])), None);
}

#[test]
fn hostile_sizes_cost_nothing() {
    let movie_of = |tables: &[Vec<u8>]| {
        let track = trak(1, 1000, &[0], &avc1(), tables);
        Movie::parse([table(b"mvhd", &[0, 0, 1000, 0]), track].concat().into()).expect("a movie")
    };
    let endless = movie_of(&[
        table(b"stts", &[1, u32::MAX, u32::MAX]),
        table(b"stsc", &[1, 1, u32::MAX, 1]),
        table(b"stsz", &[u32::MAX, u32::MAX]),
        full(b"co64", 0, &[1, u32::MAX, u32::MAX]),
    ]);
    let last = endless.samples().nth(10_000).expect("as many as it claims");
    assert_eq!(last.offset, u64::MAX);
    // Chunks without samples, and a table that ends early.
    let empty = movie_of(&[
        table(b"stsc", &[1, 1, 0, 1]),
        table(b"stsz", &[1, u32::MAX]),
        table(b"stco", &[3, 1, 2, 3]),
    ]);
    assert_eq!(empty.samples().count(), 0);

    let mut movie = Movie::parse(movie()).expect("a movie");
    let bomb = b(b"traf", &[&full(b"tfhd", 0, &[1]), &full(b"trun", 0, &[u32::MAX])]);
    assert!(movie.fragment(bomb.into(), 0).is_err());
}

#[test]
fn headers_of_all_forms() {
    let header = |kind: &[u8; 4], header_len, size| BoxHeader { kind: FourCc(*kind), header_len, size };
    let table = [
        (&b"\0\0\0\x10moov"[..], Ok(Some(header(b"moov", 8, Some(16))))),
        (b"\0\0\0\0mdat", Ok(Some(header(b"mdat", 8, None)))),
        (b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0", Ok(Some(header(b"mdat", 16, Some(1 << 32))))),
        (b"\0\0\0\x01mdat\0\0\0\x01", Ok(None)),
        (b"\0\0\0", Ok(None)),
        (b"\0\0\0\x07moov", Err(Error::Malformed("a box smaller than its header"))),
    ];
    for (bytes, expected) in table {
        assert_eq!(BoxHeader::parse(bytes), expected);
    }
}

proptest! {
    #[test]
    fn damaged_movies_do_no_harm(at in 0_usize..2000, with in any::<u8>(), cut in 0_usize..2000) {
        let mut damaged = movie().to_vec();
        let len = damaged.len();
        damaged[at % len] = with;
        fuzz::mp4(&damaged);
        damaged.truncate(cut % len);
        fuzz::mp4(&damaged);
    }

    #[test]
    fn any_bytes_do_no_harm(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz::mp4(&data);
    }
}
