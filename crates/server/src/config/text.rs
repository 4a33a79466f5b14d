//! How a setting that is more than a number or a switch is written: one textual form for file, environment and flag.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserializer, Serializer};

/// What switches an optional setting off.
pub(super) const OFF: &str = "off";

/// A type with a textual form in the settings.
pub(crate) trait Textual: Sized {
    /// What a value must look like, with an example: completes the sentence "expected …".
    const EXPECTED: &'static str;

    /// Whether an array of strings may stand for the comma-separated form.
    const IS_LIST: bool = false;

    /// The value of `text`, or nothing if it is not one.
    fn from_text(text: &str) -> Option<Self>;

    /// The text that [`Self::from_text`] reads back.
    fn to_text(&self) -> String;

    /// The value of a bare number, where one is allowed.
    fn from_number(_number: u64) -> Option<Self> {
        None
    }

    /// The bare number to write instead of a text, where that is usual.
    fn to_number(&self) -> Option<u64> {
        None
    }

    /// The JSON schema of the written form.
    fn schema() -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Adapter for `#[serde(with = "AsText::<T>")]`, which schemars reads as well.
pub(crate) struct AsText<T>(PhantomData<T>);

impl<T: Textual> AsText<T> {
    pub(crate) fn serialize<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        match value.to_number() {
            Some(number) => serializer.serialize_u64(number),
            None => serializer.serialize_str(&value.to_text()),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

impl<T: Textual> JsonSchema for AsText<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        std::any::type_name::<T>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<'de, T: Textual> Visitor<'de> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text.trim()).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let value = u64::try_from(number).ok().and_then(T::from_number);
        value.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<T, A::Error> {
        if !T::IS_LIST {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let mut items = Vec::<String>::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        let text = if items.is_empty() { OFF.to_owned() } else { items.join(",") };
        T::from_text(&text)
            .ok_or_else(|| A::Error::invalid_value(Unexpected::Other(&format!("list {items:?}")), &self))
    }
}

/// Durations are added to the time that it is, and what nobody means must not run over there.
const LONGEST_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Textual for Duration {
    const EXPECTED: &'static str =
        "a duration with its unit, such as `500ms`, `2s` or `1h`, of at most 365 days";

    fn from_text(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok().filter(|duration| *duration <= LONGEST_DURATION)
    }

    fn to_text(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

/// A time span that may be left away.
impl Textual for Option<Duration> {
    const EXPECTED: &'static str = "a duration such as `30s`, `5m` or `1h`, of at most 365 days, or `off`";

    fn from_text(text: &str) -> Option<Self> {
        if text == OFF { Some(None) } else { Duration::from_text(text).map(Some) }
    }

    fn to_text(&self) -> String {
        self.map_or_else(|| OFF.to_owned(), |duration| duration.to_text())
    }
}

impl Textual for ByteSize {
    const EXPECTED: &'static str = "a size such as `64MiB`, `512KiB` or a number of bytes";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let bytes = self.as_u64();
        match UNITS.iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit)) {
            Some((unit, name)) => format!("{}{name}", bytes / unit),
            None => bytes.to_string(),
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self(number))
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "integer"], "minimum": 0 })
    }
}

/// A number of things.
impl Textual for NonZeroU32 {
    const EXPECTED: &'static str = "a whole number from 1 to 4294967295";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_number(number: u64) -> Option<Self> {
        u32::try_from(number).ok().and_then(Self::new)
    }

    fn to_number(&self) -> Option<u64> {
        Some(u64::from(self.get()))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

/// A size that may be left away.
impl Textual for Option<ByteSize> {
    const EXPECTED: &'static str = "a size such as `500GiB`, `64MiB` or a number of bytes, or `off`";

    fn from_text(text: &str) -> Option<Self> {
        if text == OFF { Some(None) } else { ByteSize::from_text(text).map(Some) }
    }

    fn to_text(&self) -> String {
        self.as_ref().map_or_else(|| OFF.to_owned(), Textual::to_text)
    }

    fn from_number(number: u64) -> Option<Self> {
        ByteSize::from_number(number).map(Some)
    }

    fn schema() -> Schema {
        ByteSize::schema()
    }
}

/// A word that may be left away.
impl Textual for Option<String> {
    const EXPECTED: &'static str = "a text without blanks, or `off`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            OFF => Some(None),
            text => (!text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()))
                .then(|| Some(text.to_owned())),
        }
    }

    fn to_text(&self) -> String {
        self.clone().unwrap_or_else(|| OFF.to_owned())
    }
}

