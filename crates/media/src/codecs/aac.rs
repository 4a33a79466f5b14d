//! AAC: the AudioSpecificConfig (AAC §1.6.2.1), and one for publishers that send none.

use bytes::Bytes;
use h264_reader::rbsp::{BitRead, BitReader};

use super::{AudioInfo, ConfigError, Malformed};
use crate::{AudioCodec, Codec};

/// What an AudioSpecificConfig says.
///
/// Keep the bytes of a publisher's configuration as they came: this is for looking, not for writing them anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// The stream without its extensions.
    pub core: AacCore,
    /// Channels of the core; `None` if a program config element was needed and did not parse.
    pub channels: Option<u8>,
    /// Samples per frame of the core: 1024 or 960, 512 or 480 for the low delay codecs.
    pub frame_length: u16,
    /// Whether high frequencies are replicated (HE-AAC).
    pub sbr: Extension,
    /// Whether stereo is coded as parameters beside mono (HE-AAC v2).
    pub ps: Extension,
    /// Sample rate after SBR in Hz; `None` if SBR is not announced.
    pub extension_rate: Option<u32>,
}

/// The stream without SBR and PS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AacCore {
    /// Audio object type, 1–95: 2 is LC.
    pub object_type: u8,
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// Channel configuration, 0–15; 0 stands for a program config element.
    pub channel_config: u8,
}

/// What a configuration says of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Nothing: the stream may have it, and only decoding tells (implicit signalling).
    Unsignalled,
    /// It is not there. FFmpeg's encoder says so.
    Absent,
    /// It is there.
    Present,
}

impl AudioSpecificConfig {
    /// Parses the configuration a sequence start carries.
    ///
    /// # Errors
    ///
    /// If it ends early or has a reserved sample rate. Damage behind the core costs only what stands there.
    pub fn parse(config: &[u8]) -> Result<Self, ConfigError> {
        read(config).map_err(|Malformed(reason)| ConfigError { codec: Codec::Audio(AudioCodec::Aac), reason })
    }

    /// Sample rate of the decoded sound in Hz.
    pub fn output_rate(&self) -> u32 {
        self.extension_rate.unwrap_or(self.core.sample_rate)
    }

    /// Channels of the decoded sound.
    pub fn output_channels(&self) -> Option<u8> {
        if self.ps == Extension::Present && self.channels == Some(1) { Some(2) } else { self.channels }
    }

    /// The object type that names the whole stream: 5 for HE-AAC, 29 for HE-AAC v2, else that of the core.
    pub fn signalled_object_type(&self) -> u8 {
        match (self.sbr, self.ps) {
            (_, Extension::Present) => PS,
            (Extension::Present, _) => SBR,
            _ => self.core.object_type,
        }
    }
}

impl AacCore {
    /// What the flags byte of a legacy FLV audio tag promises (FLV annex E.4.2.1), when there is nothing better.
    ///
    /// AAC publishers write 44.1 kHz stereo there whatever they send, so this is the last resort.
    pub const fn from_flv_flags(flags: u8) -> Self {
        let sample_rate = match flags >> 2 & 3 {
            1 => 11_025,
            2 => 22_050,
            // 5.5 kHz is no rate of AAC: a publisher that left the flags empty.
            _ => 44_100,
        };
        Self { object_type: LC, sample_rate, channel_config: 1 + (flags & 1) }
    }

    /// Its AudioSpecificConfig, without a word about extensions.
    ///
    /// `None` for what it cannot say: a program config element (`channel_config` 0), an object type other than
    /// Main, LC, SSR and LTP, a rate of 2²⁴ Hz or more.
    pub fn to_config(&self) -> Option<Bytes> {
        if !(1..=4).contains(&self.object_type) || !(1..=15).contains(&self.channel_config) {
            return None;
        }
        let index = SAMPLE_RATES.iter().position(|&rate| rate == self.sample_rate);
        let (rate, rate_bits) = match index {
            Some(index) => (index as u64, 4),
            None if self.sample_rate < 1 << 24 => (0xF << 24 | u64::from(self.sample_rate), 28),
            None => return None,
        };
        // Object type, sample rate, channel configuration, and the three zero flags of GASpecificConfig.
        let length = 5 + rate_bits + 4 + 3;
        let bits =
            (u64::from(self.object_type) << rate_bits | rate) << 7 | u64::from(self.channel_config) << 3;
        let bytes = (bits << (u64::BITS - length)).to_be_bytes();
        Some(Bytes::copy_from_slice(&bytes[..length.div_ceil(8) as usize]))
    }
}

