//! Which frames of a stream go into one file.

use bytes::Bytes;
use flumen_media::{Codec, Frame, FrameKind, MediaKind, TrackId};

/// Cuts a stream into files at the points where a codec or its configuration really changes: players of files cannot bear
/// that, and a repeated configuration is no change.
///
/// The cut is at the first media of the new kind, not at its configuration. Encoders also end a track with an updated
/// configuration that nothing follows.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    tracks: Vec<Track>,
    is_open: bool,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Into the file.
    Here,
    /// Into a file to be begun now, after [`Cutter::configs`].
    NextFile,
    /// Nowhere yet: it is one of the configurations that the next file begins with.
    Kept,
}

#[derive(Debug)]
struct Track {
    id: TrackId,
    config: Option<Frame>,
    side_config: Option<Frame>,
    /// What its media in the file needs to be decoded.
    in_file: Option<Format>,
}

/// What media needs to be decoded.
#[derive(Clone, Debug, PartialEq)]
struct Format {
    codec: Codec,
    config: Option<Bytes>,
}

impl Cutter {
    /// Finds the place of `frame`, the next one of the stream.
    pub(super) fn place(&mut self, frame: &Frame) -> Place {
        let is_open = self.is_open;
        let track = self.track(frame.track);
        let belongs_here = match frame.kind {
            FrameKind::Config => {
                track.config = Some(frame.clone());
                is_open && !track.has_changed(frame.codec)
            }
            FrameKind::SideConfig => {
                track.side_config = Some(frame.clone());
                is_open && !track.has_changed(frame.codec)
            }
            FrameKind::End => is_open,
            FrameKind::Key | FrameKind::Delta | FrameKind::Disposable => {
                return self.place_media(frame);
            }
        };
        if belongs_here { Place::Here } else { Place::Kept }
    }

    fn place_media(&mut self, frame: &Frame) -> Place {
        let is_open = self.is_open;
        let track = self.track(frame.track);
        // Silence, and what encoders end a track with: no sample, and no sign of a change.
        if frame.payload.is_empty() {
            return if is_open { Place::Here } else { Place::Kept };
        }
        let cut = !is_open || track.has_changed(frame.codec);
        let format = track.format(frame.codec);
        if cut {
            self.close();
            self.is_open = true;
        }
        self.track(frame.track).in_file = Some(format);
        if cut { Place::NextFile } else { Place::Here }
    }

    /// Whether frames go into a file now.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// The configurations that hold now, in the order players expect: metadata, video, audio.
    pub(super) fn configs(&self) -> impl Iterator<Item = &Frame> + Clone {
        self.tracks.iter().flat_map(|track| [&track.config, &track.side_config]).flatten()
    }

    /// Nothing goes into the current file any more.
    pub(super) fn close(&mut self) {
        self.is_open = false;
        for track in &mut self.tracks {
            track.in_file = None;
        }
    }

    fn track(&mut self, id: TrackId) -> &mut Track {
        let place = self.tracks.binary_search_by_key(&rank(id), |track| rank(track.id));
        let index = place.unwrap_or_else(|index| {
            self.tracks.insert(index, Track { id, config: None, side_config: None, in_file: None });
            index
        });
        &mut self.tracks[index]
    }
}

impl Track {
    /// Whether media of `codec` that comes now cannot follow what is in the file. Script data always can, and so can media
    /// whose configuration comes late.
    fn has_changed(&self, codec: Codec) -> bool {
        let Some(in_file) = &self.in_file else { return false };
        let now = self.format(codec);
        let is_late = in_file.config.is_none() && in_file.codec == codec;
        self.id.kind != MediaKind::Data && *in_file != now && !is_late
    }

    fn format(&self, codec: Codec) -> Format {
        let config = self.config.as_ref().filter(|config| config.codec == codec);
        Format { codec, config: config.map(|config| config.payload.clone()) }
    }
}

