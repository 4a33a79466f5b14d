//! What was found out, for people and for programs.

use std::fmt;
use std::time::Duration;

use flumen_media::flv::Metadata;
use flumen_media::{MediaKind, TrackInfo};
use flumen_rtmp::ServerInfo;
use flumen_rtmp::proto::amf0::{Object, Value};
use flumen_rtmp::proto::{Capabilities, CodecSupport, FourCc, RtmpUrl};
use serde_json::{Map, Value as Json, json};

use crate::cli::progress;
use crate::probe::{Probe, Track};

/// All that is told about a stream.
pub(super) struct Report<'a> {
    url: String,
    tls: bool,
    server: &'a ServerInfo,
    connected: Duration,
    probe: &'a Probe,
}

/// The codecs of E-RTMP v2, in its order.
const CODECS: [&[u8; 4]; 12] = [
    b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09", b"mp4a", b"Opus", b"fLaC", b"ac-3", b"ec-3",
    b".mp3",
];

impl<'a> Report<'a> {
    pub(super) fn new(url: &RtmpUrl, server: &'a ServerInfo, connected: Duration, probe: &'a Probe) -> Self {
        Self { url: url.to_string(), tls: url.tls, server, connected, probe }
    }

    pub(super) fn to_json(&self) -> Json {
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3).map(tenths);
        let capabilities = &self.server.capabilities;
        json!({
            "url": self.url,
            "connection": {
                "address": self.server.address.map(|address| address.to_string()),
                "tls": self.tls,
                "server": self.version(),
                "connectMs": millis(Some(self.connected)),
                "firstFrameMs": millis(self.probe.first_frame()),
                "firstKeyFrameMs": millis(self.probe.first_key()),
            },
            "enhancedRtmp": capabilities.is_enhanced().then(|| json!({
                "reconnect": capabilities.reconnect(),
                "multitrack": capabilities.multitrack(),
                "modEx": capabilities.mod_ex(),
                "timestampNanoOffset": capabilities.timestamp_nano_offset(),
                "codecs": codecs(capabilities),
            })),
            "tracks": self.probe.tracks().iter().map(|track| self.track_json(track)).collect::<Vec<_>>(),
            "metadata": self.probe.metadata().map(|metadata| object(metadata.properties())),
        })
    }

    fn version(&self) -> Option<&str> {
        self.server.properties.get("fmsVer").and_then(Value::as_str)
    }

    fn metadata(&self) -> Option<&Metadata> {
        self.probe.metadata()
    }

    fn track_json(&self, track: &Track) -> Json {
        let measured = &track.measured;
        let bit_rate = measured.bit_rate().map(|rate| rate.round() as u64);
        let (id, frames) = (track.id.index, measured.frames());
        match &track.info {
            TrackInfo::Video(info) => json!({
                "id": id,
                "type": "video",
                "codec": info.codec.name(),
                "codecString": info.codec_string,
                "profile": info.profile,
                "level": info.level,
                "width": info.resolution.map(|size| size.width),
                "height": info.resolution.map(|size| size.height),
                "chroma": info.chroma.map(|chroma| chroma.to_string()),
                "bitDepth": info.bit_depth,
                "frameRate": track.frame_rate(self.metadata()).map(thousandths),
                "measuredFrameRate": measured.frame_rate().map(thousandths),
                "bitRate": bit_rate,
                "frames": frames,
                "gopSeconds": measured.gop().map(|(seconds, _)| thousandths(seconds)),
                "gopFrames": measured.gop().map(|(_, frames)| thousandths(frames)),
                "bFrames": track.has_b_frames(),
            }),
            TrackInfo::Audio(info) => json!({
                "id": id,
                "type": "audio",
                "codec": info.codec.name(),
                "codecString": info.codec_string,
                "profile": info.profile,
                "sampleRate": info.sample_rate,
                "channels": info.channels,
                "channelLayout": info.channel_layout,
                "bitDepth": info.bit_depth,
                "bitRate": bit_rate,
                "frames": frames,
            }),
        }
    }

    /// What is known of a track, in words.
    fn track_text(&self, track: &Track) -> String {
        let measured = &track.measured;
        let mut parts = Vec::new();
        match &track.info {
            TrackInfo::Video(info) => {
                let level = info.level.as_deref().map(|level| format!("level {level}"));
                parts.push(words([Some(info.codec.name()), info.profile, level.as_deref()]));
                parts.extend(info.resolution.map(|size| size.to_string()));
                let rate = track.frame_rate(self.metadata());
                parts.extend(rate.map(|rate| format!("{} fps", thousandths(rate))));
            }
            TrackInfo::Audio(info) => {
                parts.push(words([Some(info.codec.name()), info.profile]));
                let rate = info.sample_rate.map(|rate| format!("{rate} Hz"));
                let channels = info.channels.map(|channels| format!("{channels} channels"));
                let layout = info.channel_layout.or(channels.as_deref());
                parts.push(words([rate.as_deref(), layout]));
            }
        }
        let rate = measured.bit_rate().filter(|rate| *rate >= 0.0);
        parts.extend(rate.map(|rate| progress::bit_rate(rate as u64 / 8, 1.0)));
        if let Some((seconds, frames)) = measured.gop() {
            parts.push(format!("key frame every {seconds:.2} s ({frames:.0} frames)"));
        }
        let b_frames = track.has_b_frames();
        parts.extend(b_frames.map(|has| if has { "B-frames" } else { "no B-frames" }.to_owned()));
        parts.extend(track.info.codec_string().map(str::to_owned));
        parts.retain(|part| !part.is_empty());
        parts.join(", ")
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| format!("{} ms", tenths(time.as_secs_f64() * 1e3));
        write!(f, "{}", self.url)?;
        let mut line = |name: &str, text: &str| write!(f, "\n  {name:<10} {text}");
        let address = self.server.address.map(|address| address.to_string());
        let version = self.version().map(|version| version.replace(char::is_control, " "));
        line("server", &words([version.as_deref(), address.as_deref(), self.tls.then_some("TLS")]))?;
        line("enhanced", &enhanced(&self.server.capabilities))?;
        let first = self.probe.first_frame().map(|time| format!(", first frame {}", ms(time)));
        let key = self.probe.first_key().map(|time| format!(", first key frame {}", ms(time)));
        let times = [first, key].map(Option::unwrap_or_default).concat();
        line("connected", &format!("{}{times}", ms(self.connected)))?;
        for track in self.probe.tracks() {
            let kind = if track.id.kind == MediaKind::Video { "video" } else { "audio" };
            line(&format!("{kind} {}", track.id.index), &self.track_text(track))?;
        }
        let properties = self.metadata().map(|metadata| text(metadata.properties()));
        line("metadata", properties.as_deref().unwrap_or("none"))
    }
}

