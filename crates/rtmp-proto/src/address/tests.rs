use super::*;
use proptest::prelude::*;

/// Who sends it, `tcUrl`, `app`, name, and the key that is meant.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// The forms in the wild; a row that names no client is one that people type or that a careless client could send.
#[rustfmt::skip]
const FORMS: &[Row] = &[
    // The three strings as they should be.
    ("FFmpeg, two segments", "rtmp://localhost:1935/live", "live", "key", "live/key"),
    ("FFmpeg, three segments", "rtmp://localhost:1935/live/sub", "live/sub", "key", "live/sub/key"),
    ("FFmpeg, four segments", "rtmp://localhost:1935/a/b", "a/b", "c/key", "a/b/c/key"),
    ("FFmpeg, one segment", "rtmp://localhost:1935/key", "key", "", "key"),
    ("OBS, server and stream key", "rtmp://localhost/live", "live", "key", "live/key"),
    ("OBS, key with a slash", "rtmp://localhost/live", "live", "a/b", "live/a/b"),
    ("any client, address without a name", "rtmp://192.0.2.1/live", "live", "key", "live/key"),
    ("GStreamer rtmp2sink", "rtmp://localhost:1935/live", "live", "key", "live/key"),
    ("FMLE, application with an instance of its own", "rtmp://host/live/sub", "live/sub", "key", "live/sub/key"),
    ("RTMPS clients", "rtmps://host:443/live", "live", "key", "live/key"),
    ("OBS, name in the server and as key: said twice, meant twice", "rtmp://h/live/key", "live/key", "key", "live/key/key"),
    // Queries.
    ("FFmpeg, query after the name", "rtmp://localhost:1935/live", "live", "key?token=t", "live/key"),
    ("FFmpeg, one segment with query", "rtmp://localhost:1935/key?token=t", "key?token=t", "", "key"),
    ("GStreamer rtmpsink with query", "rtmp://localhost/live", "live", "key?token=t&a=b", "live/key"),
    ("OBS, everything in the server", "rtmp://localhost:1935/live/key?token=t", "live/key?token=t", "", "live/key"),
    ("OBS, query in the server", "rtmp://localhost/live?token=t", "live?token=t", "key", "live/key"),
    ("query in tcUrl only", "rtmp://localhost/live?token=t", "live", "key", "live/key"),
    ("OBS, multitrack", "rtmp://localhost/live", "live", "key?clientConfigId=4711", "live/key"),
    ("OBS, multitrack with the key in the server", "rtmp://h/live/key?token=t", "live/key?token=t", "?token=t", "live/key"),
    ("typed into an encoder without the question mark", "rtmp://host/live", "live", "key&token=t", "live/key"),
    ("librtmp, authentication appended to a query", "rtmp://h/live?a=b?authmod=adobe&user=u", "live?a=b?authmod=adobe&user=u", "key", "live/key"),
    ("typed with a doubled question mark", "rtmp://host/live", "live", "key??token=t", "live/key"),
    ("FFmpeg, slash before the query", "rtmp://host:1935/live/key", "live/key", "?token=t", "live/key"),
    // Virtual hosts.
    ("SRS, virtual host in the application", "rtmp://192.0.2.1/live?vhost=example.com", "live?vhost=example.com", "key", "live/key"),
    ("SRS, virtual host in the name", "rtmp://192.0.2.1/live", "live", "key?vhost=example.com", "live/key"),
    ("SRS, application query before the name", "rtmp://h/live?vhost=v/key", "live?vhost=v/key", "", "live/key"),
    ("SRS, the same with a token behind", "rtmp://h/live?vhost=v/key?token=a/b", "live?vhost=v/key?token=a/b", "", "live/key"),
    ("OBS, base64 in the query of connect", "rtmp://h/live?vhost=v&token=a/b", "live?vhost=v&token=a/b", "", "live"),
    ("FMLE for SRS, dots instead of a query", "rtmp://h/live...vhost...v", "live...vhost...v", "key", "live/key"),
    ("FMLE for SRS, dots in the name", "rtmp://h/live", "live", "key...vhost...v", "live/key"),
    ("SRS edge, default virtual host", "rtmp://h/live?vhost=__defaultVhost__", "live?vhost=__defaultVhost__", "key", "live/key"),
    ("SRS, the other spelling of a virtual host", "rtmp://h/live?domain=example.com", "live?domain=example.com", "key", "live/key"),
    // Slashes.
    ("OBS, slash after the server", "rtmp://localhost/live/", "live/", "key", "live/key"),
    ("OBS, slash after the whole path", "rtmp://localhost/live/key/", "live/key/", "", "live/key"),
    ("FFmpeg, doubled slash", "rtmp://localhost:1935/live/", "live/", "key", "live/key"),
    ("FFmpeg, slash at the end", "rtmp://localhost:1935/live/key", "live/key", "", "live/key"),
    ("leading slashes", "rtmp://host/live", "/live", "/key", "live/key"),
    ("a slash after the name is the caller's to refuse", "rtmp://host/live", "live", "key/", "live/key/"),
    ("so is an empty segment inside", "rtmp://host/live", "live", "a//b", "live/a//b"),
    ("and so are dots", "rtmp://host/live", "live", "../key", "live/../key"),
    // Flash Media Server.
    ("FFmpeg, for names that end in .mp4", "rtmp://host/vod", "vod", "mp4:clip.mp4", "vod/clip.mp4"),
    ("Flash players, flv", "rtmp://host/vod", "vod", "flv:clip", "vod/clip"),
    ("Flash players, mp3", "rtmp://host/vod", "vod", "mp3:song", "vod/song"),
    ("Flash players, f4v in a folder", "rtmp://host/vod", "vod", "f4v:dir/clip.f4v", "vod/dir/clip.f4v"),
    ("prefix, encoded", "rtmp://host/vod", "vod", "mp4%3Aclip", "vod/clip"),
    ("prefix, with everything in the application", "rtmp://host/vod/mp4:clip", "vod/mp4:clip", "", "vod/clip"),
    ("FMLE, default instance", "rtmp://host/live/_definst_", "live/_definst_", "key", "live/key"),
    ("default instance in the name", "rtmp://host/live", "live", "_definst_/key", "live/key"),
    ("default instance, with everything in the application", "rtmp://h/live/_definst_/key", "live/_definst_/key", "", "live/key"),
    ("FMLE, another instance", "rtmp://host/live/room1", "live/room1", "key", "live/room1/key"),
    // Encodings.
    ("encoded name", "rtmp://host/live", "live", "my%2Dkey", "live/my-key"),
    ("encoded slash", "rtmp://host/live", "live", "a%2Fb", "live/a/b"),
    ("an escape is decoded once", "rtmp://host/live", "live", "a%252Fb", "live/a%2Fb"),
    ("no escape at all", "rtmp://host/live", "live", "100%zz%4", "live/100%zz%4"),
    ("not UTF-8", "rtmp://host/live", "live", "%ff", "live/\u{FFFD}"),
    ("key pasted with blanks", "rtmp://host/live ", "live ", " key\r\n", "live/key"),
    // Half-filled connect objects.
    ("Neko: quote in front", "'rtmp://localhost:1935/live/key", "live/key", "", "live/key"),
    ("connect object without app", "rtmp://host/live", "", "key", "live/key"),
    ("no application, whole URL in tcUrl", "rtmp://host/live/key", "", "key", "live/key"),
    ("no application, whole URL with query in tcUrl", "rtmp://host/live/key?token=t", "", "key", "live/key"),
    ("no application, no name", "rtmp://host/live/key?token=t", "", "", "live/key"),
    ("no name, more in tcUrl than in the application", "rtmp://host/live/key", "live", "", "live/key"),
    ("whole URL in tcUrl, application and name right", "rtmp://host/live/key", "live", "key", "live/key"),
    ("whole URL as name", "rtmp://host/live", "live", "rtmp://host/live/key?token=t", "live/key"),
    ("whole URL as application", "rtmp://host/live", "rtmp://host/live", "key", "live/key"),
    ("FFmpeg, fragment", "rtmp://host:1935/live#key", "live#key", "", "live/key"),
    ("fragment after a query", "rtmp://host:1935/live?token=t#key", "live?token=t#key", "", "live/key"),
    ("fragment before a query", "rtmp://host:1935/live#key?token=t", "live#key?token=t", "", "live/key"),
    ("FFmpeg, fragment after a slash", "rtmp://host:1935/live", "live", "#key", "live/key"),
    ("tcUrl without scheme", "host:1935/live", "", "key", "live/key"),
    ("nothing at all", "", "", "", ""),
];

