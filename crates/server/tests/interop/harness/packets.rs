//! Comparison of media packet by packet: what a publisher had against what a player got.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::process::run;
use super::programs::clip;
use super::transfer::LIMIT;

/// One packet as FFmpeg's `framehash` muxer describes it. Times are in ticks of its track: milliseconds in RTMP and FLV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) size: u64,
    pub(crate) hash: String,
}

/// One track: its kind (`video`, `audio`), the hash of its decoder configuration, its clock, and its packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) kind: String,
    pub(crate) configuration: String,
    pub(crate) ticks_per_second: u32,
    pub(crate) packets: Vec<Packet>,
}

impl Track {
    /// A time of this track in milliseconds.
    pub(crate) fn millis(&self, ticks: i64) -> f64 {
        ticks as f64 * 1000.0 / f64::from(self.ticks_per_second)
    }
}

/// The arguments that make FFmpeg describe all packets of `input` on standard output as they are.
pub(crate) fn describe(ffmpeg: &mut Command, input: impl AsRef<std::ffi::OsStr>) -> &mut Command {
    ffmpeg.arg("-copyts").arg("-i").arg(input);
    ffmpeg.args(["-map", "0", "-c", "copy", "-f", "framehash", "-hash", "md5", "-"])
}

/// The same, with packets as bitstream filters leave them: for each kind (`v`, `a`) the names of filters.
pub(crate) fn describe_filtered<'a>(
    ffmpeg: &'a mut Command,
    input: impl AsRef<std::ffi::OsStr>,
    filters: &[(&str, &str)],
) -> &'a mut Command {
    ffmpeg.arg("-copyts").arg("-i").arg(input).args(["-map", "0", "-c", "copy"]);
    for (kind, names) in filters {
        ffmpeg.args([&format!("-bsf:{kind}"), *names]);
    }
    ffmpeg.args(["-f", "framehash", "-hash", "md5", "-"])
}

/// The tracks of a file.
pub(crate) fn tracks_of(mut ffmpeg: Command, file: &Path) -> Vec<Track> {
    describe(&mut ffmpeg, file);
    parse(run(ffmpeg, LIMIT).silently().text())
}

/// The tracks of a clip as MP4 carries them: AV1 without temporal delimiters.
pub(crate) fn tracks_in_mp4(mut ffmpeg: Command, name: &str) -> Vec<Track> {
    let filters: &[_] = if name.starts_with("av1") { &[("v", "av1_metadata=td=remove")] } else { &[] };
    describe_filtered(&mut ffmpeg, clip(name), filters);
    parse_any(run(ffmpeg, LIMIT).silently().text())
}

/// The positions of the key frames among the packets of the first video track.
pub(crate) fn key_frames_of(mut ffmpeg: Command, file: &Path) -> Vec<Packet> {
    ffmpeg.arg("-copyts").arg("-i").arg(file);
    ffmpeg.args([
        "-map",
        "0:v:0",
        "-c",
        "copy",
        "-bsf:v",
        "noise=drop=not(key)",
        "-f",
        "framehash",
        "-hash",
        "md5",
        "-",
    ]);
    let mut tracks = parse(run(ffmpeg, LIMIT).silently().text());
    tracks.swap_remove(0).packets
}

/// Reads the output of [`describe`] of RTMP or FLV.
pub(crate) fn parse(description: &str) -> Vec<Track> {
    let tracks = parse_any(description);
    for track in &tracks {
        assert_eq!(track.ticks_per_second, 1000, "RTMP and FLV count milliseconds");
    }
    tracks
}

/// Reads the output of [`describe`] of any format. FFmpeg numbers tracks as they come; here video stands before audio, and the track that
/// FFmpeg makes of repeated metadata is left out.
pub(crate) fn parse_any(description: &str) -> Vec<Track> {
    let mut tracks = BTreeMap::<usize, Track>::new();
    for line in description.lines() {
        match line.strip_prefix('#') {
            Some(header) => parse_header(header, &mut tracks),
            None => {
                let (index, packet) = parse_packet(line);
                // FFmpeg makes an empty packet of some sequence starts and ends, depending on where they come from.
                if packet.size > 0 {
                    tracks.entry(index).or_default().packets.push(packet);
                }
            }
        }
    }
    let mut tracks: Vec<_> = tracks.into_values().filter(|track| track.kind != "subtitle").collect();
    tracks.sort_by_key(|track| track.kind != "video");
    tracks
}

