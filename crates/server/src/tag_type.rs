//! The types of FLV tags and of RTMP media messages: the same three, named by two crates that know nothing of each other.

use flumen_media::flv::TagType;
use flumen_rtmp::proto::MediaType;

/// What FLV calls a message of `kind`.
pub(crate) const fn tag_type(kind: MediaType) -> TagType {
    match kind {
        MediaType::Audio => TagType::Audio,
        MediaType::Video => TagType::Video,
        MediaType::Data => TagType::Script,
    }
}

/// What RTMP calls a tag of type `tag`.
pub(crate) const fn media_type(tag: TagType) -> MediaType {
    match tag {
        TagType::Audio => MediaType::Audio,
        TagType::Video => MediaType::Video,
        TagType::Script => MediaType::Data,
    }
}