fn words<const N: usize>(words: [Option<&str>; N]) -> String {
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn enhanced(capabilities: &Capabilities) -> String {
    if !capabilities.is_enhanced() {
        return "no".to_owned();
    }
    let abilities = [
        (capabilities.reconnect(), "reconnect"),
        (capabilities.multitrack(), "multitrack"),
        (capabilities.mod_ex(), "ModEx"),
        (capabilities.timestamp_nano_offset(), "nanosecond offsets"),
    ];
    let abilities = abilities.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned());
    let codecs = Some(codecs(capabilities).join(" ")).filter(|codecs| !codecs.is_empty());
    abilities.chain(codecs).collect::<Vec<_>>().join(", ")
}

/// The codecs that the server says it does anything with.
fn codecs(capabilities: &Capabilities) -> Vec<String> {
    let codecs = CODECS.iter().map(|codec| FourCc(**codec));
    codecs
        .filter(|codec| capabilities.supports(*codec, CodecSupport::ALL))
        .map(|codec| codec.to_string())
        .collect()
}

fn text(properties: &Object) -> String {
    let value = |value: &Value| match json_of(value) {
        // A server must not be able to write what it likes on somebody's terminal.
        Json::String(text) => text.replace(char::is_control, " ").trim().to_owned(),
        other => other.to_string(),
    };
    properties
        .iter()
        .map(|(name, content)| format!("{name}={}", value(content)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn object(properties: &Object) -> Json {
    properties.iter().map(|(name, value)| (name.to_string(), json_of(value))).collect::<Map<_, _>>().into()
}

/// An AMF value as JSON; whole numbers without a fraction.
fn json_of(value: &Value) -> Json {
    if let Some(number) = value.as_number() {
        let is_whole = number.fract() == 0.0 && number.abs() < 1e15;
        return if is_whole { json!(number as i64) } else { json!(number) };
    }
    if let Some(text) = value.as_str() {
        return json!(text);
    }
    if let Some(flag) = value.as_bool() {
        return json!(flag);
    }
    if let Some(properties) = value.as_object() {
        return object(properties);
    }
    value.as_array().map_or(Json::Null, |values| values.iter().map(json_of).collect())
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn thousandths(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
