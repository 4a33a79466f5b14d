mod golden;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{FourCc, FrameKind, MediaKind, TimeDelta, TrackId, VideoCodec};

/// The message timestamp in all tables.
const AT: Timestamp = Timestamp::from_millis(1000);
const NALU: &[u8] = b"\0\0\0\x02\x65\x88";

fn video(codec: VideoCodec, kind: FrameKind, cts_ms: i64, payload: &'static [u8]) -> Frame {
    Frame {
        track: TrackId::VIDEO,
        codec: Codec::Video(codec),
        kind,
        dts: AT,
        cts: TimeDelta::from_millis(cts_ms),
        payload: Bytes::from_static(payload),
    }
}

fn audio(codec: AudioCodec, kind: FrameKind, payload: &'static [u8]) -> Frame {
    let codec = Codec::Audio(codec);
    Frame { track: TrackId::AUDIO, codec, ..video(VideoCodec::H264, kind, 0, payload) }
}

fn data(kind: FrameKind, payload: &'static [u8]) -> Frame {
    Frame { track: TrackId::DATA, codec: Codec::Amf0, ..video(VideoCodec::H264, kind, 0, payload) }
}

fn of_track(index: u8, frame: Frame) -> Frame {
    Frame { track: TrackId { index, ..frame.track }, ..frame }
}

fn later_by_nanos(nanos: i64, frame: Frame) -> Frame {
    Frame { dts: frame.dts + TimeDelta::from_nanos(nanos), ..frame }
}

/// Every form of body that is written: frame and bytes, for both directions.
fn cases() -> Vec<(Frame, &'static [u8])> {
    use FrameKind::*;
    let mut cases = vec![
        // Legacy video.
        (video(VideoCodec::H264, Config, 0, b"\x01avcC"), &b"\x17\0\0\0\0\x01avcC"[..]),
        (video(VideoCodec::H264, Key, 80, NALU), b"\x17\x01\0\0\x50\0\0\0\x02\x65\x88"),
        (video(VideoCodec::H264, Delta, -1, NALU), b"\x27\x01\xFF\xFF\xFF\0\0\0\x02\x65\x88"),
        (video(VideoCodec::H264, Disposable, 0, NALU), b"\x37\x01\0\0\0\0\0\0\x02\x65\x88"),
        (video(VideoCodec::H264, Delta, -8_388_608, b""), b"\x27\x01\x80\0\0"),
        (video(VideoCodec::H264, End, 0, b""), b"\x17\x02\0\0\0"),
        (video(VideoCodec::Legacy(2), Key, 0, b"\x12h263"), b"\x12h263"),
        (video(VideoCodec::Legacy(4), Delta, 0, b"\x24\0vp6"), b"\x24\0vp6"),
        // Enhanced video.
        (video(VideoCodec::Hevc, Config, 0, b"hvcC"), b"\x90hvc1hvcC"),
        (video(VideoCodec::Hevc, Key, 0, NALU), b"\x93hvc1\0\0\0\x02\x65\x88"),
        (video(VideoCodec::Hevc, Delta, 40, NALU), b"\xA1hvc1\0\0\x28\0\0\0\x02\x65\x88"),
        (video(VideoCodec::Hevc, Disposable, -2, b"n"), b"\xB1hvc1\xFF\xFF\xFEn"),
        (video(VideoCodec::Hevc, End, 0, b""), b"\x92hvc1"),
        (video(VideoCodec::Vvc, Delta, 40, b"n"), b"\xA1vvc1\0\0\x28n"),
        (video(VideoCodec::Av1, Config, 0, b"\x81\0\0\0"), b"\x90av01\x81\0\0\0"),
        (video(VideoCodec::Av1, Config, 0, b"\x80\x04\x81\0\0\0"), b"\x95av01\x80\x04\x81\0\0\0"),
        (video(VideoCodec::Av1, Key, 0, b"obu"), b"\x91av01obu"),
        (video(VideoCodec::Vp8, Delta, 0, b"p"), b"\xA1vp08p"),
        (video(VideoCodec::Vp9, Config, 0, b"vpcC"), b"\x90vp09vpcC"),
        (video(VideoCodec::Vp9, Delta, 0, b""), b"\xA1vp09"),
        (video(VideoCodec::Hevc, SideConfig, 0, b"\x02\0\tcolorInfo\x06"), b"\xD4hvc1\x02\0\tcolorInfo\x06"),
        (video(VideoCodec::H264, SideConfig, 0, b"amf"), b"\xD4avc1amf"),
        // Legacy audio.
        (audio(AudioCodec::Aac, Config, b"\x12\x10"), b"\xAF\0\x12\x10"),
        (audio(AudioCodec::Aac, Key, b"raw"), b"\xAF\x01raw"),
        (audio(AudioCodec::Aac, Key, b""), b"\xAF\x01"),
        (audio(AudioCodec::Mp3, Key, b"\xFF\xFB\x90\0"), b"\x2F\xFF\xFB\x90\0"),
        (audio(AudioCodec::Mp3, Key, b"\xFF\xFB\x90\xC0"), b"\x2E\xFF\xFB\x90\xC0"),
        (audio(AudioCodec::Mp3, Key, b"\xFF\xF3\x90\0"), b"\x2B\xFF\xF3\x90\0"),
        (audio(AudioCodec::Mp3, Key, b"\xFF\xE3\x90\0"), b"\x27\xFF\xE3\x90\0"),
        (audio(AudioCodec::Mp3, Key, b"\xFF\xE3\x98\xC0"), b"\xE2\xFF\xE3\x98\xC0"),
        (audio(AudioCodec::Mp3, Key, b"rest"), b"\x2Frest"),
        (audio(AudioCodec::Legacy(11), Key, b"\xB2speex"), b"\xB2speex"),
        (audio(AudioCodec::Legacy(0), Key, b""), b""),
        // Enhanced audio.
        (audio(AudioCodec::Opus, Config, b"OpusHead"), b"\x90OpusOpusHead"),
        (audio(AudioCodec::Opus, Config, b""), b"\x90Opus"),
        (audio(AudioCodec::Opus, Key, b"p"), b"\x91Opusp"),
        (audio(AudioCodec::Flac, End, b""), b"\x92fLaC"),
        (audio(AudioCodec::Ac3, Key, b"\x0B\x77"), b"\x91ac-3\x0B\x77"),
        (audio(AudioCodec::Eac3, SideConfig, b"\x01\x02\0\0\0\x03"), b"\x94ec-3\x01\x02\0\0\0\x03"),
        (audio(AudioCodec::Aac, End, b""), b"\x92mp4a"),
        (audio(AudioCodec::Mp3, Config, b""), b"\x90.mp3"),
        // Script.
        (data(Config, b"\x02\0\nonMetaData\x05"), b"\x02\0\nonMetaData\x05"),
        (data(Key, b"\x02\0\nonTextData\x05"), b"\x02\0\nonTextData\x05"),
    ];
    cases.extend(multitrack_and_mod_ex_cases());
    cases
}

