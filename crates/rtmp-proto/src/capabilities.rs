//! What the two ends can do beyond RTMP 1.0: Enhanced RTMP's additions to `connect` and its request to reconnect.

use std::fmt;
use std::ops::BitOr;

use flumen_amf0::{Object, Value};

use crate::address::resolve_reference;

#[cfg(test)]
mod tests;

/// A codec's four-character code (E-RTMP v2, "Simple Data Types"), such as `hvc1`. Case matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// The code that `text` is; `None` if it is not four bytes long.
    pub fn from_text(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// What a peer can do with a codec: `FourCcInfoMask` (E-RTMP v2, "Enhancing NetConnection connect Command").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodecSupport(u32);

impl CodecSupport {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `CanDecode`: it can play the codec.
    pub const DECODE: Self = Self(0x01);
    /// `CanEncode`: it can produce the codec.
    pub const ENCODE: Self = Self(0x02);
    /// `CanForward`: it can pass the codec on as it is.
    pub const FORWARD: Self = Self(0x04);
    /// All that is defined.
    pub const ALL: Self = Self(0x07);

    /// From the number on the wire; bits without a meaning yet are kept.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The number on the wire.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether this includes any of `other`.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for CodecSupport {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Extended abilities: `CapsExMask` (E-RTMP v2, "Enhancing NetConnection connect Command").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapsEx(u32);

impl CapsEx {
    /// `Reconnect`: understands a [`ReconnectRequest`].
    pub const RECONNECT: Self = Self(0x01);
    /// `Multitrack`: takes messages that carry several tracks.
    pub const MULTITRACK: Self = Self(0x02);
    /// `ModEx`: can parse modifier extensions in front of a packet.
    pub const MOD_EX: Self = Self(0x04);
    /// `TimestampNanoOffset`: understands the modifier that makes timestamps exact to the nanosecond.
    pub const TIMESTAMP_NANO_OFFSET: Self = Self(0x08);

    /// From the number on the wire; bits without a meaning yet are kept.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The number on the wire.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether this includes all of `other`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for CapsEx {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Codecs kept from one property of a peer. E-RTMP v2 defines eleven; the rest is room for what comes.
const MAX_CODECS: usize = 64;

/// The codecs of one kind with what can be done with each: `videoFourCcInfoMap` or `audioFourCcInfoMap`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodecMap {
    any: CodecSupport,
    codecs: Vec<(FourCc, CodecSupport)>,
}

impl CodecMap {
    /// The same support for each of `codecs`.
    pub fn uniform(codecs: &[FourCc], support: CodecSupport) -> Self {
        Self { any: CodecSupport::NONE, codecs: codecs.iter().map(|&codec| (codec, support)).collect() }
    }

    /// What the peer can do with `codec`: what it says of any codec (`*`) and of this one.
    pub fn support(&self, codec: FourCc) -> CodecSupport {
        let this = self.codecs.iter().find(|(known, _)| *known == codec);
        this.map_or(self.any, |(_, support)| self.any | *support)
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn insert(&mut self, codec: FourCc, support: CodecSupport) {
        let has_room = self.codecs.len() < MAX_CODECS;
        match self.codecs.iter_mut().find(|(known, _)| *known == codec) {
            Some((_, old)) => *old = support,
            None if has_room => self.codecs.push((codec, support)),
            None => {}
        }
    }

    fn from_value(value: Option<&Value>) -> Self {
        let mut map = Self::default();
        for (key, value) in value.and_then(Value::as_object).into_iter().flat_map(Object::iter) {
            let support = CodecSupport(mask(Some(value)));
            match FourCc::from_text(key) {
                Some(codec) => map.insert(codec, support),
                None if key == WILDCARD => map.any = support,
                None => {}
            }
        }
        map
    }

    fn to_object(&self) -> Object {
        let any = (self.any != CodecSupport::NONE).then(|| (WILDCARD.to_owned(), self.any.0));
        let codecs = self.codecs.iter().map(|(codec, support)| (codec.to_string(), support.0));
        any.into_iter().chain(codecs).collect()
    }
}

/// The codecs a peer names without saying what it does with them: `fourCcList`, from the first version of E-RTMP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodecList {
    any: bool,
    codecs: Vec<FourCc>,
}

impl CodecList {
    /// Exactly `codecs`.
    pub fn new(codecs: impl IntoIterator<Item = FourCc>) -> Self {
        Self { any: false, codecs: codecs.into_iter().collect() }
    }

    /// Whether `codec` is named, or any codec is welcome (`*`).
    pub fn contains(&self, codec: FourCc) -> bool {
        self.any || self.codecs.contains(&codec)
    }

    fn is_empty(&self) -> bool {
        !self.any && self.codecs.is_empty()
    }

    /// Interop: the list is a dense array, but an array with names and a lone string are understood as well.
    fn from_value(value: Option<&Value>) -> Self {
        let mut list = Self::default();
        let elements = value.and_then(Value::as_array).unwrap_or_default().iter();
        let named =
            value.and_then(Value::as_object).into_iter().flat_map(Object::iter).map(|(_, value)| value);
        for text in elements.chain(named).chain(value).filter_map(Value::as_str) {
            match FourCc::from_text(text) {
                Some(codec) if list.codecs.len() < MAX_CODECS => list.codecs.push(codec),
                Some(_) => {}
                None => list.any |= text == WILDCARD,
            }
        }
        list
    }

    fn to_value(&self) -> Value {
        let any = self.any.then(|| Value::from(WILDCARD));
        let codecs = self.codecs.iter().map(|codec| Value::from(codec.to_string()));
        Value::StrictArray(any.into_iter().chain(codecs).collect())
    }
}

/// Stands for any codec, in the list and as a key of the maps.
const WILDCARD: &str = "*";

/// What one end of a connection can do beyond RTMP 1.0. The default is nothing: a peer from before Enhanced RTMP.
///
/// The client says it in the command object of `connect`, the server in its `_result` (E-RTMP v2, "Enhancing
/// NetConnection connect Command").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `fourCcList`.
    pub list: CodecList,
    /// `videoFourCcInfoMap`.
    pub video: CodecMap,
    /// `audioFourCcInfoMap`.
    pub audio: CodecMap,
    /// `capsEx`.
    pub caps_ex: CapsEx,
}

/// The video codecs of E-RTMP v2.
const VIDEO: [FourCc; 6] = [
    FourCc(*b"avc1"),
    FourCc(*b"hvc1"),
    FourCc(*b"vvc1"),
    FourCc(*b"av01"),
    FourCc(*b"vp08"),
    FourCc(*b"vp09"),
];

/// The audio codecs of E-RTMP v2.
const AUDIO: [FourCc; 6] = [
    FourCc(*b"mp4a"),
    FourCc(*b"Opus"),
    FourCc(*b"fLaC"),
    FourCc(*b"ac-3"),
    FourCc(*b"ec-3"),
    FourCc(*b".mp3"),
];

impl Capabilities {
    /// What this crate's users can say of themselves: they pass on every codec of E-RTMP v2, in one track or many, and
    /// follow all its extensions.
    ///
    /// A client that plays or records says the same; one that cannot follow a [`ReconnectRequest`] changes
    /// [`caps_ex`](Self::caps_ex).
    pub fn forwarding() -> Self {
        Self {
            list: CodecList::new(VIDEO.into_iter().chain(AUDIO)),
            video: CodecMap::uniform(&VIDEO, CodecSupport::FORWARD),
            audio: CodecMap::uniform(&AUDIO, CodecSupport::FORWARD),
            caps_ex: CapsEx::RECONNECT | CapsEx::MULTITRACK | CapsEx::MOD_EX | CapsEx::TIMESTAMP_NANO_OFFSET,
        }
    }

    /// Reads what a peer says in the command object of `connect`, or in the properties of its `_result`.
    ///
    /// Never fails: a property of the wrong type counts as absent. Codes that are not in E-RTMP v2 are kept, up to 64 in
    /// each property. AMF3 values must have been turned into AMF0 before.
    pub fn from_object(object: &Object) -> Self {
        Self {
            list: CodecList::from_value(object.get("fourCcList")),
            video: CodecMap::from_value(object.get("videoFourCcInfoMap")),
            audio: CodecMap::from_value(object.get("audioFourCcInfoMap")),
            caps_ex: CapsEx(mask(object.get("capsEx"))),
        }
    }

    /// Says it to a peer: sets the properties in the command object of `connect` or in those of `_result`. What is empty
    /// is left out.
    pub fn write_to(&self, object: &mut Object) {
        if !self.list.is_empty() {
            object.insert("fourCcList", self.list.to_value());
        }
        if !self.video.is_empty() {
            object.insert("videoFourCcInfoMap", self.video.to_object());
        }
        if !self.audio.is_empty() {
            object.insert("audioFourCcInfoMap", self.audio.to_object());
        }
        if self.caps_ex != CapsEx::default() {
            object.insert("capsEx", self.caps_ex.0);
        }
    }

    /// Whether the peer speaks Enhanced RTMP at all. To one that does not, send legacy FLV bodies only.
    pub fn is_enhanced(&self) -> bool {
        *self != Self::default()
    }

    /// Whether the peer can do any of `how` with `codec`. A codec in the list counts for everything, because the list
    /// tells no more.
    pub fn supports(&self, codec: FourCc, how: CodecSupport) -> bool {
        let said = self.video.support(codec) | self.audio.support(codec);
        said.intersects(how) || (how != CodecSupport::NONE && self.list.contains(codec))
    }

    /// Whether the peer understands a [`ReconnectRequest`].
    pub fn reconnect(&self) -> bool {
        self.caps_ex.contains(CapsEx::RECONNECT)
    }

    /// Whether the peer takes messages that carry several tracks.
    pub fn multitrack(&self) -> bool {
        self.caps_ex.contains(CapsEx::MULTITRACK)
    }

    /// Whether the peer can parse modifier extensions.
    pub fn mod_ex(&self) -> bool {
        self.caps_ex.contains(CapsEx::MOD_EX)
    }

    /// Whether the peer uses nanosecond offsets of timestamps.
    pub fn timestamp_nano_offset(&self) -> bool {
        self.caps_ex.contains(CapsEx::TIMESTAMP_NANO_OFFSET)
    }
}

/// Flags that arrive as a double: out of range saturates, and what is no number is none. (The cast does both.)
fn mask(value: Option<&Value>) -> u32 {
    value.and_then(Value::as_number).unwrap_or_default() as u32
}

/// A server's wish that the client connect anew, because it is going away or another one is better placed (E-RTMP v2,
/// "Reconnect Request"). The information object of an `onStatus` on message stream 0 with transaction id 0.
///
/// The client changes over at the next key frame; until then the old server goes on serving it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReconnectRequest {
    /// Where to, absolute or relative to the present `tcUrl`. `None`: to the same address.
    pub tc_url: Option<String>,
    /// Why, for people.
    pub description: Option<String>,
}

impl ReconnectRequest {
    /// The `code` of the status.
    pub const CODE: &str = "NetConnection.Connect.ReconnectRequest";

    /// The information object.
    pub fn to_info(&self) -> Object {
        let mut info = Object::new().with("level", "status").with("code", Self::CODE);
        if let Some(description) = &self.description {
            info.push("description", description.as_str());
        }
        if let Some(tc_url) = &self.tc_url {
            info.push("tcUrl", tc_url.as_str());
        }
        info
    }

    /// Reads an information object; `None` if it is about something else.
    pub fn from_info(info: &Object) -> Option<Self> {
        let text =
            |name| info.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        (text("code")? == Self::CODE)
            .then(|| Self { tc_url: text("tcUrl"), description: text("description") })
    }

    /// The `tcUrl` to connect to, seen from the one in use.
    pub fn target(&self, current_tc_url: &str) -> String {
        resolve_reference(current_tc_url, self.tc_url.as_deref().unwrap_or_default())
    }
}
