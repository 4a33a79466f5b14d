//! What the tracks of a stream are in MP4, which wants to know all of them before the first frame.

use flumen_media::flv::color_info;
use flumen_media::mp4::write::{TrackFormat, Unwritable};
use flumen_media::{Codec, Frame, FrameKind, MediaKind, TrackId};

/// A track that has no place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) track: TrackId,
    pub(super) why: Unwritable,
}

/// The tracks that can be written, pictures first, and those that cannot although they have begun. `configs` are the
/// configurations that hold now, `coming` the frames that come next.
pub(super) fn formats<'a>(
    configs: impl Iterator<Item = &'a Frame> + Clone,
    coming: impl Iterator<Item = &'a Frame> + Clone,
) -> (Vec<(TrackId, TrackFormat)>, Vec<Refused>) {
    let all = || configs.clone().chain(coming.clone());
    let mut tracks: Vec<TrackId> =
        all().map(|frame| frame.track).filter(|track| track.kind != MediaKind::Data).collect();
    tracks.sort_unstable();
    tracks.dedup();
    let (mut formats, mut refused) = (Vec::new(), Vec::new());
    for track in tracks {
        let of_track = || all().filter(move |frame| frame.track == track);
        let start = of_track().find(|frame| is_start(frame));
        let Some(codec) = codec(start, of_track()) else { continue };
        match format(codec, start, of_track()) {
            Ok(format) => formats.push((track, format)),
            // One that has not begun may bring what is missing.
            Err(why) if start.is_some() => refused.push(Refused { track, why }),
            Err(_) => {}
        }
    }
    (formats, refused)
}

/// Whether a track may begin with this frame.
pub(super) fn is_start(frame: &Frame) -> bool {
    frame.kind == FrameKind::Key && frame.track.kind != MediaKind::Data && !frame.payload.is_empty()
}

/// The codec of a track: of what it begins with, or of its configuration.
fn codec<'a>(start: Option<&Frame>, mut frames: impl Iterator<Item = &'a Frame>) -> Option<Codec> {
    let is_config = |frame: &&Frame| frame.kind == FrameKind::Config;
    start.map(|frame| frame.codec).or_else(|| frames.find(is_config).map(|frame| frame.codec))
}

fn format<'a>(
    codec: Codec,
    start: Option<&Frame>,
    frames: impl Iterator<Item = &'a Frame> + Clone,
) -> Result<TrackFormat, Unwritable> {
    let payload = |kind| {
        let mut of_kind = frames.clone().filter(move |frame| frame.kind == kind && frame.codec == codec);
        of_kind.next().map(|frame| frame.payload.clone())
    };
    let config = payload(FrameKind::Config).unwrap_or_default();
    let format = TrackFormat::new(codec, &config, start.map(|frame| &frame.payload))?;
    Ok(match payload(FrameKind::SideConfig).and_then(|message| color_info(&message)) {
        Some(colour) => format.with_colour(colour),
        None => format,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use flumen_media::{AudioCodec, TimeDelta, Timestamp, VideoCodec};

    use super::*;

    fn frame(track: TrackId, codec: Codec, kind: FrameKind, payload: &'static [u8]) -> Frame {
        let payload = Bytes::from_static(payload);
        Frame { track, codec, kind, dts: Timestamp::ZERO, cts: TimeDelta::ZERO, payload }
    }

    const AAC: Codec = Codec::Audio(AudioCodec::Aac);
    const MP3: Codec = Codec::Audio(AudioCodec::Mp3);
    const H263: Codec = Codec::Video(VideoCodec::Legacy(2));

    #[test]
    fn tracks_are_written_as_soon_as_enough_is_known() {
        let second = TrackId { index: 1, ..TrackId::AUDIO };
        let config = frame(TrackId::AUDIO, AAC, FrameKind::Config, &[0x11, 0x90]);
        let mp3 = frame(second, MP3, FrameKind::Key, &[0xFF, 0xFB, 0x90, 0x00]);
        let picture = frame(TrackId::VIDEO, H263, FrameKind::Key, &[0x12]);
        let metadata = frame(TrackId::DATA, Codec::Amf0, FrameKind::Config, b"x");
        let (written, refused) = formats([&config].into_iter(), [&mp3, &picture, &metadata].into_iter());
        let written: Vec<_> = written.iter().map(|(track, format)| (*track, format.info().codec())).collect();
        assert_eq!(written, [(TrackId::AUDIO, AAC), (second, MP3)]);
        let [Refused { track: TrackId::VIDEO, why }] = &refused[..] else { panic!("{refused:?}") };
        assert_eq!(why.reason, "MP4 has no place for it");
    }

    #[test]
    fn what_has_not_begun_is_not_refused() {
        let silence = frame(TrackId::AUDIO, Codec::Audio(AudioCodec::Legacy(0)), FrameKind::Key, b"");
        let delta = frame(TrackId::VIDEO, Codec::Video(VideoCodec::Vp8), FrameKind::Delta, &[1]);
        let (written, refused) = formats([].into_iter(), [&silence, &delta].into_iter());
        assert!(written.is_empty() && refused.is_empty());
    }
}
