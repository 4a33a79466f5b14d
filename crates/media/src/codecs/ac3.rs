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

/// The content of the `dac3` or `dec3` box that describes a track in MP4 by one of its access units (AC-3 annex F.4,
/// F.6); `None` if it is damaged.
pub(crate) fn specific_box(unit: &[u8]) -> Option<Vec<u8>> {
    let &[0x0B, 0x77, _, _, byte4, byte5, ..] = unit else { return None };
    let (fscod, bsid) = (byte4 >> 6, byte5 >> 3);
    if bsid > 10 {
        return enhanced_specific_box(unit);
    }
    let mut bits = BitReader::new(unit);
    bits.skip(16, "syncword").ok()?;
    let head = read_ac3(&mut bits, bsid).ok()?;
    let (bsmod, bit_rate_code) = (u32::from(byte5 & 7), u32::from(byte4 >> 1 & 0x1F));
    let packed = u32::from(fscod) << 22
        | u32::from(bsid) << 17
        | bsmod << 14
        | u32::from(head.acmod) << 11
        | u32::from(head.lfe) << 10
        | bit_rate_code << 5;
    Some(packed.to_be_bytes()[1..].to_vec())
}

/// The content of a `dec3` box (AC-3 annex F.6): the data rate of all, then each independent substream with what its
/// dependent ones add to it.
fn enhanced_specific_box(unit: &[u8]) -> Option<Vec<u8>> {
    let (mut programs, mut size, mut rest) = (Vec::<Program>::new(), 0, unit);
    while let Some(substream) = Substream::read(rest) {
        rest = rest.get(substream.size..).unwrap_or_default();
        let of_next_blocks = !programs.is_empty() && !substream.is_dependent && substream.id == 0;
        if of_next_blocks || programs.len() == MAX_PROGRAMS {
            break;
        }
        size += substream.size as u64;
        if substream.is_dependent {
            let program = programs.last_mut()?;
            program.dependent += 1;
            program.locations |= substream.locations;
        } else {
            programs.push(Program { main: substream, dependent: 0, locations: 0 });
        }
    }
    let head = &programs.first()?.main.head;
    let kbits = size * 8 * u64::from(head.sample_rate) / (256 * u64::from(head.blocks)) / 1000;
    let rate_and_count = (kbits.min(0x1FFF) as u16) << 3 | (programs.len() - 1) as u16;
    let mut content = rate_and_count.to_be_bytes().to_vec();
    programs.iter().for_each(|program| program.write(&mut content));
    Some(content)
}

/// An independent substream of E-AC-3 and what depends on it.
struct Program {
    main: Substream,
    /// How many substreams add channels to it, 0–8.
    dependent: u8,
    /// `chan_loc`: which ones.
    locations: u16,
}

impl Program {
    fn write(&self, out: &mut Vec<u8>) {
        let Substream { fscod, bsid, head, .. } = &self.main;
        // The service is the main one.
        let packed = u32::from(*fscod) << 22
            | u32::from(*bsid) << 17
            | u32::from(head.acmod) << 9
            | u32::from(head.lfe) << 8;
        let packed = packed | u32::from(self.dependent & 0xF) << 1;
        if self.dependent == 0 {
            out.extend(&packed.to_be_bytes()[1..]);
        } else {
            out.extend(&(packed << 8 | u32::from(self.locations & 0x1FF)).to_be_bytes());
        }
    }
}

/// One syncframe of E-AC-3.
struct Substream {
    is_dependent: bool,
    /// Which one of its kind, 0–7.
    id: u8,
    /// In bytes.
    size: usize,
    fscod: u8,
    bsid: u8,
    head: Head,
    /// `chan_loc` (AC-3 table F.2): the places that `chanmap` (AC-3 table E.5) has beyond those of 5.1.
    locations: u16,
}