fn multitrack_and_mod_ex_cases() -> Vec<(Frame, &'static [u8])> {
    use FrameKind::*;
    vec![
        (of_track(1, video(VideoCodec::H264, Config, 0, b"avcC")), &b"\x96\0avc1\x01avcC"[..]),
        (
            of_track(1, video(VideoCodec::H264, Delta, 40, NALU)),
            b"\xA6\x01avc1\x01\0\0\x28\0\0\0\x02\x65\x88",
        ),
        (of_track(255, video(VideoCodec::Av1, Delta, 0, b"o")), b"\xA6\x01av01\xFFo"),
        (of_track(2, video(VideoCodec::Hevc, SideConfig, 0, b"amf")), b"\x96\x04hvc1\x02amf"),
        (of_track(2, video(VideoCodec::Hevc, End, 0, b"")), b"\x96\x02hvc1\x02"),
        (of_track(1, audio(AudioCodec::Aac, Config, b"\x12\x10")), b"\x95\0mp4a\x01\x12\x10"),
        (of_track(1, audio(AudioCodec::Aac, Key, b"raw")), b"\x95\x01mp4a\x01raw"),
        (of_track(3, audio(AudioCodec::Mp3, Key, b"m")), b"\x95\x01.mp3\x03m"),
        (later_by_nanos(1, video(VideoCodec::Av1, Key, 0, b"o")), b"\x97\x02\0\0\x01\x01av01o"),
        (
            later_by_nanos(999_999, video(VideoCodec::H264, Delta, 40, b"n")),
            b"\xA7\x02\x0F\x42\x3F\x01avc1\0\0\x28n",
        ),
        (later_by_nanos(0x03_0201, audio(AudioCodec::Aac, Key, b"raw")), b"\x97\x02\x03\x02\x01\x01mp4araw"),
        (
            later_by_nanos(256, of_track(2, audio(AudioCodec::Opus, Key, b"p"))),
            b"\x97\x02\0\x01\0\x05\x01Opus\x02p",
        ),
    ]
}

