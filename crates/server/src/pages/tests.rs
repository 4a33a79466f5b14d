use super::*;

fn request(headers: &[(HeaderName, &str)]) -> HeaderMap {
    let header =
        |(name, value): &(HeaderName, &str)| (name.clone(), HeaderValue::from_str(value).expect("a value"));
    headers.iter().map(header).collect()
}

fn shown<'a>(response: &'a Response, name: &HeaderName) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[test]
fn a_page_may_run_nothing_but_the_servers_own_scripts() {
    for (response, in_frames) in [
        (page("index.html", FRAMES, &request(&[])), false),
        (player(&request(&[])), true),
        (not_found(&request(&[]), StatusCode::NOT_FOUND), false),
    ] {
        let policy = shown(&response, &header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(!policy.contains("frame-ancestors 'none'"), in_frames, "{policy}");
        assert_eq!(shown(&response, &header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(shown(&response, &header::CACHE_CONTROL), "no-cache");
        assert_eq!(shown(&response, &REFERRER_POLICY), "no-referrer");
    }
}

#[test]
fn a_page_that_is_known_is_not_sent_again() {
    let first = player(&request(&[]));
    let tag = shown(&first, &header::ETAG).to_owned();
    assert_eq!(first.status(), StatusCode::OK);
    for (known, status) in [
        (tag.clone(), StatusCode::NOT_MODIFIED),
        (format!("\"other\", W/{tag}"), StatusCode::NOT_MODIFIED),
        ("*".to_owned(), StatusCode::NOT_MODIFIED),
        ("\"other\"".to_owned(), StatusCode::OK),
    ] {
        let response = player(&request(&[(header::IF_NONE_MATCH, &known)]));
        assert_eq!(response.status(), status, "{known}");
        assert_eq!(shown(&response, &header::ETAG), tag);
    }
}

#[test]
fn people_are_told_from_programs_by_what_they_accept() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, expected) in
        [(browser, true), ("application/json, text/html;q=0.1", true), ("*/*", false), ("", false)]
    {
        assert_eq!(is_for_people(&request(&[(header::ACCEPT, accept)])), expected, "{accept}");
    }
}
