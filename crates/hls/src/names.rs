//! The names of playlists and files.

use std::fmt;
use std::str::FromStr;

use flumen_media::{MediaKind, TrackId};

/// Names a rendition: one track of the stream. Written `v0`, `a0`, `a1`, …; its playlist is `v0.m3u8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RenditionId(TrackId);

impl RenditionId {
    /// The rendition of a track; `None` for script data, which has none.
    pub fn new(track: TrackId) -> Option<Self> {
        (track.kind != MediaKind::Data).then_some(Self(track))
    }

    /// The track it is made of.
    pub fn track(self) -> TrackId {
        self.0
    }

    /// Whether it carries pictures.
    pub fn is_video(self) -> bool {
        self.0.kind == MediaKind::Video
    }

    /// The name of its playlist.
    pub fn playlist(self) -> String {
        format!("{self}.m3u8")
    }
}

/// `v0`, `a1`
impl fmt::Display for RenditionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_video() { 'v' } else { 'a' }, self.0.index)
    }
}

/// The text is no name of a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRendition;

impl FromStr for RenditionId {
    type Err = NoRendition;

    fn from_str(text: &str) -> Result<Self, NoRendition> {
        let (kind, index) = text.split_at_checked(1).ok_or(NoRendition)?;
        let kind = match kind {
            "v" => MediaKind::Video,
            "a" => MediaKind::Audio,
            _ => return Err(NoRendition),
        };
        let id = Self(TrackId { kind, index: index.parse().map_err(|_| NoRendition)? });
        // One spelling only: `v00` and `v+0` are other names.
        if id.to_string() == text { Ok(id) } else { Err(NoRendition) }
    }
}

/// The name of an init segment: era `era` is the number of its first segment.
pub(crate) fn init(id: &str, rendition: RenditionId, era: u64) -> String {
    format!("{id}-{rendition}-{era}.mp4")
}

/// The name of a segment.
pub(crate) fn segment(id: &str, rendition: RenditionId, sequence: u64) -> String {
    format!("{id}-{rendition}-{sequence}.m4s")
}

/// The names of all segments of a rendition, as a DASH template (DASH §5.3.9.4.4).
pub(crate) fn segment_template(id: &str, rendition: RenditionId) -> String {
    format!("{id}-{rendition}-$Number$.m4s")
}

/// The name of a part of a segment.
pub(crate) fn part(id: &str, rendition: RenditionId, sequence: u64, part: usize) -> String {
    format!("{id}-{rendition}-{sequence}-{part}.m4s")
}

/// The name of a segment of the transport stream.
pub(crate) fn transport(id: &str, sequence: u64) -> String {
    format!("{id}-ts-{sequence}.ts")
}

/// The name of key `number` of a playlist.
pub(crate) fn key(id: &str, scope: &str, number: u64) -> String {
    format!("{id}-{scope}-{number}.key")
}

/// What the name of a file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    /// An init segment.
    Init { rendition: RenditionId, era: u64 },
    /// A segment.
    Segment { rendition: RenditionId, sequence: u64 },
    /// A part of a segment.
    Part { rendition: RenditionId, sequence: u64, part: usize },
    /// A segment of the transport stream.
    Transport { sequence: u64 },
    /// A key of a rendition, or of the transport stream if there is none.
    Key { rendition: Option<RenditionId>, number: u64 },
}

impl FileName {
    /// Reads what [`init`], [`segment`], [`part`], [`transport`] and [`key`] write; any other spelling is nothing.
    pub(crate) fn parse(id: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(id)?.strip_prefix('-')?;
        let (stem, extension) = rest.rsplit_once('.')?;
        let mut fields = stem.split('-');
        let rendition = match fields.next()? {
            "ts" => None,
            rendition => Some(rendition.parse().ok()?),
        };
        let sequence = number(fields.next()?)?;
        let part = fields.next().map(number);
        if fields.next().is_some() {
            return None;
        }
        match (extension, rendition, part) {
            ("mp4", Some(rendition), None) => Some(Self::Init { rendition, era: sequence }),
            ("m4s", Some(rendition), None) => Some(Self::Segment { rendition, sequence }),
            ("m4s", Some(rendition), Some(part)) => {
                Some(Self::Part { rendition, sequence, part: usize::try_from(part?).ok()? })
            }
            ("ts", None, None) => Some(Self::Transport { sequence }),
            ("key", rendition, None) => Some(Self::Key { rendition, number: sequence }),
            _ => None,
        }
    }
}

/// A number in its one spelling.
fn number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let v0 = RenditionId::new(TrackId::VIDEO).expect("video");
        let a12 = RenditionId(TrackId { kind: MediaKind::Audio, index: 12 });
        let cases = [
            (init("x-1", v0, 7), "x-1-v0-7.mp4", FileName::Init { rendition: v0, era: 7 }),
            (segment("x-1", a12, 70), "x-1-a12-70.m4s", FileName::Segment { rendition: a12, sequence: 70 }),
            (part("x", v0, 8, 0), "x-v0-8-0.m4s", FileName::Part { rendition: v0, sequence: 8, part: 0 }),
            (transport("x", 8), "x-ts-8.ts", FileName::Transport { sequence: 8 }),
            (key("x", "v0", 8), "x-v0-8.key", FileName::Key { rendition: Some(v0), number: 8 }),
            (key("x", "ts", 8), "x-ts-8.key", FileName::Key { rendition: None, number: 8 }),
        ];
        for (written, name, meaning) in cases {
            assert_eq!(written, name);
            let id = &name[..name.find("-v").or(name.find("-a")).or(name.find("-ts")).expect("a rendition")];
            assert_eq!(FileName::parse(id, name), Some(meaning));
        }
        for wrong in
            ["x-v0-8-00.m4s", "x-v0-08.m4s", "x-v0-+8.m4s", "x-v00-8.m4s", "x-d0-8.m4s", "x-v0-8-1-2.m4s"]
        {
            assert_eq!(FileName::parse("x", wrong), None, "{wrong}");
        }
        for wrong in [
            "y-v0-8.m4s",
            "x-v0-8-1.mp4",
            "x-v0.m4s",
            "x-v0-8",
            "x-v256-8.m4s",
            "x-v0-8.ts",
            "x-ts-8.m4s",
            "x-ts-8-1.key",
            "",
        ] {
            assert_eq!(FileName::parse("x", wrong), None, "{wrong}");
        }
    }
}