#[test]
fn every_form_in_the_wild_has_one_key() {
    assert!(FORMS.len() >= 40);
    for (who, tc_url, app, name, key) in FORMS {
        let address = StreamAddress::resolve(tc_url, app, name);
        assert_eq!(address.key(), *key, "{who}: {address:?}");
        assert!(!address.name.contains('/'), "{who}");
        let has_token = [tc_url, app, name].iter().any(|text| text.contains("token="));
        let token = address.param("token");
        assert!(
            if has_token { matches!(token, Some("t" | "a/b")) } else { token.is_none() },
            "{who}: {token:?}"
        );
    }
}

#[test]
fn key_is_cut_at_the_last_slash() {
    let address = StreamAddress::resolve("rtmp://host/a/b", "a/b", "c/d");
    assert_eq!((address.app.as_str(), address.name.as_str()), ("a/b/c", "d"));
}

#[test]
fn hosts() {
    let table = [
        ("rtmp://Example.COM:1935/live", "live", "example.com"),
        ("rtmp://user:pass@example.com/live", "live", "example.com"),
        ("rtmp://[2001:DB8::1]:1935/live", "live", "2001:db8::1"),
        ("rtmp://[::1]/live", "live", "::1"),
        ("rtmp://2001:db8::1/live", "live", "2001:db8::1"),
        ("rtmp://192.0.2.1/live", "live?vhost=Example.com", "example.com"),
        ("rtmp://192.0.2.1/live", "live...vhost...example.com", "example.com"),
        ("rtmp://192.0.2.1/live", "live?domain=example.com", "example.com"),
        ("rtmp://192.0.2.1/live?vhost=example.com", "live", "example.com"),
        ("rtmp://192.0.2.1/live", "live?vhost=__defaultVhost__", "192.0.2.1"),
        ("rtmp://192.0.2.1/live", "live?vhost=", "192.0.2.1"),
        ("'rtmp://localhost:1935/live", "live", "localhost"),
        ("example.com/live", "live", "example.com"),
        ("//example.com/live", "live", "example.com"),
        ("/live", "live", ""),
        ("", "live", ""),
    ];
    for (tc_url, app, host) in table {
        assert_eq!(StreamAddress::resolve(tc_url, app, "key").host, host, "{tc_url} {app}");
    }
}

