//! What `onMetaData` says about a stream (FLV annex E.5, E-RTMP v2 "Enhancing onMetaData").

use bytes::Bytes;
use flumen_amf0::{Decoder, Limits, Object, Value, encode_all};

use super::Error;
use crate::{AudioCodec, FourCc, MediaKind, Timestamp, TrackId, VideoCodec};

/// The properties of an `onMetaData` message.
///
/// Hints for people, nothing more: encoders leave it out, send it late and describe tracks that never come. Tracks are
/// what the media says they are. Every getter gives `None` for what is missing, of a strange type or out of range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    properties: Object,
}

/// What [`Metadata`] says about one track: the track's own entry in `videoTrackIdInfoMap` or `audioTrackIdInfoMap`
/// first, then the properties of the stream, because entries may tell only what differs.
#[derive(Clone, Copy, Debug)]
pub struct TrackMetadata<'a> {
    own: Option<&'a Object>,
    shared: &'a Object,
}

/// The `keyframes` index of a recorded file has two numbers per key frame: 30 000 of them are 16 hours at 2 s.
const LIMITS: Limits = Limits { depth: 64, nodes: 65_536, bytes: 1 << 20 };

/// What describes a file as a whole. In a live stream, or in another file, it would be wrong.
const FILE_PROPERTIES: [&str; 14] = [
    "duration",
    "filesize",
    "datasize",
    "videosize",
    "audiosize",
    "hasVideo",
    "hasAudio",
    "hasMetadata",
    "hasKeyframes",
    "canSeekToEnd",
    "lasttimestamp",
    "lastkeyframetimestamp",
    "lastkeyframelocation",
    "keyframes",
];

impl Metadata {
    /// Reads an `onMetaData` message, with or without `@setDataFrame` before it, its properties an object or an ECMA
    /// array.
    ///
    /// # Errors
    /// If the message is no AMF0, or holds no properties.
    pub fn parse(message: &[u8]) -> Result<Self, Error> {
        let mut decoder = Decoder::new(message).with_limits(LIMITS);
        while let Some(value) =
            decoder.next_value().map_err(|_| Error::Malformed("metadata that is no AMF0"))?
        {
            match value.into_amf0() {
                Value::Object(properties) | Value::EcmaArray(properties) => return Ok(Self { properties }),
                _ => {}
            }
        }
        Err(Error::Truncated("metadata"))
    }

    /// The properties, in the order they were sent.
    pub fn properties(&self) -> &Object {
        &self.properties
    }

    /// The properties, to be changed.
    pub fn properties_mut(&mut self) -> &mut Object {
        &mut self.properties
    }

    /// Removes what describes a file as a whole: duration, sizes, the key frame index. For publishing a file live, and
    /// for recording the stream of somebody who published one.
    pub fn remove_file_properties(&mut self) {
        for name in FILE_PROPERTIES {
            self.properties.remove(name);
        }
    }

    /// As a script message: `onMetaData` and an ECMA array.
    pub fn to_message(&self) -> Bytes {
        encode_all(&["onMetaData".into(), Value::EcmaArray(self.properties.clone())]).into()
    }

    /// The program that made the stream.
    pub fn encoder(&self) -> Option<&str> {
        self.properties.get("encoder")?.as_str()
    }

    /// How long the file is, in seconds; live streams say 0 or nothing.
    pub fn duration(&self) -> Option<f64> {
        self.default_track().number(&["duration"])
    }

    /// The key frame index of a finished recording: where the tags of key frames begin, and when they are decoded, in the
    /// order of the file. Empty if there is none, or it makes no sense.
    pub fn key_frames(&self) -> Vec<(u64, Timestamp)> {
        let index = self.properties.get("keyframes").and_then(Value::as_object);
        let numbers =
            |name| index.and_then(|index| index.get(name)).and_then(Value::as_array).unwrap_or_default();
        let (positions, times) = (numbers("filepositions"), numbers("times"));
        let entries = positions.iter().zip(times).map(|(position, time)| {
            let (position, seconds) = (position.as_number()?, time.as_number()?);
            // More is in no file, and lasts longer than any.
            let makes_sense = (0.0..1e15).contains(&position) && (0.0..1e9).contains(&seconds);
            makes_sense.then(|| (position as u64, Timestamp::from_millis((seconds * 1e3).round() as i64)))
        });
        let entries: Option<Vec<_>> = entries.collect();
        entries.filter(|_| positions.len() == times.len()).unwrap_or_default()
    }

