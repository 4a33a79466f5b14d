//! Bodies of the fuzz targets: each takes a stranger's bytes and asserts what must hold for any of them.

use std::time::Duration;

use flumen_amf0::{Object, Value};

use crate::address::{RtmpUrl, StreamAddress};
use crate::adobe_auth::{Authenticator, Challenge, Login, Rejection};
use crate::capabilities::{Capabilities, ReconnectRequest};

/// Three lines as `tcUrl`, `app` and name: nothing panics or grows, and the name is one segment. The first line as the
/// URL of a client: its password is never shown.
pub fn address(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let [tc_url, app, name] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let address = StreamAddress::resolve(tc_url, app, name);
    assert!(!address.name.contains('/'));
    assert!(address.key().len() <= address.app.len() + 1 + address.name.len());
    let params: usize = address.params.iter().map(|(key, value)| key.len() + value.len()).sum();
    // A query may stand in two places, and U+FFFD is as long as the escape it stands for.
    assert!(address.host.len() + address.key().len() + params <= 2 * text.len() + 1);
    if let Ok(url) = RtmpUrl::parse(tc_url) {
        assert!(!url.host.is_empty() && url.port != 0 && !url.app.is_empty());
        let again = RtmpUrl { password: Some("a password like no other".to_owned()), ..url };
        assert!(!format!("{again} {again:?}").contains("a password like no other"));
    }
}

/// AMF0 values as command objects: whatever a peer says of itself is bounded, and said again it means the same.
pub fn capabilities(data: &[u8]) {
    for object in flumen_amf0::decode_all(data).unwrap_or_default().iter().filter_map(Value::as_object) {
        let said = Capabilities::from_object(object);
        let mut again = Object::new();
        said.write_to(&mut again);
        // Three lists of at most 64 codecs and a wildcard, and four properties.
        assert!(again.iter().map(|(_, value)| size(value)).sum::<usize>() <= 3 * 65 + 4);
        assert_eq!(Capabilities::from_object(&again), said);
        if let Some(request) = ReconnectRequest::from_info(object) {
            assert_eq!(ReconnectRequest::from_info(&request.to_info()).as_ref(), Some(&request));
            request.target("rtmp://host:1935/app");
        }
    }
}

fn size(value: &Value) -> usize {
    value.as_array().map_or(1, <[Value]>::len) + value.as_object().map_or(0, Object::len)
}

/// A description and the query of a client: nothing panics, nobody gets in without the password. And as user and
/// password: who knows it gets in.
pub fn adobe_auth(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(rejection) = Rejection::parse(&text) {
        assert_eq!(Rejection::parse(&rejection.to_string()), Some(rejection));
    }
    if let Ok(query) = Login::new("user", "password").answer(&text, [7; 4]) {
        assert!(query.starts_with("authmod=adobe&user=user") && query.len() <= 128 + text.len());
    }
    let params = StreamAddress::resolve("", &format!("app?{text}"), "").params;
    let mut server = Authenticator::new();
    for random in [[1; 24], [2; 24]] {
        assert!(server.check(&params, Duration::ZERO, random, |_| Some("password".to_owned())).is_err());
    }
    if let Some((user, password)) = text.split_once('\n')
        && !user.is_empty()
        && user.len() <= 72
        && !user.contains(|c: char| c == '&' || c.is_control())
    {
        log_in(user, password, [3; 24]);
    }
}

/// Both sides of a login with the right password.
pub(crate) fn log_in(user: &str, password: &str, random: [u8; Challenge::RANDOM_LEN]) {
    let mut server = Authenticator::new();
    let mut login = Login::new(user, password);
    let mut query = String::new();
    for _ in 0..3 {
        let params = StreamAddress::resolve("", &format!("app?{query}"), "").params;
        let verdict = server.check(&params, Duration::ZERO, random, |_| Some(password.to_owned()));
        match verdict {
            Ok(name) => return assert_eq!(name, user),
            Err(rejection) => match login.answer(&rejection.to_string(), [7; 4]) {
                Ok(next) => query = next,
                Err(error) => panic!("{user:?} is told {rejection:?} and gives up: {error}"),
            },
        }
    }
    panic!("{user:?} did not get in");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: &[(&str, Target)] =
        &[("address", address), ("adobe_auth", adobe_auth), ("capabilities", capabilities)];

    #[test]
    fn kept_inputs_hold() {
        for (name, target) in TARGETS {
            let folder = format!("{}/testdata/fuzz/{name}", env!("CARGO_MANIFEST_DIR"));
            // A target without findings has no folder.
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("a readable folder").path();
                target(&std::fs::read(path).expect("a readable file"));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_hold(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, target) in TARGETS {
                target(&data);
            }
        }
    }
}
