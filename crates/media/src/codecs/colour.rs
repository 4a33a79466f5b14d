//! Which colours the numbers of a picture mean (ITU-T H.273, "CICP").

use h264_reader::rbsp::BitRead;

use super::Malformed;

/// How samples become colours, in the code points of ITU-T H.273.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colour {
    /// `ColourPrimaries`: 1 is BT.709, 9 is BT.2020.
    pub primaries: u8,
    /// `TransferCharacteristics`: 1 is BT.709, 16 is PQ, 18 is HLG.
    pub transfer: u8,
    /// `MatrixCoefficients`: 1 is BT.709, 9 is BT.2020 with non-constant luminance.
    pub matrix: u8,
    /// `VideoFullRangeFlag`: whether samples use the whole range of numbers.
    pub full_range: bool,
}

impl Colour {
    /// The code point that says nothing.
    pub const UNSPECIFIED: u8 = 2;

    /// Whether it says something: players guess well where nobody says anything.
    pub const fn is_specified(&self) -> bool {
        self.primaries != Self::UNSPECIFIED
            || self.transfer != Self::UNSPECIFIED
            || self.matrix != Self::UNSPECIFIED
    }

    /// Reads the three code points, which all bitstreams have in this order, without the range.
    pub(super) fn read_description(bits: &mut impl BitRead) -> Result<Self, Malformed> {
        Ok(Self {
            primaries: bits.read::<8, _>("colour_primaries")?,
            transfer: bits.read::<8, _>("transfer_characteristics")?,
            matrix: bits.read::<8, _>("matrix_coefficients")?,
            full_range: false,
        })
    }
}
