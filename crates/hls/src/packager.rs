//! Frames in, files and playlists out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flumen_media::flv::color_info;
use flumen_media::mp4::write::Unwritable;
use flumen_media::{Frame, FrameKind, MediaKind, TrackId};

use crate::cues::Cue;
use crate::era::{Era, Taken};
use crate::gathering::{Gathered, Gathering, Tracks};
use crate::names::FileName;
use crate::output::Output;
use crate::ts::Transport;
use crate::{
    Config, ManifestRequest, PlaylistRequest, Progress, Rendition, RenditionId, Segment, dash, playlist, ts,
};

/// Makes the HLS form of one stream.
///
/// Frames go in with [`push`](Self::push); what can be seen changes with them, and [`version`](Self::version) tells when.
#[derive(Debug)]
pub struct Packager {
    tracks: Tracks,
    phase: Phase,
    output: Output,
    /// The same as MPEG-TS, once somebody has asked for it.
    transport: Option<Transport>,
}

/// What frames are for at the moment.
#[derive(Debug)]
enum Phase {
    /// They wait until an era can begin with them.
    Gathering(Gathering),
    /// They become segments.
    Running(Era),
}

/// A file that can be served.
#[derive(Clone, Debug)]
pub struct File {
    /// Its type.
    pub mime: &'static str,
    /// Its bytes; shared, not copied.
    pub data: Bytes,
}

/// What is known of a file name.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// It is there.
    Found(File),
    /// A playlist announced it (`EXT-X-PRELOAD-HINT`): wait for progress of the rendition and ask again.
    Announced(RenditionId),
    /// It is the segment that is being made, which nobody has announced: wait for progress of the rendition, but do not give
    /// it out even then.
    ///
    /// Interop: FFmpeg counts the segments of a DASH manifest and asks for the next one at once. If it gets none, it reads the
    /// manifest again; a hundred such answers in a row end it. If it gets one that its manifest does not have, it will ask
    /// for it a second time.
    TooEarly(RenditionId),
    /// It was never there, or is no longer.
    Unknown,
}

impl Lookup {
    fn found(mime: &'static str, data: Bytes) -> Self {
        Self::Found(File { mime, data })
    }
}

/// How far somebody has come who wants every finished segment once, and every cue.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// The number of the next segment.
    next: u64,
    /// Cues so far.
    cues: u64,
}

impl Packager {
    /// A packager that waits for its first frame.
    pub fn new(mut config: Config) -> Self {
        if config.encryption.is_some() {
            config.part_duration = Duration::ZERO;
        }
        Self {
            tracks: Tracks::default(),
            phase: Phase::Gathering(Gathering::new(false)),
            output: Output::new(config),
            transport: None,
        }
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.output.config
    }

    /// Takes the next frame, which came at `arrived`. After [`finish`](Self::finish) a new publication begins with it.
    ///
    /// Frames of one track come in decoding order; tracks are interleaved within a few seconds. Of data, `onTextData` and
    /// `onCuePoint` are taken.
    pub fn push(&mut self, frame: &Frame, arrived: SystemTime) {
        if frame.track.kind == MediaKind::Data {
            self.tell(frame);
            return;
        }
        match frame.kind {
            FrameKind::Config => self.configure(frame),
            FrameKind::End => {
                self.tracks.remove(frame.track);
                self.change(frame.track);
            }
            FrameKind::SideConfig => self.colour(frame),
            FrameKind::Key | FrameKind::Delta | FrameKind::Disposable => self.push_media(frame, arrived),
        }
        self.follow();
    }

    /// Something is missing before the next frame, or its timestamp has nothing to do with the last: a new era begins at
    /// the next key frame.
    pub fn discontinuity(&mut self) {
        let is_complete = match &self.phase {
            Phase::Gathering(gathering) => gathering.is_complete(),
            Phase::Running(_) => true,
        };
        self.end_era(is_complete);
        self.follow();
    }

