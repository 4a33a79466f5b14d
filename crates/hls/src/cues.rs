//! What a publisher tells of moments (`onTextData`, `onCuePoint`), as `EXT-X-DATERANGE` (HLS §4.4.5.1).

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::SystemTime;

use flumen_media::flv::ScriptEvent;
use flumen_media::{Frame, FrameKind, MediaKind, Timestamp};

use crate::playlist::Utc;

/// The script messages that players get.
const NAMES: [&str; 2] = ["onTextData", "onCuePoint"];
/// Cues that are held or listed at most. Where more come, the oldest go.
pub(crate) const MAX_CUES: usize = 64;
/// Attributes of a tag that are the publisher's, and how long the name and the text of one may be, in bytes. Longer texts are
/// cut, longer names left out.
const MAX_ATTRIBUTES: usize = 32;
const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 256;

/// What a publisher told of a moment.
#[derive(Clone, Debug)]
pub(crate) struct Cue {
    /// The moment, as it is presented: script data is not reordered.
    pub(crate) at: Timestamp,
    class: String,
    /// Name and text, as they stand in the tag.
    attributes: Vec<(String, String)>,
}

impl Cue {
    /// The cue in a frame of data, if there is one.
    pub(crate) fn of(frame: &Frame) -> Option<Self> {
        if frame.track.kind != MediaKind::Data || frame.kind != FrameKind::Key {
            return None;
        }
        let event = ScriptEvent::parse(&frame.payload).filter(|event| NAMES.contains(&&*event.name))?;
        let mut attributes: Vec<(String, String)> = Vec::new();
        for (name, text) in event.properties.iter().filter(|(name, _)| (1..=MAX_NAME).contains(&name.len())) {
            let name = attribute_name(name);
            // A name must not come twice in a tag (HLS §4.2).
            if attributes.len() < MAX_ATTRIBUTES && attributes.iter().all(|(known, _)| *known != name) {
                attributes.push((name, attribute_text(text)));
            }
        }
        Some(Self { at: frame.dts, class: event.name, attributes })
    }

    /// Its tag.
    fn tag(&self, id: &str, date: SystemTime) -> String {
        let mut tag = String::new();
        // Writing into a string does not fail. The name is one of `NAMES`.
        let _ = write!(tag, "#EXT-X-DATERANGE:ID=\"{id}\",CLASS=\"flumen.{}\"", self.class);
        let _ = write!(tag, ",START-DATE=\"{}\",DURATION=0", Utc(date));
        for (name, text) in &self.attributes {
            let _ = write!(tag, ",X-{name}=\"{text}\"");
        }
        tag
    }
}

/// A name in the letters that names of attributes have (HLS §4.2).
fn attribute_name(name: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        letter @ ('A'..='Z' | '0'..='9') => letter,
        _ => '-',
    };
    name.chars().map(letter).collect()
}

/// A text that neither ends its quotes nor its line (HLS §4.2).
fn attribute_text(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
    let harmless = |letter: char| match letter {
        '"' => '\'',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    text.chars().map(harmless).collect()
}

/// The tags that every playlist of the stream has.
#[derive(Debug, Default)]
pub(crate) struct Cues {
    /// How many there have been.
    count: u64,
    listed: VecDeque<Listed>,
}

#[derive(Debug)]
struct Listed {
    /// How many there were before it.
    number: u64,
    date: SystemTime,
    tag: String,
}

impl Cues {
    /// Lists a cue of a moment that was captured at `date`. `scope` makes its ID another one than those of other packagers.
    pub(crate) fn list(&mut self, cue: &Cue, scope: u64, date: SystemTime) {
        if self.listed.len() == MAX_CUES {
            self.listed.pop_front();
        }
        let number = self.count;
        let id = format!("{scope}-{number}");
        self.count += 1;
        self.listed.push_back(Listed { number, date, tag: cue.tag(&id, date) });
    }

    /// Playlists begin at `first` now.
    pub(crate) fn forget_before(&mut self, first: SystemTime) {
        self.listed.retain(|cue| cue.date >= first);
    }

    /// The tags of those that came after the first `seen` of all, and how many there have been.
    pub(crate) fn since(&self, seen: u64) -> (impl Iterator<Item = &str>, u64) {
        let new = self.listed.iter().filter(move |cue| cue.number >= seen);
        (new.map(|cue| &*cue.tag), self.count)
    }

    /// The tags, in the order they came.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(|cue| &*cue.tag)
    }
}
