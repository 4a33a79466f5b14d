//! What players are told about a recording: `onMetaData`.

use flumen_media::flv::Metadata;
use flumen_media::{MediaKind, TrackInfo, describe, describe_frame};

use super::index::{Index, Track};

/// The publisher's metadata with what is true of the recording, and without what is true of its file alone.
pub(super) fn of(index: &Index) -> Metadata {
    let mut metadata = index.metadata.clone().unwrap_or_default();
    metadata.remove_file_properties();
    let properties = metadata.properties_mut();
    properties.insert("duration", index.duration().as_secs_f64());
    let is_there = |kind| index.tracks.iter().any(|track| track.id.kind == kind);
    properties.insert("hasVideo", is_there(MediaKind::Video));
    properties.insert("hasAudio", is_there(MediaKind::Audio));
    properties.insert("canSeekToEnd", true);
    let firsts = index.tracks.iter().filter(|track| track.id.index == 0);
    for info in firsts.filter_map(info) {
        let mut tell = |name: &str, value: Option<f64>| {
            if let Some(value) = value.filter(|_| properties.get(name).is_none()) {
                properties.insert(name, value);
            }
        };
        match info {
            TrackInfo::Video(video) => {
                tell("width", video.resolution.map(|size| size.width.into()));
                tell("height", video.resolution.map(|size| size.height.into()));
                tell("framerate", video.frame_rate);
            }
            TrackInfo::Audio(audio) => {
                tell("audiosamplerate", audio.sample_rate.map(f64::from));
                tell("audiochannels", audio.channels.map(f64::from));
            }
        }
    }
    metadata
}

/// What is known of a track.
fn info(track: &Track) -> Option<TrackInfo> {
    let config = track.config.as_ref().map(|config| config.payload.clone()).unwrap_or_default();
    let told = describe(track.codec, &config).ok().or_else(|| TrackInfo::unknown(track.codec))?;
    let first = track.first.as_ref().and_then(|frame| describe_frame(track.codec, &frame.payload).ok());
    Some(match first {
        Some(first) => told.or(first),
        None => told,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_media::{Timestamp, TrackId};
    use flumen_rtmp::proto::amf0::Object;

    #[test]
    fn players_learn_how_long_it_is_and_nothing_of_the_file() {
        let published = Object::new().with("width", 1280.0).with("duration", 1.0).with("filesize", 9.0);
        let mut index = Index { end: Timestamp::from_millis(61_500), ..Index::default() };
        index.metadata = Some(Metadata::from(published));
        let metadata = of(&index);
        assert_eq!(metadata.duration(), Some(61.5));
        assert_eq!(metadata.track(TrackId::VIDEO).width(), Some(1280));
        assert!(metadata.properties().get("filesize").is_none());
    }
}
