//! As much of playlists as a player needs that fetches everything.

use std::time::Duration;

use anyhow::{Context, bail};

/// A place in a stream: a part of a segment; a segment without parts is one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) sequence: u64,
    pub(super) part: u64,
}

impl Place {
    /// The part behind it.
    pub(super) fn next(self) -> Self {
        Self { part: self.part + 1, ..self }
    }
}

/// Something to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) place: Place,
    pub(super) address: String,
    is_independent: bool,
}

/// A media playlist.
#[derive(Debug, Default)]
pub(super) struct Playlist {
    /// Parts, or segments where there are no parts, oldest first.
    pieces: Vec<Piece>,
    /// The segment that is being made.
    open: u64,
    pub(super) init: Option<String>,
    pub(super) target: Duration,
    pub(super) can_block: bool,
    pub(super) can_skip: bool,
    pub(super) has_ended: bool,
}

impl Playlist {
    /// Reads a playlist.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut playlist = Self::default();
        let (mut part, has_parts) = (0, text.contains("#EXT-X-PART:"));
        for line in text.strip_prefix("#EXTM3U").context("this is no playlist")?.lines() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-TARGETDURATION" => playlist.target = Duration::from_secs(value.parse()?),
                "#EXT-X-MEDIA-SEQUENCE" => playlist.open = value.parse()?,
                "#EXT-X-SKIP" => {
                    playlist.open += plain(value, "SKIPPED-SEGMENTS").context("nothing is skipped")?
                }
                "#EXT-X-SERVER-CONTROL" => {
                    playlist.can_block =
                        value.contains("CAN-BLOCK-RELOAD=YES") && text.contains("#EXT-X-PART-INF:");
                    playlist.can_skip = value.contains("CAN-SKIP-UNTIL=");
                }
                "#EXT-X-MAP" => playlist.init = quoted(value, "URI").map(str::to_owned),
                "#EXT-X-PART" => {
                    let address = quoted(value, "URI").context("a part without an address")?;
                    playlist.push(part, address, value.contains("INDEPENDENT=YES"));
                    part += 1;
                }
                "#EXT-X-ENDLIST" => playlist.has_ended = true,
                _ if line.starts_with('#') || line.is_empty() => {}
                _ => {
                    if !has_parts {
                        playlist.push(0, line, true);
                    }
                    playlist.open += 1;
                    part = 0;
                }
            }
        }
        Ok(playlist)
    }

    fn push(&mut self, part: u64, address: &str, is_independent: bool) {
        let place = Place { sequence: self.open, part };
        self.pieces.push(Piece { place, address: address.to_owned(), is_independent });
    }

    /// Where a player begins: the newest piece that it can begin with.
    pub(super) fn live_edge(&self) -> Option<Place> {
        self.pieces.iter().rev().find(|piece| piece.is_independent).map(|piece| piece.place)
    }

    /// What there is from `next` on.
    ///
    /// # Errors
    /// When something is missing at the beginning.
    pub(super) fn from(&self, next: Place) -> anyhow::Result<Vec<Piece>> {
        let pieces: Vec<_> = self.pieces.iter().filter(|piece| piece.place >= next).cloned().collect();
        let follows = |first: Place| first == next || first == Place { sequence: next.sequence + 1, part: 0 };
        match pieces.first() {
            Some(first) if !follows(first.place) => {
                let (was, is) = (next, first.place);
                bail!(
                    "part {} of segment {} was missed: {} of {} is there",
                    was.part,
                    was.sequence,
                    is.part,
                    is.sequence
                )
            }
            _ => Ok(pieces),
        }
    }

    /// Whether it has come as far as a blocking reload for `place` waits.
    pub(super) fn has(&self, place: Place) -> bool {
        place.sequence < self.open || self.pieces.iter().any(|piece| piece.place == place)
    }
}

/// The addresses of the first variant in a multivariant playlist, and of the sound that goes with it.
pub(super) fn renditions(multivariant: &str) -> Vec<&str> {
    let variant = multivariant.lines().skip_while(|line| !line.starts_with("#EXT-X-STREAM-INF:")).nth(1);
    let sound = multivariant.lines().filter_map(|line| line.strip_prefix("#EXT-X-MEDIA:"));
    let sound = sound.filter(|line| line.contains("TYPE=AUDIO")).find_map(|line| quoted(line, "URI"));
    variant.into_iter().chain(sound).collect()
}

fn quoted<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    attributes.split_once(&format!("{name}=\""))?.1.split('"').next()
}

fn plain(attributes: &str, name: &str) -> Option<u64> {
    attributes.split_once(&format!("{name}="))?.1.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0\n#EXT-X-PART-INF:PART-TARGET=1\n\
        #EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:2,\ns7.m4s\n\
        #EXT-X-PART:DURATION=1,URI=\"p8-0\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=1,URI=\"p8-1\"\n#EXTINF:2,\ns8.m4s\n\
        #EXT-X-PART:DURATION=1,URI=\"p9-0\",INDEPENDENT=YES\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p9-1\"\n";

    fn place(sequence: u64, part: u64) -> Place {
        Place { sequence, part }
    }

    #[test]
    fn parts_have_their_places() {
        let playlist = Playlist::parse(LIVE).expect("a playlist");
        assert!(playlist.can_block && playlist.can_skip && !playlist.has_ended);
        assert_eq!((playlist.live_edge(), playlist.init.as_deref()), (Some(place(9, 0)), Some("i.mp4")));
        let names = |from| {
            playlist.from(from).expect("no gap").into_iter().map(|piece| piece.address).collect::<Vec<_>>()
        };
        assert_eq!(names(place(8, 1)), ["p8-1", "p9-0"]);
        assert_eq!(names(place(8, 2)), ["p9-0"], "a segment may end earlier than it seemed");
        assert!(names(place(9, 1)).is_empty());
        assert!(playlist.from(place(7, 0)).is_ok() && playlist.from(place(6, 0)).is_err());
        assert!(playlist.has(place(8, 7)) && playlist.has(place(9, 0)) && !playlist.has(place(9, 1)));
    }

    #[test]
    fn without_parts_segments_are_the_pieces() {
        let playlist =
            "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:3\n#EXTINF:2,\na.ts\n#EXTINF:2,\nb.ts\n#EXT-X-ENDLIST\n";
        let playlist = Playlist::parse(playlist).expect("a playlist");
        assert_eq!(playlist.live_edge(), Some(place(4, 0)));
        assert_eq!(playlist.from(place(3, 1)).expect("no gap")[0].address, "b.ts");
        assert!(playlist.has_ended && !playlist.can_block);
        assert!(Playlist::parse("<html>").is_err());
    }

    #[test]
    fn a_variant_has_its_sound() {
        let text =
            "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"a0.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0.m3u8\n";
        assert_eq!(renditions(text), ["v0.m3u8", "a0.m3u8"]);
        assert!(renditions("#EXTM3U\n").is_empty());
    }
}
