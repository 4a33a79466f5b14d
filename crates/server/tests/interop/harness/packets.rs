//! Comparison of media packet by packet: what a publisher had against what a player got.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::run;

/// One packet as FFmpeg's `framehash` muxer describes it. Times are in milliseconds, as in RTMP and FLV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) size: u64,
    pub(crate) hash: String,
}

/// One track: its kind (`video`, `audio`), the hash of its decoder configuration, and its packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) kind: String,
    pub(crate) configuration: String,
    pub(crate) packets: Vec<Packet>,
}

/// The arguments that make FFmpeg describe all packets of `input` on standard output as they are.
pub(crate) fn describe(ffmpeg: &mut Command, input: impl AsRef<std::ffi::OsStr>) -> &mut Command {
    ffmpeg.arg("-copyts").arg("-i").arg(input);
    ffmpeg.args(["-map", "0", "-c", "copy", "-f", "framehash", "-hash", "md5", "-"])
}

/// The tracks of a file.
pub(crate) fn tracks_of(mut ffmpeg: Command, file: &Path) -> Vec<Track> {
    describe(&mut ffmpeg, file);
    parse(run(ffmpeg, Duration::from_secs(20)).silently().text())
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
    let mut tracks = parse(run(ffmpeg, Duration::from_secs(20)).silently().text());
    tracks.swap_remove(0).packets
}

/// Reads the output of [`describe`]. FFmpeg numbers tracks as they come; here video stands before audio, and the track that
/// FFmpeg makes of repeated metadata is left out.
pub(crate) fn parse(description: &str) -> Vec<Track> {
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
        "tb" => assert_eq!(value, "1/1000", "RTMP and FLV count milliseconds"),
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

/// What is added to the times of everything published, taken from the last packet of the first track.
#[track_caller]
fn first_shift(published: &[Track], received: &[Track]) -> i64 {
    let last = |tracks: &[Track]| tracks.first()?.packets.last().map(|packet| packet.dts);
    last(received).expect("packets were received") - last(published).expect("packets were published")
}

fn outline(tracks: &[Track]) -> Vec<(&str, usize)> {
    tracks.iter().map(|track| (track.kind.as_str(), track.packets.len())).collect()
}