#[test]
fn query_after_the_name_wins() {
    let address =
        StreamAddress::resolve("rtmp://h/live?a=url&b=url&c=url", "live?a=app&b=app", "key?a=name&a=again");
    let params: Vec<_> = address.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(params, [("a", "name"), ("a", "again"), ("b", "app"), ("c", "url")]);
    assert_eq!(address.param("a"), Some("name"));
}

#[test]
fn parameters_are_decoded_once_and_keep_their_plus() {
    let address = StreamAddress::resolve("", "live", "key?t%6Fken=a%2Bb+c%252F==&flag&=x&&");
    let params: Vec<_> = address.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(params, [("token", "a+b+c%2F=="), ("flag", ""), ("", "x")]);
}

#[test]
fn debug_shows_no_secret() {
    let address =
        StreamAddress::resolve("rtmp://u:hunter2@h/live", "live?hunter2", "key?vhost=v&sig=hunter2");
    let text = format!("{address:?}");
    assert!(!text.contains("hunter2") && text.contains("\"v\""), "{text}");
}

#[test]
fn long_input_is_kept_whole() {
    let name = "n".repeat(4096);
    let address = StreamAddress::resolve("rtmp://h/live", "live", &format!("{name}?token={name}"));
    assert_eq!((address.name.len(), address.param("token").map(str::len)), (4096, Some(4096)));
}