fn parse_header(header: &str, tracks: &mut BTreeMap<usize, Track>) {
    let Some((key, value)) = header.split_once(": ").or_else(|| header.split_once(", ")) else { return };
    let Some((name, index)) = key.split_once(' ') else { return };
    let Ok(index) = index.parse() else { return };
    let track = tracks.entry(index).or_default();
    match name {
        "tb" => {
            let ticks = value.strip_prefix("1/").and_then(|ticks| ticks.parse().ok());
            track.ticks_per_second =
                ticks.unwrap_or_else(|| panic!("a tick is a part of a second, not {value}"));
        }
        "media_type" => track.kind = value.to_owned(),
        "extradata" => track.configuration = value.trim().to_owned(),
        _ => {}
    }
}

fn parse_packet(line: &str) -> (usize, Packet) {
    let mut fields = line.split(',').map(str::trim);
    let mut next = || fields.next().unwrap_or_else(|| panic!("a packet has six fields: {line}"));
    let number =
        |field: &str| field.parse::<i64>().unwrap_or_else(|error| panic!("{field:?} in {line}: {error}"));
    let index = number(next()) as usize;
    let (dts, pts, _duration, size) = (number(next()), number(next()), next(), number(next()) as u64);
    (index, Packet { dts, pts, size, hash: next().to_owned() })
}

/// Holds when the player got exactly what was published: the same tracks with the same configurations, every packet with
/// the same bytes, and the same times but for one shift that is common to all.
#[track_caller]
pub(crate) fn assert_same(published: &[Track], received: &[Track]) {
    assert_eq!(outline(published), outline(received), "tracks and numbers of packets differ");
    assert_same_tail(published, received);
}

/// The same for a player that came late: what it got is the end of each published track without a gap.
#[track_caller]
pub(crate) fn assert_same_tail(published: &[Track], received: &[Track]) {
    let shift = first_shift(published, received);
    for (published, received) in published.iter().zip(received) {
        assert_eq!(published.kind, received.kind);
        assert_eq!(published.configuration, received.configuration, "{} configuration", published.kind);
        let missed = published.packets.len().checked_sub(received.packets.len());
        let missed = missed.unwrap_or_else(|| panic!("{}: more was received than published", published.kind));
        for (number, (sent, got)) in published.packets[missed..].iter().zip(&received.packets).enumerate() {
            let sent = Packet { dts: sent.dts + shift, pts: sent.pts + shift, ..sent.clone() };
            assert_eq!(
                &sent,
                got,
                "{} packet {} of {}",
                published.kind,
                number + missed,
                published.packets.len()
            );
        }
    }
}

/// The same for a player of another format, whose clock is its own: the same bytes, pictures at their exact times, and
/// sound within the rounding of what was published, both after the same shift.
#[track_caller]
pub(crate) fn assert_same_media(published: &[Track], received: &[Track]) {
    assert_eq!(published.len(), received.len(), "tracks differ");
    let mut shift = None;
    for (published, received) in published.iter().zip(received) {
        assert_eq!(published.kind, received.kind);
        let kind = &published.kind;
        let missed = published.packets.len().checked_sub(received.packets.len());
        let missed = missed.unwrap_or_else(|| panic!("{kind}: more was received than published"));
        assert!(!received.packets.is_empty(), "{kind}: nothing was received");
        for (number, (sent, got)) in published.packets[missed..].iter().zip(&received.packets).enumerate() {
            let number = format!("{kind} packet {} of {}", number + missed, published.packets.len());
            assert_eq!((sent.size, &sent.hash), (got.size, &got.hash), "{number}");
            let (sent_at, got_at) = (published.millis(sent.dts), received.millis(got.dts));
            let shift = *shift.get_or_insert(got_at - sent_at);
            // Published are whole milliseconds; sound is put together without their rounding.
            let tolerance = if kind == "video" { 0.02 } else { 2.0 };
            for (sent, got) in [(sent.dts, got.dts), (sent.pts, got.pts)] {
                let error = received.millis(got) - published.millis(sent) - shift;
                assert!(error.abs() < tolerance, "{number} is {error} ms late");
            }
        }
    }
}

/// What is added to the times of everything published, taken from the last packet of the first track.
#[track_caller]
fn first_shift(published: &[Track], received: &[Track]) -> i64 {
    let last = |tracks: &[Track]| tracks.first()?.packets.last().map(|packet| packet.dts);
    last(received).expect("packets were received") - last(published).expect("packets were published")
}

fn outline(tracks: &[Track]) -> Vec<(&str, usize)> {
    tracks.iter().map(|track| (track.kind.as_str(), track.packets.len())).collect()
}
