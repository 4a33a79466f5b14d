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

/// The content of the `dac3` or `dec3` box that describes a track in MP4 by one of its syncframes (AC-3 annex F.4, F.6);
/// `None` if the frame is damaged. Of E-AC-3 one independent substream is described, which is what live encoders send.
pub(crate) fn specific_box(frame: &[u8]) -> Option<Vec<u8>> {
    let &[0x0B, 0x77, byte2, byte3, byte4, byte5, ..] = frame else { return None };
    let (fscod, bsid) = (byte4 >> 6, byte5 >> 3);
    let mut bits = BitReader::new(frame);
    bits.skip(16, "syncword").ok()?;
    if bsid <= 10 {
        let head = read_ac3(&mut bits, bsid).ok()?;
        let (bsmod, bit_rate_code) = (u32::from(byte5 & 7), u32::from(byte4 >> 1 & 0x1F));
        let packed = u32::from(fscod) << 22
            | u32::from(bsid) << 17
            | bsmod << 14
            | u32::from(head.acmod) << 11
            | u32::from(head.lfe) << 10
            | bit_rate_code << 5;
        return Some(packed.to_be_bytes()[1..].to_vec());
    }
    let head = read_eac3(&mut bits).ok()?;
    let words = 1 + (u64::from(byte2 & 7) << 8 | u64::from(byte3));
    let kbits = words * 16 * u64::from(head.sample_rate) / (256 * u64::from(head.blocks)) / 1000;
    // One independent substream, no service, main audio, no dependent substream.
    let packed = kbits.min(0x1FFF) << 27
        | u64::from(fscod) << 22
        | u64::from(bsid) << 17
        | u64::from(head.acmod) << 9
        | u64::from(head.lfe) << 8;
    Some(packed.to_be_bytes()[3..].to_vec())
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