#[test]
fn client_urls() {
    // URL, tcUrl, app, name, host, port
    let table = [
        ("rtmp://h/live/key", "rtmp://h/live", "live", "key", "h", 1935),
        ("rtmps://H/live/key", "rtmps://h/live", "live", "key", "h", 443),
        ("rtmp://h:1936/live/key", "rtmp://h:1936/live", "live", "key", "h", 1936),
        ("rtmps://h:1935/live/key", "rtmps://h:1935/live", "live", "key", "h", 1935),
        ("RTMP://h/key?token=a/b", "rtmp://h/key?token=a/b", "key?token=a/b", "", "h", 1935),
        ("rtmp://h/live/key?token=a/b", "rtmp://h/live", "live", "key?token=a/b", "h", 1935),
        ("rtmp://h/live/sub/key", "rtmp://h/live/sub", "live/sub", "key", "h", 1935),
        ("rtmp://h/a/b/c/key", "rtmp://h/a/b", "a/b", "c/key", "h", 1935),
        ("rtmp://h/vod/mp4:dir/clip", "rtmp://h/vod", "vod", "mp4:dir/clip", "h", 1935),
        ("rtmp://h/live/_definst_/key", "rtmp://h/live/_definst_", "live/_definst_", "key", "h", 1935),
        ("rtmp://h/a/b/c#key?t=1", "rtmp://h/a/b/c", "a/b/c", "key?t=1", "h", 1935),
        ("rtmp://h/live/key/", "rtmp://h/live", "live", "key", "h", 1935),
        ("rtmp://u:p@[::1]:1936/live/key", "rtmp://[::1]:1936/live", "live", "key", "::1", 1936),
    ];
    for (url, tc_url, app, name, host, port) in table {
        let parsed = RtmpUrl::parse(url).unwrap();
        assert_eq!((parsed.tc_url.as_str(), parsed.app.as_str()), (tc_url, app), "{url}");
        assert_eq!(
            (parsed.name_with_query.as_str(), parsed.host.as_str(), parsed.port),
            (name, host, port),
            "{url}"
        );
    }
}

#[test]
fn client_credentials() {
    let table = [
        ("rtmp://h/live/key", None, None),
        ("rtmp://user@h/live/key", Some("user"), None),
        ("rtmp://user:@h/live/key", Some("user"), None),
        ("rtmp://me%40example.com:p%3Aw@x@h/live/key", Some("me@example.com"), Some("p:w@x")),
    ];
    for (url, user, password) in table {
        let parsed = RtmpUrl::parse(url).unwrap();
        assert_eq!((parsed.user.as_deref(), parsed.password.as_deref()), (user, password), "{url}");
    }
}

#[test]
fn client_url_errors() {
    let table = [
        ("http://h/live/key", RtmpUrlError::Scheme),
        ("h/live/key", RtmpUrlError::Scheme),
        ("", RtmpUrlError::Scheme),
        ("rtmp:///live/key", RtmpUrlError::NoHost),
        ("rtmp://:1935/live/key", RtmpUrlError::NoHost),
        ("rtmp://h:0/live/key", RtmpUrlError::Port),
        ("rtmp://h:65536/live/key", RtmpUrlError::Port),
        ("rtmp://h:/live/key", RtmpUrlError::Port),
        ("rtmp://h", RtmpUrlError::NoStream),
        ("rtmp://h/", RtmpUrlError::NoStream),
        ("rtmp://h/?token=t", RtmpUrlError::NoStream),
        ("rtmp://h/live#", RtmpUrlError::NoStream),
        ("rtmp://h/live/key live=1", RtmpUrlError::Blank),
    ];
    for (url, error) in table {
        assert_eq!(RtmpUrl::parse(url), Err(error), "{url}");
    }
}

#[test]
fn client_url_shows_no_secret() {
    let url = RtmpUrl::parse("rtmps://user:hunter2@[::1]:1936/app/key?vhost=v&a=hunter2&hunter2").unwrap();
    assert_eq!(url.to_string(), "rtmps://user:***@[::1]:1936/app/key?vhost=v&a=***&***");
    assert!(!format!("{url:?}").contains("hunter2"));
    assert_eq!(RtmpUrl::parse("rtmp://h/key?t=1").unwrap().redacted(), "rtmp://h/key?t=***");
}

