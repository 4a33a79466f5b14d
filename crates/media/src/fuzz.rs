//! Bodies of the fuzz targets: invariants that hold for any bytes. Plain tests call them too, so they cannot rot.

use bytes::{Bytes, BytesMut};

use crate::flv::{
    Demuxer, Dialect, Metadata, Reader, Scan, ScriptEvent, Step, TagType, encode_body, parse_body,
};
use crate::mp4::recording::{Completion, Recording};
use crate::mp4::write::{Run, Sample, Sampler, TrackFormat, fragment, init_segment};
use crate::mp4::{BoxHeader, Movie};
use crate::nalu::{self, NalFormat};
use crate::ts::demux::Demuxer as TsDemuxer;
use crate::ts::{ElementaryStream, Muxer};
use crate::{
    AudioCodec, Codec, Frame, FrameKind, ParameterSets, TimeDelta, Timestamp, TrackId, TrackInfo, VideoCodec,
    aac, adts, describe, describe_frame, opus,
};

/// A body that parses can be written and parses to the same frames; payloads never exceed what came in.
///
/// The first byte chooses the tag type.
pub fn flv_body(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else { return };
    let tag = [TagType::Audio, TagType::Video, TagType::Script][usize::from(choice) % 3];
    let at = Timestamp::from_millis(choice.into());
    let Ok(frames) = parse_body(tag, at, Bytes::copy_from_slice(body)) else { return };
    assert!(frames.iter().map(|frame| frame.payload.len()).sum::<usize>() <= body.len());
    for frame in frames {
        let (tag_again, body) = encode_body(&frame, Dialect::FULL);
        assert_eq!(tag_again, tag);
        assert_eq!(parse_body(tag, at, body).as_deref(), Ok(&[frame][..]));
    }
}

/// A file reads the same in one piece and in many, and gives no more than came in.
///
/// The first byte is the size of the pieces.
pub fn flv_file(data: &[u8]) {
    let Some((&piece, file)) = data.split_first() else { return };
    let (mut whole, mut input) = (Reader::new(), BytesMut::from(file));
    let tags: Vec<_> = std::iter::from_fn(|| whole.next_tag(&mut input).ok().flatten()).collect();
    let (mut pieces, mut input, mut again) = (Reader::new(), BytesMut::new(), Vec::new());
    for piece in file.chunks(usize::from(piece).max(1)) {
        input.extend_from_slice(piece);
        again.extend(std::iter::from_fn(|| pieces.next_tag(&mut input).ok().flatten()));
    }
    assert_eq!(again, tags);
    assert_eq!(whole.header(), pieces.header());
    assert!(tags.iter().map(|tag| tag.body.len()).sum::<usize>() <= file.len());

    let (mut demuxer, mut input) = (Demuxer::new(), BytesMut::from(file));
    while let Ok(Some(frame)) = demuxer.next_frame(&mut input) {
        assert!(frame.payload.len() <= file.len());
    }
    assert!(demuxer.unreadable_tags() <= tags.len() as u64);

    let mut scan = Scan::new();
    let step = |scan: &mut Scan| {
        let head = file.get(scan.head_at() as usize..).unwrap_or_default();
        scan.step(head, file.len() as u64)
    };
    let mut end = 0;
    while let Step::Tag(place) = step(&mut scan) {
        assert!(place.position >= end);
        end = place.body_at() + place.body_len as u64;
        assert!(end <= file.len() as u64);
    }
}

/// A movie, or a fragment after a fixed one, gives no configuration larger than itself (`OpusHead` has eight bytes more
/// than its box); walking through what it claims to hold does not panic.
pub fn mp4(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    let Ok(mut movie) = Movie::parse(data.clone()) else { return };
    for track in movie.tracks() {
        assert!(track.config().len() <= data.len() + 8);
    }
    let samples: Vec<_> = movie.samples().take(1000).collect();
    for sample in &samples {
        let track = movie.track(sample.track).expect("samples have a track of the movie");
        assert_eq!(track.frame(sample, Bytes::new()).dts, sample.dts);
    }
    let _ = (movie.duration(), movie.is_fragmented());
    if let Ok(samples) = movie.fragment(data, 0) {
        assert!(samples.is_sorted_by_key(|sample| sample.dts));
    }
}

