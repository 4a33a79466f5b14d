//! What changed between two settings, and what of it can change in a running server.

use serde_json::{Value, json};

use super::key::{Key, keys};
use super::settings::Settings;

/// The keys that differ between two settings.
#[derive(Debug, Default)]
pub struct Diff {
    /// Those that take effect at once.
    pub live: Vec<&'static Key>,
    /// Those that wait for a restart.
    pub needs_restart: Vec<&'static Key>,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.needs_restart.is_empty()
    }
}

impl Settings {
    /// The keys whose values differ from `new`.
    pub fn diff(&self, new: &Self) -> Diff {
        let (old, new) = (json!(self), json!(new));
        let changed = keys().iter().filter(|key| value_in(&old, key) != value_in(&new, key));
        let (live, needs_restart) = changed.partition(|key| key.is_live);
        Diff { live, needs_restart }
    }

    /// The value of `key`, as JSON. A secret is in there.
    pub fn value(&self, key: &Key) -> Value {
        value_in(&json!(self), key).clone()
    }

    /// `self` with the live keys of `new`: what a running server can become.
    pub(super) fn with_live_changes(&self, new: &Self) -> Self {
        let old = json!(self);
        let mut merged = json!(new);
        for key in keys().iter().filter(|key| !key.is_live) {
            key.put(&mut merged, value_in(&old, key).clone());
        }
        // Holds because every value was serialised from a valid `Settings`, and they do not depend on one another.
        serde_json::from_value(merged).expect("valid values make valid settings")
    }
}

fn value_in<'a>(settings: &'a Value, key: &Key) -> &'a Value {
    match key.parts() {
        ("", name) => &settings[name],
        (section, name) => &settings[section][name],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(keys: &[&Key]) -> Vec<String> {
        keys.iter().map(|key| key.name.clone()).collect()
    }

    #[test]
    fn a_diff_tells_live_keys_from_the_others() {
        let old = Settings::default();
        let mut new = old.clone();
        assert!(old.diff(&new).is_empty());
        new.record.all = true;
        new.rtmp.addr.clear();
        let diff = old.diff(&new);
        assert_eq!(names(&diff.live), ["record.all"]);
        assert_eq!(names(&diff.needs_restart), ["rtmp.addr"]);
    }

    #[test]
    fn only_live_keys_are_taken_over() {
        let old = Settings::default();
        let mut new = old.clone();
        new.record.all = true;
        new.rtmp.addr.clear();
        let merged = old.with_live_changes(&new);
        assert!(merged.record.all);
        assert_eq!(merged.rtmp.addr, old.rtmp.addr);
    }
}