/// Describes a track by its AudioSpecificConfig.
pub(super) fn describe(config: &[u8]) -> Result<AudioInfo, Malformed> {
    let config = read(config)?;
    let object_type = config.signalled_object_type();
    // A sample rate is never 0.
    let samples =
        u64::from(config.frame_length) * u64::from(config.output_rate()) / u64::from(config.core.sample_rate);
    Ok(AudioInfo {
        codec_string: Some(format!("mp4a.40.{object_type}")),
        profile: profile_name(object_type),
        sample_rate: Some(config.output_rate()),
        channels: config.output_channels(),
        channel_layout: match config.ps {
            Extension::Present => Some("stereo"),
            _ => channel_layout(config.core.channel_config),
        },
        samples_per_frame: u32::try_from(samples).ok().filter(|&samples| samples > 0),
        ..AudioInfo::unknown(AudioCodec::Aac)
    })
}

/// `AudioSpecificConfig()` (AAC §1.6.2.1).
fn read(config: &[u8]) -> Result<AudioSpecificConfig, Malformed> {
    let mut bits = BitReader::new(config);
    let mut object_type = read_object_type(&mut bits)?;
    let sample_rate = read_sample_rate(&mut bits)?;
    let channel_config: u8 = bits.read::<4, _>("channelConfiguration")?;
    let (mut sbr, mut ps, mut extension_rate) = (Extension::Unsignalled, Extension::Unsignalled, None);
    if matches!(object_type, SBR | PS) {
        sbr = Extension::Present;
        if object_type == PS {
            ps = Extension::Present;
        }
        extension_rate = Some(read_sample_rate(&mut bits)?);
        object_type = read_object_type(&mut bits)?;
    }
    let mut config = AudioSpecificConfig {
        core: AacCore { object_type, sample_rate, channel_config },
        channels: channel_count(channel_config),
        frame_length: if matches!(object_type, LD | ELD) { 512 } else { 1024 },
        sbr,
        ps,
        extension_rate,
    };
    // What follows is refinement: a configuration cut here, as some publishers send it, is one of 1024 samples.
    let _ = read_specific(&mut bits, &mut config);
    Ok(config)
}

/// What follows the core: `GASpecificConfig()` (AAC §4.4.1) and the back-compatible signalling of extensions.
fn read_specific(bits: &mut impl BitRead, config: &mut AudioSpecificConfig) -> Result<(), Malformed> {
    let object_type = config.core.object_type;
    if object_type == ELD && bits.read_bit("frameLengthFlag")? {
        config.frame_length = 480;
    }
    if !matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23) {
        return Ok(());
    }
    if bits.read_bit("frameLengthFlag")? {
        config.frame_length = if object_type == LD { 480 } else { 960 };
    }
    if bits.read_bit("dependsOnCoreCoder")? {
        bits.skip(14, "coreCoderDelay")?;
    }
    let extended = bits.read_bit("extensionFlag")?;
    if config.core.channel_config == 0 {
        config.channels = Some(read_program_config(bits)?);
    }
    // Scalable and error resilient types have more fields here, and no HE-AAC built on them.
    if extended || !matches!(object_type, 1..=4) || config.sbr == Extension::Present {
        return Ok(());
    }
    read_sync_extension(bits, config)
}

/// The sync extension behind a configuration that old decoders take for plain AAC (AAC §1.6.5.2).
fn read_sync_extension(bits: &mut impl BitRead, config: &mut AudioSpecificConfig) -> Result<(), Malformed> {
    if bits.read::<11, u16>("syncExtensionType")? != 0x2B7 || read_object_type(bits)? != SBR {
        return Ok(());
    }
    if !bits.read_bit("sbrPresentFlag")? {
        config.sbr = Extension::Absent;
        return Ok(());
    }
    let extension_rate = read_sample_rate(bits)?;
    config.sbr = Extension::Present;
    config.extension_rate = Some(extension_rate);
    if bits.read::<11, u16>("syncExtensionType")? == 0x548 {
        let present = bits.read_bit("psPresentFlag")?;
        config.ps = if present { Extension::Present } else { Extension::Absent };
    }
    Ok(())
}

/// `GetAudioObjectType()` (AAC §1.6.2.1).
fn read_object_type(bits: &mut impl BitRead) -> Result<u8, Malformed> {
    match bits.read::<5, u8>("audioObjectType")? {
        31 => Ok(32 + bits.read::<6, u8>("audioObjectTypeExt")?),
        object_type => Ok(object_type),
    }
}

