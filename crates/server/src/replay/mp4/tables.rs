//! The index of a finished MP4 recording by the tables at its end: what the walk over all fragments finds, in a few reads.

use std::io::{self, ErrorKind};

use flumen_media::TrackId;
use flumen_media::mp4::{Movie, Sample};

use super::{Fragment, Indexer, Walk, add_configs, add_sample, box_at, content, damaged};
use crate::replay::medium::Medium;

/// A fragment as the tables tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Where its `moof` is: behind the media of the fragment before.
    position: u64,
    /// Its media.
    begin: u64,
    end: u64,
}

/// Reads the tables; `None` if there are none, or they are not those of a recording.
///
/// # Errors
/// When the medium cannot be read.
pub(super) fn read(medium: &Medium) -> io::Result<Option<Indexer>> {
    match index(medium) {
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(None),
        read => read,
    }
}

fn index(medium: &Medium) -> io::Result<Option<Indexer>> {
    let mut walk = Walk::default();
    let Some(first) = walk.next(medium)? else { return Ok(None) };
    let (Some(movie), Some(mut tables)) = (walk.movie.clone(), find(medium)?) else { return Ok(None) };
    let Some(names) = names(&tables, &movie) else { return Ok(None) };
    let places = places(&tables, first.position);
    if !align(&mut tables, &names, &places, (medium, &movie))? {
        return Ok(None);
    }
    let mut indexer = Indexer::new(walk);
    indexer.builder.begin_at(first.position);
    add_configs(&mut indexer.builder, &movie, first.position);
    for sample in tables.samples() {
        let place = place_of(&places, sample.offset);
        let sample = named(sample, &names);
        add_sample(&mut indexer.builder, &movie, (&sample, place.map_or(0, |place| place.position)), medium)?;
    }
    indexer.builder.index.bytes = places.last().map_or(first.end, |place| place.end);
    Ok(Some(indexer))
}

/// The `moov` behind the media.
fn find(medium: &Medium) -> io::Result<Option<Movie>> {
    let (len, mut at, mut has_media) = (medium.len()?, 0, false);
    while let Some((header, end)) = box_at(medium, at, len)? {
        match &header.kind.0 {
            b"mdat" => has_media = true,
            b"moov" if has_media && end <= len => {
                return Movie::parse(content(medium, at, &header, end)?).map(Some).map_err(damaged);
            }
            b"moov" => return Ok(None),
            _ => {}
        }
        at = end;
    }
    Ok(None)
}

/// What tracks of the tables are called in the fragments: the tables leave out those of which nothing came.
fn names(tables: &Movie, movie: &Movie) -> Option<Vec<(TrackId, TrackId)>> {
    let mut tracks = movie.tracks().iter();
    let name = |told: &flumen_media::mp4::Track| {
        let same = tracks.find(|track| (track.codec(), track.config()) == (told.codec(), told.config()));
        Some((told.id(), same?.id()))
    };
    tables.tracks().iter().map(name).collect()
}

fn named(sample: Sample, names: &[(TrackId, TrackId)]) -> Sample {
    let name = names.iter().find(|(told, _)| *told == sample.track);
    Sample { track: name.map_or(sample.track, |(_, name)| *name), ..sample }
}

/// The fragments, in the order of the file: samples without a gap between them are in the same one.
fn places(tables: &Movie, first: u64) -> Vec<Place> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    // The last run of each track.
    let mut last: Vec<(TrackId, usize)> = Vec::new();
    for sample in tables.samples() {
        let end = sample.offset.saturating_add(sample.size.into());
        let of_track = last.iter_mut().find(|(track, _)| *track == sample.track);
        match of_track {
            Some((_, run)) if runs[*run].1 == sample.offset => runs[*run].1 = end,
            Some((_, run)) => {
                *run = runs.len();
                runs.push((sample.offset, end));
            }
            None => {
                last.push((sample.track, runs.len()));
                runs.push((sample.offset, end));
            }
        }
    }
    runs.sort_unstable();
    let mut places: Vec<Place> = Vec::new();
    for (begin, end) in runs {
        match places.last_mut() {
            Some(last) if last.end == begin => last.end = end,
            last => {
                let position = last.map_or(first, |last| last.end);
                places.push(Place { position, begin, end });
            }
        }
    }
    places
}

fn place_of(places: &[Place], offset: u64) -> Option<Place> {
    let behind = places.partition_point(|place| place.begin <= offset);
    places.get(behind.checked_sub(1)?).copied()
}

/// Gives the tables the exact times, and says whether the fragments are what the tables tell: those where tracks begin, one
/// in the middle and the last answer for all.
fn align(
    tables: &mut Movie,
    names: &[(TrackId, TrackId)],
    places: &[Place],
    (medium, movie): (&Medium, &Movie),
) -> io::Result<bool> {
    let firsts: Vec<Sample> = names
        .iter()
        .filter_map(|(track, _)| tables.samples().find(|sample| sample.track == *track))
        .collect();
    let asked = [places.get(places.len() / 2), places.last()].into_iter().flatten().copied();
    let mut asked: Vec<Place> =
        firsts.iter().filter_map(|sample| place_of(places, sample.offset)).chain(asked).collect();
    asked.dedup();
    let mut found: Vec<Sample> = Vec::new();
    for place in &asked {
        let mut walk = Walk { position: place.position, movie: Some(movie.clone()) };
        match walk.next(medium)? {
            Some(Fragment { position, samples, .. }) if position == place.position => found.extend(samples),
            _ => return Ok(false),
        }
    }
    for sample in firsts {
        match found.iter().find(|found| found.offset == sample.offset) {
            Some(exact) => tables.begin_at(sample.track, exact.dts),
            None => return Ok(false),
        }
    }
    let mut told: Vec<Sample> = tables
        .samples()
        .filter(|sample| place_of(places, sample.offset).is_some_and(|place| asked.contains(&place)))
        .map(|sample| named(sample, names))
        .collect();
    for samples in [&mut told, &mut found] {
        samples.sort_by_key(|sample| sample.offset);
        samples.dedup();
    }
    Ok(told == found)
}