    /// The publication has ended: everything is closed, playlists say so (`EXT-X-ENDLIST`).
    pub fn finish(&mut self) {
        if let Phase::Gathering(_) = self.phase {
            let frames = self.begin_era();
            frames.into_iter().for_each(|(frame, arrived)| self.push_slowly(frame, arrived));
        }
        self.end_era(false);
        self.tracks.clear();
        self.output.has_ended = true;
        self.output.version += 1;
        self.follow();
    }

    /// Whether there is something to play: each rendition had a finished segment, and some still have one.
    pub fn is_playable(&self) -> bool {
        self.output.target_duration.is_some()
            && self.renditions().flat_map(Rendition::segments).any(|segment| !segment.is_gap())
    }

    /// Whether the publication has ended, and no other has begun.
    pub fn has_ended(&self) -> bool {
        self.output.has_ended
    }

    /// Counts what can be seen from outside: as long as it stays the same, so does every playlist.
    pub fn version(&self) -> u64 {
        self.output.version
    }

    /// The longest that a segment can be, in seconds (`EXT-X-TARGETDURATION`); `None` before it is playable.
    pub fn target_duration(&self) -> Option<u64> {
        self.output.target_duration
    }

    /// How far a playlist has come; `None` if there is no such rendition.
    pub fn progress(&self, rendition: RenditionId) -> Option<Progress> {
        let rendition = self.rendition(rendition)?;
        let part = rendition.open().map_or(0, |open| open.parts.len());
        Some(Progress { sequence: rendition.next(), part, ended: self.output.has_ended })
    }

    /// The multivariant playlist; `None` before it is playable. `query` follows a `?` at every address in it, if not empty.
    pub fn multivariant(&self, query: &str) -> Option<String> {
        self.output.target_duration?;
        playlist::multivariant(&self.output, query)
    }

    /// A media playlist; `None` before it is playable or if there is no such rendition.
    pub fn playlist(&self, rendition: RenditionId, request: &PlaylistRequest<'_>) -> Option<String> {
        playlist::media(&self.output, self.rendition(rendition)?, request)
    }

    /// The playlist of the same media as MPEG-TS, with pictures and sound in one file; `None` before it is playable, or if one
    /// of the codecs has no place there. Segments are made from the first call on.
    pub fn transport_playlist(&mut self, query: &str) -> Option<String> {
        self.output.target_duration?;
        self.transport.get_or_insert_default();
        self.follow();
        ts::playlist(&self.output, self.transport.as_ref()?, query)
    }

    /// The MPEG-DASH manifest; `None` before it is playable, or if segments are encrypted.
    pub fn manifest(&self, request: &ManifestRequest<'_>) -> Option<String> {
        if self.config().encryption.is_some() {
            return None;
        }
        let longest = Duration::from_secs(self.output.target_duration?);
        Some(dash::manifest(&dash::Presentation::of(&self.output, longest)?, request))
    }

    /// The file of a name.
    pub fn file(&self, name: &str) -> Lookup {
        let Some(name) = FileName::parse(&self.output.config.id, name) else { return Lookup::Unknown };
        let found = match name {
            FileName::Init { rendition, era } => self
                .rendition(rendition)
                .and_then(|rendition| rendition.init_of(era).map(|init| (init.rendition, init.data.clone()))),
            FileName::Segment { rendition, sequence } if self.makes(rendition, sequence) => {
                return Lookup::TooEarly(rendition);
            }
            FileName::Segment { rendition, sequence } => self.rendition(rendition).and_then(|rendition| {
                let segment = rendition.segment(sequence).filter(|segment| !segment.is_gap())?;
                Some((rendition.id(), segment.file(self.config())))
            }),
            FileName::Part { .. } if self.config().encryption.is_some() => None,
            FileName::Part { rendition, sequence, part } => {
                let Some(rendition) = self.rendition(rendition) else { return Lookup::Unknown };
                if rendition.announces(sequence, part) {
                    return Lookup::Announced(rendition.id());
                }
                rendition.part(sequence, part).map(|part| (rendition.id(), part.data.clone()))
            }
            FileName::Transport { sequence } => {
                let file =
                    self.transport.as_ref().and_then(|transport| transport.file(sequence, self.config()));
                return file.map_or(Lookup::Unknown, |file| Lookup::found("video/mp2t", file));
            }
            FileName::Key { rendition, number } => {
                let key = self.key(rendition, number);
                return key.map_or(Lookup::Unknown, |key| Lookup::found("application/octet-stream", key));
            }
        };
        found.map_or(Lookup::Unknown, |(rendition, data)| {
            Lookup::found(if rendition.is_video() { "video/mp4" } else { "audio/mp4" }, data)
        })
    }