/// Where a track stands among the others.
fn rank(track: TrackId) -> (bool, MediaKind, u8) {
    (track.kind != MediaKind::Data, track.kind, track.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_media::{AudioCodec, TimeDelta, Timestamp, VideoCodec};

    fn frame(track: TrackId, codec: Codec, kind: FrameKind, payload: &'static str) -> Frame {
        Frame { track, codec, kind, dts: Timestamp::ZERO, cts: TimeDelta::ZERO, payload: payload.into() }
    }

    /// Frames in short: `V` and `A` are configurations and `v` and `a` media of H.264 and AAC, `W` and `w` of HEVC, `s` a
    /// side configuration and `e` the end of video, `M` metadata, `m` a cue point. A digit behind makes payloads differ.
    fn parse(text: &'static str) -> Frame {
        let (h264, hevc) = (Codec::Video(VideoCodec::H264), Codec::Video(VideoCodec::Hevc));
        let aac = Codec::Audio(AudioCodec::Aac);
        let (kind, payload) = text.split_at(1);
        match kind {
            "V" => frame(TrackId::VIDEO, h264, FrameKind::Config, payload),
            "v" => frame(TrackId::VIDEO, h264, FrameKind::Key, payload),
            "W" => frame(TrackId::VIDEO, hevc, FrameKind::Config, payload),
            "w" => frame(TrackId::VIDEO, hevc, FrameKind::Key, payload),
            "s" => frame(TrackId::VIDEO, h264, FrameKind::SideConfig, payload),
            "e" => frame(TrackId::VIDEO, h264, FrameKind::End, payload),
            "A" => frame(TrackId::AUDIO, aac, FrameKind::Config, payload),
            "a" => frame(TrackId::AUDIO, aac, FrameKind::Key, payload),
            "M" => frame(TrackId::DATA, Codec::Amf0, FrameKind::Config, payload),
            "m" => frame(TrackId::DATA, Codec::Amf0, FrameKind::Key, payload),
            _ => panic!("{text}"),
        }
    }

    /// The files that a stream is cut into, each with what it begins with.
    fn cut(stream: &'static str) -> Vec<String> {
        let (mut cutter, mut files) = (Cutter::default(), Vec::new());
        let mut names = Vec::new();
        for text in stream.split(' ') {
            let frame = parse(text);
            names.push((frame.clone(), text));
            let name = |frame: &Frame| names.iter().rfind(|(known, _)| known == frame).expect("known").1;
            match cutter.place(&frame) {
                Place::Kept => {}
                Place::Here => files.last_mut().map(|file: &mut Vec<_>| file.push(text)).expect("a file"),
                Place::NextFile => {
                    let mut file: Vec<_> = cutter.configs().map(name).collect();
                    file.push(text);
                    files.push(file);
                }
            }
        }
        files.iter().map(|file| file.join(" ")).collect()
    }

    #[test]
    fn a_file_begins_with_the_configurations_and_the_first_media() {
        assert_eq!(cut("A1 V1 M1 s1 v1 a1 v2"), ["M1 V1 s1 A1 v1 a1 v2"]);
        assert_eq!(cut("a1 v1"), ["a1 v1"], "where there are none");
        assert_eq!(cut("M1 A1 V1"), [""; 0], "no media, no file");
    }

    #[test]
    fn what_comes_later_goes_into_the_same_file() {
        assert_eq!(cut("V1 v1 A1 a1"), ["V1 v1 A1 a1"], "a late track");
        assert_eq!(cut("v1 V1 v2"), ["v1 V1 v2"], "a late configuration");
        assert_eq!(cut("V1 v1 V1 v2"), ["V1 v1 V1 v2"], "a repeated configuration");
        assert_eq!(cut("M1 V1 v1 M2 v2 m1 s2 v3"), ["M1 V1 v1 M2 v2 m1 s2 v3"], "other metadata and colours");
        assert_eq!(cut("V1 v1 e V1 v2"), ["V1 v1 e V1 v2"], "a track that ends and begins again");
    }

    #[test]
    fn a_change_begins_a_new_file_with_its_first_media() {
        assert_eq!(cut("V1 A1 v1 a1 V2 a2 v2 a3"), ["V1 A1 v1 a1 a2", "V2 A1 v2 a3"]);
        assert_eq!(cut("V1 A1 v1 a1 V2 A2 v2 a3"), ["V1 A1 v1 a1", "V2 A2 v2 a3"], "one cut for both tracks");
        assert_eq!(cut("V1 v1 W1 w1"), ["V1 v1", "W1 w1"], "another codec");
        assert_eq!(cut("V1 v1 e W1 w1"), ["V1 v1 e", "W1 w1"]);
        assert_eq!(cut("A1 a1 V1 v1 A2 a2 A1 a3"), ["A1 a1 V1 v1", "V1 A2 a2", "V1 A1 a3"]);
    }

    #[test]
    fn a_change_that_no_media_follows_is_none() {
        assert_eq!(cut("A1 a1 A2 a e"), ["A1 a1 a e"], "the last configuration of FLAC, and an empty frame");
        assert_eq!(cut("V1 v1 V2 V1 v2"), ["V1 v1 V1 v2"]);
    }

    #[test]
    fn after_a_file_was_closed_the_next_one_begins_anew() {
        let mut cutter = Cutter::default();
        for text in ["V1", "v1"] {
            cutter.place(&parse(text));
        }
        cutter.close();
        assert_eq!(cutter.place(&parse("e")), Place::Kept);
        assert_eq!(cutter.place(&parse("v2")), Place::NextFile);
        assert_eq!(cutter.configs().count(), 1);
    }
}