    /// What is said about `track`.
    pub fn track(&self, track: TrackId) -> TrackMetadata<'_> {
        let map = match track.kind {
            MediaKind::Video => "videoTrackIdInfoMap",
            MediaKind::Audio => "audioTrackIdInfoMap",
            MediaKind::Data => return self.default_track(),
        };
        let entries = self.properties.get(map).and_then(Value::as_object);
        let own =
            entries.and_then(|entries| entries.get(&track.index.to_string())).and_then(Value::as_object);
        TrackMetadata { own, shared: &self.properties }
    }

    fn default_track(&self) -> TrackMetadata<'_> {
        TrackMetadata { own: None, shared: &self.properties }
    }
}

impl From<Object> for Metadata {
    fn from(properties: Object) -> Self {
        Self { properties }
    }
}

impl<'a> TrackMetadata<'a> {
    /// The video codec: a `CodecID`, or a FourCC as number or text.
    pub fn video_codec(&self) -> Option<VideoCodec> {
        match self.codec_id("videocodecid")? {
            CodecId::Legacy(id) => Some(VideoCodec::from_flv_id(id)),
            CodecId::FourCc(fourcc) => VideoCodec::from_fourcc(fourcc),
        }
    }

    /// The audio codec: a `SoundFormat`, or a FourCC as number or text.
    pub fn audio_codec(&self) -> Option<AudioCodec> {
        match self.codec_id("audiocodecid")? {
            CodecId::Legacy(id) => Some(AudioCodec::from_flv_id(id)),
            CodecId::FourCc(fourcc) => AudioCodec::from_fourcc(fourcc),
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> Option<u32> {
        self.count(&["width"])
    }

    /// Height in pixels.
    pub fn height(&self) -> Option<u32> {
        self.count(&["height"])
    }

    /// Frames per second.
    pub fn frame_rate(&self) -> Option<f64> {
        self.number(&["framerate", "fps", "videoframerate"])
    }

    /// Video bit rate in kbit/s.
    pub fn video_data_rate(&self) -> Option<f64> {
        self.number(&["videodatarate"])
    }

    /// Audio bit rate in kbit/s.
    pub fn audio_data_rate(&self) -> Option<f64> {
        self.number(&["audiodatarate"])
    }

    /// Audio samples per second.
    pub fn sample_rate(&self) -> Option<u32> {
        self.count(&["audiosamplerate", "samplerate"])
    }

    /// Audio channels.
    pub fn channels(&self) -> Option<u32> {
        let stereo = || self.get("stereo")?.as_bool().map(|stereo| 1 + u32::from(stereo));
        self.count(&["audiochannels", "channels"]).or_else(stereo)
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.own.and_then(|own| own.get(name)).or_else(|| self.shared.get(name))
    }

    /// The first positive number under one of `names`, the track's own before the stream's.
    ///
    /// Interop: some encoders send numbers as text.
    fn number(&self, names: &[&str]) -> Option<f64> {
        let sources = self.own.into_iter().chain([self.shared]);
        let mut values = sources.flat_map(|source| names.iter().filter_map(|name| source.get(name)));
        values.find_map(|value| {
            let number = value.as_number().or_else(|| value.as_str()?.trim().parse().ok())?;
            (number.is_finite() && number > 0.0).then_some(number)
        })
    }

    /// A number that counts something: a million at most, or it is nonsense.
    fn count(&self, names: &[&str]) -> Option<u32> {
        self.number(names).filter(|number| (1.0..=1e6).contains(number)).map(|number| number.round() as u32)
    }

    fn codec_id(&self, name: &str) -> Option<CodecId> {
        let value = self.get(name)?;
        if let Some(text) = value.as_str() {
            return Some(CodecId::FourCc(FourCc(text.as_bytes().try_into().ok()?)));
        }
        let number = value.as_number().filter(|number| (0.0..=f64::from(u32::MAX)).contains(number))? as u32;
        Some(match u8::try_from(number) {
            Ok(id) if id < 16 => CodecId::Legacy(id),
            _ => CodecId::FourCc(FourCc::from_u32(number)),
        })
    }
}

enum CodecId {
    Legacy(u8),
    FourCc(FourCc),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(fourcc: FourCc) -> Value {
        Value::from(fourcc.to_u32())
    }

    #[test]
    fn objects_and_arrays_are_read_with_and_without_the_prefix() {
        let properties = Object::new().with("width", 1280.0).with("encoder", "some encoder");
        for value in [Value::Object(properties.clone()), Value::EcmaArray(properties.clone())] {
            for names in [&["onMetaData"][..], &["@setDataFrame", "onMetaData"]] {
                let names = names.iter().map(|name| Value::from(*name));
                let message = encode_all(&names.chain([value.clone()]).collect::<Vec<_>>());
                let metadata = Metadata::parse(&message).expect("valid");
                assert_eq!(metadata.properties(), &properties);
                assert_eq!(metadata.encoder(), Some("some encoder"));
                assert_eq!(Metadata::parse(&metadata.to_message()), Ok(metadata));
            }
        }
    }

    #[test]
    fn codecs_are_named_in_many_ways() {
        let table = [
            (Value::Number(7.0), Some(VideoCodec::H264)),
            (Value::Number(12.0), Some(VideoCodec::Hevc)),
            (number(FourCc::AV1), Some(VideoCodec::Av1)),
            (Value::from("hvc1"), Some(VideoCodec::Hevc)),
            (Value::from("av01"), Some(VideoCodec::Av1)),
            (Value::from("H.264"), None),
            (Value::Number(-1.0), None),
            (Value::Number(f64::NAN), None),
            (Value::Number(1e300), None),
            (Value::Null, None),
        ];
        for (value, codec) in table {
            let metadata = Metadata::from(Object::from([("videocodecid", value.clone())]));
            assert_eq!(metadata.track(TrackId::VIDEO).video_codec(), codec, "{value:?}");
        }
        let metadata = Metadata::from(Object::from([("audiocodecid", number(FourCc::OPUS))]));
        assert_eq!(metadata.track(TrackId::AUDIO).audio_codec(), Some(AudioCodec::Opus));
    }

    #[test]
    fn an_index_is_read_or_makes_no_sense() {
        let index = |positions: &[f64], times: &[f64]| {
            let numbers = |numbers: &[f64]| -> Value {
                numbers.iter().copied().map(Value::Number).collect::<Vec<_>>().into()
            };
            let index = Object::new().with("filepositions", numbers(positions)).with("times", numbers(times));
            Metadata::from(Object::from([("keyframes", index)])).key_frames()
        };
        let at = Timestamp::from_millis;
        assert_eq!(index(&[13.0, 9000.0], &[0.0, 2.002]), [(13, at(0)), (9000, at(2002))]);
        assert_eq!(index(&[13.0], &[]), []);
        assert_eq!(index(&[-1.0], &[0.0]), []);
        assert_eq!(index(&[13.0], &[f64::NAN]), []);
        assert_eq!(Metadata::default().key_frames(), []);
    }

    #[test]
    fn nonsense_is_nothing() {
        let table = ["many", "", "NaN", "-5", "1e9", "inf"].map(Value::from);
        for value in table.into_iter().chain([0.0, -1.0, f64::INFINITY, 2e6].map(Value::from)) {
            let metadata = Metadata::from(Object::from([("width", value.clone())]));
            assert_eq!(metadata.track(TrackId::VIDEO).width(), None, "{value:?}");
        }
        let metadata = Metadata::from(Object::from([("width", "1920 ")]));
        assert_eq!(metadata.track(TrackId::VIDEO).width(), Some(1920));
        assert_eq!(Metadata::parse(b"\x02\0\nonMetaData"), Err(Error::Truncated("metadata")));
        assert_eq!(Metadata::parse(b"\xFF"), Err(Error::Malformed("metadata that is no AMF0")));
    }

    /// The example of E-RTMP v2, "Enhancing onMetaData".
    #[test]
    fn tracks_tell_what_differs() {
        let video = Object::from([(
            "1",
            Object::new().with("width", 1024.0).with("videocodecid", number(FourCc::AV1)),
        )]);
        let audio = Object::from([("2", Object::new().with("samplerate", 48_000.0).with("channels", 6.0))]);
        let metadata = Metadata::from(
            Object::new()
                .with("width", 1920.0)
                .with("height", 1080.0)
                .with("videocodecid", 7.0)
                .with("audiosamplerate", 44_100.0)
                .with("stereo", true)
                .with("videoTrackIdInfoMap", video)
                .with("audioTrackIdInfoMap", audio),
        );
        let second = metadata.track(TrackId { index: 1, ..TrackId::VIDEO });
        assert_eq!((second.width(), second.height()), (Some(1024), Some(1080)));
        assert_eq!(second.video_codec(), Some(VideoCodec::Av1));
        assert_eq!(metadata.track(TrackId::VIDEO).width(), Some(1920));
        let third = metadata.track(TrackId { index: 2, ..TrackId::AUDIO });
        assert_eq!((third.sample_rate(), third.channels()), (Some(48_000), Some(6)));
        let first = metadata.track(TrackId::AUDIO);
        assert_eq!((first.sample_rate(), first.channels()), (Some(44_100), Some(2)));
    }
}
