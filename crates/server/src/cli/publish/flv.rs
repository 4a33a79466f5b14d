//! Reads FLV. Bodies are published as they are.

use std::io::Read;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use flumen_media::flv::{Metadata, Reader, Tag, TagType, parse_body, set_data_frame, strip_set_data_frame};
use flumen_media::{Frame, FrameKind, MediaKind, Timestamp, TrackId, Unwrapper};
use flumen_rtmp::proto::MediaType;

use super::source::{Emit, Packet, Role, Start};

/// Bytes taken at a time. A pipe gives what it has, so that live input is not held up.
const READ_SIZE: usize = 1 << 16;

/// Reads an FLV file from its beginning to its end; `false` if no more packets are wanted.
pub(super) fn read(input: &mut impl Read, start: Timestamp, emit: Emit<'_>) -> anyhow::Result<bool> {
    let (mut reader, mut clock, mut buffer) = (Reader::new(), Unwrapper::new(), BytesMut::new());
    let mut start = Start::new(start, emit);
    loop {
        let what = "the input is no FLV; from FFmpeg it must come with `-f flv`";
        while let Some(tag) = reader.next_tag(&mut buffer).context(what)? {
            if let Some(seconds) = duration(&tag)
                && !start.duration(seconds)
            {
                return Ok(false);
            }
            let time = clock.unwrap(tag.timestamp);
            if let Some(packet) = packet(tag, time)
                && !start.push(packet)
            {
                return Ok(false);
            }
        }
        let filled = buffer.len();
        buffer.resize(filled + READ_SIZE, 0);
        let count = input.read(&mut buffer[filled..]).context("the input cannot be read")?;
        buffer.truncate(filled + count);
        if count == 0 {
            return Ok(start.end());
        }
    }
}

fn duration(tag: &Tag) -> Option<f64> {
    let is_metadata = tag.tag_type == TagType::Script;
    is_metadata.then(|| Metadata::parse(&tag.body).ok()?.duration()).flatten()
}

/// The message of a tag. What a server would not understand either is sent all the same: it may know more.
fn packet(tag: Tag, time: Timestamp) -> Option<Packet> {
    let frames = parse_body(tag.tag_type, time, tag.body.clone()).unwrap_or_default();
    let frame = frames.first();
    let (kind, track) = match tag.tag_type {
        TagType::Audio => (MediaType::Audio, TrackId::AUDIO),
        TagType::Video => (MediaType::Video, TrackId::VIDEO),
        TagType::Script => (MediaType::Data, TrackId::DATA),
    };
    let role = frame.map_or(Role::Other, role);
    let body = match (tag.tag_type, role) {
        (TagType::Script, Role::Sticky(_)) => live_metadata(tag.body),
        // Commands that files should not hold.
        (TagType::Script, _) if frame.is_none() => return None,
        _ => tag.body,
    };
    Some(Packet { kind, track: frame.map_or(track, |frame| frame.track), role, time, body })
}

/// The part a frame plays for a server that has just been connected to.
pub(super) fn role(frame: &Frame) -> Role {
    match (frame.track.kind, frame.kind) {
        (_, kind @ (FrameKind::Config | FrameKind::SideConfig)) => Role::Sticky(kind),
        (_, FrameKind::End) => Role::End,
        (MediaKind::Video, FrameKind::Key) if frame.track.index == 0 => Role::Key,
        _ => Role::Other,
    }
}

/// `onMetaData` without what describes the file, as publishers send it.
fn live_metadata(message: Bytes) -> Bytes {
    let message = strip_set_data_frame(message);
    let Ok(mut metadata) = Metadata::parse(&message) else { return set_data_frame(&message) };
    metadata.remove_file_properties();
    set_data_frame(&metadata.to_message())
}