/// Frames of any bytes make a transport stream that a strict reader takes, in which no frame of sound changes.
///
/// The first byte chooses the codec of the pictures and the size of the frames.
pub fn ts(data: &[u8]) {
    let Some((&choice, frames)) = data.split_first() else { return };
    let stream = |codec, config: &'static [u8]| {
        let config = Bytes::from_static(config);
        let format = TrackFormat::new(codec, &config, None).expect("there is a configuration");
        ElementaryStream::new(&format, &config).expect("the codec has its place")
    };
    let video = if choice & 1 == 0 { VideoCodec::H264 } else { VideoCodec::Hevc };
    let pictures = stream(Codec::Video(video), &[1; 23]);
    let mut muxer =
        Muxer::new(vec![(1, pictures), (2, stream(Codec::Audio(AudioCodec::Aac), &[0x11, 0x90]))]);
    let mut demuxer = TsDemuxer::default();
    let sample = |(index, frame): (usize, &[u8])| Sample {
        dts: 1024 * index as u64,
        duration: 1024,
        cts: (i32::from(frame[0]) - 64) << 10,
        kind: if index % 3 == 0 { FrameKind::Key } else { FrameKind::Delta },
        payload: Bytes::copy_from_slice(frame),
    };
    let samples: Vec<_> = frames.chunks(32).enumerate().map(sample).collect();
    for samples in samples.chunks(1 + usize::from(choice >> 1)) {
        let runs = [1, 2].map(|track| Run { track, samples });
        let read = demuxer.read(&muxer.segment(&runs));
        assert!(read.units.iter().all(|unit| unit.pid != 0x100 || unit.payload.starts_with(&[0, 0, 0, 1])));
        let sounds = read.units.iter().filter(|unit| unit.pid == 0x101);
        let frames = sounds.flat_map(|unit| adts::frames(&Bytes::copy_from_slice(&unit.payload)));
        assert!(frames.map(|frame| frame.payload).eq(samples.iter().map(|sample| sample.payload.clone())));
    }
}

/// What is written is read back as it was: an init segment of any format that can be written, and a fragment after it.
///
/// The first byte chooses the codec, the second one how much of the rest is the configuration; what remains is the frame.
pub fn mp4_write(data: &[u8]) {
    let Some((&[choice, config], rest)) = data.split_first_chunk() else { return };
    let video = [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Vvc, VideoCodec::Av1, VideoCodec::Vp8];
    let video = video.into_iter().chain([VideoCodec::Vp9, VideoCodec::Legacy(2)]).map(Codec::Video);
    let audio = [AudioCodec::Aac, AudioCodec::Opus, AudioCodec::Flac, AudioCodec::Ac3, AudioCodec::Eac3];
    let audio = audio.into_iter().chain([AudioCodec::Mp3, AudioCodec::Legacy(2)]).map(Codec::Audio);
    let codecs: Vec<_> = video.chain(audio).collect();
    let codec = codecs[usize::from(choice) % codecs.len()];
    let (config, frame) = rest.split_at(usize::from(config).min(rest.len()));
    let (config, frame) = (Bytes::copy_from_slice(config), Bytes::copy_from_slice(frame));
    let Ok(format) = TrackFormat::new(codec, &config, Some(&frame)) else { return };
    assert!(format.timescale() > 0);

    let init = init_segment(&[(7, &format)]);
    let ftyp = BoxHeader::parse(&init).expect("a box").expect("a whole one").size.expect("it is known");
    let mut movie = Movie::parse(init.slice(ftyp as usize + 8..)).expect("what was written is read");
    let id = movie.tracks()[0].id();
    assert_eq!(movie.tracks()[0].codec(), codec);
    assert!(movie.tracks()[0].config().len() <= data.len() + 64);

    let mut sampler = Sampler::new(&format, Timestamp::ZERO);
    let times = [i64::from(choice) - 128, i64::from(choice), 40];
    let frames = times.map(|millis| Frame {
        track: id,
        codec,
        kind: FrameKind::Key,
        dts: Timestamp::from_millis(millis),
        cts: TimeDelta::from_millis(40 - millis),
        payload: frame.clone(),
    });
    let mut samples: Vec<_> = frames.iter().filter_map(|frame| sampler.push(frame)).collect();
    samples.extend(sampler.finish());
    let bytes = Bytes::from(fragment(1, &[Run { track: 7, samples: &samples }]).concat());
    let Ok(Some(header)) = BoxHeader::parse(&bytes) else {
        assert!(samples.is_empty());
        return;
    };
    let moof = bytes.slice(8..header.size.expect("it is known") as usize);
    let read = movie.fragment(moof, 0).expect("what was written is read");
    assert_eq!(read.len(), samples.len());
    for (read, written) in read.iter().zip(&samples) {
        let place = read.offset as usize..read.offset as usize + read.size as usize;
        assert_eq!(bytes.slice(place), written.payload);
    }
}

