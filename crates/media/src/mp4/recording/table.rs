//! The tables of a track's samples, as they are collected and written (ISOBMFF §8.6, §8.7).

use bytes::{BufMut, BytesMut};

use crate::mp4::fragment::TrackFragment;
use crate::mp4::write::boxes::full_box;

/// The samples of one track, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// When the first sample is decoded, in ticks.
    begin: u64,
    /// When the last one ends, in ticks.
    end: u64,
    /// The presentation time of the first sample, counted from its decode time.
    first_offset: i32,
    /// When the last picture has been shown, in ticks.
    shown: u64,
    /// Runs of samples with the same duration, and with the same composition offset.
    durations: Vec<(u32, u32)>,
    offsets: Vec<(u32, i32)>,
    sizes: Vec<u32>,
    /// Where each chunk is, and how many samples it has.
    chunks: Vec<(u64, u32)>,
    /// The numbers of key frames, from 1.
    keys: Vec<u32>,
}

impl Table {
    /// Adds the samples of a fragment.
    pub(super) fn add(&mut self, fragment: &TrackFragment) {
        let samples = &fragment.runs.samples;
        let begin = fragment.begin.unwrap_or(self.end);
        match self.durations.last_mut() {
            None => {
                (self.begin, self.end) = (begin, begin);
                self.first_offset = samples.first().map_or(0, |sample| sample.cts);
            }
            // The last sample lasts until the next one comes.
            Some(_) if begin > self.end => self.stretch(begin - self.end),
            Some(_) => {}
        }
        for (index, sample) in samples.iter().enumerate() {
            let next = samples.get(index + 1).map_or(fragment.runs.duration, |next| next.dts);
            let duration = u32::try_from(next - sample.dts).unwrap_or(u32::MAX);
            count(&mut self.durations, duration);
            count(&mut self.offsets, sample.cts);
            self.end = self.end.saturating_add(duration.into());
            self.shown = self.shown.max(self.end.saturating_add_signed(sample.cts.into()));
            self.sizes.push(sample.size);
            if sample.is_key {
                self.keys.push(self.sizes.len() as u32);
            }
            let follows = index > 0 && {
                let last = &samples[index - 1];
                last.offset + u64::from(last.size) == sample.offset
            };
            match self.chunks.last_mut() {
                Some((_, samples)) if follows => *samples += 1,
                _ => self.chunks.push((sample.offset, 1)),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// How long all samples last, in ticks.
    pub(super) fn duration(&self) -> u64 {
        self.end - self.begin
    }

    /// When the last sample ends, in ticks from the beginning of the file.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// For a track that begins later than the file: how long nothing is shown, where its samples begin then and how long
    /// they are shown, in ticks.
    pub(super) fn delay(&self) -> Option<(u64, u32, u64)> {
        let skipped = self.first_offset.max(0).unsigned_abs();
        let begin = self.begin.saturating_add(skipped.into());
        (self.begin > 0).then_some((begin, skipped, self.shown.saturating_sub(begin)))
    }

    /// Writes the boxes that follow `stsd` in `stbl`.
    pub(super) fn write(&self, out: &mut BytesMut) {
        table(out, b"stts", 0, &self.durations, |out, (count, duration)| {
            out.put_u32(*count);
            out.put_u32(*duration);
        });
        if self.offsets.iter().any(|(_, offset)| *offset != 0) {
            table(out, b"ctts", 1, &self.offsets, |out, (count, offset)| {
                out.put_u32(*count);
                out.put_i32(*offset);
            });
        }
        table(out, b"stsc", 0, &self.chunk_runs(), |out, (first, samples)| {
            out.put_u32(*first);
            out.put_u32(*samples);
            // The only sample description.
            out.put_u32(1);
        });
        full_box(out, b"stsz", 0, 0, |out| {
            out.put_u32(0);
            out.put_u32(self.sizes.len() as u32);
            self.sizes.iter().for_each(|size| out.put_u32(*size));
        });
        table(out, b"co64", 0, &self.chunks, |out, (offset, _)| out.put_u64(*offset));
        // Without the table every sample is a key frame.
        if self.keys.len() < self.sizes.len() {
            table(out, b"stss", 0, &self.keys, |out, number| out.put_u32(*number));
        }
    }

    /// The first chunk, from 1, of each run with the same number of samples.
    fn chunk_runs(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for (number, (_, samples)) in (1..).zip(&self.chunks) {
            if runs.last().is_none_or(|(_, same)| same != samples) {
                runs.push((number, *samples));
            }
        }
        runs
    }

    /// Makes the last sample longer.
    fn stretch(&mut self, ticks: u64) {
        let Some((count_left, last)) = self.durations.last_mut() else { return };
        let longer = u32::try_from(u64::from(*last) + ticks).unwrap_or(u32::MAX);
        self.end = self.end.saturating_add((longer - *last).into());
        *count_left -= 1;
        if *count_left == 0 {
            self.durations.pop();
        }
        count(&mut self.durations, longer);
    }
}

/// Counts a value at the end of a list of runs.
fn count<T: PartialEq>(runs: &mut Vec<(u32, T)>, value: T) {
    match runs.last_mut() {
        Some((count, same)) if *same == value => *count += 1,
        _ => runs.push((1, value)),
    }
}

/// A box with a count and as many entries.
fn table<T>(
    out: &mut BytesMut,
    kind: &[u8; 4],
    version: u8,
    entries: &[T],
    write: impl Fn(&mut BytesMut, &T),
) {
    full_box(out, kind, version, 0, |out| {
        out.put_u32(entries.len() as u32);
        entries.iter().for_each(|entry| write(out, entry));
    });
}
