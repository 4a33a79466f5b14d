//! The multivariant playlist: what there is to choose from.

use std::fmt::Write;
use std::time::Duration;

use flumen_media::{AudioCodec, Codec, TrackInfo};

use super::text::Uri;
use crate::output::Output;
use crate::{Init, Rendition};

/// The multivariant playlist; `None` if no rendition has a segment.
pub(crate) fn multivariant(output: &Output, query: &str) -> Option<String> {
    let mut choices: Vec<_> = output.renditions.iter().filter_map(Choice::new).collect();
    // What the publisher sends now; but what it sent before, while nothing of that is finished.
    if choices.iter().any(|choice| choice.rendition.is_active()) {
        choices.retain(|choice| choice.rendition.is_active());
    }
    let (videos, sounds): (Vec<_>, Vec<_>) =
        choices.into_iter().partition(|choice| choice.rendition.id().is_video());
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:9\n");
    let groups = groups(&sounds);
    let is_plain = videos.is_empty() && sounds.len() == 1;
    if !is_plain {
        groups.iter().for_each(|group| group.write(&mut text, query));
    }
    if videos.is_empty() {
        // Without pictures the default sound is what plays; the others are alternatives to it.
        let first = sounds.first()?;
        let group = groups.first().filter(|_| !is_plain);
        let variant = Variant { main: first, group, has_pictures: false };
        variant.write(&mut text, query);
    }
    for main in &videos {
        for group in &groups {
            Variant { main, group: Some(group), has_pictures: true }.write(&mut text, query);
        }
        if groups.is_empty() {
            Variant { main, group: None, has_pictures: true }.write(&mut text, query);
        }
    }
    Some(text)
}

/// A rendition and what was measured of it.
struct Choice<'a> {
    rendition: &'a Rendition,
    init: &'a Init,
    codec: Option<String>,
    /// Bits per second: of the worst segment, and on average.
    peak: u64,
    average: u64,
    /// Pictures per second.
    frame_rate: Option<f64>,
}

/// Sound of one codec: alternatives that every player that can play one can play all of.
struct Group<'a> {
    name: String,
    choices: Vec<&'a Choice<'a>>,
}

/// What a player takes together.
struct Variant<'a> {
    main: &'a Choice<'a>,
    group: Option<&'a Group<'a>>,
    has_pictures: bool,
}

impl<'a> Choice<'a> {
    fn new(rendition: &'a Rendition) -> Option<Self> {
        let init = rendition.init()?;
        let measured = || rendition.segments().filter(|segment| !segment.is_gap());
        let rate = |size: usize, duration: Duration| {
            (size as f64 * 8.0 / duration.as_secs_f64().max(0.001)).ceil() as u64
        };
        let peak = measured().map(|segment| rate(segment.size(), segment.duration())).max()?;
        let duration: Duration = measured().map(|segment| segment.duration()).sum();
        let frames: u64 = measured().map(|segment| u64::from(segment.frames)).sum();
        Some(Self {
            rendition,
            init,
            codec: codec(init.format.info()),
            peak,
            average: rate(measured().map(|segment| segment.size()).sum(), duration),
            frame_rate: rendition
                .id()
                .is_video()
                .then(|| frame_rate(frames as f64 / duration.as_secs_f64().max(0.001))),
        })
    }
}

/// The sounds by codec, in their order.
fn groups<'a>(sounds: &'a [Choice<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for sound in sounds {
        let same =
            |group: &&mut Group<'_>| group.choices.first().is_some_and(|first| first.codec == sound.codec);
        match groups.iter_mut().find(same) {
            Some(group) => group.choices.push(sound),
            None => groups.push(Group { name: format!("audio{}", groups.len()), choices: vec![sound] }),
        }
    }
    groups
}

impl Group<'_> {
    fn write(&self, out: &mut String, query: &str) {
        for (index, choice) in self.choices.iter().enumerate() {
            let id = choice.rendition.id();
            let default = if index == 0 { "YES" } else { "NO" };
            let number = u16::from(id.track().index) + 1;
            // Cannot fail: a String takes everything.
            let _ = write!(
                out,
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{}\",NAME=\"Audio {number}\",DEFAULT={default},AUTOSELECT=YES",
                self.name
            );
            if let TrackInfo::Audio(info) = choice.init.format.info()
                && let Some(channels) = info.channels
            {
                let _ = write!(out, ",CHANNELS=\"{channels}\"");
            }
            let _ = writeln!(out, ",URI=\"{}\"", Uri(id.playlist(), query));
        }
    }
}

impl Variant<'_> {
    fn write(&self, out: &mut String, query: &str) {
        let sound = |rate: fn(&Choice<'_>) -> u64| {
            let others = self.group.filter(|_| self.has_pictures).into_iter();
            others.flat_map(|group| &group.choices).map(|choice| rate(choice)).max().unwrap_or(0)
        };
        let peak = self.main.peak + sound(|choice| choice.peak);
        let average = self.main.average + sound(|choice| choice.average);
        // Cannot fail: a String takes everything.
        let _ = write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}");
        let sound = self.group.filter(|_| self.has_pictures).and_then(|group| group.choices.first());
        let codecs = [Some(self.main), sound.copied()];
        let codecs: Option<Vec<&str>> =
            codecs.into_iter().flatten().map(|choice| choice.codec.as_deref()).collect();
        if let Some(codecs) = codecs {
            let _ = write!(out, ",CODECS=\"{}\"", codecs.join(","));
        }
        if let TrackInfo::Video(info) = self.main.init.format.info()
            && let Some(resolution) = info.resolution
        {
            let _ = write!(out, ",RESOLUTION={resolution}");
        }
        if let TrackInfo::Video(info) = self.main.init.format.info()
            && let Some(range) = info.colour.and_then(|colour| video_range(colour.transfer))
        {
            let _ = write!(out, ",VIDEO-RANGE={range}");
        }
        if let Some(rate) = self.main.frame_rate {
            let _ = write!(out, ",FRAME-RATE={rate:.3}");
        }
        if let Some(group) = self.group {
            let _ = write!(out, ",AUDIO=\"{}\"", group.name);
        }
        let _ = writeln!(out, "\n{}", Uri(self.main.rendition.id().playlist(), query));
    }
}

/// The codec as MP4 has it (RFC 6381): by the name of its sample entry.
pub(crate) fn codec(info: &TrackInfo) -> Option<String> {
    match info.codec() {
        Codec::Audio(AudioCodec::Opus) => Some("Opus".into()),
        Codec::Audio(AudioCodec::Flac) => Some("fLaC".into()),
        Codec::Audio(AudioCodec::Mp3) => Some("mp4a.40.34".into()),
        _ => info.codec_string().map(Into::into),
    }
}

/// The range of brightness that a transfer function stands for (HLS §4.4.6.2), if it is not the usual one.
fn video_range(transfer: u8) -> Option<&'static str> {
    match transfer {
        16 => Some("PQ"),
        18 => Some("HLG"),
        _ => None,
    }
}

/// A measured rate, or the usual one nearest to it, if that is closer than half a per cent.
pub(crate) fn frame_rate(measured: f64) -> f64 {
    const USUAL: [f64; 12] =
        [10.0, 12.0, 15.0, 24.0 / 1.001, 24.0, 25.0, 30.0 / 1.001, 30.0, 50.0, 60.0 / 1.001, 60.0, 120.0];
    let nearest = USUAL.into_iter().min_by(|a, b| (a - measured).abs().total_cmp(&(b - measured).abs()));
    nearest.filter(|usual| (usual - measured).abs() < usual / 200.0).unwrap_or(measured)
}