/// Any file is a recording that can be completed, or is left alone; a completed one is left alone too.
///
/// The bytes follow the head of a recording.
pub fn mp4_recording(data: &[u8]) {
    let config = Bytes::from_static(&[0x11, 0x90]);
    let format = TrackFormat::new(Codec::Audio(AudioCodec::Aac), &config, None).expect("a configuration");
    let (_, head) = Recording::begin(Timestamp::ZERO, &[(TrackId::AUDIO, format)]);
    let complete = |file: &[u8]| {
        let mut completion = Completion::new(file.len() as u64);
        while let Some(wanted) = completion.wants() {
            let rest = file.get(wanted.offset as usize..).unwrap_or_default();
            let bytes = Bytes::copy_from_slice(&rest[..wanted.len.min(rest.len())]);
            completion.read(bytes).ok()?;
        }
        completion.finish()
    };
    assert_eq!(complete(data), None);
    let mut file = [&head, data].concat();
    let Some(completed) = complete(&file) else { return };
    assert!(completed.file_len <= file.len() as u64);
    assert!(completed.tail.len() <= head.len() + 64 * file.len());
    file.truncate(completed.file_len as usize);
    file.extend(&completed.tail);
    let at = completed.patch.offset as usize;
    file[at..at + completed.patch.bytes.len()].copy_from_slice(&completed.patch.bytes);
    assert_eq!(complete(&file), None);
}

/// Metadata that was read and written says the same when it is read again; no getter panics. As an event, it says
/// no more than its limits allow.
pub fn flv_metadata(data: &[u8]) {
    if let Some(event) = ScriptEvent::parse(data) {
        let size: usize = event.properties.iter().map(|(name, text)| name.len() + text.len()).sum();
        assert!(event.name.len() + size <= 256 << 10);
    }
    let Ok(metadata) = Metadata::parse(data) else { return };
    let (video, audio) = (metadata.track(TrackId::VIDEO), metadata.track(TrackId::AUDIO));
    let _ = (video.video_codec(), video.width(), video.height(), video.frame_rate(), video.video_data_rate());
    let _ = (audio.audio_codec(), audio.sample_rate(), audio.channels(), audio.audio_data_rate());
    let _ = (metadata.encoder(), metadata.duration());
    let message = metadata.to_message();
    if let Ok(again) = Metadata::parse(&message) {
        assert_eq!(again.to_message(), message);
    }
}

/// A record gives facts that can be true and parameter sets that survive being written into a new record.
pub fn h264_config(data: &[u8]) {
    nal_config(VideoCodec::H264, data);
    let sets = ParameterSets::of_config(VideoCodec::H264, &Bytes::copy_from_slice(data));
    let Some(record) = sets.to_avcc() else { return };
    assert_eq!(ParameterSets::of_config(VideoCodec::H264, &record), sets);
    assert_eq!(NalFormat::of_config(VideoCodec::H264, &record).length_size(), 4);
    describes_plausibly(Codec::Video(VideoCodec::H264), &record);
}

/// A record gives facts that can be true.
pub fn hevc_config(data: &[u8]) {
    nal_config(VideoCodec::Hevc, data);
    let sets = ParameterSets::of_config(VideoCodec::Hevc, &Bytes::copy_from_slice(data));
    let found = [&sets.vps, &sets.sps, &sets.pps].into_iter().flatten();
    assert!(found.map(Bytes::len).sum::<usize>() <= data.len());
}

/// A record gives facts that can be true.
pub fn vvc_config(data: &[u8]) {
    nal_config(VideoCodec::Vvc, data);
}

/// A record gives facts that can be true.
pub fn av1_config(data: &[u8]) {
    describes_plausibly(Codec::Video(VideoCodec::Av1), data);
}

/// A record gives facts that can be true.
pub fn vpx_config(data: &[u8]) {
    describes_plausibly(Codec::Video(VideoCodec::Vp8), data);
    describes_plausibly(Codec::Video(VideoCodec::Vp9), data);
}

/// A configuration gives facts that can be true; its core and that of an ADTS header survive being written.
pub fn aac_config(data: &[u8]) {
    describes_plausibly(Codec::Audio(AudioCodec::Aac), data);
    let parsed = aac::AudioSpecificConfig::parse(data).ok().map(|config| config.core);
    let payload = Bytes::copy_from_slice(data);
    let frames: Vec<_> = adts::frames(&payload).collect();
    assert!(frames.iter().map(|frame| frame.payload.len()).sum::<usize>() <= data.len());
    for core in frames.into_iter().map(|frame| frame.core).chain(parsed) {
        let Some(config) = core.to_config() else { continue };
        let again = aac::AudioSpecificConfig::parse(&config).expect("what was written parses");
        assert_eq!(again.core, core);
    }
}

