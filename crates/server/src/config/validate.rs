//! What must hold between settings, and what is allowed but unwise.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;

use super::relays::Relay;
use super::settings::Settings;
use super::storage::StorageUrl;
use super::types::AuthMode;
use crate::relay::{self, MAX_RELAYS};
use crate::{storage, tls};

/// A message longer than this cannot be told: its length field has 24 bits (RTMP §5.3.1.2.1).
const MAX_MESSAGE_SIZE: ByteSize = ByteSize::mib(16);

/// A `connect` command with long URLs must fit.
const MIN_MESSAGE_SIZE: ByteSize = ByteSize::kib(4);

/// Shorter and smaller recordings than these would be more work for the disk than what is in them.
const MIN_SEGMENT_DURATION: Duration = Duration::from_secs(1);
const MIN_SEGMENT_SIZE: ByteSize = ByteSize::kib(64);

/// A secret for HS256 should have as many bytes as the hash (RFC 7518, section 3.2).
const GOOD_SECRET: usize = 32;

/// Segments that players get along with.
const SEGMENTS: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(60);

/// A shorter part costs more requests than it saves time: a frame lasts as long.
const SHORTEST_PART: Duration = Duration::from_millis(50);

/// How long signed addresses last: S3 signs for no longer than a week (SigV4 `X-Amz-Expires`), and for whole seconds.
const MIN_LINK_EXPIRY: Duration = Duration::from_secs(1);
const MAX_LINK_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Mistakes as they are found: the key they are reported at and the sentence.
type Mistakes = Vec<(&'static str, String)>;

impl Settings {
    /// All mistakes between settings that are right each by themselves, with the key to report them at.
    pub(super) fn validate(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Mistakes::new();
        self.validate_listeners(&mut mistakes);
        self.validate_tls(&mut mistakes);
        self.validate_limits(&mut mistakes);
        self.validate_auth(&mut mistakes);
        self.validate_hls(&mut mistakes);
        self.validate_record(&mut mistakes);
        validate_folder("data.dir", &self.data.dir, &mut mistakes);
        validate_folder("record.dir", &self.record.dir, &mut mistakes);
        self.validate_storage(&mut mistakes);
        if let Some(dir) = &self.log.trace_dir {
            validate_folder("log.trace-dir", dir, &mut mistakes);
        }
        mistakes
    }

    /// All mistakes of relays that are right each by themselves, with the place in the list to report them at.
    pub(super) fn validate_relays(&self) -> Vec<(usize, String)> {
        let mistake = |(index, relay): (usize, &Relay)| {
            let same = self.relays[..index].iter().position(|other| is_same(relay, other));
            let message = match same {
                _ if index >= MAX_RELAYS => format!("there may be no more than {MAX_RELAYS} relays"),
                Some(same) => format!("this relay is the same as number {}", same + 1),
                None => relay::check(relay).err()?.to_string(),
            };
            Some((index, format!("`relays`: {message}")))
        };
        self.relays.iter().enumerate().filter_map(mistake).collect()
    }

    /// What works and is likely not what the operator wants, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let open = |addr: &&SocketAddr| !addr.ip().to_canonical().is_loopback();
        if let Some(addr) = self.rtmp.addr.iter().chain(&self.rtmps.addr).find(open)
            && self.rtmp.users.is_empty()
            && self.auth.publish == AuthMode::Open
        {
            let what = if self.auth.play == AuthMode::Open { "publish and play" } else { "publish" };
            warnings.push(format!(
                "everybody who can reach {addr} may {what} (`auth.publish = \"open\"`); set `auth.publish` to ask for \
                 tokens, or `rtmp.users` to ask for passwords"
            ));
        }
        if let Some(secret) = &self.auth.secret.0
            && secret.reveal().len() < GOOD_SECRET
        {
            warnings.push(format!(
                "`auth.secret` is short: who has a token can guess it offline; take {GOOD_SECRET} random bytes or more"
            ));
        }
        warnings
    }

    fn validate_listeners(&self, mistakes: &mut Mistakes) {
        let plain = self.rtmp.addr.iter().map(|addr| ("rtmp.addr", addr));
        let encrypted = self.rtmps.addr.iter().map(|addr| ("rtmps.addr", addr));
        let http = self.http.addr.iter().map(|addr| ("http.addr", addr));
        let all: Vec<_> = plain.chain(encrypted).chain(http).collect();
        for (index, (key, addr)) in all.iter().enumerate() {
            let taken = all[..index].iter().find(|(_, other)| other == addr && addr.port() != 0);
            if let Some((other, _)) = taken {
                mistakes.push((
                    key,
                    format!("`{key}`: {addr} is already an address of `{other}`; choose another port"),
                ));
            }
        }
        if self.rtmp.addr.is_empty() && self.rtmps.addr.is_empty() {
            mistakes.push(("rtmp.addr", "nothing to listen on: set `rtmp.addr` or `rtmps.addr`".to_owned()));
        }
    }

    fn validate_tls(&self, mistakes: &mut Mistakes) {
        match (&self.tls.cert, &self.tls.key) {
            (Some(cert), Some(key)) => {
                if let Err(error) = tls::load_identity(cert, key) {
                    let at = if error.is_about_key() { "tls.key" } else { "tls.cert" };
                    mistakes.push((at, format!("`{at}`: {error}")));
                }
            }
            (Some(_), None) => mistakes.push(("tls.cert", "`tls.cert` needs its `tls.key`".to_owned())),
            (None, Some(_)) => mistakes.push(("tls.key", "`tls.key` needs its `tls.cert`".to_owned())),
            (None, None) => {
                let wanting = [("rtmps.addr", !self.rtmps.addr.is_empty()), ("http.tls", self.http.tls)];
                for (key, _) in wanting.iter().filter(|(_, wants)| *wants) {
                    mistakes.push((key, format!("`{key}` needs `tls.cert` and `tls.key`")));
                }
            }
        }
    }

    fn validate_auth(&self, mistakes: &mut Mistakes) {
        let auth = &self.auth;
        for (key, mode) in [("auth.publish", auth.publish), ("auth.play", auth.play)] {
            if mode == AuthMode::Http && auth.http_url.is_none() {
                mistakes.push((key, format!("`{key}` is `http` and needs `auth.http-url`")));
            }
        }
        let times = [
            ("auth.default-expiry", auth.default_expiry),
            ("auth.max-expiry", auth.max_expiry),
            ("auth.http-timeout", auth.http_timeout),
        ];
        for (key, _) in times.iter().filter(|(_, time)| time.as_millis() == 0) {
            mistakes.push((key, format!("`{key}` must be longer than nothing")));
        }
        if auth.default_expiry > auth.max_expiry {
            let message = "`auth.default-expiry` must not be longer than `auth.max-expiry`";
            mistakes.push(("auth.default-expiry", message.to_owned()));
        }
    }

    fn validate_hls(&self, mistakes: &mut Mistakes) {
        let hls = &self.hls;
        if !SEGMENTS.contains(&hls.segment_duration) {
            let message = "`hls.segment-duration` must be from 500ms to 60s";
            mistakes.push(("hls.segment-duration", message.to_owned()));
        }
        let is_part = |part| part >= SHORTEST_PART && part <= hls.segment_duration;
        if !hls.part_duration.is_zero() && !is_part(hls.part_duration) {
            let message =
                "`hls.part-duration` must be from 50ms to `hls.segment-duration`, or 0s for plain HLS";
            mistakes.push(("hls.part-duration", message.to_owned()));
        }
        if !(3..=1000).contains(&hls.window.get()) {
            mistakes.push(("hls.window", "`hls.window` must be from 3 to 1000 segments".to_owned()));
        }
    }

    fn validate_storage(&self, mistakes: &mut Mistakes) {
        if let StorageUrl::File(folder) = &self.storage.url {
            validate_folder("storage.url", folder, mistakes);
        }
        if let Err(error) = storage::check(&self.storage) {
            mistakes.push(("storage.url", format!("`storage.url`: {error}")));
        }
        let expiry = self.storage.link_expiry;
        if expiry < MIN_LINK_EXPIRY || expiry > MAX_LINK_EXPIRY {
            let message = "`storage.link-expiry` must be from 1 second to 7 days, the longest that object stores sign for";
            mistakes.push(("storage.link-expiry", message.to_owned()));
        }
    }

    fn validate_record(&self, mistakes: &mut Mistakes) {
        if self.record.segment_duration.is_some_and(|duration| duration < MIN_SEGMENT_DURATION) {
            let message = "`record.segment-duration` must be 1s or longer, or `off`";
            mistakes.push(("record.segment-duration", message.to_owned()));
        }
        if self.record.segment_size.is_some_and(|size| size < MIN_SEGMENT_SIZE) {
            let message = "`record.segment-size` must be 64KiB or larger, or `off`";
            mistakes.push(("record.segment-size", message.to_owned()));
        }
    }

    fn validate_limits(&self, mistakes: &mut Mistakes) {
        let size = self.limits.message_size;
        if size < MIN_MESSAGE_SIZE || size > MAX_MESSAGE_SIZE {
            let message = "`limits.message-size` must be from 4KiB (a connect command must fit) to 16MiB (RTMP's maximum)";
            mistakes.push(("limits.message-size", message.to_owned()));
        }
        let times = [
            ("limits.handshake-timeout", self.limits.handshake_timeout),
            ("limits.idle-timeout", self.limits.idle_timeout),
            ("publish.timeout", self.publish.timeout),
        ];
        for (key, _) in times.iter().filter(|(_, time)| time.is_zero()) {
            mistakes.push((key, format!("`{key}` must be longer than nothing")));
        }
    }
}

