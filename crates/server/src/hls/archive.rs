//! Hands what is packaged to storage.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use flumen_hls::{RenditionId, Segment};
use flumen_hub::StreamKey;

use super::output::Text;
use crate::app::App;
use crate::storage::{self, Archiver, Piece};

/// The archive of one publication.
pub(super) struct Archive {
    archiver: Archiver,
    /// What the playlists have said last: the init segment, and the discontinuity.
    said: HashMap<RenditionId, (String, u64)>,
    /// Bytes that cues may still have.
    room_for_cues: usize,
    /// The multivariant playlist that was handed over.
    multivariant: Option<Arc<Text>>,
}

/// Bytes of cues in a playlist, which is kept and written as a whole. Later ones are left out.
const MAX_CUES: usize = 1 << 20;

impl Archive {
    /// Begins one, named by the time.
    pub(super) fn begin(app: &App, key: &StreamKey) -> Self {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let name: String = now.chars().filter(|c| !"-:.".contains(*c)).collect();
        Self {
            archiver: Archiver::begin(&app.storage, &app.shutdown, key.as_str(), &name),
            said: HashMap::new(),
            room_for_cues: MAX_CUES,
            multivariant: None,
        }
    }

    /// Takes segments with the cues that came meanwhile, and the multivariant playlist if that is another one now.
    pub(super) fn take(
        &mut self,
        segments: &[Arc<Segment>],
        cues: &[String],
        multivariant: impl FnOnce() -> Option<Arc<Text>>,
    ) {
        let cues = self.lines(cues);
        let mut told = HashSet::new();
        for segment in segments {
            let mut tags = self.tags(segment);
            // All playlists have the same cues, and where in a playlist they stand means nothing.
            if told.insert(segment.init.rendition) {
                tags.push_str(&cues);
            }
            self.archiver.take(Piece::Segment(storage::Segment {
                playlist: segment.init.rendition.playlist(),
                tags,
                duration: segment.duration(),
                name: segment.name.clone(),
                chunks: segment.parts.iter().map(|part| part.data.clone()).collect(),
            }));
        }
        if let Some(text) = multivariant()
            && self.multivariant.as_ref().is_none_or(|last| last.plain != text.plain)
        {
            let plain = String::from_utf8_lossy(&text.plain).into_owned();
            self.archiver.take(Piece::Multivariant(plain));
            self.multivariant = Some(text);
        }
    }

    /// As many tags as there is room for, a line each.
    fn lines(&mut self, cues: &[String]) -> String {
        let mut lines = String::new();
        for cue in cues {
            let left = self.room_for_cues.checked_sub(cue.len() + 1);
            self.room_for_cues = left.unwrap_or(0);
            if left.is_some() {
                lines.extend([cue, "\n"]);
            }
        }
        lines
    }

    /// What stands before a segment: a new init segment, which is handed over too, a discontinuity, the time.
    fn tags(&mut self, segment: &Segment) -> String {
        let (mut tags, init) = (String::new(), &segment.init);
        let said = self.said.get(&init.rendition);
        if said.is_some_and(|(_, discontinuity)| *discontinuity != segment.discontinuity) {
            tags.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if said.is_none_or(|(name, _)| *name != init.name) {
            // Writing into a string does not fail.
            let _ = writeln!(tags, "#EXT-X-MAP:URI=\"{}\"", init.name);
            self.archiver.take(Piece::Init { name: init.name.clone(), bytes: init.data.clone() });
        }
        self.said.insert(init.rendition, (init.name.clone(), segment.discontinuity));
        let time = humantime::format_rfc3339_millis(segment.program_date_time);
        let _ = writeln!(tags, "#EXT-X-PROGRAM-DATE-TIME:{time}");
        tags
    }
}
