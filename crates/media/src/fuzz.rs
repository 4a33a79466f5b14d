//! Bodies of the fuzz targets: invariants that hold for any bytes. Plain tests call them too, so they cannot rot.

use bytes::{Bytes, BytesMut};

use crate::flv::{Demuxer, Dialect, Metadata, Reader, TagType, encode_body, parse_body};
use crate::{Timestamp, TrackId};

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
}

/// Metadata that was read and written says the same when it is read again; no getter panics.
pub fn flv_metadata(data: &[u8]) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: &[(&str, Target)] =
        &[("flv_body", flv_body), ("flv_file", flv_file), ("flv_metadata", flv_metadata)];

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
