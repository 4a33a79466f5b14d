//! The boxes that an MP4 file is made of (ISOBMFF §4.2).

use bytes::Bytes;

use super::Error;
use crate::FourCc;

/// What stands before the content of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoxHeader {
    /// The type: `moov`, `moof`, `mdat`, …
    pub kind: FourCc,
    /// Bytes of the header itself: 8, or 16 with a 64-bit size.
    pub header_len: u64,
    /// Bytes of the whole box, header included; `None` if it reaches to the end of the file.
    pub size: Option<u64>,
}

impl BoxHeader {
    /// As many bytes as a header can have.
    pub const MAX_LEN: usize = 16;

    /// Reads the header at the beginning of `bytes`; `None` if they are too few.
    ///
    /// # Errors
    /// If the box claims to be smaller than its header.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let Some((&[s0, s1, s2, s3, kind @ ..], rest)) = bytes.split_first_chunk::<8>() else {
            return Ok(None);
        };
        let kind = FourCc(kind);
        let (header_len, size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => (8, None),
            1 => match rest.first_chunk() {
                Some(size) => (16, Some(u64::from_be_bytes(*size))),
                None => return Ok(None),
            },
            size => (8, Some(size.into())),
        };
        match size {
            Some(size) if size < header_len => Err(Error::Malformed("a box smaller than its header")),
            _ => Ok(Some(Self { kind, header_len, size })),
        }
    }
}

/// The boxes in the content of another one, as their types and contents. What is cut off ends the list.
pub(super) fn boxes(mut content: Bytes) -> impl Iterator<Item = (FourCc, Bytes)> {
    std::iter::from_fn(move || {
        let header = BoxHeader::parse(&content).ok()??;
        let size = header.size.map_or(content.len(), |size| usize::try_from(size).unwrap_or(usize::MAX));
        if size > content.len() {
            return None;
        }
        // Holds because a box is no smaller than its header, which is 8 or 16 bytes.
        Some((header.kind, content.split_to(size).split_off(header.header_len as usize)))
    })
}

/// The content of the first box of a type.
pub(super) fn find(content: &Bytes, kind: &[u8; 4]) -> Option<Bytes> {
    boxes(content.clone()).find(|(found, _)| found.0 == *kind).map(|(_, content)| content)
}

/// The content of a box inside boxes: `path` names them from the outside in.
pub(super) fn find_path(content: &Bytes, path: &[&[u8; 4]]) -> Option<Bytes> {
    path.iter().try_fold(content.clone(), |content, kind| find(&content, kind))
}

/// Takes big-endian numbers off the content of a box. What is missing is an error.
#[derive(Clone, Debug)]
pub(super) struct Fields(pub(super) Bytes);

impl Fields {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = *self.0.first_chunk().ok_or(Error::Malformed("a box that ends early"))?;
        let _ = self.0.split_to(N);
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.take().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.take().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.take().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.take().map(u64::from_be_bytes)
    }

    /// 32 bits in version 0 of a box, 64 bits in version 1.
    pub(super) fn wide(&mut self, version: u8) -> Result<u64, Error> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// The version and the 24 flags that a full box begins with.
    pub(super) fn version_and_flags(&mut self) -> Result<(u8, u32), Error> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0xFF_FFFF))
    }

    pub(super) fn skip(&mut self, len: usize) -> Result<(), Error> {
        if self.0.len() < len {
            return Err(Error::Malformed("a box that ends early"));
        }
        let _ = self.0.split_to(len);
        Ok(())
    }
}