    /// All renditions, those of video first.
    pub fn renditions(&self) -> impl Iterator<Item = &Rendition> {
        self.output.renditions.iter()
    }

    /// One rendition.
    pub fn rendition(&self, id: RenditionId) -> Option<&Rendition> {
        self.output.rendition(id)
    }

    /// The tracks that are not packaged, and why.
    pub fn unwritable(&self) -> impl Iterator<Item = (TrackId, Unwritable)> {
        self.tracks.unwritable()
    }

    /// Whether none of the tracks can be packaged, and others were waited for: [`unwritable`](Self::unwritable) says why.
    /// Another track or another configuration may still change that.
    pub fn is_hopeless(&self) -> bool {
        matches!(&self.phase, Phase::Gathering(gathering) if gathering.is_hopeless(&self.tracks))
    }

    /// The next segments that `cursor` has not seen: one of each rendition that has it, with the same number; empty if there
    /// is none yet.
    ///
    /// A segment is handed out when all renditions have finished it. A cursor that is slower than the window misses what
    /// left it.
    pub fn next_finished(&self, cursor: &mut Cursor) -> Vec<Arc<Segment>> {
        let next = cursor.next.max(self.output.first_kept());
        if next >= self.output.finished() {
            return Vec::new();
        }
        cursor.next = next + 1;
        self.output.renditions.iter().filter_map(|rendition| rendition.segment(next).cloned()).collect()
    }

    /// The tags of what the publisher has told of moments (`EXT-X-DATERANGE`) that `cursor` has not seen, in the order they
    /// came. Of more than 64 the newest.
    pub fn next_cues(&self, cursor: &mut Cursor) -> Vec<String> {
        let (tags, count) = self.output.cues.since(cursor.cues);
        cursor.cues = count;
        tags.map(str::to_owned).collect()
    }

    /// Whether a segment is the one that is being made.
    fn makes(&self, rendition: RenditionId, sequence: u64) -> bool {
        let rendition = self.rendition(rendition).filter(|rendition| rendition.open().is_some());
        rendition.is_some_and(|rendition| rendition.next() == sequence)
    }

    /// A key of a playlist, if it may be needed for one of its segments.
    fn key(&self, rendition: Option<RenditionId>, number: u64) -> Option<Bytes> {
        let encryption = self.config().encryption.as_ref()?;
        let (scope, next) = match rendition {
            Some(rendition) => (rendition.to_string(), self.rendition(rendition)?.next()),
            None => (self.transport.as_ref().map(|_| ts::SCOPE.to_owned())?, self.output.finished()),
        };
        let [first, next] = [self.output.first_kept(), next].map(|sequence| encryption.key_number(sequence));
        (first..=next).contains(&number).then(|| Bytes::copy_from_slice(&encryption.key(&scope, number)))
    }

    /// What was finished becomes a transport stream, if somebody wants one.
    fn follow(&mut self) {
        if let Some(transport) = &mut self.transport {
            transport.follow(&self.output);
        }
    }

    /// Script data: a cue is listed as soon as it is known when its moment was captured.
    fn tell(&mut self, frame: &Frame) {
        let Some(cue) = Cue::of(frame) else { return };
        match &mut self.phase {
            Phase::Gathering(gathering) => gathering.hold(cue),
            Phase::Running(era) => era.tell(&cue, &mut self.output),
        }
    }

