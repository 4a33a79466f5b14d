//! AC-3 and E-AC-3: the head of a syncframe (AC-3 §5.3, annex E.2.2). Neither has a configuration of its own.

use h264_reader::rbsp::{BitRead, BitReader};

use super::{AudioInfo, Malformed};
use crate::AudioCodec;

/// Describes a track by one of its syncframes.
pub(super) fn describe_frame(codec: AudioCodec, frame: &[u8]) -> Result<AudioInfo, Malformed> {
    // `bsid` stands at the same place in both and tells them apart, whatever the track calls itself.
    let bsid = frame.get(5).ok_or(Malformed("bsid"))? >> 3;
    let mut bits = BitReader::new(frame);
    if bits.read::<16, u16>("syncword")? != 0x0B77 {
        return Err(Malformed("syncword"));
    }
    let head = match bsid {
        0..=10 => read_ac3(&mut bits, bsid)?,
        11..=16 => read_eac3(&mut bits)?,
        _ => return Err(Malformed("bsid")),
    };
    Ok(AudioInfo {
        codec_string: Some(if codec == AudioCodec::Ac3 { "ac-3" } else { "ec-3" }.into()),
        sample_rate: Some(head.sample_rate),
        channels: Some(CHANNELS[usize::from(head.acmod)] + u8::from(head.lfe)),
        channel_layout: Some(LAYOUTS[usize::from(head.acmod)][usize::from(head.lfe)]),
        samples_per_frame: Some(256 * head.blocks),
        ..AudioInfo::unknown(codec)
    })
}

/// What both syncframes say, each in its order.
struct Head {
    /// In Hz.
    sample_rate: u32,
    /// Audio coding mode, 0–7.
    acmod: u8,
    /// Whether there is a low frequency channel.
    lfe: bool,
    /// Blocks of 256 samples, 1–6.
    blocks: u32,
}

/// `syncinfo()` and `bsi()` of AC-3, behind the sync word (AC-3 §5.3.1, §5.3.2).
fn read_ac3(bits: &mut impl BitRead, bsid: u8) -> Result<Head, Malformed> {
    bits.skip(16, "crc1")?;
    let fscod: u8 = bits.read::<2, _>("fscod")?;
    let full_rate = *SAMPLE_RATES.get(usize::from(fscod)).ok_or(Malformed("fscod"))?;
    bits.skip(6 + 5 + 3, "frmsizecod")?;
    let acmod: u8 = bits.read::<3, _>("acmod")?;
    if acmod & 1 != 0 && acmod != 1 {
        bits.skip(2, "cmixlev")?;
    }
    if acmod & 4 != 0 {
        bits.skip(2, "surmixlev")?;
    }
    if acmod == 2 {
        bits.skip(2, "dsurmod")?;
    }
    let lfe = bits.read_bit("lfeon")?;
    // Interop: bsid 9 and 10 mean half and quarter rates to every decoder, though no standard says so.
    Ok(Head { sample_rate: full_rate >> bsid.saturating_sub(8), acmod, lfe, blocks: 6 })
}

/// `bsi()` of E-AC-3, behind the sync word (AC-3 annex E.2.2.2).
fn read_eac3(bits: &mut impl BitRead) -> Result<Head, Malformed> {
    bits.skip(2 + 3 + 11, "frmsiz")?;
    let fscod: u8 = bits.read::<2, _>("fscod")?;
    let code: u8 = bits.read::<2, _>("numblkscod")?;
    let (sample_rate, blocks) = match SAMPLE_RATES.get(usize::from(fscod)) {
        Some(&rate) => (rate, [1, 2, 3, 6][usize::from(code)]),
        // With fscod 3 the code is fscod2: a halved rate, always with six blocks.
        None => (SAMPLE_RATES.get(usize::from(code)).ok_or(Malformed("fscod2"))? / 2, 6),
    };
    let acmod = bits.read::<3, _>("acmod")?;
    Ok(Head { sample_rate, acmod, lfe: bits.read_bit("lfeon")?, blocks })
}

/// Sample rates in Hz by `fscod` (AC-3 table 5.6).
const SAMPLE_RATES: [u32; 3] = [48_000, 44_100, 32_000];

/// Full channels by `acmod` (AC-3 table 5.8).
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// Where they stand, by `acmod`, without and with the low frequency channel, as ffprobe says it.
const LAYOUTS: [[&str; 2]; 8] = [
    ["stereo", "2.1"],
    ["mono", "mono+LFE"],
    ["stereo", "2.1"],
    ["3.0", "3.1"],
    ["3.0(back)", "3.0(back)+LFE"],
    ["4.0", "4.1"],
    ["quad(side)", "quad(side)+LFE"],
    ["5.0(side)", "5.1(side)"],
];