#[test]
fn app_query_goes_into_both_places() {
    let url = RtmpUrl::parse("rtmp://h:1/live/key").unwrap().with_app_query("authmod=adobe");
    assert_eq!(
        (url.app.as_str(), url.tc_url.as_str()),
        ("live?authmod=adobe", "rtmp://h:1/live?authmod=adobe")
    );
    let url = url.with_app_query("user=u");
    assert_eq!(url.app, "live?authmod=adobe&user=u");
    assert_eq!(url.name_with_query, "key");
}

#[test]
fn a_stream_moves_with_its_name_and_keeps_its_encryption() {
    let moved = |from: &str, to: &str| {
        let url = RtmpUrl::parse(from).expect("a URL").moved_to(to)?;
        Ok((url.tls, url.host, url.port, url.app, url.name_with_query))
    };
    let there = |tls, port, app: &str| Ok((tls, "b".to_owned(), port, app.to_owned(), "s?t=1".to_owned()));
    assert_eq!(moved("rtmp://a/live/s?t=1", "rtmp://b:1936/edge"), there(false, 1936, "edge"));
    // Some servers append the stream's name, and some an application of several segments.
    assert_eq!(moved("rtmp://a/live/s?t=1", "rtmp://b/live/s"), there(false, 1935, "live"));
    assert_eq!(moved("rtmp://a/live/s?t=1", "rtmp://b/live/east"), there(false, 1935, "live/east"));
    assert_eq!(moved("rtmp://a/live/s?t=1", "rtmps://b/live"), there(true, 443, "live"));
    assert_eq!(moved("rtmps://a/live/s?t=1", "rtmps://b/live"), there(true, 443, "live"));
    assert_eq!(moved("rtmps://a/live/s?t=1", "rtmp://b/live"), Err(RtmpUrlError::Unencrypted));
    assert_eq!(moved("rtmp://a/live/s?t=1", "/live"), Err(RtmpUrlError::Scheme));
}

#[test]
fn references() {
    let table = [
        ("rtmp://h:1936/live", "", "rtmp://h:1936/live"),
        ("rtmp://h:1936/live", "rtmps://other/app", "rtmps://other/app"),
        ("rtmps://h/live", "//192.0.2.0/realtimeapp", "rtmps://192.0.2.0/realtimeapp"),
        ("rtmp://h:1936/live?x=1", "/realtimeapp", "rtmp://h:1936/realtimeapp"),
        ("rtmp://h/live", "backup", "rtmp://h/backup"),
        ("rtmp://h/a/b?x=/y", "c", "rtmp://h/a/c"),
        ("rtmp://h", "app", "rtmp://h/app"),
        ("", "app", "///app"),
    ];
    for (base, reference, url) in table {
        assert_eq!(resolve_reference(base, reference), url, "{base} + {reference}");
    }
}

/// Text made of the characters that mean something here.
fn hostile() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        proptest::sample::select(vec![
            "/",
            "?",
            "&",
            "#",
            "=",
            "%",
            "%2f",
            "://",
            "rtmp",
            "@",
            "[",
            "]",
            ":",
            "...vhost...",
            "_definst_",
            "mp4:",
            "'",
            " ",
            "a",
            "é",
            "..",
        ]),
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_a_client_sends_is_what_the_url_says(
        host in "[a-z]{1,8}", app in "[a-z]{1,8}(/[a-z]{1,8})?", name in "[a-zA-Z0-9._~-]{1,16}", token in "[a-zA-Z0-9.=+/]{1,16}",
    ) {
        prop_assume!(!name.starts_with('.') && !app.contains("_definst_"));
        let url = RtmpUrl::parse(&format!("rtmp://{host}/{app}/{name}?token={token}")).unwrap();
        let address = StreamAddress::resolve(&url.tc_url, &url.app, &url.name_with_query);
        prop_assert_eq!(address.key(), format!("{app}/{name}"));
        prop_assert_eq!(address.param("token"), Some(token.as_str()));
        prop_assert_eq!(address.host, host);
        prop_assert!(url.to_string().ends_with("?token=***"));
    }

    #[test]
    fn nothing_panics_or_grows(tc_url in hostile(), app in hostile(), name in hostile()) {
        crate::fuzz::address(format!("{tc_url}\n{app}\n{name}").as_bytes());
    }
}
