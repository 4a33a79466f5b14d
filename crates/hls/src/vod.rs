//! Playlists of what is recorded: all of it at once, and nothing of it changes.
//!
//! The caller cuts and names the segments; it may make each when it is asked for.

use std::fmt::{self, Write};
use std::time::Duration;

use flumen_media::TrackInfo;

use crate::playlist::{Seconds, Uri, codec};

/// A media playlist of a recording.
#[derive(Clone, Debug)]
pub struct Recorded<'a, S> {
    /// The name of the init segment of all segments.
    pub init: &'a str,
    /// The name and the duration of each segment.
    pub segments: S,
    /// Whether that is all; a recording that is still made gets more at its end.
    pub is_complete: bool,
    /// Segments are about this long, which a player that follows a growing recording may rely on.
    pub segment_duration: Duration,
    /// Follows a `?` at every address in the playlist, if not empty. Percent-encoded.
    pub query: &'a str,
}

impl<'a, S> Recorded<'a, S>
where
    S: IntoIterator<Item = (String, Duration)> + Clone,
{
    /// The text (HLS §4.4.3.5: `VOD`, or `EVENT` while it grows).
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Cannot fail: a String takes everything.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let durations = self.segments.clone().into_iter().map(|(_, duration)| duration);
        let target = durations.chain([self.segment_duration]).map(rounded).max().unwrap_or(1).max(1);
        writeln!(out, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}")?;
        writeln!(out, "#EXT-X-PLAYLIST-TYPE:{}", if self.is_complete { "VOD" } else { "EVENT" })?;
        writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA-SEQUENCE:0")?;
        writeln!(out, "#EXT-X-MAP:URI=\"{}\"", Uri(self.init, self.query))?;
        for (name, duration) in self.segments.clone() {
            writeln!(out, "#EXTINF:{},\n{}", Seconds::from(duration), Uri(name, self.query))?;
        }
        if self.is_complete { out.write_str("#EXT-X-ENDLIST\n") } else { Ok(()) }
    }
}

/// What a target duration says of a segment: rounded to the nearest second (HLS §4.4.3.1).
fn rounded(duration: Duration) -> u64 {
    duration.saturating_add(Duration::from_millis(500)).as_secs()
}

/// One of the renditions that a player chooses from.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The name of its media playlist.
    pub playlist: String,
    /// What is in its segments: pictures first, where there are any.
    pub tracks: Vec<TrackInfo>,
    /// Bits per second of the worst segment.
    pub peak: u64,
    /// Bits per second of all of them.
    pub average: u64,
    /// Pictures per second, where that is known.
    pub frame_rate: Option<f64>,
}

/// The multivariant playlist of a recording: `main` renditions, each with its sound in it, and `sounds` that can be heard in
/// its place. `query` as in [`Recorded::query`].
pub fn multivariant(main: &[Choice], sounds: &[Choice], query: &str) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    // Cannot fail: a String takes everything.
    let _ = write_multivariant(&mut text, main, sounds, query);
    text
}

fn write_multivariant(out: &mut String, main: &[Choice], sounds: &[Choice], query: &str) -> fmt::Result {
    if !sounds.is_empty() {
        write!(
            out,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio 1\",DEFAULT=YES,AUTOSELECT=YES"
        )?;
        let inside = main.first().and_then(|main| main.tracks.iter().find(|track| is_sound(track)));
        write_channels(out, inside)?;
        out.write_char('\n')?;
    }
    for (number, sound) in (2..).zip(sounds) {
        write!(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio {number}\"")?;
        write!(out, ",DEFAULT=NO,AUTOSELECT=YES")?;
        write_channels(out, sound.tracks.first())?;
        writeln!(out, ",URI=\"{}\"", Uri(&sound.playlist, query))?;
    }
    let alternative = |rate: fn(&Choice) -> u64| sounds.iter().map(rate).max().unwrap_or(0);
    for choice in main {
        let peak = choice.peak + alternative(|sound| sound.peak);
        let average = choice.average + alternative(|sound| sound.average);
        write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}")?;
        let mut codecs: Vec<_> = choice.tracks.iter().map(codec).collect();
        for other in sounds.iter().flat_map(|sound| &sound.tracks).map(codec) {
            if !codecs.contains(&other) {
                codecs.push(other);
            }
        }
        if let Some(codecs) = codecs.into_iter().collect::<Option<Vec<_>>>() {
            write!(out, ",CODECS=\"{}\"", codecs.join(","))?;
        }
        let picture = choice.tracks.iter().find_map(|track| match track {
            TrackInfo::Video(info) => info.resolution,
            TrackInfo::Audio(_) => None,
        });
        if let Some(resolution) = picture {
            write!(out, ",RESOLUTION={resolution}")?;
        }
        if let Some(rate) = choice.frame_rate {
            write!(out, ",FRAME-RATE={rate:.3}")?;
        }
        if !sounds.is_empty() {
            write!(out, ",AUDIO=\"audio\"")?;
        }
        writeln!(out, "\n{}", Uri(&choice.playlist, query))?;
    }
    Ok(())
}