/// A limit on a number of things; none is written `off`.
impl Textual for Option<NonZeroU32> {
    const EXPECTED: &'static str = "a whole number from 1 to 4294967295, or `off` for no limit";

    fn from_text(text: &str) -> Option<Self> {
        if text == OFF { Some(None) } else { text.parse().ok().map(Some) }
    }

    fn to_text(&self) -> String {
        self.map_or_else(|| OFF.to_owned(), |limit| limit.to_string())
    }

    fn from_number(number: u64) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        NonZeroU32::new(number).map(Some)
    }

    fn to_number(&self) -> Option<u64> {
        self.map(|limit| u64::from(limit.get()))
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["integer", "string"], "minimum": 1, "maximum": u32::MAX, "pattern": "^off$" })
    }
}

/// A file or a folder that may be left away.
impl Textual for Option<PathBuf> {
    const EXPECTED: &'static str = "a path, or `off`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "" => None,
            OFF => Some(None),
            path => Some(Some(path.into())),
        }
    }

    fn to_text(&self) -> String {
        self.as_ref().map_or_else(|| OFF.to_owned(), |path| path.display().to_string())
    }
}

/// The addresses of a listener; none is written `off`.
impl Textual for Vec<SocketAddr> {
    const EXPECTED: &'static str = "an address and a port such as `127.0.0.1:1935`, `0.0.0.0:1935` (all IPv4 \
        addresses) or `[::]:1935` (all addresses), several of them as an array or separated by commas, or `off`";
    const IS_LIST: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        if text == OFF {
            return Some(Vec::new());
        }
        text.split(',').map(|addr| addr.trim().parse().ok()).collect()
    }

    fn to_text(&self) -> String {
        if self.is_empty() {
            return OFF.to_owned();
        }
        self.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every accepted spelling and the one that is written back.
    fn check<T: Textual>(table: &[(&str, &str)], refused: &[&str]) {
        for (text, canonical) in table {
            let value = T::from_text(text).unwrap_or_else(|| panic!("{text:?} is refused"));
            assert_eq!(value.to_text(), *canonical, "{text:?}");
            assert_eq!(T::from_text(canonical).map(|again| again.to_text()).as_deref(), Some(*canonical));
        }
        for text in refused {
            assert!(T::from_text(text).is_none(), "{text:?} is accepted");
        }
    }

    #[test]
    fn durations() {
        let table = [("2s", "2s"), ("500ms", "500ms"), ("1h", "1h"), ("0ms", "0s"), ("90s", "1m 30s")];
        check::<Duration>(&table, &["", "5", "two", "5 parsecs", "-1s", "366 days", "500000000000y"]);
    }

    #[test]
    fn sizes() {
        let table =
            [("64MiB", "64MiB"), ("1024", "1KiB"), ("1MB", "1000000"), ("0", "0"), ("1.5 KiB", "1536")];
        check::<ByteSize>(&table, &["", "big", "5 apples", "-1"]);
    }

    #[test]
    fn limits() {
        check::<Option<NonZeroU32>>(&[("1", "1"), ("off", "off")], &["0", "-1", "", "4294967296", "none"]);
        assert_eq!(Option::<NonZeroU32>::from_number(0), None);
        assert_eq!(Option::<NonZeroU32>::from_number(u64::MAX), None);
    }

    #[test]
    fn addresses() {
        let table = [
            ("127.0.0.1:1935", "127.0.0.1:1935"),
            ("[::]:1935, 10.0.0.1:1", "[::]:1935,10.0.0.1:1"),
            ("off", "off"),
        ];
        check::<Vec<SocketAddr>>(
            &table,
            &["", ":1935", "127.0.0.1", "a:1", "127.0.0.1:1,", "127.0.0.1:70000"],
        );
    }

    #[test]
    fn what_may_be_left_away() {
        check::<Option<Duration>>(&[("off", "off"), ("30days", "30days")], &["", "never", "30", "400days"]);
        check::<Option<ByteSize>>(&[("off", "off"), ("2GiB", "2GiB")], &["", "none"]);
        check::<Option<String>>(&[("off", "off"), ("eu-west-1", "eu-west-1")], &["", "a b"]);
    }

    #[test]
    fn paths() {
        check::<Option<PathBuf>>(&[("off", "off"), ("/a/b", "/a/b")], &[""]);
    }
}
