//! Hands what is packaged to storage.

use std::collections::HashMap;
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
    /// The multivariant playlist that was handed over.
    multivariant: Option<Arc<Text>>,
}

impl Archive {
    /// Begins one, named by the time.
    pub(super) fn begin(app: &App, key: &StreamKey) -> Self {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let name: String = now.chars().filter(|c| !"-:.".contains(*c)).collect();
        Self {
            archiver: Archiver::begin(&app.storage, &app.shutdown, key.as_str(), &name),
            said: HashMap::new(),
            multivariant: None,
        }
    }

    /// Takes segments, and the multivariant playlist if that is another one now.
    pub(super) fn take(
        &mut self,
        segments: &[Arc<Segment>],
        multivariant: impl FnOnce() -> Option<Arc<Text>>,
    ) {
        for segment in segments {
            let tags = self.tags(segment);
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
