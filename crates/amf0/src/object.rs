//! Properties in the order they were sent.

use crate::Value;

/// An ordered list of named values.
///
/// A list, not a map: order is kept, because some peers care, and a name that a peer sends twice is kept twice.
/// `V` is [`amf3::Value`](crate::amf3::Value) for the objects inside AMF3.
///
/// ```
/// use flumen_amf0::Object;
///
/// let info = Object::new().with("level", "status").with("clientid", 1.0);
/// assert_eq!(info.get("level").and_then(|level| level.as_str()), Some("status"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Object<V = Value>(Vec<(String, V)>);

impl Object {
    /// Without properties. (For an AMF3 object use `Object::default()`.)
    pub const fn new() -> Self {
        Self(Vec::new())
    }
}

impl<V> Object<V> {
    /// The first value called `name`.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The first value called `name`, ASCII case set aside.
    ///
    /// Interop: some clients send `tcurl` for `tcUrl`.
    pub fn get_ignore_case(&self, name: &str) -> Option<&V> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Replaces the first value called `name` and returns the old one, or appends it.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<V>) -> Option<V> {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                self.0.push((name, value));
                None
            }
        }
    }

    /// Appends a value, even if there is one with the same name.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<V>) {
        self.0.push((name.into(), value.into()));
    }

    /// Appends a value, for building in one expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<V>) -> Self {
        self.push(name, value);
        self
    }

    /// Removes all values called `name` and returns the first.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let mut removed = self.0.extract_if(.., |(key, _)| key == name);
        let first = removed.next().map(|(_, value)| value);
        removed.for_each(drop);
        first
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of properties.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no properties.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for Object<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Into<String>, T: Into<V>, V> FromIterator<(K, T)> for Object<V> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(properties: I) -> Self {
        Self(properties.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<K: Into<String>, T: Into<V>, V> Extend<(K, T)> for Object<V> {
    fn extend<I: IntoIterator<Item = (K, T)>>(&mut self, properties: I) {
        self.0.extend(properties.into_iter().map(|(key, value)| (key.into(), value.into())));
    }
}

impl<K: Into<String>, T: Into<Value>, const N: usize> From<[(K, T); N]> for Object {
    fn from(properties: [(K, T); N]) -> Self {
        properties.into_iter().collect()
    }
}

impl<V> IntoIterator for Object<V> {
    type Item = (String, V);
    type IntoIter = std::vec::IntoIter<(String, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_equal_names_is_seen_and_both_are_kept() {
        let object = Object::new().with("a", 1.0).with("a", 2.0);
        assert_eq!(object.get("a"), Some(&Value::Number(1.0)));
        assert_eq!(object.len(), 2);
    }

    #[test]
    fn insert_replaces_in_place_or_appends() {
        let mut object = Object::from([("a", 1.0), ("b", 2.0)]);
        assert_eq!(object.insert("a", "x"), Some(Value::Number(1.0)));
        assert_eq!(object.insert("c", true), None);
        let names: Vec<&str> = object.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(object.get("a"), Some(&Value::from("x")));
    }

    #[test]
    fn remove_takes_every_value_of_the_name() {
        let mut object = Object::from([("a", 1.0), ("b", 2.0), ("a", 3.0)]);
        assert_eq!(object.remove("a"), Some(Value::Number(1.0)));
        assert_eq!(object, Object::from([("b", 2.0)]));
        assert_eq!(object.remove("a"), None);
    }

    #[test]
    fn case_can_be_ignored() {
        let object = Object::from([("tcurl", "rtmp://host/live")]);
        assert_eq!(object.get("tcUrl"), None);
        assert_eq!(object.get_ignore_case("tcUrl").and_then(Value::as_str), Some("rtmp://host/live"));
    }
}