impl Substream {
    /// Reads the syncframe that `bytes` begin with, as far as its channel map.
    fn read(bytes: &[u8]) -> Option<Self> {
        const DEPENDENT: u8 = 1;
        let &[0x0B, 0x77, byte2, byte3, byte4, byte5, ..] = bytes else { return None };
        let mut bits = BitReader::new(bytes);
        bits.skip(16, "syncword").ok()?;
        let head = read_eac3(&mut bits).ok()?;
        let is_dependent = byte2 >> 6 == DEPENDENT;
        let locations = if is_dependent { read_locations(&mut bits, head.acmod).ok()? } else { 0 };
        let words = 1 + (usize::from(byte2 & 7) << 8 | usize::from(byte3));
        Some(Self {
            is_dependent,
            id: byte2 >> 3 & 7,
            size: 2 * words,
            fscod: byte4 >> 6,
            bsid: byte5 >> 3,
            head,
            locations,
        })
    }
}

/// `bsi()` of a dependent substream from behind `lfeon` to its channel map (AC-3 annex E.2.2.2), as `chan_loc`.
fn read_locations(bits: &mut impl BitRead, acmod: u8) -> Result<u16, Malformed> {
    bits.skip(5, "bsid")?;
    // Two mono programs have all this twice.
    for _ in 0..if acmod == 0 { 2 } else { 1 } {
        bits.skip(5, "dialnorm")?;
        if bits.read_bit("compre")? {
            bits.skip(8, "compr")?;
        }
    }
    if !bits.read_bit("chanmape")? {
        return Ok(0);
    }
    // Its first bit is the left channel; the places from the sixth (Lc/Rc) to the thirteenth (Cvh) come in the order of
    // `chan_loc`, whose first one is the last bit. The second low frequency channel follows there.
    let map: u16 = bits.read::<16, _>("chanmap")?;
    let places = (map >> 3 & 0xFF) as u8;
    Ok(u16::from(places.reverse_bits()) | (map >> 1 & 1) << 8)
}

/// What the three bits of `num_ind_sub` can count.
const MAX_PROGRAMS: usize = 8;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// A syncframe of 48 kHz with six blocks and 5.1 channels, its length in words, and the bits behind `lfeon`.
    fn syncframe(kind_and_id: u8, words: u16, tail: &[u8]) -> Vec<u8> {
        let [high, low] = (words - 1).to_be_bytes();
        let mut frame = vec![0x0B, 0x77, kind_and_id << 3 | high, low, 0x3F];
        frame.extend(tail);
        frame.resize(2 * usize::from(words), 0);
        frame
    }

    /// bsid 16, no compression, a channel map.
    fn with_map(map: u16) -> [u8; 4] {
        let bits = 16_u32 << 27 | 1 << 20 | u32::from(map) << 4;
        bits.to_be_bytes()
    }

    #[test]
    fn all_substreams_of_eac3_are_described() {
        let main = || syncframe(0, 768, &[0x80]);
        // 768 words every 32 ms are 384 kbit/s; acmod 7 with LFE.
        assert_eq!(specific_box(&main()), Some(vec![0x0C, 0x00, 0x20, 0x0F, 0]));
        // 7.1: a dependent substream with Lrs/Rrs, the seventh place.
        let rear = syncframe(1 << 3, 384, &with_map(1 << (15 - 6)));
        let expected = Some(vec![0x12, 0x00, 0x20, 0x0F, 0x02, 0x02]);
        assert_eq!(specific_box(&[main(), rear.clone()].concat()), expected);
        // Only the first of the frames that make up six blocks tells.
        assert_eq!(specific_box(&[main(), rear.clone(), main(), rear.clone()].concat()), expected);
        // LFE2 has the highest bit.
        let second = syncframe(1 << 3 | 1, 384, &with_map(1 << 1));
        let both = [main(), rear, second].concat();
        assert_eq!(specific_box(&both), Some(vec![0x18, 0x00, 0x20, 0x0F, 0x05, 0x02]));
        // A second program.
        let other = syncframe(1, 768, &[0x80]);
        let expected = Some(vec![0x18, 0x01, 0x20, 0x0F, 0, 0x20, 0x0F, 0]);
        assert_eq!(specific_box(&[main(), other].concat()), expected);
        // Nothing to depend on.
        assert_eq!(specific_box(&syncframe(1 << 3, 768, &with_map(0))), None);
    }
}