/// Headers of Opus and FLAC give facts that can be true.
pub fn audio_config(data: &[u8]) {
    describes_plausibly(Codec::Audio(AudioCodec::Opus), data);
    describes_plausibly(Codec::Audio(AudioCodec::Flac), data);
}

/// A frame of any codec gives facts that can be true.
pub fn frame_header(data: &[u8]) {
    let video = [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1, VideoCodec::Vp8, VideoCodec::Vp9];
    let audio = [AudioCodec::Opus, AudioCodec::Mp3, AudioCodec::Ac3, AudioCodec::Eac3];
    for codec in video.map(Codec::Video).into_iter().chain(audio.map(Codec::Audio)) {
        if let Ok(info) = describe_frame(codec, data) {
            assert_plausible(&info);
        }
    }
    assert!(opus::packet_samples(data).is_none_or(|samples| (120..=5760).contains(&samples)));
}

/// Normalising a frame loses no unit, bounds its size, and changes nothing the second time.
///
/// The first byte chooses the codec and the size of lengths.
pub fn nalu(data: &[u8]) {
    let Some((&choice, frame)) = data.split_first() else { return };
    let codec = [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Vvc][usize::from(choice >> 2) % 3];
    let mut record = [0xFF; 22];
    record[if codec == VideoCodec::H264 { 4 } else { 21 }] = choice;
    record[0] = if codec == VideoCodec::Vvc { 0xF8 | choice << 1 } else { 1 };
    let (format, normal_format) = (NalFormat::of_config(codec, &record), NalFormat::new(codec));
    assert_eq!(format.length_size(), usize::from(choice & 3) + 1);

    let frame = Bytes::copy_from_slice(frame);
    let normal = format.normalise(&frame);
    assert!(normal.len() <= 3 * frame.len());
    assert!(normal_format.units(&normal).eq(format.units(&frame)));
    assert_eq!(normal_format.normalise(&normal).as_ptr(), normal.as_ptr());
    assert_eq!(format.frame_kind(&frame).is_none(), normal_format.frame_kind(&normal).is_none());
    ParameterSets::of_frame(format, &frame);
}

/// What holds for the record of any codec of NAL units.
fn nal_config(codec: VideoCodec, data: &[u8]) {
    describes_plausibly(Codec::Video(codec), data);
    let config = Bytes::copy_from_slice(data);
    let normal = nalu::normalise_config(codec, &config);
    assert_eq!(nalu::normalise_config(codec, &normal), normal);
    assert_eq!(NalFormat::of_config(codec, &normal).length_size(), 4);
}

fn describes_plausibly(codec: Codec, config: &[u8]) {
    if let Ok(info) = describe(codec, config) {
        assert_eq!(info.codec(), codec);
        assert_plausible(&info);
    }
}

/// Every fact is within the range its documentation promises.
fn assert_plausible(info: &TrackInfo) {
    match info {
        TrackInfo::Video(info) => {
            assert!(info.resolution.is_none_or(|size| size.width > 0 && size.height > 0), "{info:?}");
            assert!(info.frame_rate.is_none_or(|rate| rate.is_finite() && rate > 0.0), "{info:?}");
            assert!(info.bit_depth.is_none_or(|bits| (8..=16).contains(&bits)), "{info:?}");
            assert!(info.max_reorder.is_none_or(|frames| frames <= 16), "{info:?}");
        }
        TrackInfo::Audio(info) => {
            assert!(info.sample_rate != Some(0) && info.channels != Some(0), "{info:?}");
            assert!(info.samples_per_frame != Some(0), "{info:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: &[(&str, Target)] = &[
        ("flv_body", flv_body),
        ("flv_file", flv_file),
        ("flv_metadata", flv_metadata),
        ("mp4_write", mp4_write),
        ("mp4_recording", mp4_recording),
        ("h264_config", h264_config),
        ("hevc_config", hevc_config),
        ("vvc_config", vvc_config),
        ("av1_config", av1_config),
        ("vpx_config", vpx_config),
        ("aac_config", aac_config),
        ("audio_config", audio_config),
        ("frame_header", frame_header),
        ("nalu", nalu),
        ("ts", ts),
    ];

    #[test]
    fn findings_stay_fixed() {
        for (name, target) in TARGETS {
            let folder = format!("{}/testdata/fuzz/{name}", env!("CARGO_MANIFEST_DIR"));
            // A target without findings has no folder.
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("a readable folder").path();
                target(&std::fs::read(path).expect("a readable file"));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_hold(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, target) in TARGETS {
                target(&data);
            }
        }
    }
}
