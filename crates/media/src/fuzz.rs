//! Bodies of the fuzz targets: invariants that hold for any bytes. Plain tests call them too, so they cannot rot.

use bytes::Bytes;

use crate::Timestamp;
use crate::flv::{Dialect, TagType, encode_body, parse_body};

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: &[(&str, Target)] = &[("flv_body", flv_body)];

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