/// A sample rate by index, or in full behind the escape value. Never 0.
fn read_sample_rate(bits: &mut impl BitRead) -> Result<u32, Malformed> {
    let index: u8 = bits.read::<4, _>("samplingFrequencyIndex")?;
    let rate = match index {
        15 => Some(bits.read::<24, u32>("samplingFrequency")?),
        _ => SAMPLE_RATES.get(usize::from(index)).copied(),
    };
    rate.filter(|&rate| rate > 0).ok_or(Malformed("samplingFrequency"))
}

/// The channels that a `program_config_element()` (AAC §4.4.1.1) lists.
fn read_program_config(bits: &mut impl BitRead) -> Result<u8, Malformed> {
    bits.skip(4 + 2 + 4, "element_instance_tag")?;
    let front: u8 = bits.read::<4, _>("num_front_channel_elements")?;
    let side: u8 = bits.read::<4, _>("num_side_channel_elements")?;
    let back: u8 = bits.read::<4, _>("num_back_channel_elements")?;
    let lfe: u8 = bits.read::<2, _>("num_lfe_channel_elements")?;
    let associated: u32 = bits.read::<3, _>("num_assoc_data_elements")?;
    let coupling: u32 = bits.read::<4, _>("num_valid_cc_elements")?;
    for (mixdown, length) in [("mono_mixdown", 4), ("stereo_mixdown", 4), ("matrix_mixdown", 3)] {
        if bits.read_bit(mixdown)? {
            bits.skip(length, mixdown)?;
        }
    }
    // At most 3 × 15 pairs and 3 low frequency channels: 93.
    let mut channels = lfe;
    for _ in 0..front + side + back {
        channels += if bits.read_bit("element_is_cpe")? { 2 } else { 1 };
        bits.skip(4, "element_tag_select")?;
    }
    bits.skip(4 * u32::from(lfe) + 4 * associated + 5 * coupling, "element_tag_select")?;
    while !bits.byte_aligned() {
        bits.skip(1, "byte_alignment")?;
    }
    let comment: u32 = bits.read::<8, _>("comment_field_bytes")?;
    bits.skip(8 * comment, "comment_field_data")?;
    if channels == 0 { Err(Malformed("num_front_channel_elements")) } else { Ok(channels) }
}

/// Channels of a channel configuration (AAC table 1.19).
const fn channel_count(channel_config: u8) -> Option<u8> {
    match channel_config {
        count @ 1..=6 => Some(count),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        13 => Some(24),
        _ => None,
    }
}

/// Where the channels of a channel configuration stand, as ffprobe says it.
const fn channel_layout(channel_config: u8) -> Option<&'static str> {
    match channel_config {
        1 => Some("mono"),
        2 => Some("stereo"),
        3 => Some("3.0"),
        4 => Some("4.0"),
        5 => Some("5.0"),
        6 => Some("5.1"),
        7 => Some("7.1(wide)"),
        11 => Some("6.1(back)"),
        12 => Some("7.1"),
        13 => Some("22.2"),
        14 => Some("5.1.2"),
        _ => None,
    }
}

/// The name of an object type, as ffprobe says it.
const fn profile_name(object_type: u8) -> Option<&'static str> {
    match object_type {
        1 => Some("Main"),
        LC => Some("LC"),
        3 => Some("SSR"),
        4 => Some("LTP"),
        SBR => Some("HE-AAC"),
        PS => Some("HE-AACv2"),
        LD => Some("LD"),
        ELD => Some("ELD"),
        42 => Some("xHE-AAC"),
        _ => None,
    }
}

/// Audio object types with a part in this module (AAC table 1.17).
const LC: u8 = 2;
const SBR: u8 = 5;
const LD: u8 = 23;
const PS: u8 = 29;
const ELD: u8 = 39;

/// Sample rates in Hz by index (AAC table 1.18).
pub(super) const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

#[cfg(test)]
mod tests {
    use super::*;

    const fn core(object_type: u8, sample_rate: u32, channel_config: u8) -> AacCore {
        AacCore { object_type, sample_rate, channel_config }
    }