fn is_sound(track: &TrackInfo) -> bool {
    matches!(track, TrackInfo::Audio(_))
}

fn write_channels(out: &mut String, track: Option<&TrackInfo>) -> fmt::Result {
    match track {
        Some(TrackInfo::Audio(info)) if info.channels.is_some() => {
            write!(out, ",CHANNELS=\"{}\"", info.channels.unwrap_or_default())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_media::{AudioCodec, AudioInfo, Resolution, VideoCodec, VideoInfo};

    #[test]
    fn a_recording_is_listed_from_its_beginning_to_its_end() {
        let segment = |name: &str, millis| (name.to_owned(), Duration::from_millis(millis));
        let mut playlist = Recorded {
            init: "r-v0-0.mp4",
            segments: vec![segment("0-4004.m4s", 4_004), segment("4004-9500.m4s", 5_496)],
            is_complete: true,
            segment_duration: Duration::from_secs(2),
            query: "token=x",
        };
        assert_eq!(
            playlist.to_text(),
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:5\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA-SEQUENCE:0\n\
             #EXT-X-MAP:URI=\"r-v0-0.mp4?token=x\"\n\
             #EXTINF:4.00400,\n0-4004.m4s?token=x\n#EXTINF:5.49600,\n4004-9500.m4s?token=x\n#EXT-X-ENDLIST\n"
        );
        playlist.is_complete = false;
        playlist.segments.clear();
        let growing = playlist.to_text();
        assert!(growing.contains("TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:EVENT"), "{growing}");
        assert!(!growing.contains("ENDLIST"));
    }

    fn sound(channels: u8) -> TrackInfo {
        let info = AudioInfo::unknown(AudioCodec::Aac);
        TrackInfo::Audio(AudioInfo {
            codec_string: Some("mp4a.40.2".to_owned()),
            channels: Some(channels),
            ..info
        })
    }

    #[test]
    fn players_learn_what_there_is_to_choose_from() {
        let picture = TrackInfo::Video(VideoInfo {
            codec_string: Some("avc1.64001f".to_owned()),
            resolution: Some(Resolution { width: 1280, height: 720 }),
            ..VideoInfo::unknown(VideoCodec::H264)
        });
        let choice = |playlist: &str, tracks, peak| Choice {
            playlist: playlist.to_owned(),
            tracks,
            peak,
            average: peak / 2,
            frame_rate: None,
        };
        let main = Choice { frame_rate: Some(25.0), ..choice("v0.m3u8", vec![picture, sound(2)], 4_000) };
        assert_eq!(
            multivariant(std::slice::from_ref(&main), &[], ""),
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-STREAM-INF:BANDWIDTH=4000,AVERAGE-BANDWIDTH=2000,CODECS=\"avc1.64001f,mp4a.40.2\",\
             RESOLUTION=1280x720,FRAME-RATE=25.000\nv0.m3u8\n"
        );
        let text = multivariant(&[main], &[choice("a1.m3u8", vec![sound(6)], 400)], "q=1");
        assert!(
            text.contains("NAME=\"Audio 1\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\"\n"),
            "what is in the pictures' segments has no playlist of its own: {text}"
        );
        assert!(text.contains("DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"6\",URI=\"a1.m3u8?q=1\"\n"), "{text}");
        assert!(text.contains("BANDWIDTH=4400,AVERAGE-BANDWIDTH=2200,"), "{text}");
        assert!(text.contains("FRAME-RATE=25.000,AUDIO=\"audio\"\nv0.m3u8?q=1\n"), "{text}");
    }
}