    /// A configuration: news, or what everybody knows.
    fn configure(&mut self, frame: &Frame) {
        if self.tracks.configure(frame.track, frame.codec, frame.payload.clone()) {
            self.change(frame.track);
        }
    }

    /// What is told beside a configuration: of interest are colours, from the next key frame on.
    fn colour(&mut self, frame: &Frame) {
        let colour = color_info(&frame.payload);
        if frame.track.kind != MediaKind::Video || !self.tracks.set_colour(frame.track, colour) {
            return;
        }
        match &mut self.phase {
            Phase::Gathering(gathering) => gathering.set_colour(frame.track, colour),
            Phase::Running(era) => era.end_at_key_frame(),
        }
    }

    /// Nothing that came of the track before fits what comes now.
    fn change(&mut self, track: TrackId) {
        let must_end = match &mut self.phase {
            Phase::Gathering(gathering) => {
                gathering.drop_track(track);
                false
            }
            // A track that is not there yet is added when its first frame comes.
            Phase::Running(era) => era.has(track) && !era.end_soon(track),
        };
        if must_end {
            self.end_era(true);
        }
    }

    fn push_media(&mut self, frame: &Frame, arrived: SystemTime) {
        if self.tracks.codec(frame.track) != Some(frame.codec)
            && self.tracks.configure(frame.track, frame.codec, Bytes::new())
        {
            self.change(frame.track);
        }
        if !self.tracks.is_writable(frame.track) {
            if let Phase::Gathering(gathering) = &mut self.phase {
                gathering.wait(frame.dts, arrived);
            }
            return;
        }
        if let Phase::Running(era) = &mut self.phase
            && era.has(frame.track)
            && era.push(frame, &mut self.output) == Taken::Yes
        {
            return;
        }
        self.push_slowly(frame.clone(), arrived);
    }

    /// Takes frames that begin an era, or could, or end one.
    fn push_slowly(&mut self, frame: Frame, arrived: SystemTime) {
        let mut frames = VecDeque::from([(frame, arrived)]);
        while let Some((frame, arrived)) = frames.pop_front() {
            if let Phase::Running(era) = &mut self.phase {
                let taken = if era.has(frame.track) {
                    era.push(&frame, &mut self.output)
                } else if self.tracks.is_writable(frame.track) {
                    era.push_foreign(&frame)
                } else {
                    Taken::Yes
                };
                if taken == Taken::Yes {
                    continue;
                }
                self.end_era(true);
            }
            if let Phase::Gathering(gathering) = &mut self.phase {
                gathering.push(frame, arrived, &mut self.tracks);
                if gathering.is_ready(&self.tracks) {
                    // What was gathered comes first.
                    let mut gathered = self.begin_era();
                    gathered.append(&mut frames);
                    frames = gathered;
                }
            }
        }
    }

    /// Begins an era with what was gathered; gives its frames.
    fn begin_era(&mut self) -> VecDeque<(Frame, SystemTime)> {
        let nothing = Phase::Gathering(Gathering::new(false));
        let Phase::Gathering(gathering) = std::mem::replace(&mut self.phase, nothing) else {
            return VecDeque::new();
        };
        let Some(Gathered { formats, frames, cues }) = gathering.take() else { return VecDeque::new() };
        if let Some((first, arrived)) = frames.front() {
            let (era, beginnings) = Era::new(&formats, first);
            self.output.begin(&beginnings, *arrived);
            cues.iter().for_each(|cue| era.tell(cue, &mut self.output));
            self.phase = Phase::Running(era);
        }
        frames
    }

    /// Ends the era, if there is one. If `is_complete`, no other tracks are expected in the next one than are known.
    fn end_era(&mut self, is_complete: bool) {
        let nothing = Phase::Gathering(Gathering::new(is_complete));
        if let Phase::Running(era) = std::mem::replace(&mut self.phase, nothing) {
            era.end(&mut self.output);
        }
    }
}