    /// The bytes, the core, whether SBR and PS are announced, and what is made of them: codec string, sample rate,
    /// channels, samples per frame.
    type Row = (&'static [u8], AacCore, Extension, Extension, (&'static str, u32, Option<u8>, u32));

    /// Made by hand after AAC §1.6.2.1 where FFmpeg's encoder cannot.
    #[rustfmt::skip]
    const ROWS: &[Row] = {
        use Extension::{Absent, Present, Unsignalled};
        &[
            // Plain: LC stereo, LC 5.1, Main, an escaped sample rate, frames of 960.
            (&[0x11, 0x90], core(2, 48_000, 2), Unsignalled, Unsignalled, ("mp4a.40.2", 48_000, Some(2), 1024)),
            (&[0x11, 0xB0], core(2, 48_000, 6), Unsignalled, Unsignalled, ("mp4a.40.2", 48_000, Some(6), 1024)),
            (&[0x0A, 0x08], core(1, 44_100, 1), Unsignalled, Unsignalled, ("mp4a.40.1", 44_100, Some(1), 1024)),
            (&[0x17, 0x80, 0x49, 0xD4, 0x10], core(2, 37_800, 2), Unsignalled, Unsignalled, ("mp4a.40.2", 37_800, Some(2), 1024)),
            (&[0x11, 0x94], core(2, 48_000, 2), Unsignalled, Unsignalled, ("mp4a.40.2", 48_000, Some(2), 960)),
            // SBR explicitly absent, as FFmpeg writes.
            (&[0x12, 0x10, 0x56, 0xE5, 0x00], core(2, 44_100, 2), Absent, Unsignalled, ("mp4a.40.2", 44_100, Some(2), 1024)),
            // HE-AAC: hierarchical, back-compatible.
            (&[0x2B, 0x11, 0x88, 0x00], core(2, 24_000, 2), Present, Unsignalled, ("mp4a.40.5", 48_000, Some(2), 2048)),
            (&[0x13, 0x10, 0x56, 0xE5, 0x98], core(2, 24_000, 2), Present, Unsignalled, ("mp4a.40.5", 48_000, Some(2), 2048)),
            // HE-AAC v2: hierarchical, back-compatible.
            (&[0xEB, 0x09, 0x88, 0x00], core(2, 24_000, 1), Present, Present, ("mp4a.40.29", 48_000, Some(2), 2048)),
            (&[0x13, 0x08, 0x56, 0xE5, 0x9D, 0x48, 0x80], core(2, 24_000, 1), Present, Present, ("mp4a.40.29", 48_000, Some(2), 2048)),
            // A program config element with a pair and a low frequency channel, whole and cut short.
            (&[0x11, 0x80, 0x04, 0xC4, 0x01, 0x00, 0x20, 0x00, 0x00], core(2, 48_000, 0), Unsignalled, Unsignalled, ("mp4a.40.2", 48_000, Some(3), 1024)),
            (&[0x11, 0x80, 0x04], core(2, 48_000, 0), Unsignalled, Unsignalled, ("mp4a.40.2", 48_000, None, 1024)),
            // ELD, an escaped object type, with frames of 480.
            (&[0xF8, 0xE6, 0x30], core(39, 48_000, 1), Unsignalled, Unsignalled, ("mp4a.40.39", 48_000, Some(1), 480)),
        ]
    };

    #[test]
    fn configurations_parse() {
        for &(bytes, core, sbr, ps, (name, rate, channels, samples)) in ROWS {
            let config = AudioSpecificConfig::parse(bytes).expect("a configuration");
            assert_eq!((config.core, config.sbr, config.ps), (core, sbr, ps), "{bytes:02X?}");
            let info = describe(bytes).expect("a configuration");
            assert_eq!(info.codec_string.as_deref(), Some(name), "{bytes:02X?}");
            let facts = (info.sample_rate, info.channels, info.samples_per_frame);
            assert_eq!(facts, (Some(rate), channels, Some(samples)), "{bytes:02X?}");
        }
    }

    #[test]
    fn plain_cores_are_written_as_they_were_read() {
        for (bytes, core, ..) in &ROWS[..4] {
            assert_eq!(core.to_config().as_deref(), Some(*bytes));
        }
        for core in [core(2, 48_000, 0), core(39, 48_000, 1), core(2, 1 << 24, 2), core(2, 48_000, 16)] {
            assert_eq!(core.to_config(), None, "{core:?}");
        }
    }

    #[test]
    fn what_says_nothing_is_refused() {
        // Empty, cut before the channels, a reserved sample rate, a rate of 0.
        for bytes in [&[][..], &[0x11], &[0x16, 0x90], &[0x17, 0x80, 0x00, 0x00, 0x10]] {
            assert!(AudioSpecificConfig::parse(bytes).is_err(), "{bytes:02X?}");
        }
    }

    #[test]
    fn flags_are_the_last_resort() {
        assert_eq!(AacCore::from_flv_flags(0xAF).to_config().as_deref(), Some(&[0x12, 0x10][..]));
        assert_eq!(AacCore::from_flv_flags(0xA0), core(2, 44_100, 1));
        assert_eq!(AacCore::from_flv_flags(0xAA), core(2, 22_050, 1));
    }
}