#[test]
fn frames_and_bytes_agree_in_both_directions() {
    for (frame, bytes) in cases() {
        let tag = TagType::of(frame.codec);
        assert_eq!(encode_body(&frame, Dialect::FULL), (tag, Bytes::from_static(bytes)), "{frame:?}");
        let parsed = parse_body(tag, AT, Bytes::from_static(bytes));
        assert_eq!(parsed.as_deref(), Ok(&[frame][..]), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_every_player_reads_is_plain() {
    let table: &[(TagType, &[u8], bool)] = &[
        (TagType::Video, b"\x17\x01\0\0\0n", true),
        (TagType::Video, b"\x1C\x01\0\0\0n", false),
        (TagType::Video, b"\x91hvc1\0\0\0n", true),
        (TagType::Video, b"\x91hev1\0\0\0n", false),
        (TagType::Video, b"\x96\0hvc1\0n", false),
        (TagType::Video, b"\x97\x02\0\0\x01\x03hvc1n", false),
        (TagType::Audio, b"\xAF\x01raw", true),
        (TagType::Audio, b"\x91Opusp", true),
        (TagType::Audio, b"\x95\x01Opus\0p", false),
        // What has a legacy form leaves in it.
        (TagType::Video, b"\x90avc1avcC", false),
        (TagType::Video, b"\xA3avc1n", false),
        (TagType::Video, b"\xA3avc3n", false),
        (TagType::Video, b"\xD4avc1amf", true),
        (TagType::Audio, b"\x90mp4a\x12\x10", false),
        (TagType::Audio, b"\x91mp4araw", false),
        (TagType::Audio, b"\x92mp4a", true),
        (TagType::Audio, b"\x91.mp3m", false),
        (TagType::Script, b"\x02\0\nonMetaData\x05", false),
    ];
    for (tag, body, plain) in table {
        assert_eq!(is_plain(*tag, body), *plain, "{}", body.escape_ascii());
    }
}

/// Bodies that others write and we do not.
#[test]
fn other_forms_are_read() {
    use FrameKind::*;
    use VideoCodec::*;
    let table: &[(&[u8], Frame)] = &[
        (b"\x47\x01\0\0\0n", video(H264, Key, 0, b"n")),
        (b"\x17\x02", video(H264, End, 0, b"")),
        (b"\x17\0\0\0\x09\x01", video(H264, Config, 0, b"\x01")),
        (b"\x1C\0\0\0\0hvcC", video(Hevc, Config, 0, b"hvcC")),
        (b"\x2C\x01\0\0\x28n", video(Hevc, Delta, 40, b"n")),
        (b"\x1D\x01\0\0\x28o", video(Av1, Key, 0, b"o")),
        (b"\x90avc1avcC", video(H264, Config, 0, b"avcC")),
        (b"\x91avc1\0\0\0n", video(H264, Key, 0, b"n")),
        (b"\x90hev1hvcC", video(Hevc, Config, 0, b"hvcC")),
        (b"\xA3vp09p", video(Vp9, Delta, 0, b"p")),
        (b"\x94hvc1amf", video(Hevc, SideConfig, 0, b"amf")),
        (b"\x92hvc1 trailing", video(Hevc, End, 0, b"")),
        (b"\x96\x01avc1\0\0\0\0n", video(H264, Key, 0, b"n")),
    ];
    for (bytes, frame) in table {
        let parsed = parse_body(TagType::Video, AT, Bytes::from_static(bytes));
        assert_eq!(parsed.as_deref(), Ok(std::slice::from_ref(frame)), "{}", bytes.escape_ascii());
    }
    let table: &[(&[u8], Frame)] = &[
        (b"\xAE\x01raw", audio(AudioCodec::Aac, Key, b"raw")),
        (b"\xE2mp3", audio(AudioCodec::Mp3, Key, b"mp3")),
        (b"\x90mp4a\x12\x10", audio(AudioCodec::Aac, Config, b"\x12\x10")),
        (b"\x91.mp3m", audio(AudioCodec::Mp3, Key, b"m")),
    ];
    for (bytes, frame) in table {
        let parsed = parse_body(TagType::Audio, AT, Bytes::from_static(bytes));
        assert_eq!(parsed.as_deref(), Ok(std::slice::from_ref(frame)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_message_can_hold_many_tracks() {
    let same_codec = b"\xA6\x11hvc1\x00\0\0\x04\0\0\x28a\x05\0\0\x05\xFF\xFF\xFFbc";
    let frames = parse_body(TagType::Video, AT, Bytes::from_static(same_codec)).expect("valid");
    let expected = [
        video(VideoCodec::Hevc, FrameKind::Delta, 40, b"a"),
        of_track(5, video(VideoCodec::Hevc, FrameKind::Delta, -1, b"bc")),
    ];
    assert_eq!(frames[..], expected);

    let many_codecs = b"\x95\x20mp4a\x00\0\0\x02\x12\x10Opus\x01\0\0\0";
    let frames = parse_body(TagType::Audio, AT, Bytes::from_static(many_codecs)).expect("valid");
    let expected = [
        audio(AudioCodec::Aac, FrameKind::Config, b"\x12\x10"),
        of_track(1, audio(AudioCodec::Opus, FrameKind::Config, b"")),
    ];
    assert_eq!(frames[..], expected);
}

#[test]
fn a_message_holds_256_tracks_at_most() {
    let message = |tracks| Bytes::from([&b"\x95\x11Opus"[..], &b"\0\0\0\0".repeat(tracks)].concat());
    let frames = parse_body(TagType::Audio, AT, message(256)).expect("the limit");
    assert_eq!(frames.len(), 256);
    let error = parse_body(TagType::Audio, AT, message(257));
    assert_eq!(error, Err(Error::Malformed("more tracks than there are track ids")));
}

#[test]
fn an_unknown_codec_leaves_the_other_tracks_alone() {
    let body = b"\x95\x21abcd\x00\0\0\x01xOpus\x01\0\0\x01y";
    let frames = parse_body(TagType::Audio, AT, Bytes::from_static(body)).expect("one track is known");
    assert_eq!(frames[..], [of_track(1, audio(AudioCodec::Opus, FrameKind::Key, b"y"))]);

    let body = b"\x95\x21abcd\x00\0\0\x01x";
    let error = parse_body(TagType::Audio, AT, Bytes::from_static(body));
    assert_eq!(error, Err(Error::UnknownFourCc(FourCc(*b"abcd"))));
}

#[test]
fn extensions_nest_and_unknown_ones_are_skipped() {
    let mut body = b"\x97\0\xAA\x17\xFF\x01\x2B".to_vec();
    body.extend_from_slice(&[0; 0x12C]);
    body.extend_from_slice(b"\x27\x03\0\0\x07\xEE\x01av01o");
    let frames = parse_body(TagType::Video, AT, Bytes::from(body)).expect("valid");
    assert_eq!(frames[..], [later_by_nanos(7, video(VideoCodec::Av1, FrameKind::Key, 0, b"o"))]);
}

#[test]
fn some_messages_say_nothing_about_a_live_stream() {
    let table: &[(TagType, &[u8])] = &[
        (TagType::Video, b"\x57\0"),
        (TagType::Video, b"\x52\x01"),
        (TagType::Video, b"\xD1\x01"),
        (TagType::Video, b"\xD7\x02\0\0\x01\x01\0"),
        (TagType::Script, b"\x02\0\x11|RtmpSampleAccess\x01\0\x01\0"),
        (TagType::Script, b"\x02\0\x0F@clearDataFrame\x02\0\nonMetaData"),
        (TagType::Video, b"\x96\x11hvc1"),
        (TagType::Video, b"\x17\0\0\0\0"),
        (TagType::Video, b"\x90hvc1"),
        (TagType::Audio, b"\xAF\0"),
        (TagType::Audio, b"\x90mp4a"),
    ];
    for &(tag, body) in table {
        let frames = parse_body(tag, AT, Bytes::from_static(body));
        assert_eq!(frames.as_deref(), Ok(&[][..]), "{}", body.escape_ascii());
    }
}

#[test]
fn errors_say_what_is_wrong() {
    use Error::{Malformed, Truncated, UnknownFourCc, UnknownPacketType};
    let unknown = |what, packet_type| UnknownPacketType { what, packet_type };
    let table: &[(TagType, &[u8], Error)] = &[
        (TagType::Video, b"", Truncated("video header")),
        (TagType::Video, b"\x17", Truncated("AVC packet type")),
        (TagType::Video, b"\x17\x01\0\0", Truncated("composition time")),
        (TagType::Video, b"\x17\x03\0\0\0", unknown("AVC", 3)),
        (TagType::Video, b"\x67\x01\0\0\0", Malformed("a reserved video frame type")),
        (TagType::Video, b"\x02", Malformed("a reserved video frame type")),
        (TagType::Video, b"\x90hvc", Truncated("FourCC")),
        (TagType::Video, b"\x91wxyz", UnknownFourCc(FourCc(*b"wxyz"))),
        (TagType::Video, b"\x91Opusx", UnknownFourCc(FourCc(*b"Opus"))),
        (TagType::Video, b"\x9Fhvc1", unknown("video", 15)),
        (TagType::Video, b"\x95av01\x81", unknown("video", 5)),
        (TagType::Video, b"\x95vp09\x80", unknown("video", 5)),
        (TagType::Video, b"\x97", Truncated("ModEx size")),
        (TagType::Video, b"\x97\xFF\0", Truncated("ModEx size")),
        (TagType::Video, b"\x97\x02\0\0", Truncated("ModEx data")),
        (TagType::Video, b"\x97\x02\0\0\0", Truncated("ModEx type")),
        (TagType::Video, b"\x97\x01\0\0\x01av01", Truncated("nanosecond offset")),
        (
            TagType::Video,
            b"\x97\x02\x0F\x42\x40\x01av01",
            Malformed("a nanosecond offset of a millisecond or more"),
        ),
        (TagType::Video, b"\x96", Truncated("multitrack type")),
        (TagType::Video, b"\x96\x06", Malformed("a multitrack message inside a multitrack message")),
        (TagType::Video, b"\x96\x07", Malformed("a multitrack message inside a multitrack message")),
        (TagType::Video, b"\x96\x31avc1", Malformed("a reserved multitrack type")),
        (TagType::Video, b"\x96\x01avc1", Truncated("track id")),
        (TagType::Video, b"\x96\x11avc1\0\0\0", Truncated("track size")),
        (TagType::Video, b"\x96\x11avc1\0\0\0\x09n", Truncated("track")),
        (TagType::Audio, b"\xAF", Truncated("AAC packet type")),
        (TagType::Audio, b"\xAF\x02x", unknown("AAC", 2)),
        (TagType::Audio, b"\x93Opus", unknown("audio", 3)),
        (TagType::Audio, b"\x91avc1", UnknownFourCc(FourCc(*b"avc1"))),
        (TagType::Script, b"", Truncated("method name")),
        (TagType::Script, b"\x02\0\x09x", Truncated("method name")),
        (TagType::Script, b"\0x", Malformed("a script message that does not begin with a name")),
    ];
    for (tag, body, error) in table {
        let parsed = parse_body(*tag, AT, Bytes::from_static(body));
        assert_eq!(parsed.as_ref(), Err(error), "{}", body.escape_ascii());
    }
}

#[test]
fn a_plain_player_gets_the_default_track_and_whole_milliseconds() {
    let frame = later_by_nanos(600_000, of_track(1, video(VideoCodec::H264, FrameKind::Key, 0, b"n")));
    let frame = Frame { cts: TimeDelta::from_nanos(40_500_000), ..frame };
    let (_, plain) = encode_body(&frame, Dialect::PLAIN);
    assert_eq!(plain[..], b"\x17\x01\0\0\x29n"[..], "1000.6 + 40.5 ms is shown at 1041 ms");
    let (_, file) = encode_body(&frame, Dialect::FILE);
    assert_eq!(file[..], b"\x96\x01avc1\x01\0\0\x29n"[..]);
}

#[test]
fn a_composition_time_beyond_24_bits_is_clamped() {
    let table = [(i64::MAX, *b"\x7F\xFF\xFF"), (i64::MIN, *b"\x80\0\0")];
    for (nanos, wire) in table {
        let mut frame = video(VideoCodec::H264, FrameKind::Key, 0, b"");
        frame.cts = TimeDelta::from_nanos(nanos);
        assert_eq!(encode_body(&frame, Dialect::PLAIN).1[2..], wire);
    }
}

#[test]
fn payloads_are_slices_of_the_body() {
    let body = Bytes::from_static(b"\x96\x01avc1\x01\0\0\0payload");
    let frames = parse_body(TagType::Video, AT, body.clone()).expect("valid");
    assert_eq!(frames[0].payload.as_ptr(), body[10..].as_ptr());
}

#[test]
fn a_publishers_prefix_comes_and_goes() {
    let message = Bytes::from_static(b"\x02\0\nonMetaData\x05");
    let prefixed = set_data_frame(&message);
    assert_eq!(prefixed[..], b"\x02\0\x0D@setDataFrame\x02\0\nonMetaData\x05"[..]);
    assert_eq!(strip_set_data_frame(prefixed.clone()), message);
    assert_eq!(strip_set_data_frame(message.clone()), message);
    let frames = parse_body(TagType::Script, AT, prefixed.clone()).expect("valid");
    assert_eq!(frames[..], [data(FrameKind::Config, b"\x02\0\nonMetaData\x05")]);
    assert_eq!(frames[0].payload.as_ptr(), prefixed[16..].as_ptr());
}

/// Any frame Enhanced RTMP can say.
pub(super) fn any_frame() -> impl Strategy<Value = Frame> {
    let kinds = [
        FrameKind::Config,
        FrameKind::SideConfig,
        FrameKind::Key,
        FrameKind::Delta,
        FrameKind::Disposable,
        FrameKind::End,
    ];
    let codecs = [b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09"];
    let codecs = codecs.into_iter().chain([b"mp4a", b".mp3", b"Opus", b"fLaC", b"ac-3", b"ec-3"]);
    let codecs: Vec<Codec> = codecs.filter_map(|name| FourCc(*name).codec()).collect();
    let payload = proptest::collection::vec(any::<u8>(), 1..40);
    let codec = proptest::sample::select(codecs);
    let kind = proptest::sample::select(kinds.to_vec());
    let cts = -8_388_608i64..8_388_608;
    (codec, kind, any::<u8>(), any::<u32>(), 0..1_000_000i64, cts, payload).prop_map(
        |(codec, kind, index, millis, nanos, cts, payload)| {
            let is_video = matches!(codec, Codec::Video(_));
            let kind = match kind {
                FrameKind::Delta | FrameKind::Disposable if !is_video => FrameKind::Key,
                kind => kind,
            };
            let has_cts = matches!(codec, Codec::Video(video) if video.uses_nal_units());
            let is_coded = matches!(kind, FrameKind::Key | FrameKind::Delta | FrameKind::Disposable);
            let media = if is_video { MediaKind::Video } else { MediaKind::Audio };
            Frame {
                track: TrackId { kind: media, index },
                codec,
                kind,
                dts: Timestamp::from_millis(millis.into()) + TimeDelta::from_nanos(nanos),
                cts: TimeDelta::from_millis(if has_cts && is_coded { cts } else { 0 }),
                payload: if kind == FrameKind::End { Bytes::new() } else { payload.into() },
            }
        },
    )
}

proptest! {
    #[test]
    fn encoding_loses_nothing(frame in any_frame()) {
        let (tag, body) = encode_body(&frame, Dialect::FULL);
        let millis = Timestamp::from_millis(frame.dts.to_wire().into());
        let parsed = parse_body(tag, millis, body);
        prop_assert_eq!(parsed.as_deref(), Ok(&[frame][..]));
    }

    #[test]
    fn damaged_bodies_hold(
        case in 0..cases().len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (frame, bytes) = &cases()[case];
        let choice = match TagType::of(frame.codec) {
            TagType::Audio => 0,
            TagType::Video => 1,
            TagType::Script => 2,
        };
        let mut data = [&[choice], *bytes].concat();
        for (at, byte) in damage {
            let at = at.index(data.len());
            data[at] = byte;
        }
        crate::fuzz::flv_body(&data);
    }

    #[test]
    fn a_header_fits_inline(frame in any_frame()) {
        prop_assert!(!encode_body_header(&frame, Dialect::FULL).1.spilled());
    }
}