/// Whether two relays carry the same to the same, or from it.
fn is_same(one: &Relay, other: &Relay) -> bool {
    (one.direction, &one.stream_key, &one.url) == (other.direction, &other.stream_key, &other.url)
}

/// A folder is made when it is needed; a file in its place would be found out too late.
fn validate_folder(key: &'static str, path: &Path, mistakes: &mut Mistakes) {
    if path.exists() && !path.is_dir() {
        mistakes.push((key, format!("`{key}`: {} is not a folder", path.display())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(change: impl FnOnce(&mut Settings)) -> Vec<&'static str> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.validate().into_iter().map(|(key, _)| key).collect()
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_defaults_are_right_and_safe() {
        assert_eq!(Settings::default().validate(), []);
        assert!(Settings::default().warnings().is_empty());
    }

    #[test]
    fn listeners_must_differ_and_exist() {
        assert_eq!(mistakes(|s| s.rtmp.addr.clear()), ["rtmp.addr"]);
        assert_eq!(mistakes(|s| s.rtmp.addr = vec![addr("[::1]:1"), addr("[::1]:1")]), ["rtmp.addr"]);
        assert_eq!(mistakes(|s| s.rtmp.addr = vec![addr("[::1]:0"), addr("[::1]:0")]), [""; 0]);
        assert_eq!(mistakes(|s| s.http.addr = s.rtmp.addr.clone()), ["http.addr"]);
        assert_eq!(mistakes(|s| s.http.addr.clear()), [""; 0]);
    }

    #[test]
    fn recordings_are_not_cut_to_pieces() {
        let duration = |duration| mistakes(|s| s.record.segment_duration = Some(duration));
        assert_eq!(duration(Duration::from_millis(999)), ["record.segment-duration"]);
        assert_eq!(duration(Duration::from_secs(1)), [""; 0]);
        let size = |size| mistakes(|s| s.record.segment_size = Some(size));
        assert_eq!(size(ByteSize::kib(63)), ["record.segment-size"]);
        assert_eq!(size(ByteSize::kib(64)), [""; 0]);
    }

    #[test]
    fn encryption_needs_a_certificate() {
        assert_eq!(mistakes(|s| s.http.tls = true), ["http.tls"]);
        assert_eq!(mistakes(|s| s.rtmps.addr = vec![addr("127.0.0.1:1936")]), ["rtmps.addr"]);
        assert_eq!(mistakes(|s| s.tls.cert = Some("c.pem".into())), ["tls.cert"]);
        assert_eq!(mistakes(|s| s.tls.key = Some("k.pem".into())), ["tls.key"]);
        let both = |s: &mut Settings| {
            s.tls.cert = Some("no-such-cert.pem".into());
            s.tls.key = Some("no-such-key.pem".into());
        };
        assert_eq!(mistakes(both), ["tls.cert"]);
    }

    #[test]
    fn limits_at_their_edges() {
        let with_size = |bytes| mistakes(|s| s.limits.message_size = ByteSize(bytes)).len();
        assert_eq!([4095, 4096, 16 << 20, (16 << 20) + 1].map(with_size), [1, 0, 0, 1]);
        assert_eq!(mistakes(|s| s.limits.idle_timeout = std::time::Duration::ZERO), ["limits.idle-timeout"]);
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(mistakes(|s| s.record.dir = file.path().to_owned()), ["record.dir"]);
        assert_eq!(mistakes(|s| s.storage.url = StorageUrl::File(file.path().to_owned())), ["storage.url"]);
    }

    #[test]
    fn links_expire_in_time() {
        let with_expiry = |seconds| mistakes(|s| s.storage.link_expiry = Duration::from_secs(seconds)).len();
        assert_eq!([0, 1, 7 * 24 * 3600, 7 * 24 * 3600 + 1].map(with_expiry), [1, 0, 0, 1]);
    }

    #[test]
    fn relays_can_do_what_they_are_to_do() {
        let mistakes = |relays: serde_json::Value| {
            let relays = serde_json::from_value(relays).expect("relays");
            Settings { relays, ..Settings::default() }.validate_relays()
        };
        let relay = |key: &str, direction: &str, url: &str| serde_json::json!({"stream-key": key, "direction": direction, "url": url});
        let right = relay("show", "push", "rtmp://h/a/b");
        let all = relay("live/*", "push", "rtmp://h/a/{name}");
        assert_eq!(mistakes(serde_json::json!([right, all, relay("show", "pull", "rtmp://h/a/b")])), []);
        for (wrong, place, part) in [
            (serde_json::json!([right, all, right]), 2, "the same as number 1"),
            (serde_json::json!([relay("live/*", "pull", "rtmp://h/a/{name}")]), 0, "`*`"),
            (serde_json::json!([right, relay("live/*", "push", "rtmp://h/a/b")]), 1, "`{name}`"),
            (serde_json::json!([relay("vod/film", "push", "rtmp://h/a/b")]), 0, "`vod`"),
            (
                serde_json::json!([{"stream-key": "a", "direction": "push", "url": "rtmp://h/a/b", "on-demand": true}]),
                0,
                "for pulling",
            ),
        ] {
            let found = mistakes(wrong);
            assert!(
                matches!(found.as_slice(), [(at, message)] if *at == place && message.contains(part)),
                "{found:?}"
            );
        }
        let many: Vec<_> = (0..=100).map(|n| relay(&format!("s{n}"), "push", "rtmp://h/a/b")).collect();
        assert_eq!(
            mistakes(many.into()),
            [(100, "`relays`: there may be no more than 100 relays".to_owned())]
        );
    }

    #[test]
    fn an_open_door_is_warned_about() {
        let mut settings = Settings::default();
        settings.rtmp.addr.push(addr("0.0.0.0:1935"));
        assert!(settings.warnings()[0].contains("0.0.0.0:1935"));
        let users = serde_json::from_value(serde_json::json!({"ann": "x"}));
        settings.rtmp.users = users.expect("a map");
        assert!(settings.warnings().is_empty());
        settings.rtmp.users.clear();
        settings.auth.publish = AuthMode::Token;
        assert!(settings.warnings().is_empty());
    }

    #[test]
    fn admission_has_what_it_needs() {
        assert_eq!(mistakes(|s| s.auth.play = AuthMode::Http), ["auth.play"]);
        assert_eq!(mistakes(|s| s.auth.http_timeout = std::time::Duration::ZERO), ["auth.http-timeout"]);
        let longer = |s: &mut Settings| s.auth.default_expiry = s.auth.max_expiry * 2;
        assert_eq!(mistakes(longer), ["auth.default-expiry"]);
    }
}
